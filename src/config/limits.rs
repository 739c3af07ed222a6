//! The limits that apply to one session.

use std::time::Duration;

use super::settings::{Persistence, SessionConfig};

/// The limits of one session.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) idle: Duration,
    pub(crate) absolute: Option<Duration>,
    /// Whether the cookie outlives the browser.
    pub(crate) persistent: bool,
}

impl SessionConfig {
    /// The limits of a session, according to whether its login is remembered. `None` if the login did not say.
    pub(crate) fn limits(&self, remember: Option<bool>) -> Limits {
        if let (Some(true), Some(remembered)) = (remember, self.remember_me) {
            return Limits {
                idle: remembered.idle,
                absolute: Some(remembered.absolute),
                persistent: true,
            };
        }
        Limits {
            idle: self.idle,
            absolute: self.absolute,
            persistent: remember != Some(false) && self.persistence == Persistence::Persistent,
        }
    }
}
