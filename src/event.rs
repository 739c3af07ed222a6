//! What happened to sessions, for the log.
//!
//! With the feature `tracing` every event is a `tracing` event of target `tower_keycard`, with the field `event` naming it
//! and `session` holding the public id where there is one. No event holds a token, a value, or a store's address.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::card::{Card, Late, Why};
use crate::store::StoreError;
use crate::token::SessionId;

/// Something worth telling.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "tracing"), allow(dead_code, reason = "nobody is told"))]
pub(crate) enum Event<'a> {
    Created(SessionId),
    Rotated(SessionId),
    Destroyed(SessionId),
    Expired(SessionId),
    /// The cookie's value is not a token.
    Malformed,
    /// Two different tokens came in one request.
    Ambiguous,
    Unknown(SessionId, Why),
    /// A token that was rotated out, or whose session was deleted.
    Stale(SessionId, &'static str),
    /// What was written to a session that the browser held back was dropped.
    Discarded,
    /// Another request wrote first; the changes were replayed.
    Conflict(SessionId),
    /// Another request rotated or ended the session; the changes were dropped.
    Interrupted(SessionId),
    /// The session's own expiry reaches beyond the absolute limit.
    ExpiryCapped(SessionId),
    StoreFailed(&'static str, &'a StoreError),
    /// A commit was left behind by its request and there was no runtime to finish it.
    Abandoned,
}

impl<'a> Event<'a> {
    /// What there is to tell of a card, if anything.
    pub(crate) fn of_card(card: &Card, id: SessionId) -> Option<Self> {
        match card {
            Card::Absent | Card::Withheld | Card::Valid(_) => None,
            Card::Conflicting => Some(Self::Ambiguous),
            Card::Unknown(Why::Expired) => Some(Self::Expired(id)),
            Card::Unknown(Why::StaleVerifier) => Some(Self::Stale(id, "rotated")),
            Card::Unknown(why) => Some(Self::Unknown(id, *why)),
            Card::Late(Late::Rotated(_)) => Some(Self::Stale(id, "rotated")),
            Card::Late(Late::Deleted) => Some(Self::Stale(id, "deleted")),
            Card::Late(Late::Future) => Some(Self::Stale(id, "future format")),
        }
    }

    /// Tells of it. Whoever listens is the application's: their panic stops neither a logout nor anything else.
    pub(crate) fn emit(self) {
        let _panicked = catch_unwind(AssertUnwindSafe(|| self.tell()));
    }

    #[cfg(feature = "tracing")]
    fn tell(self) {
        use tracing::{debug, error, info, warn};

        const TARGET: &str = "tower_keycard";
        match self {
            Self::Created(id) => info!(target: TARGET, event = "created", session = %id),
            Self::Rotated(id) => info!(target: TARGET, event = "rotated", session = %id),
            Self::Destroyed(id) => info!(target: TARGET, event = "destroyed", session = %id),
            Self::Expired(id) => info!(target: TARGET, event = "expired", session = %id),
            Self::Malformed => debug!(target: TARGET, event = "malformed"),
            Self::Ambiguous => warn!(target: TARGET, event = "ambiguous"),
            Self::Unknown(id, Why::Unreadable(why)) => {
                error!(target: TARGET, event = "unreadable", session = %id, %why);
            }
            Self::Unknown(id, why) => {
                info!(target: TARGET, event = "unknown", session = %id, ?why);
            }
            Self::Stale(id, why) => info!(target: TARGET, event = "stale", session = %id, why),
            Self::Discarded => debug!(target: TARGET, event = "discarded"),
            Self::Conflict(id) => debug!(target: TARGET, event = "conflict", session = %id),
            Self::Interrupted(id) => info!(target: TARGET, event = "interrupted", session = %id),
            Self::ExpiryCapped(id) => {
                warn!(target: TARGET, event = "expiry_capped", session = %id);
            }
            Self::StoreFailed(call, failure) => {
                let cause = std::error::Error::source(failure).map(tracing::field::display);
                error!(target: TARGET, event = "store_failed", call, %failure, cause);
            }
            Self::Abandoned => error!(target: TARGET, event = "abandoned"),
        }
    }

    #[cfg(not(feature = "tracing"))]
    fn tell(self) {
        let _ = self;
    }
}

/// Says which layer is missing, where a handler asked for a session and there is none.
pub(crate) fn missing_layer(marker: &'static str) {
    #[cfg(feature = "tracing")]
    tracing::error!(
        target: "tower_keycard",
        event = "missing_layer",
        marker,
        "no session layer with this marker is around the service: add `.layer(SessionLayer::new(store))`",
    );
    #[cfg(not(feature = "tracing"))]
    let _ = marker;
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

/// Says that the application's function, which knows who sent a request, panicked.
pub(crate) fn unrecognised() {
    #[cfg(feature = "tracing")]
    tracing::error!(
        target: "tower_keycard",
        event = "client_panicked",
        "the function given to `SessionLayerBuilder::client` panicked: nothing is known of this request's client",
    );
}
