//! What a session layer can be told: limits, persistence, the cookie's attributes.
//!
//! Nothing has to be told: the defaults are the hardened ones. Whatever is told is checked when the layer is built
//! ([`ConfigError`]), never per request; and [`SessionConfig::check`] lists what is legal but weak.
//!
//! # In a file
//!
//! [`SessionConfig`] reads and writes itself with serde. Durations are text with a unit, unknown names are refused, and
//! what is left out keeps its default:
//!
//! ```
//! # use std::time::Duration;
//! # use tower_keycard::{BeyondLimit, Persistence, SameSite, SessionConfig};
//! let config: SessionConfig = toml::from_str(r#"
//!     idle = "30m"
//!     absolute = "8h"                  # or "off"
//!     refresh_interval = "1m"
//!     save_every_request = false
//!     persistence = "browser-session"  # or "persistent"
//!     on_interrupted = "conflict"      # or "drop-silently"
//!     store_timeout = "500ms"
//!     max_data_size = 65536            # in bytes
//!     clear_site_data = true
//!     namespace = "shop"
//!
//!     [remember_me]                    # or above, `remember_me = "off"`
//!     idle = "14d"
//!     absolute = "30d"
//!
//!     [max_sessions_per_user]
//!     most = 5
//!     beyond = "evict-oldest"          # or "refuse"
//!
//!     [cookie]
//!     name = "shop"                    # becomes `__Host-shop`
//!     prefix = true
//!     path = "/"                       # there is `domain` too
//!     secure = true
//!     http_only = true
//!     same_site = "strict"             # or "lax", "none"
//!     partitioned = false
//! "#)?;
//! assert_eq!(
//!     config,
//!     SessionConfig::new()
//!         .idle(Duration::from_secs(30 * 60))
//!         .absolute(Duration::from_secs(8 * 60 * 60))
//!         .refresh_interval(Duration::from_secs(60))
//!         .persistence(Persistence::BrowserSession)
//!         .clear_site_data(true)
//!         .namespace("shop")
//!         .max_sessions_per_user(5, BeyondLimit::EvictOldest)
//!         .cookie_name("shop")
//!         .same_site(SameSite::Strict)
//! );
//! # Ok::<(), toml::de::Error>(())
//! ```
//!
#![doc = include_str!("../../docs/django.md")]

mod check;
mod cookie;
mod durations;
mod error;
mod options;
mod presets;
mod remember;
#[cfg(test)]
mod tests;
mod validate;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::check::Weakness;
pub(crate) use self::cookie::CookieConfig;
pub use self::cookie::SameSite;
pub use self::error::ConfigError;
pub(crate) use self::options::session_options;
pub(crate) use self::remember::Limits;
pub use self::remember::RememberMe;

/// The options of a session layer. Every option is a method here and, with the same name, on the layer's builder.
///
/// ```
/// use std::time::Duration;
/// use tower_keycard::{SameSite, SessionConfig};
///
/// let config = SessionConfig::new()
///     .idle(Duration::from_secs(30 * 60))
///     .cookie_name("shop")
///     .same_site(SameSite::Strict);
/// assert!(config.check().is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SessionConfig {
    #[serde(with = "durations::plain")]
    pub(crate) idle: Duration,
    #[serde(with = "durations::or_off")]
    pub(crate) absolute: Option<Duration>,
    #[serde(with = "durations::or_unset", skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_interval: Option<Duration>,
    pub(crate) save_every_request: bool,
    pub(crate) persistence: Persistence,
    pub(crate) on_interrupted: OnInterrupted,
    #[serde(with = "durations::plain")]
    pub(crate) store_timeout: Duration,
    pub(crate) max_data_size: usize,
    pub(crate) clear_site_data: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    // Tables last, since in TOML a table ends what stands before it.
    #[serde(with = "remember")]
    pub(crate) remember_me: Option<RememberMe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_sessions_per_user: Option<SessionLimit>,
    pub(crate) cookie: CookieConfig,
}

/// How many sessions a user may have at the same time, and what becomes of one more. ASVS 5.0, 7.1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with `most` and `beyond`")]
pub struct SessionLimit {
    pub(crate) most: u32,
    pub(crate) beyond: BeyondLimit,
}

impl SessionLimit {
    pub(crate) fn most(self) -> usize {
        self.most as usize
    }
}

/// What becomes of a login beyond the limit of a user's sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BeyondLimit {
    /// It succeeds, and the session with the oldest login ends.
    EvictOldest,
    /// It is refused, with 403.
    Refuse,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(24 * 60 * 60),
            absolute: Some(Duration::from_secs(14 * 24 * 60 * 60)),
            refresh_interval: None,
            save_every_request: false,
            persistence: Persistence::default(),
            on_interrupted: OnInterrupted::default(),
            store_timeout: Duration::from_millis(500),
            max_data_size: 64 << 10,
            clear_site_data: false,
            namespace: None,
            remember_me: Some(RememberMe::default()),
            max_sessions_per_user: None,
            cookie: CookieConfig::default(),
        }
    }
}

session_options!(impl SessionConfig);

impl SessionConfig {
    /// What tells this layer's records from those of other layers over the same store.
    pub(crate) fn resolved_namespace(&self) -> String {
        match &self.namespace {
            Some(namespace) => namespace.clone(),
            None => self.resolved_cookie_name(),
        }
    }

    /// The cookie's name as the browser sees it, prefix included.
    pub(crate) fn resolved_cookie_name(&self) -> String {
        self.cookie.full_name()
    }

    /// How much of its idle limit a session may lose before it is touched.
    pub(crate) fn resolved_refresh_interval(&self) -> Duration {
        match self.refresh_interval {
            Some(interval) => interval,
            None if self.save_every_request => Duration::ZERO,
            None => Duration::from_secs(60),
        }
    }
}

/// Whether the cookie outlives the browser. On the server the same limits hold either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Persistence {
    /// The cookie carries a `Max-Age`, and is still there when the browser is opened again.
    #[default]
    Persistent,
    /// The cookie carries none, and ends with the browser. (A browser that restores its tabs may restore it as well.)
    BrowserSession,
}

/// What becomes of a request whose changes cannot be stored, because its card was rotated out or its session was ended
/// by another request meanwhile. The changes are dropped either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OnInterrupted {
    /// The response is replaced by `409 Conflict`: the client learns that its changes are lost.
    #[default]
    Conflict,
    /// The handler's response is sent as it is.
    DropSilently,
}
