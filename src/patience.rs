//! How long a commit tries: so many attempts, and so much time for all of them together.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::crowd::{Crowd, CrowdTurn};
use crate::desk::Teller;
use crate::error::SessionError;
use crate::event::{Event, StoreCall};
use crate::store::{BoundedStore, Loaded, RecordKey, StoreError, StoreErrorKind};
use crate::token::SessionId;

/// How often a commit that others get ahead of is tried anew, and for how long.
const ATTEMPTS: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(2);

/// Counts attempts, and the time they take together.
pub(crate) struct Patience<'a> {
    desk: Teller<'a>,
    left: u32,
    since: Instant,
    /// Whether a call was not answered. What became of it is found out in the time that it had itself: a client does not
    /// wait for one time-out after the other.
    unanswered: bool,
}

impl<'a> Patience<'a> {
    pub(crate) fn new(desk: Teller<'a>) -> Self {
        Self {
            desk,
            left: ATTEMPTS,
            since: Instant::now(),
            unanswered: false,
        }
    }

    /// What is left of the time.
    fn time_left(&self) -> Duration {
        let limit = if self.unanswered {
            self.desk.config.store_timeout
        } else {
            PATIENCE
        };
        limit.saturating_sub(self.since.elapsed())
    }

    /// Whether there may be another attempt.
    pub(crate) fn lasts(&mut self) -> bool {
        let lasts = self.left > 0 && (self.left == ATTEMPTS || !self.time_left().is_zero());
        self.left = self.left.saturating_sub(1);
        lasts
    }

    /// A turn in this crowd, unless it takes too long to come.
    pub(crate) async fn turn<'t>(
        &self,
        crowd: Crowd<'t>,
    ) -> Result<Box<CrowdTurn<'t>>, SessionError> {
        let turn = timeout(self.time_left(), crowd.turn()).await;
        turn.map(Box::new).map_err(|_| gave_up())
    }

    /// The store, for one call.
    pub(crate) fn store(&self) -> BoundedStore<'a> {
        let store = self.desk.store();
        match self.unanswered {
            true => store.within_at_most(self.time_left()),
            false => store,
        }
    }

    pub(crate) async fn load(&self, key: &RecordKey) -> Result<Loaded, SessionError> {
        self.store().load_latest(key).await.map_err(|error| {
            let event = Event::store_failed(StoreCall::Load, &error);
            self.desk.tell(event.session(key.id()));
            error.into()
        })
    }

    /// Tells of a store call that failed, and says whether its outcome is unknown, and can still be found out.
    pub(crate) fn outcome_unknown(
        &mut self,
        call: StoreCall,
        id: SessionId,
        error: StoreError,
    ) -> Result<(), SessionError> {
        self.desk
            .tell(Event::store_failed(call, &error).session(id));
        self.unanswered = true;
        match error.kind() {
            StoreErrorKind::OutcomeUnknown if !self.time_left().is_zero() => Ok(()),
            _ => Err(error.into()),
        }
    }
}

/// Whether it was carried out, nobody can tell.
pub(crate) fn gave_up() -> SessionError {
    StoreError::new(StoreErrorKind::OutcomeUnknown).into()
}
