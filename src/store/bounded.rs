//! A store whose every call ends in time, whatever the store does.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::task::coop::unconstrained;
use tokio::time::{Sleep, sleep};

use super::{
    AnyStore, Binding, Created, Indexed, Loaded, Record, RecordKey, Replaced, Revision, SessionId,
    SessionStore, StoreError, StoreErrorKind, UserIndexRef,
};
use crate::event::{Measurement, Meters, StoreCall};

/// A call of the index asks for every session of a user: as many calls of the store, in the end, as fit into this many
/// deadlines.
const INDEX_CALLS: u32 = 20;

/// The store as the layer uses it. A call that is not answered within the deadline has an unknown outcome.
#[derive(Clone, Copy)]
pub(crate) struct BoundedStore<'a> {
    store: &'a AnyStore,
    meters: &'a Meters,
    deadline: Duration,
}

impl<'a> BoundedStore<'a> {
    pub(crate) fn new(store: &'a AnyStore, deadline: Duration, meters: &'a Meters) -> Self {
        Self {
            store,
            meters,
            deadline,
        }
    }

    /// The same store, for one who has no more time than this.
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
        Within::new(self.deadline, self.meters.measure(call), work)
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
        record: &'a Record,
        ttl: Duration,
    ) -> impl Future<Output = Result<Created, StoreError>> + Send + 'a {
        self.within(StoreCall::Create, self.store.create(key, record, ttl))
    }

    pub(crate) fn replace(
        self,
        key: &'a RecordKey,
        expected: Revision,
        record: &'a Record,
        ttl: Duration,
    ) -> impl Future<Output = Result<Replaced, StoreError>> + Send + 'a {
        self.within(
            StoreCall::Replace,
            self.store.replace(key, expected, record, ttl),
        )
    }

    pub(crate) fn touch(
        self,
        key: &'a RecordKey,
        expected: Revision,
        ttl: Duration,
        prolongs: Option<Binding<'a>>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send + 'a {
        self.within(
            StoreCall::Touch,
            self.store.touch(key, expected, ttl, prolongs),
        )
    }

    pub(crate) fn delete(
        self,
        key: &'a RecordKey,
        user: Option<&'a str>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + 'a {
        self.within(StoreCall::Delete, self.store.delete(key, user))
    }

    /// The users' index, if the store keeps one. Its calls end in time too.
    pub(crate) fn user_index(self) -> Option<BoundedIndex<'a>> {
        let index = self.store.user_index()?;
        let deadline = self.deadline * INDEX_CALLS;
        Some(BoundedIndex {
            index,
            meters: self.meters,
            deadline,
        })
    }
}

/// The index as the layer uses it.
pub(crate) struct BoundedIndex<'a> {
    index: UserIndexRef<'a>,
    meters: &'a Meters,
    deadline: Duration,
}

impl BoundedIndex<'_> {
    pub(crate) async fn sessions_of(
        &self,
        namespace: &str,
        user: &str,
    ) -> Result<Vec<Indexed>, StoreError> {
        let call = self.index.sessions_of(namespace, user);
        let measurement = self.meters.measure(StoreCall::SessionsOf);
        let listed = Within::new(self.deadline, measurement, call).await;
        // Who looks only has changed nothing.
        listed.map_err(|error| match error.kind() {
            StoreErrorKind::OutcomeUnknown => {
                StoreError::caused_by(StoreErrorKind::Unavailable, error)
            }
            _ => error,
        })
    }

    pub(crate) async fn delete_user(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let call = self.index.delete_user(namespace, user, except);
        let measurement = self.meters.measure(StoreCall::DeleteUser);
        Within::new(self.deadline, measurement, call).await
    }
}

pin_project! {
    /// A call that is answered in time, by the store or without it.
    struct Within<'a, F> {
        #[pin]
        call: F,
        // A store that answers at once, such as memory, needs no timer, and so no runtime.
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
                // Also if the call leaves nothing of what a task may do at a time: it would never be told of the time.
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
    use crate::store::conformance::{sample_key, sample_login};
    use crate::store::fault::{Fault, FaultStore, Operation};

    const HOUR: Duration = Duration::from_secs(3_600);

    #[tokio::test(start_paused = true)]
    async fn the_index_is_reached_without_the_stores_type_and_answers_in_time() {
        let store = FaultStore::new(MemoryStore::new());
        let faults = store.faults();
        let (store, meters) = (AnyStore::new(store), Meters::new(&"id".into()));
        let bounded = BoundedStore::new(&store, Duration::from_millis(500), &meters);
        let (key, login) = (sample_key(), sample_login("alice", HOUR));
        bounded.create(&key, &login, HOUR).await.unwrap();
        let index = bounded.user_index().unwrap();
        let listed = index.sessions_of(key.namespace(), "alice").await.unwrap();
        assert_eq!(listed[0].key, key);

        faults.next(Operation::SessionsOf, Fault::Hang);
        let listed = index.sessions_of(key.namespace(), "alice").await;
        assert_eq!(listed.unwrap_err().kind(), StoreErrorKind::Unavailable);
        faults.next(Operation::DeleteUser, Fault::Hang);
        let ended = index.delete_user(key.namespace(), "alice", None).await;
        assert_eq!(ended.unwrap_err().kind(), StoreErrorKind::OutcomeUnknown);
        let ended = index.delete_user(key.namespace(), "alice", None).await;
        assert_eq!(ended.unwrap(), [key.id()]);
    }

    #[tokio::test]
    async fn a_call_that_is_never_done_and_never_rests_ends_in_time() {
        let meters = Meters::new(&"id".into());
        let busy = async {
            loop {
                tokio::task::coop::consume_budget().await;
            }
        };
        let call: Within<'_, _> = Within::new(
            Duration::from_millis(20),
            meters.measure(StoreCall::Load),
            busy,
        );
        let answer: Result<(), StoreError> = tokio::time::timeout(Duration::from_secs(2), call)
            .await
            .expect("in time");
        assert_eq!(answer.unwrap_err().kind(), StoreErrorKind::OutcomeUnknown);
    }
}
