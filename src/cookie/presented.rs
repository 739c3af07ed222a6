//! Reads the `Cookie` header by exact bytes.

use http::header::{COOKIE, HeaderMap, HeaderValue};
use memchr::memchr;

use crate::record::Token;

/// What a request presents under the name of the session cookie.
#[derive(Clone, Debug)]
pub(crate) enum Presented {
    /// No token.
    Nothing {
        /// Whether there were values that are not a token.
        malformed: bool,
    },
    /// One token, perhaps several times.
    Token(Token),
    /// Two to [`MOST_TOKENS`] different tokens, in the order in which they were sent. A cookie of the same name was set for
    /// another domain or path: the setting was changed, another application of the parent domain set it, or an attacker.
    Several(Box<[Token]>),
    /// More different tokens than are looked up.
    TooMany,
}

/// How many different tokens of a request are looked up. Each costs a store call.
pub(crate) const MOST_TOKENS: usize = 4;

/// Finds the token under `name`.
///
/// The comparison is by exact bytes: a cookie's name is case-sensitive, its value is neither percent-encoded nor quoted, and
/// only spaces and tabs around the name and the value are ignored (RFC 6265bis, section 5.6). HTTP/2 and HTTP/3 split the
/// header (RFC 9113, section 8.2.3), so all lines are read, and their order does not matter.
pub(crate) fn read(headers: &HeaderMap, name: &str) -> Presented {
    let lines = headers.get_all(COOKIE).into_iter();
    read_lines(lines.map(HeaderValue::as_bytes), name.as_bytes())
}

/// Marks the cookies as sensitive, so that a service inside the layer does not print the token with the request's headers.
pub(crate) fn hide(headers: &mut HeaderMap) {
    // `HeaderMap::entry` would reserve space for one more header.
    let lines = headers.iter_mut().filter(|(name, _)| *name == COOKIE);
    for (_, line) in lines {
        line.set_sensitive(true);
    }
}

pub(crate) fn read_lines<'a>(lines: impl Iterator<Item = &'a [u8]>, name: &[u8]) -> Presented {
    let mut found: Option<Token> = None;
    let mut others = Vec::new();
    let mut malformed = false;
    for mut line in lines {
        while !line.is_empty() {
            let end = memchr(b';', line).unwrap_or(line.len());
            let (pair, rest) = line.split_at(end);
            line = rest.get(1..).unwrap_or_default();
            let Some(value) = value(pair, name) else {
                continue;
            };
            match (Token::parse(value), &found) {
                (None, _) => malformed = true,
                (Some(token), None) => found = Some(token),
                (Some(token), Some(first)) if token.same_as(first) => {}
                (Some(token), Some(_)) => {
                    add(&mut others, token);
                    if others.len() >= MOST_TOKENS {
                        return Presented::TooMany;
                    }
                }
            }
        }
    }
    match found {
        None => Presented::Nothing { malformed },
        Some(token) if others.is_empty() => Presented::Token(token),
        Some(first) => {
            others.insert(0, first);
            Presented::Several(others.into())
        }
    }
}

/// Adds a token, unless it is there already.
#[cold]
fn add(tokens: &mut Vec<Token>, token: Token) {
    if !tokens.iter().any(|other| other.same_as(&token)) {
        tokens.push(token);
    }
}

/// The value of a pair, if the pair has this name. The name contains neither `=` nor white space.
fn value<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let after_name = trim_start(pair).strip_prefix(name)?;
    let mut value = trim_start(trim_start(after_name).strip_prefix(b"=")?);
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    Some(value)
}

/// Strips leading spaces and tabs, but no other kind of white space.
fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}
