//! A wrapper around the store that gives every call a deadline.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::task::coop::unconstrained;
use tokio::time::{Sleep, sleep};

use crate::event::{Measurement, Metrics};
use crate::record::{Revision, SessionId};
use crate::store::{
    AnyStore, Created, DeletedPage, IndexCursor, IndexEntry, IndexPage, Loaded, Marker, RecordKey,
    Replaced, SessionStore, StoreCall, StoreError, StoreErrorKind, UserIndexRef, Write,
};

/// The store with a deadline for every call. A call that is not answered by then has an unknown outcome.
#[derive(Clone, Copy)]
pub(crate) struct TimedStore<'a> {
    store: &'a AnyStore,
    metrics: &'a Metrics,
    deadline: Duration,
}

impl<'a> TimedStore<'a> {
    pub(crate) fn new(store: &'a AnyStore, deadline: Duration, metrics: &'a Metrics) -> Self {
        Self {
            store,
            metrics,
            deadline,
        }
    }

    /// The same store, with a deadline of at most `time`.
    pub(crate) fn within_at_most(self, time: Duration) -> Self {
        Self {
            deadline: self.deadline.min(time),
            ..self
        }
    }

    fn within<T, F>(self, call: StoreCall, work: F) -> Within<'a, F>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        Within::new(self.deadline, self.metrics.measure(call), work)
    }

    pub(crate) fn load(
        self,
        key: &'a RecordKey,
    ) -> impl Future<Output = Result<Loaded, StoreError>> + Send + 'a {
        self.within(StoreCall::Load, self.store.load(key))
    }

    pub(crate) fn load_latest(
        self,
        key: &'a RecordKey,
    ) -> impl Future<Output = Result<Loaded, StoreError>> + Send + 'a {
        self.within(StoreCall::Load, self.store.load_latest(key))
    }

    pub(crate) fn create(
        self,
        key: &'a RecordKey,
        write: &'a Write<'a>,
    ) -> impl Future<Output = Result<Created, StoreError>> + Send + 'a {
        self.within(StoreCall::Create, self.store.create(key, write))
    }

    pub(crate) fn replace(
        self,
        key: &'a RecordKey,
        expected: Revision,
        write: &'a Write<'a>,
    ) -> impl Future<Output = Result<Replaced, StoreError>> + Send + 'a {
        self.within(StoreCall::Replace, self.store.replace(key, expected, write))
    }

    pub(crate) fn touch(
        self,
        key: &'a RecordKey,
        expected: Revision,
        ttl: Duration,
        extends: Option<IndexEntry<'a>>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send + 'a {
        self.within(
            StoreCall::Touch,
            self.store.touch(key, expected, ttl, extends),
        )
    }

    pub(crate) fn delete(
        self,
        key: &'a RecordKey,
        user: Option<&'a str>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + 'a {
        self.within(StoreCall::Delete, self.store.delete(key, user))
    }

    /// The user index, if the store keeps one. Each of its calls has the same deadline.
    pub(crate) fn user_index(self) -> Option<TimedIndex<'a>> {
        Some(TimedIndex {
            index: self.store.user_index()?,
            metrics: self.metrics,
            deadline: self.deadline,
        })
    }
}

/// The user index with a deadline for every call.
pub(crate) struct TimedIndex<'a> {
    index: UserIndexRef<'a>,
    metrics: &'a Metrics,
    deadline: Duration,
}

impl TimedIndex<'_> {
    pub(crate) async fn sessions_of(
        &self,
        namespace: &str,
        user: &str,
        after: Option<&IndexCursor>,
    ) -> Result<IndexPage, StoreError> {
        let call = self.index.sessions_of(namespace, user, after);
        let measurement = self.metrics.measure(StoreCall::SessionsOf);
        let listed = Within::new(self.deadline, measurement, call).await;
        // A read changes nothing, so no outcome of it is unknown.
        listed.map_err(|error| match error.kind() {
            StoreErrorKind::OutcomeUnknown => {
                StoreError::caused_by(StoreErrorKind::Unavailable, error)
            }
            _ => error,
        })
    }

    pub(crate) async fn revoke_user(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> Result<Marker, StoreError> {
        let call = self.index.revoke_user(namespace, user, except);
        let measurement = self.metrics.measure(StoreCall::RevokeUser);
        Within::new(self.deadline, measurement, call).await
    }

    pub(crate) async fn delete_sessions_of(
        &self,
        namespace: &str,
        user: &str,
        marker: &Marker,
        after: Option<&IndexCursor>,
    ) -> Result<DeletedPage, StoreError> {
        let call = self
            .index
            .delete_sessions_of(namespace, user, marker, after);
        let measurement = self.metrics.measure(StoreCall::DeleteSessionsOf);
        Within::new(self.deadline, measurement, call).await
    }
}

pin_project! {
    /// A call that ends by its deadline, with or without an answer of the store.
    struct Within<'a, F> {
        #[pin]
        call: F,
        // Set at the first pending poll: a store that answers at once, such as memory, needs no timer and so no runtime.
        #[pin]
        timer: Option<Sleep>,
        deadline: Duration,
        measurement: Option<Measurement<'a>>,
    }
}

impl<'a, F> Within<'a, F> {
    fn new(deadline: Duration, measurement: Measurement<'a>, call: F) -> Self {
        Self {
            call,
            timer: None,
            deadline,
            measurement: Some(measurement),
        }
    }
}

impl<T, F: Future<Output = Result<T, StoreError>>> Future for Within<'_, F> {
    type Output = Result<T, StoreError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let answer = if let Poll::Ready(answer) = this.call.poll(context) {
            answer
        } else {
            if this.timer.is_none() {
                this.timer.set(Some(sleep(*this.deadline)));
            }
            if let Some(timer) = this.timer.as_pin_mut() {
                // Unconstrained: a call that uses up the task's budget would otherwise keep the timer from firing.
                ready!(pin!(unconstrained(timer)).poll(context));
            }
            Err(StoreError::new(StoreErrorKind::OutcomeUnknown))
        };
        if let Some(measurement) = this.measurement.take() {
            measurement.done(&answer);
        }
        Poll::Ready(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use crate::store::testing::conformance::{sample_key, sample_login};
    use crate::store::testing::fault::{Fault, FaultStore};

    const HOUR: Duration = Duration::from_secs(3_600);

    #[tokio::test(start_paused = true)]
    async fn the_index_works_through_any_store_and_meets_its_deadline() {
        let store = FaultStore::new(MemoryStore::new());
        let faults = store.faults();
        let (store, metrics) = (AnyStore::new(store), Metrics::new(&"id".into()));
        let timed = TimedStore::new(&store, Duration::from_millis(500), &metrics);
        let (key, login) = (sample_key(), sample_login("alice", HOUR));
        timed.create(&key, &login.write(HOUR)).await.unwrap();
        let index = timed.user_index().unwrap();
        let list = || index.sessions_of(key.namespace(), "alice", None);
        assert_eq!(list().await.unwrap().sessions[0].key, key);

        faults.next(StoreCall::SessionsOf, Fault::Hang);
        let listed = list().await;
        assert_eq!(listed.unwrap_err().kind(), StoreErrorKind::Unavailable);
        let revoke = || index.revoke_user(key.namespace(), "alice", None);
        faults.next(StoreCall::RevokeUser, Fault::Hang);
        let marker = revoke().await;
        assert_eq!(marker.unwrap_err().kind(), StoreErrorKind::OutcomeUnknown);
        let marker = revoke().await.unwrap();
        let end = || index.delete_sessions_of(key.namespace(), "alice", &marker, None);
        faults.next(StoreCall::DeleteSessionsOf, Fault::Hang);
        let ended = end().await;
        assert_eq!(ended.unwrap_err().kind(), StoreErrorKind::OutcomeUnknown);
        assert_eq!(end().await.unwrap().ended, [key.id()]);
    }

    #[tokio::test]
    async fn a_call_that_uses_up_the_tasks_budget_meets_its_deadline() {
        let metrics = Metrics::new(&"id".into());
        let busy = async {
            loop {
                tokio::task::coop::consume_budget().await;
            }
        };
        let call: Within<'_, _> = Within::new(
            Duration::from_millis(20),
            metrics.measure(StoreCall::Load),
            busy,
        );
        let answer: Result<(), StoreError> = tokio::time::timeout(Duration::from_secs(2), call)
            .await
            .expect("the call must end by its deadline");
        assert_eq!(answer.unwrap_err().kind(), StoreErrorKind::OutcomeUnknown);
    }
}
