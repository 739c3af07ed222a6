//! Monitoring for session hijacking.
//!
//! A stolen token works as well as the original: no cookie says who sends it. A server can see that the client is suddenly
//! another one, that a token comes which should no longer exist, or that requests come faster than a person makes them. None
//! of that is certain, so a [`Monitor`] says for each signal what to do about it. A layer has no monitor unless you give it
//! one:
//!
//! ```
//! use tower_keycard::monitor::{Browser, Monitor, TrustedProxies, network_of};
//! use tower_keycard::monitor::ClientFingerprint;
//! use tower_keycard::{ClientFacts, MemoryStore, SessionLayer};
//! # use std::net::IpAddr;
//! # type Peer = IpAddr;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // One line. If the browser is suddenly another one, the user must authenticate again:
//! let layer = SessionLayer::builder(MemoryStore::new()).monitor(Monitor::default()).build()?;
//!
//! // With the network too, if the application knows its proxies:
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
//! [Monitoring](crate::documentation::monitoring) says what each signal means, how clients are known, and when a monitor is wrong.

mod browser;
mod detector;
mod new_sessions;
mod proxies;
mod recent;
mod request_rate;
mod settings;
mod signal;
mod sliding;
mod unknown_tokens;

pub use self::browser::Browser;
pub(crate) use self::detector::{Detector, Findings, Observation};
pub use self::proxies::{ParseNetworkError, TrustedProxies, network_of};
pub use self::settings::Monitor;
pub use self::signal::{Response, Signal};
pub use crate::client::ClientFingerprint;
