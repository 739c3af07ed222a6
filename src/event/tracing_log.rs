//! Logs events as `tracing` events of target `tower_keycard`. The field `event` is the name, and `session` the public id.
//!
//! Text that a client or a user chose is in quotes and escaped, so that it cannot begin a line of its own.

use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;

use tracing::level_filters::LevelFilter;
use tracing::{Level, field};

use super::borrowed::{Cause, Event};
use super::kind::EventKind;
use crate::client::ClientFacts;

const fn level(kind: EventKind) -> Level {
    match kind {
        EventKind::Resumed => Level::TRACE,
        EventKind::Malformed | EventKind::Conflict => Level::DEBUG,
        EventKind::Created(_)
        | EventKind::Rotated(_)
        | EventKind::LoginRefused(_)
        | EventKind::Destroyed(_)
        | EventKind::Revoked(_)
        | EventKind::Expired(_)
        | EventKind::Unknown(_)
        | EventKind::Stale(_)
        | EventKind::Discarded
        | EventKind::Interrupted => Level::INFO,
        EventKind::Ambiguous
        | EventKind::Suspected { .. }
        | EventKind::ExpiryCapped
        | EventKind::TypeMismatch(_)
        | EventKind::Evicted { .. }
        | EventKind::Lost { .. } => Level::WARN,
        EventKind::Unreadable | EventKind::StoreFailed { .. } | EventKind::Abandoned => {
            Level::ERROR
        }
    }
}

/// Whether any subscriber may log it. If none does, this costs one load.
#[inline]
pub(super) fn is_on(kind: EventKind) -> bool {
    level(kind) <= LevelFilter::current()
}

pub(super) fn log(event: &Event<'_>, client: Option<&Arc<ClientFacts>>) {
    let kind = event.kind;
    let reason = kind.reason();
    let session = event.session.map(field::display);
    let user = event.user.map(field::debug);
    let address = client
        .and_then(|client| client.address())
        .map(field::display);
    let description = client
        .and_then(|client| client.description())
        .map(field::debug);
    let (call, events) = match kind {
        EventKind::StoreFailed { call, .. } => (Some(call.name()), None),
        EventKind::Lost { events } => (None, Some(events)),
        _ => (None, None),
    };
    let response = match kind {
        EventKind::Suspected { response, .. } => Some(response.name()),
        _ => None,
    };
    let sessions = match kind {
        EventKind::Evicted { sessions } => Some(sessions),
        _ => None,
    };
    let (failure, cause): (Option<&dyn Display>, _) = match &event.cause {
        Cause::Nothing => (None, None),
        Cause::Store(error) => (Some(error), error.source().map(field::display)),
        Cause::Record(error) => (Some(error), None),
        // The cause may quote the value.
        Cause::Value(error) => (Some(error), None),
    };
    let failure = failure.map(field::display);
    // The level is a constant of each place where `tracing` is called.
    macro_rules! at {
        ($level:expr) => {
            tracing::event!(
                target: "tower_keycard", $level, event = kind.name(), reason, session, user, address, client = description,
                call, failure, cause, response, sessions, events
            )
        };
    }
    match level(kind) {
        Level::TRACE => at!(Level::TRACE),
        Level::DEBUG => at!(Level::DEBUG),
        Level::INFO => at!(Level::INFO),
        Level::WARN => at!(Level::WARN),
        Level::ERROR => at!(Level::ERROR),
    }
}
