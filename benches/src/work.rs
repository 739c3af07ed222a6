//! The kinds of work, which are the same for every subject.

use std::fmt;

use clap::ValueEnum;

/// What one request does to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Work {
    /// No cookie, and the handler does not ask for the session.
    W0,
    /// A valid cookie, and the handler does not ask for the session.
    W1,
    /// One key is read.
    W2,
    /// A counter is read, incremented and written.
    W3,
    /// A session is created: the request has no cookie.
    W4,
    /// The session's id is rotated; the next request has the new cookie.
    W5,
    /// One key is read while the idle limit slides, with default settings.
    W6,
    /// One key is read, the idle limit slides with every request, and every response sets the cookie.
    W7,
}

impl Work {
    pub const ALL: [Self; 8] = [
        Self::W0,
        Self::W1,
        Self::W2,
        Self::W3,
        Self::W4,
        Self::W5,
        Self::W6,
        Self::W7,
    ];

    /// Whether requests have a cookie.
    pub fn sends_cookie(self) -> bool {
        !matches!(self, Self::W0 | Self::W4)
    }

    /// Whether every response must set a cookie.
    pub fn sets_cookie(self) -> bool {
        matches!(self, Self::W4 | Self::W5 | Self::W7)
    }

    /// Whether the idle limit slides. A crate that cannot slide it at intervals slides it with every request.
    pub fn slides(self) -> bool {
        matches!(self, Self::W6 | Self::W7)
    }

    /// Whether the handler uses the session.
    pub fn uses_session(self) -> bool {
        !matches!(self, Self::W0 | Self::W1)
    }

    pub fn description(self) -> &'static str {
        match self {
            Self::W0 => "no cookie, untouched",
            Self::W1 => "valid cookie, untouched",
            Self::W2 => "read one key",
            Self::W3 => "read-modify-write a counter",
            Self::W4 => "create per request",
            Self::W5 => "rotate per request",
            Self::W6 => "read, idle limit slides",
            Self::W7 => "read, save every request",
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The session's data: a user id.
pub const USER_ID: u64 = 42;
/// The session's data: a name.
pub const NAME: &str = "Ada Lovelace, London";
/// The session's data: a CSRF token.
pub const CSRF: &str = "0123456789abcdef0123456789abcdef";

/// The name of the session cookie of every subject.
pub const COOKIE: &str = "__Host-id";

/// The idle limit of every subject: this crate's default.
pub const IDLE: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);
