//! Tests of the cookie: rules of reading, forged input, properties of reading, and writing.

mod forged;
mod properties;
mod reading;
mod writing;

use super::{Presented, read_lines};

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
    Conflicting,
}

fn find(lines: &[impl AsRef<[u8]>]) -> Found {
    match read_lines(lines.iter().map(AsRef::as_ref), NAME.as_bytes()) {
        Presented::Nothing { malformed: false } => Found::Nothing,
        Presented::Nothing { malformed: true } => Found::Malformed,
        Presented::Token(token) => {
            let mut text = Vec::new();
            token.expose(&mut text);
            Found::Token(String::from_utf8(text).unwrap())
        }
        Presented::Conflicting => Found::Conflicting,
    }
}

fn found(text: &str) -> Found {
    Found::Token(text.to_owned())
}
