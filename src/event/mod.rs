//! Events of sessions, for logs, metrics, an audit log, and observers of the application.
//!
//! With the feature `tracing` (on by default) every event is a `tracing` event of target `tower_keycard`. To act on events in
//! your application, give the layer a [`SessionObserver`]:
//!
//! ```
//! use tower_keycard::event::{EventKind, SessionEvent};
//! use tower_keycard::{MemoryStore, SessionLayer};
//!
//! # fn main() -> Result<(), tower_keycard::ConfigError> {
//! let layer = SessionLayer::builder(MemoryStore::new())
//!     .observer(|event: &SessionEvent| {
//!         if let EventKind::Revoked(by) = event.kind {
//!             println!("{:?} of {:?} was ended: {by}", event.session, event.user);
//!         }
//!     })
//!     .build()?;
//! # Ok(())
//! # }
//! ```
//!
//! An event contains what happened, when, the public id of the session, its user, and what the application
//! [says](crate::middleware::SessionLayerBuilder::client) about the client. No event contains a token, a value of a session, or
//! the store's address.
//!
//! # If there are too many events
//!
//! Each observer has a queue and a thread of its own. The layer starts the thread when it is built, and it ends when the last
//! clone of the layer is dropped. So a slow observer delays neither a request nor another observer: events wait in its queue,
//! by default [1,024](crate::middleware::SessionLayerBuilder::observer_queue) of them. While the queue is full, further events
//! are only counted. The log says so at once, and then again whenever as many were lost again; the metrics count each. As soon
//! as the observer is done with an event, [`EventKind::Lost`] tells it how many were lost.
//!
//! Events that any client can cause at will, such as those of made-up tokens, have room of their own, half as much again. So
//! they never take the place of a login, a logout or a revocation of a user.
//! [`SessionLayer::drain`](crate::SessionLayer::drain) waits until earlier events were reported, for five seconds at most.

mod audit_log;
mod borrowed;
pub(crate) mod diagnostics;
mod guarded;
mod hook;
mod kind;
mod loss_log;
mod metrics;
mod observer;
mod queue;
mod reporter;
mod session_event;
#[cfg(feature = "tracing")]
mod tracing_log;

pub use self::audit_log::AuditLog;
pub(crate) use self::borrowed::Event;
pub(crate) use self::hook::Hook;
pub use self::kind::{
    Creation, Ending, EventKind, Mismatch, Refusal, Revocation, Rotation, StaleReason,
    UnknownReason,
};
pub(crate) use self::metrics::{Measurement, Metrics};
pub use self::observer::SessionObserver;
pub(crate) use self::observer::{DRAIN_LIMIT, ObserverHooks, Observers};
pub(crate) use self::reporter::Reporter;
pub use self::session_event::SessionEvent;
pub use crate::monitor::{Response, Signal};
pub use crate::record::Limit;
pub use crate::store::StoreCall;
