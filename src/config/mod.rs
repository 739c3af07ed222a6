//! The options of a session layer: limits, persistence, the cookie's attributes.
//!
//! You need not set any option: the defaults are the hardened ones. The options are checked when the layer is built
//! ([`ConfigError`]), never per request. [`SessionConfig::check`] lists settings that are legal but weak.
//!
//! # In a file
//!
//! [`SessionConfig`] can be read and written with serde. Durations are text with a unit. Unknown names are refused. An option
//! that is left out keeps its default:
//!
//! ```
//! # use std::time::Duration;
//! # use tower_keycard::config::{BeyondLimit, FormerCookie, Persistence, SameSite};
//! # use tower_keycard::SessionConfig;
//! let config: SessionConfig = toml::from_str(r#"
//!     idle = "30m"
//!     unconfirmed_idle = "10m"         # until the cookie comes back for the first time
//!     absolute = "8h"                  # or "off"
//!     refresh_interval = "1m"
//!     save_every_request = false
//!     persistence = "browser-session"  # or "persistent"
//!     on_interrupted = "conflict-unless-safe"   # or "conflict", "drop-silently"
//!     store_timeout = "500ms"
//!     max_data_size = 65536            # in bytes
//!     cache_private = true
//!     clear_site_data = true
//!     namespace = "shop"
//!
//!     [remember_me]                    # or above, `remember_me = "off"`
//!     idle = "14d"
//!     absolute = "30d"
//!
//!     [max_sessions_per_user]          # or above, `max_sessions_per_user = "off"`
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
//!
//!     [[former_cookies]]               # as many as you like
//!     name = "__Secure-sid"            # whole, with its prefix
//!     path = "/shop"                   # there are `domain` and `partitioned` too
//! "#)?;
//! assert_eq!(
//!     config,
//!     SessionConfig::new()
//!         .idle(Duration::from_secs(30 * 60))
//!         .unconfirmed_idle(Duration::from_secs(10 * 60))
//!         .absolute(Duration::from_secs(8 * 60 * 60))
//!         .refresh_interval(Duration::from_secs(60))
//!         .persistence(Persistence::BrowserSession)
//!         .clear_site_data(true)
//!         .namespace("shop")
//!         .max_sessions_per_user(5, BeyondLimit::EvictOldest)
//!         .cookie_name("shop")
//!         .same_site(SameSite::Strict)
//!         .former_cookies([FormerCookie::new("__Secure-sid").path("/shop")])
//! );
//! # Ok::<(), toml::de::Error>(())
//! ```
//!
//! [Coming from Django](crate::documentation::django) lists every setting of Django, and its counterpart here.

mod check;
mod cookie;
mod durations;
mod error;
mod former_cookie;
mod limits;
mod options;
mod presets;
mod remember;
mod settings;
#[cfg(test)]
mod tests;
mod user_limit;
mod validate;

pub use self::check::Weakness;
pub(crate) use self::cookie::CookieConfig;
pub use self::cookie::SameSite;
pub use self::error::ConfigError;
pub use self::former_cookie::FormerCookie;
pub(crate) use self::limits::Limits;
pub use self::remember::RememberMe;
pub use self::settings::{OnInterrupted, Persistence, SessionConfig};
pub use self::user_limit::BeyondLimit;
pub(crate) use self::user_limit::{SessionLimit, UserLimit};
