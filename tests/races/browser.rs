//! The browser: what it keeps of the responses it is given.

use http::HeaderMap;
use http::header::SET_COOKIE;

/// The default cookie's name.
const NAME: &str = "__Host-id";

/// What a response asks of the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SetCookie {
    Set(String),
    Remove,
}

impl SetCookie {
    /// Reads the one line that a response has for our cookie, if it has one.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(SET_COOKIE).iter();
        let line = lines.next()?.to_str().unwrap();
        assert!(lines.next().is_none(), "at most one line for a cookie");
        let (name, rest) = line.split_once('=').unwrap();
        assert_eq!(name, NAME);
        let value = rest.split(';').next().unwrap();
        Some(match value {
            "" => Self::Remove,
            card => Self::Set(card.to_owned()),
        })
    }
}

/// What the browser sends and keeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Browser {
    card: Option<String>,
}

impl Browser {
    pub(crate) fn receive(&mut self, answer: Option<&SetCookie>) {
        match answer {
            Some(SetCookie::Set(card)) => self.card = Some(card.clone()),
            Some(SetCookie::Remove) => self.card = None,
            None => {}
        }
    }

    pub(crate) fn card(&self) -> Option<&str> {
        self.card.as_deref()
    }
}

/// The `Cookie` header that carries a card.
pub(crate) fn cookie(card: &str) -> String {
    format!("{NAME}={card}")
}
