//! How often and how long a commit is tried: a number of attempts, and a time limit for all of them together.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::error::SessionError;
use crate::event::Event;
use crate::lifecycle::context::ClientContext;
use crate::lifecycle::timed_store::TimedStore;
use crate::record::SessionId;
use crate::store::{Loaded, RecordKey, StoreCall, StoreError, StoreErrorKind};
use crate::sync::{Queue, Turn};

/// How often and for how long a commit is tried if other requests keep writing first.
const ATTEMPTS: u32 = 8;
const TIME_LIMIT: Duration = Duration::from_secs(2);

/// Counts attempts, and the time that they take together.
pub(super) struct Retry<'a> {
    context: ClientContext<'a>,
    left: u32,
    since: Instant,
    /// Whether a call was not answered. Finding out its outcome counts against the time of that call, so that a client does
    /// not wait for several time-outs in a row.
    unanswered: bool,
}

impl<'a> Retry<'a> {
    pub(super) fn new(context: ClientContext<'a>) -> Self {
        Self {
            context,
            left: ATTEMPTS,
            since: Instant::now(),
            unanswered: false,
        }
    }

    /// The time that is left.
    fn time_left(&self) -> Duration {
        let limit = if self.unanswered {
            self.context.config.store_timeout
        } else {
            TIME_LIMIT
        };
        limit.saturating_sub(self.since.elapsed())
    }

    /// Begins another attempt. Returns whether there may be one.
    pub(super) fn next(&mut self) -> bool {
        let more = self.left > 0 && (self.left == ATTEMPTS || !self.time_left().is_zero());
        self.left = self.left.saturating_sub(1);
        more
    }

    /// Waits for its turn in this queue, unless that takes too long.
    pub(super) async fn turn<'q>(
        &self,
        queue: Queue<'q, SessionId>,
    ) -> Result<Box<Turn<'q, SessionId>>, SessionError> {
        let turn = timeout(self.time_left(), queue.turn()).await;
        turn.map(Box::new).map_err(|_| gave_up())
    }

    /// The store, for one call.
    pub(super) fn store(&self) -> TimedStore<'a> {
        let store = self.context.store();
        match self.unanswered {
            true => store.within_at_most(self.time_left()),
            false => store,
        }
    }

    pub(super) async fn load(&self, key: &RecordKey) -> Result<Loaded, SessionError> {
        self.store().load_latest(key).await.map_err(|error| {
            let event = Event::store_failed(StoreCall::Load, &error);
            self.context.report(event.session(key.id()));
            error.into()
        })
    }

    /// Reports a store call that failed. Returns an error unless the call's outcome is unknown and can still be found out.
    pub(super) fn outcome_unknown(
        &mut self,
        call: StoreCall,
        id: SessionId,
        error: StoreError,
    ) -> Result<(), SessionError> {
        let event = Event::store_failed(call, &error).session(id);
        self.context.report(event);
        self.unanswered = true;
        match error.kind() {
            StoreErrorKind::OutcomeUnknown if !self.time_left().is_zero() => Ok(()),
            _ => Err(error.into()),
        }
    }
}

/// The error of a commit whose outcome is unknown.
pub(super) fn gave_up() -> SessionError {
    StoreError::new(StoreErrorKind::OutcomeUnknown).into()
}
