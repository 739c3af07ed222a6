//! The error of a store call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::index_moment::{IndexMoment, MetMarker};
use crate::named_enum::named_enum;

/// A store call that failed. Its text is for logs: the layer sends it to no client.
#[derive(Clone)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

named_enum! {
    /// What a failed store call means for the change that it was to make.
    StoreErrorKind {
        /// The call did not reach the store. Nothing was changed, and nothing will be.
        Unavailable = "unavailable",
        /// The call was sent, and no reply came. The change was made, or will be made, or neither.
        OutcomeUnknown = "outcome_unknown",
        /// The store takes no more sessions. Nothing was changed.
        Full = "full",
        /// The store refused the call: wrong password, missing permission, server too old, read-only replica. Nothing was
        /// changed.
        Refused = "refused",
        /// All sessions of the user who logs in were [ended](crate::store::UserIndex::revoke_user) after the login began, or so
        /// shortly before that the store cannot tell. No record was changed. The user can log in again.
        Revoked = "revoked",
        /// The change was made, and may still be lost: fewer replicas confirmed it than the store is configured to wait for.
        Unreplicated = "unreplicated",
    }
}

impl StoreError {
    /// An error of this kind.
    #[must_use]
    pub const fn new(kind: StoreErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// An error of this kind, and what caused it.
    pub fn caused_by(
        kind: StoreErrorKind,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            source: Some(source.into().into()),
        }
    }

    /// The login of a user is refused because all sessions of that user were ended: the marker was left at this moment, and at
    /// least this long ago.
    #[must_use]
    pub fn revoked(left: IndexMoment, age: Duration) -> Self {
        Self::caused_by(StoreErrorKind::Revoked, MetMarker::new(left, age))
    }

    /// The marker that refused a login.
    #[must_use]
    pub fn marker(&self) -> Option<MetMarker> {
        self.source.as_deref()?.downcast_ref().copied()
    }

    /// What the failure means for the change that the call was to make.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("kind", &self.kind)
            .field("source", &self.source)
            .finish()
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            StoreErrorKind::Unavailable => "the session store is not available",
            StoreErrorKind::OutcomeUnknown => "the session store did not answer",
            StoreErrorKind::Full => "the session store is full",
            StoreErrorKind::Refused => "the session store refused",
            StoreErrorKind::Revoked => "the user's sessions have just been ended",
            StoreErrorKind::Unreplicated => "too few replicas of the session store had the change",
        })
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
