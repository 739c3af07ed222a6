//! The security log of an account: the session layer reports events, and the user of the account sees them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use axum::extract::State;
use axum::response::Response;

use tower_keycard::SessionError;
use tower_keycard::event::SessionObserver;
use tower_keycard::event::{
    Creation, EventKind, Revocation, Rotation, SessionEvent, Signal, StaleReason,
};

use crate::member::Member;
use crate::page::{Frame, LogPage, LogRow, ago, render};

/// How many events a user sees at most.
const MAX_ENTRIES: usize = 50;

/// The newest events of each user, in this process's memory. An application on several servers keeps them in its database
/// instead.
#[derive(Clone, Default)]
pub(crate) struct SecurityLog(Arc<Mutex<HashMap<Arc<str>, VecDeque<Entry>>>>);

#[derive(Clone)]
struct Entry {
    time: SystemTime,
    text: &'static str,
    alarming: bool,
    device: String,
}

impl SessionObserver for SecurityLog {
    fn observe(&self, event: &SessionEvent) {
        let (Some(user), Some((text, alarming))) = (&event.user, describe(event.kind)) else {
            return;
        };
        let client = event.client.as_deref();
        let device = client.and_then(|client| client.description());
        let mut users = self.users();
        let entries = users.entry(user.clone()).or_default();
        entries.push_front(Entry {
            time: event.time,
            text,
            alarming,
            device: device.unwrap_or("Unknown device").to_owned(),
        });
        entries.truncate(MAX_ENTRIES);
    }
}

/// The text of an event for the user, and whether it is alarming. `None` for events that the log does not show.
fn describe(kind: EventKind) -> Option<(&'static str, bool)> {
    Some(match kind {
        EventKind::Created(Creation::Login) | EventKind::Rotated(Rotation::Login) => {
            ("Logged in", false)
        }
        EventKind::Rotated(Rotation::Reauthentication) => ("Confirmed the password", false),
        EventKind::Destroyed(_) => ("Logged out", false),
        EventKind::Revoked(Revocation::Credential) => {
            ("Logged another device out by changing the password", false)
        }
        EventKind::Revoked(_) => ("Logged another device out", false),
        EventKind::Expired(_) => ("Came back after the login had expired", false),
        // Within a minute this may be another tab that did not have the new token yet.
        EventKind::Stale(StaleReason::Superseded) => {
            ("A login that had just been replaced was refused", false)
        }
        EventKind::Stale(StaleReason::Old) => {
            ("An old copy of your login was used, and refused", true)
        }
        EventKind::Suspected {
            signal: Signal::FingerprintChanged,
            ..
        } => ("Your login was used by another device", true),
        _ => return None,
    })
}

impl SecurityLog {
    fn of(&self, user: &str) -> Vec<Entry> {
        let users = self.users();
        let entries = users.get(user).into_iter().flatten();
        entries.cloned().collect()
    }

    fn users(&self) -> MutexGuard<'_, HashMap<Arc<str>, VecDeque<Entry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) async fn page(
    State(log): State<SecurityLog>,
    member: Member,
) -> Result<Response, SessionError> {
    let rows = log.of(&member.name).into_iter().map(|entry| LogRow {
        text: entry.text,
        alarming: entry.alarming,
        device: entry.device,
        when: ago(entry.time),
    });
    Ok(render(&LogPage {
        frame: Frame::of(&member.session)?,
        rows: rows.collect(),
    }))
}
