//! What is done: the same for everybody.

use std::fmt;

use clap::ValueEnum;

/// What one request does to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Work {
    /// No cookie, and nobody asks for the session.
    W0,
    /// A valid cookie, and nobody asks for the session.
    W1,
    /// One key is read.
    W2,
    /// A counter is read, and written one higher.
    W3,
    /// A session is created: every request comes without a cookie.
    W4,
    /// The session's id is rotated; the next request comes with the new cookie.
    W5,
    /// One key is read while the idle limit slides, with default settings.
    W6,
    /// One key is read, the idle limit moves with every request, and the cookie is sent again each time.
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

    /// Whether requests come with a cookie.
    pub fn brings_cookie(self) -> bool {
        !matches!(self, Self::W0 | Self::W4)
    }

    /// Whether every response must set a cookie.
    pub fn sets_cookie(self) -> bool {
        matches!(self, Self::W4 | Self::W5 | Self::W7)
    }

    /// Whether the idle limit slides. A crate that has no way to slide it seldom does so with every request.
    pub fn slides(self) -> bool {
        matches!(self, Self::W6 | Self::W7)
    }

    /// Whether the session is looked at.
    pub fn asks(self) -> bool {
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

/// What a session holds: a user, …
pub const USER_ID: u64 = 42;
/// … a name of 20 characters …
pub const NAME: &str = "Ada Lovelace, London";
/// … and a token of 32.
pub const CSRF: &str = "0123456789abcdef0123456789abcdef";

/// What every cookie is called.
pub const COOKIE: &str = "__Host-id";

/// How long a session lives without being used: this crate's default.
pub const IDLE: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);
