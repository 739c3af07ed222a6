//! Monitoring for hijacking: whether a session is still its user's.
//!
//! A card that was stolen is as good as its owner's: no cookie says who sends it. What can be seen is that the client is
//! suddenly another one, that a card comes which should be gone, or that somebody is too quick for a person. None of that
//! proves anything, so a [`Monitor`] says for each what is to be done about it. There is none unless the application wants
//! one:
//!
//! ```
//! use tower_keycard::monitor::{Browser, Monitor, TrustedProxies, network_of};
//! use tower_keycard::{ClientFacts, ClientFingerprint, MemoryStore, SessionLayer};
//! # use std::net::IpAddr;
//! # type Peer = IpAddr;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // One line, and a browser that suddenly is another one has to prove who its user is:
//! let layer = SessionLayer::builder(MemoryStore::new()).monitor(Monitor::default()).build()?;
//!
//! // With the network, too, where the application knows its proxies:
//! let proxies = TrustedProxies::new(["10.0.0.0/8"])?;
//! let layer = SessionLayer::builder(MemoryStore::new())
//!     .monitor(Monitor::default())
//!     .client(move |request| {
//!         let browser = Browser::of(&request.headers).to_string();
//!         let facts = ClientFacts::new().with_description(&browser);
//!         let Some(peer) = request.extensions.get::<Peer>() else {
//!             return facts;
//!         };
//!         let address = proxies.client(*peer, &request.headers);
//!         let fingerprint = ClientFingerprint::new([network_of(address), browser]);
//!         facts.with_address(address).with_fingerprint(fingerprint)
//!     })
//!     .build()?;
//! # Ok(())
//! # }
//! ```
//!
#![doc = include_str!("../../docs/monitoring.md")]

mod browser;
mod proxies;
mod rates;
mod watch;

use std::time::Duration;

pub use self::browser::Browser;
pub use self::proxies::{ParseNetworkError, TrustedProxies, network_of};
pub(crate) use self::watch::Watch;
use crate::config::ConfigError;
pub use crate::event::{Response, Signal};

/// What to look for, and what to do about it: see the [module](self).
///
/// ```
/// use std::time::Duration;
/// use tower_keycard::monitor::{Monitor, Response, Signal};
///
/// let monitor = Monitor::default()
///     .fingerprint_changed(Response::Revoke)
///     .request_rate(100, Duration::from_secs(10), Response::RequireReauthentication)
///     .without(Signal::UnknownCards);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Monitor {
    fingerprint_changed: Option<Response>,
    stale_card: Option<Response>,
    request_rate: Option<(Rate, Response)>,
    unknown_cards: Option<Rate>,
    memory: usize,
}

/// So many within so long.
#[derive(Clone, Copy, Debug)]
struct Rate {
    most: u32,
    within: Duration,
}

/// A changed fingerprint requires re-authentication; a stale card, more than 1,200 requests with a card within a minute, and
/// more than 100 unknown cards from a client within ten minutes are reported.
impl Default for Monitor {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            fingerprint_changed: Some(Response::RequireReauthentication),
            stale_card: Some(Response::Report),
            request_rate: Some((
                Rate {
                    most: 1_200,
                    within: minute,
                },
                Response::Report,
            )),
            unknown_cards: Some(Rate {
                most: 100,
                within: 10 * minute,
            }),
            memory: 10_000,
        }
    }
}

impl Monitor {
    /// What to do when a card comes from another client than the one that it was given to:
    /// [`Signal::FingerprintChanged`].
    pub fn fingerprint_changed(mut self, response: Response) -> Self {
        self.fingerprint_changed = Some(response);
        self
    }

    /// What to do to a session when a card of it comes that was rotated out more than a minute ago:
    /// [`Signal::StaleCard`]. Whoever holds such a card can bring the response about.
    pub fn stale_card(mut self, response: Response) -> Self {
        self.stale_card = Some(response);
        self
    }

    /// What to do when more than `most` requests load one session within so long: [`Signal::RequestRate`].
    pub fn request_rate(mut self, most: u32, within: Duration, response: Response) -> Self {
        self.request_rate = Some((Rate { most, within }, response));
        self
    }

    /// How many different unknown cards from one client, within so long, are too many: [`Signal::UnknownCards`]. They are
    /// no session's, so that there is nothing to do but to report it: limit rates in front of the application.
    pub fn unknown_cards(mut self, most: u32, within: Duration) -> Self {
        self.unknown_cards = Some(Rate { most, within });
        self
    }

    /// Does not look for this.
    pub fn without(mut self, signal: Signal) -> Self {
        match signal {
            Signal::FingerprintChanged => self.fingerprint_changed = None,
            Signal::StaleCard => self.stale_card = None,
            Signal::RequestRate => self.request_rate = None,
            Signal::UnknownCards => self.unknown_cards = None,
        }
        self
    }

    /// How many sessions and clients it remembers of each kind, give or take a factor of two; 10,000 unless told otherwise.
    /// When there are more, it forgets those that it has not seen for longest.
    pub fn memory(mut self, entries: usize) -> Self {
        self.memory = entries;
        self
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let rates = [self.request_rate.map(|(rate, _)| rate), self.unknown_cards];
        for rate in rates.into_iter().flatten() {
            if rate.most == 0 || rate.within < Duration::from_secs(1) {
                return Err(ConfigError::new(
                    "monitor",
                    "a rate is at least one, within at least a second",
                ));
            }
        }
        if self
            .unknown_cards
            .is_some_and(|rate| rate.most > Self::MOST_UNKNOWN)
        {
            return Err(ConfigError::new(
                "monitor",
                "each unknown card is remembered: 1,000 of a client are the most",
            ));
        }
        if self.memory == 0 {
            return Err(ConfigError::new(
                "monitor",
                "without memory nothing is noticed; let it remember one entry at least",
            ));
        }
        Ok(())
    }

    const MOST_UNKNOWN: u32 = 1_000;
}
