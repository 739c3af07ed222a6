//! The browser: what it keeps of the responses it is given.

use http::HeaderMap;

use crate::support::cookie::Cookie;

/// What a response asks of the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SetCookie {
    Set(String),
    Remove,
}

impl SetCookie {
    /// What a response says of our cookie, if it says anything.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        match Cookie::of(headers) {
            Cookie::Untouched => None,
            Cookie::Set(token) => Some(Self::Set(token)),
            Cookie::Removed => Some(Self::Remove),
        }
    }
}

/// What the browser sends and keeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Browser {
    token: Option<String>,
}

impl Browser {
    pub(crate) fn receive(&mut self, answer: Option<&SetCookie>) {
        match answer {
            Some(SetCookie::Set(token)) => self.token = Some(token.clone()),
            Some(SetCookie::Remove) => self.token = None,
            None => {}
        }
    }

    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }
}
