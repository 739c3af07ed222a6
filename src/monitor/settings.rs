//! The settings of a monitor.

use std::time::Duration;

use super::signal::{Response, Signal};
use crate::config::ConfigError;

/// The signals to look for, and the response to each: see the [module](crate::monitor).
///
/// Give it to [`SessionLayerBuilder::monitor`](crate::middleware::SessionLayerBuilder::monitor).
///
/// ```
/// use std::time::Duration;
/// use tower_keycard::monitor::{Monitor, Response, Signal};
///
/// let monitor = Monitor::default()
///     .fingerprint_changed(Response::Revoke)
///     .request_rate(100, Duration::from_secs(10), Response::RequireReauthentication)
///     .without(Signal::UnknownTokens);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Monitor {
    pub(super) fingerprint_changed: Option<Response>,
    pub(super) stale_token: Option<Response>,
    pub(super) request_rate: Option<(Rate, Response)>,
    pub(super) unknown_tokens: Option<Rate>,
    pub(super) new_sessions: Option<Rate>,
    pub(super) memory: usize,
}

/// A number of events within a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) most: u32,
    pub(super) within: Duration,
}

/// A changed fingerprint requires re-authentication. A stale token, more than 1,200 requests with one token within a minute,
/// more than 100 unknown tokens from one client within ten minutes, and more than 300 new sessions without a login of one client
/// within ten minutes are reported.
impl Default for Monitor {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            fingerprint_changed: Some(Response::RequireReauthentication),
            stale_token: Some(Response::Report),
            request_rate: Some((
                Rate {
                    most: 1_200,
                    within: minute,
                },
                Response::Report,
            )),
            unknown_tokens: Some(Rate {
                most: 100,
                within: 10 * minute,
            }),
            new_sessions: Some(Rate {
                most: 300,
                within: 10 * minute,
            }),
            memory: 10_000,
        }
    }
}

impl Monitor {
    /// Sets the response to a token that comes from another client than the one that it was issued to:
    /// [`Signal::FingerprintChanged`].
    pub fn fingerprint_changed(mut self, response: Response) -> Self {
        self.fingerprint_changed = Some(response);
        self
    }

    /// Sets the response to a token that was rotated out more than a minute ago: [`Signal::StaleToken`]. The response applies
    /// to the token's session. Every client with such a token can cause it.
    pub fn stale_token(mut self, response: Response) -> Self {
        self.stale_token = Some(response);
        self
    }

    /// Sets the response to more than `most` requests that load one session within this time: [`Signal::RequestRate`].
    ///
    /// The time always ends with the request at hand. No interval of this length holds more than `most` requests of which none
    /// is beyond the limit; and a request is beyond it only if there were more than `most` in this time and a fifteenth.
    ///
    /// Every request beyond the limit gets the response, until one was carried out. Then none does for this time. The signal is
    /// reported once in this time.
    pub fn request_rate(mut self, most: u32, within: Duration, response: Response) -> Self {
        self.request_rate = Some((Rate { most, within }, response));
        self
    }

    /// Reports more than `most` different unknown tokens from one client within this time: [`Signal::UnknownTokens`]. They
    /// belong to no session, so a report is the only response: limit rates in front of the application. It is sent once in this
    /// time.
    ///
    /// A client is an address, an IPv6 client its /64 network. Without an address
    /// ([`ClientFacts::with_address`](crate::ClientFacts::with_address)) nothing is counted: a fingerprint, such as that of a
    /// browser, is that of many clients.
    pub fn unknown_tokens(mut self, most: u32, within: Duration) -> Self {
        self.unknown_tokens = Some(Rate { most, within });
        self
    }

    /// Reports more than `most` sessions that one client begins without a login within this time: [`Signal::NewSessions`]. A
    /// report is the only response: limit rates in front of the application. A flood of them keeps
    /// [nobody out](crate::store#a-full-store).
    pub fn new_sessions(mut self, most: u32, within: Duration) -> Self {
        self.new_sessions = Some(Rate { most, within });
        self
    }

    /// Does not look for this signal.
    pub fn without(mut self, signal: Signal) -> Self {
        match signal {
            Signal::FingerprintChanged => self.fingerprint_changed = None,
            Signal::StaleToken => self.stale_token = None,
            Signal::RequestRate => self.request_rate = None,
            Signal::UnknownTokens => self.unknown_tokens = None,
            Signal::NewSessions => self.new_sessions = None,
        }
        self
    }

    /// Sets how many sessions and clients the monitor remembers of each kind, within a factor of two. The default is 10,000. If
    /// there are more, it forgets those that it has not seen for the longest time.
    pub fn memory(mut self, entries: usize) -> Self {
        self.memory = entries;
        self
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let rates = [
            self.request_rate.map(|(rate, _)| rate),
            self.unknown_tokens,
            self.new_sessions,
        ];
        for rate in rates.into_iter().flatten() {
            if rate.most == 0 || rate.within < Duration::from_secs(1) {
                return Err(ConfigError::new(
                    "monitor",
                    "a rate must be at least one, within at least one second",
                ));
            }
        }
        if self
            .unknown_tokens
            .is_some_and(|rate| rate.most > Self::MOST_UNKNOWN)
        {
            return Err(ConfigError::new(
                "monitor",
                "each unknown token is remembered: set at most 1,000 per client",
            ));
        }
        if self.memory == 0 {
            return Err(ConfigError::new(
                "monitor",
                "a monitor without memory finds nothing; let it remember at least one entry",
            ));
        }
        Ok(())
    }

    const MOST_UNKNOWN: u32 = 1_000;
}
