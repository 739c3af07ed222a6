//! When a session ends, and the limit that ends it.

use std::time::{Duration, SystemTime};

use crate::clock::Timestamp;
use crate::named_enum::named_enum;

/// When one session ends, in place of the layer's configuration.
///
/// Set it with [`Session::set_expiry`](crate::Session::set_expiry). The absolute limit of the layer always applies as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expiry {
    /// As the layer is configured.
    #[default]
    Default,
    /// After this time without a request, in whole milliseconds. It replaces the layer's idle limit.
    Idle(Duration),
    /// At this instant, which replaces the layer's idle limit. Activity does not move it, and a session that nobody uses lives
    /// until then.
    At(Timestamp),
    /// The cookie ends with the browser. On the server, the limits of the layer apply.
    BrowserClose,
}

impl From<Duration> for Expiry {
    fn from(idle: Duration) -> Self {
        Self::Idle(idle)
    }
}

impl From<SystemTime> for Expiry {
    fn from(at: SystemTime) -> Self {
        Self::At(Timestamp::from(at))
    }
}

named_enum! {
    /// The limit that ended a session.
    Limit {
        /// The absolute limit.
        Absolute = "absolute",
        /// The instant that was set for this session alone, with [`Expiry::At`].
        Instant = "instant",
    }
}
