//! An event at the place where it happens. It is borrowed, so that nothing is copied unless there is a listener.

use std::fmt;
use std::sync::Arc;

use super::kind::EventKind;
use crate::error::SessionError;
use crate::record::{DecodeError, SessionId};
use crate::store::{StoreCall, StoreError};

/// What happened, and to which session and user.
#[derive(Clone, Copy)]
pub(crate) struct Event<'a> {
    pub(crate) kind: EventKind,
    pub(super) session: Option<SessionId>,
    pub(super) user: Option<&'a Arc<str>>,
    #[cfg_attr(
        not(feature = "tracing"),
        allow(dead_code, reason = "for the log alone")
    )]
    pub(super) cause: Cause<'a>,
}

/// The cause of an event. It is in the log only, because it is long and useful only to the operator of the server.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(feature = "tracing"),
    allow(dead_code, reason = "for the log alone")
)]
pub(crate) enum Cause<'a> {
    Nothing,
    Store(&'a StoreError),
    Record(DecodeError),
    Value(&'a SessionError),
}

impl<'a> Event<'a> {
    pub(crate) const fn new(kind: EventKind) -> Self {
        Self {
            kind,
            session: None,
            user: None,
            cause: Cause::Nothing,
        }
    }

    pub(crate) fn store_failed(call: StoreCall, error: &'a StoreError) -> Self {
        let kind = error.kind();
        Self {
            cause: Cause::Store(error),
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

    pub(crate) fn value(mut self, error: &'a SessionError) -> Self {
        self.cause = Cause::Value(error);
        self
    }

    pub(crate) fn unreadable(mut self, error: DecodeError) -> Self {
        self.cause = Cause::Record(error);
        self
    }
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}
