//! What happens to sessions, for whoever is to know: logs, metrics, an audit log, observers of the application's own.
//!
//! With the feature `tracing` (on by default) every event is a `tracing` event of target `tower_keycard`. An application
//! that wants to do something about them gives the layer a [`SessionObserver`]:
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
//! An event says what happened, when, to which session by its public id, to whose, and what the application
//! [says](crate::SessionLayerBuilder::client) of the client. None holds a token, a value, or a store's address.
//!
//! # When there are too many
//!
//! Observers are called by a thread of their own, which the layer starts when it is built with one, and which ends when the
//! last clone of the layer is gone. A request never waits for them: events wait in a queue, of
//! [1,024](crate::SessionLayerBuilder::observer_queue) unless told otherwise. While it is full, events are not told but
//! counted, and as soon as an observer is done with one, [`EventKind::Lost`] says how many. What a stranger can bring about
//! at will, such as made-up cards, gets no more than half of the queue, so that it crowds out no login and no revocation.
//! [`SessionLayer::drain`](crate::SessionLayer::drain) waits until what happened before has been told, for five seconds at
//! most.

mod audit;
mod kind;
#[cfg(feature = "tracing")]
mod log;
mod meters;
mod observer;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::SystemTime;

use serde::ser::{Serialize, SerializeMap, Serializer};

pub use self::audit::AuditLog;
pub use self::kind::{
    Creation, Ending, EventKind, Ignorance, Limit, Refusal, Response, Revocation, Rotation, Signal,
    Staleness, StoreCall,
};
pub(crate) use self::meters::{Measurement, Meters};
pub use self::observer::SessionObserver;
pub(crate) use self::observer::{ObserverHooks, Observers, PATIENCE};
use crate::client::ClientFacts;
use crate::desk::Desk;
#[cfg(feature = "axum")]
use crate::error::SessionError;
#[cfg(feature = "tracing")]
use crate::error::SessionRejection;
use crate::store::{DecodeError, StoreError};
use crate::token::SessionId;

/// Something that happened to a session, or with a card.
///
/// As JSON (serde), it is a line of the audit log: `docs/events.md` names the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionEvent {
    /// What happened.
    pub kind: EventKind,
    /// When, by the layer's clock.
    pub time: SystemTime,
    /// The namespace of the layer, which tells an admin area from the shop beside it.
    pub namespace: Arc<str>,
    /// The public id of the session, where it is about one. That of a card which opens nothing is what the client sent.
    pub session: Option<SessionId>,
    /// The user whom the session belongs to, where that is known.
    pub user: Option<Arc<str>>,
    /// Who sent the request, where the application says so.
    pub client: Option<Arc<ClientFacts>>,
}

impl SessionEvent {
    /// An event about no session in particular. Its fields are public: an observer's tests fill them in.
    pub fn new(kind: EventKind, time: SystemTime, namespace: impl Into<Arc<str>>) -> Self {
        Self {
            kind,
            time,
            namespace: namespace.into(),
            session: None,
            user: None,
            client: None,
        }
    }
}

impl Serialize for SessionEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        fields.serialize_entry("time", &Time(self.time))?;
        fields.serialize_entry("event", self.kind.name())?;
        if let Some(reason) = self.kind.reason() {
            fields.serialize_entry("reason", reason)?;
        }
        match self.kind {
            EventKind::StoreFailed { call, .. } => fields.serialize_entry("call", call.name())?,
            EventKind::Suspected { response, .. } => {
                fields.serialize_entry("response", response.name())?;
            }
            EventKind::Lost { events } => fields.serialize_entry("events", &events)?,
            _ => {}
        }
        fields.serialize_entry("namespace", &*self.namespace)?;
        if let Some(session) = &self.session {
            fields.serialize_entry("session", session.as_str())?;
        }
        if let Some(user) = &self.user {
            fields.serialize_entry("user", &**user)?;
        }
        if let Some(client) = &self.client {
            if let Some(address) = client.address() {
                fields.serialize_entry("address", &address)?;
            }
            if let Some(description) = client.description() {
                fields.serialize_entry("client", description)?;
            }
        }
        fields.end()
    }
}

/// RFC 3339, in UTC, to the millisecond.
struct Time(SystemTime);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!(
            "{}",
            humantime::format_rfc3339_millis(self.0)
        ))
    }
}

/// What happened, as it is told at the place where it happens: nothing is copied unless somebody listens.
#[derive(Clone, Copy)]
pub(crate) struct Event<'a> {
    pub(crate) kind: EventKind,
    session: Option<SessionId>,
    user: Option<&'a Arc<str>>,
    #[cfg_attr(
        not(feature = "tracing"),
        allow(dead_code, reason = "for the log alone")
    )]
    why: Why<'a>,
}

/// What is said in the log alone: it is long, and of use to those alone who run the server.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(feature = "tracing"),
    allow(dead_code, reason = "for the log alone")
)]
pub(crate) enum Why<'a> {
    Nothing,
    Store(&'a StoreError),
    Record(DecodeError),
}

impl<'a> Event<'a> {
    pub(crate) const fn new(kind: EventKind) -> Self {
        Self {
            kind,
            session: None,
            user: None,
            why: Why::Nothing,
        }
    }

    pub(crate) fn store_failed(call: StoreCall, error: &'a StoreError) -> Self {
        let kind = error.kind();
        Self {
            why: Why::Store(error),
            ..Self::new(EventKind::StoreFailed { call, kind })
        }
    }

    pub(crate) fn session(mut self, id: impl Into<Option<SessionId>>) -> Self {
        self.session = id.into();
        self
    }

    pub(crate) fn user(mut self, user: Option<&'a Arc<str>>) -> Self {
        self.user = user;
        self
    }

    pub(crate) fn unreadable(mut self, why: DecodeError) -> Self {
        self.why = Why::Record(why);
        self
    }
}

impl Desk {
    /// Tells of what happened. Whoever listens is the application's: their panic stops neither a logout nor anything else.
    #[inline]
    pub(crate) fn tell(&self, event: Event<'_>, client: Option<&Arc<ClientFacts>>) {
        #[cfg(feature = "tracing")]
        if log::is_on(event.kind) {
            guarded(|| log::log(&event, client));
        }
        self.meters.count(event.kind);
        if let Some(observers) = &self.observers
            && observers.hear(event.kind)
        {
            guarded(|| observers.queue(self.full(event, client)));
        }
    }

    fn full(&self, event: Event<'_>, client: Option<&Arc<ClientFacts>>) -> SessionEvent {
        SessionEvent {
            kind: event.kind,
            time: self.clock.now().into(),
            namespace: self.namespace().clone(),
            session: event.session,
            user: event.user.cloned(),
            client: client.cloned(),
        }
    }
}

fn guarded(tell: impl FnOnce()) {
    let _panicked = catch_unwind(AssertUnwindSafe(tell));
}

/// Says which layer is missing, where a handler asked for a session and there is none.
pub(crate) fn missing_layer(marker: &'static str) {
    #[cfg(feature = "tracing")]
    {
        let missing = SessionRejection::MissingLayer { marker };
        tracing::error!(target: "tower_keycard", event = "missing_layer", marker, "{missing}");
    }
    #[cfg(not(feature = "tracing"))]
    let _ = marker;
}

/// Says what the application did wrong, where its client is only told that it did.
#[cfg(feature = "axum")]
pub(crate) fn answered_500(error: &SessionError) {
    #[cfg(feature = "tracing")]
    tracing::error!(target: "tower_keycard", event = "answered_500", "{error}");
    #[cfg(not(feature = "tracing"))]
    let _ = error;
}

/// Says how much the observers were not told before the program ends.
pub(crate) fn left_untold(events: usize) {
    #[cfg(feature = "tracing")]
    if events > 0 {
        tracing::error!(target: "tower_keycard", event = "left_untold", events, "observers of sessions are too slow");
    }
    #[cfg(not(feature = "tracing"))]
    let _ = events;
}

/// Says that a message was dropped, where a page took messages of another type than was left.
pub(crate) fn undecodable_flash() {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "tower_keycard",
        event = "undecodable_flash",
        "a flash message is not of the type that was taken: it is dropped",
    );
}

/// Says that a function which the application gave to the layer panicked.
pub(crate) fn hook_panicked(hook: &'static str) {
    #[cfg(feature = "tracing")]
    tracing::error!(target: "tower_keycard", event = "hook_panicked", hook, "a function given to the session layer panicked");
    #[cfg(not(feature = "tracing"))]
    let _ = hook;
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}
