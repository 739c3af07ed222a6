//! An event, as observers receive it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::kind::EventKind;
use crate::client::ClientFacts;
use crate::record::SessionId;

/// An event of a session, or of a token that opens none.
///
/// A [`SessionObserver`](super::SessionObserver) receives it. Serialized as JSON (serde), it is a line of the audit log:
/// `docs/events.md` names the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionEvent {
    /// What happened.
    pub kind: EventKind,
    /// When it happened, by the layer's clock.
    pub time: SystemTime,
    /// The namespace of the layer, which distinguishes, for example, an admin area from the shop beside it.
    pub namespace: Arc<str>,
    /// The public id of the session, if the event is about one. For a token that opens nothing it is what the client sent.
    pub session: Option<SessionId>,
    /// The user of the session, if known.
    pub user: Option<Arc<str>>,
    /// The client that sent the request, if the application describes it.
    pub client: Option<Arc<ClientFacts>>,
}

impl SessionEvent {
    /// An event that is about no session. Use it to test an observer: the fields are public, and the test sets them.
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
            EventKind::Evicted { sessions } => fields.serialize_entry("sessions", &sessions)?,
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

/// Serializes as RFC 3339, in UTC, with milliseconds. A year there has four digits, so a time before 1970 or after 9999, from a
/// clock that is wrong, is written as the nearest time in between.
struct Time(SystemTime);

/// The last millisecond of the year 9999, since the Unix epoch.
const LATEST: Duration = Duration::from_millis(253_402_300_799_999);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let since_epoch = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = UNIX_EPOCH + since_epoch.min(LATEST);
        serializer.collect_str(&humantime::format_rfc3339_millis(time))
    }
}
