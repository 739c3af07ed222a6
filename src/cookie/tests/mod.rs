//! Tests of the cookie: rules of reading, forged input, properties of reading, and writing.

mod forged;
mod properties;
mod reading;
mod writing;

use super::{Presented, read_lines};
use crate::record::Token;

/// A token.
const ONE: &str = "AAAAAAAAAAAAAAAAAAAAaaaaaaaaaaaaaaaaaaaaaaaa";
/// Another token with the same selector.
const OTHER: &str = "AAAAAAAAAAAAAAAAAAAAbbbbbbbbbbbbbbbbbbbbbbbb";
/// The cookie's name.
const NAME: &str = "__Host-id";

/// What was presented, in a form that compares.
#[derive(Debug, PartialEq)]
enum Found {
    Nothing,
    Malformed,
    Token(String),
    Several(Vec<String>),
    TooMany,
}

fn find(lines: &[impl AsRef<[u8]>]) -> Found {
    match read_lines(lines.iter().map(AsRef::as_ref), NAME.as_bytes()) {
        Presented::Nothing { malformed: false } => Found::Nothing,
        Presented::Nothing { malformed: true } => Found::Malformed,
        Presented::Token(token) => Found::Token(text(&token)),
        Presented::Several(tokens) => Found::Several(tokens.iter().map(text).collect()),
        Presented::TooMany => Found::TooMany,
    }
}

fn text(token: &Token) -> String {
    let mut text = Vec::new();
    token.expose(&mut text);
    String::from_utf8(text).unwrap()
}

fn found(text: &str) -> Found {
    Found::Token(text.to_owned())
}
