//! The session's cookie, as a browser reads it.

use http::HeaderMap;
use http::header::SET_COOKIE;
use tower_keycard::SessionId;

/// The cookie's name, unless a test configures another.
pub(crate) const NAME: &str = "__Host-id";

/// What a response says of the session's cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    Untouched,
    Set(String),
    Removed,
}

impl Cookie {
    /// Reads the one line that a response may have for it.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut lines = headers.get_all(SET_COOKIE).iter();
        let Some(line) = lines.next() else {
            return Self::Untouched;
        };
        assert!(lines.next().is_none(), "at most one line for a cookie");
        let (name, rest) = line.to_str().unwrap().split_once('=').unwrap();
        assert_eq!(name, NAME);
        match rest.split(';').next().unwrap() {
            "" => Self::Removed,
            token => Self::Set(token.to_owned()),
        }
    }
}

/// Keeps the cookie of a response for the next request, as `name=value`.
pub(crate) fn keep(kept: &mut Option<String>, headers: &HeaderMap) {
    if let Some(line) = headers.get(SET_COOKIE) {
        let pair = line.to_str().unwrap().split(';').next().unwrap();
        *kept = (!pair.ends_with('=')).then(|| pair.to_owned());
    }
}

/// The `Cookie` header that carries a token.
pub(crate) fn header(token: &str) -> String {
    format!("{NAME}={token}")
}

/// The public part of a token.
pub(crate) fn id(token: &str) -> SessionId {
    token[..20].parse().unwrap()
}

/// What a server knows the session of a token by.
pub(crate) fn key(token: &str) -> String {
    format!("keycard:{NAME}:{}", &token[..20])
}
