//! A store whose every call ends in time, whatever the store does.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use super::{
    AnyStore, Binding, Created, Indexed, Loaded, Record, RecordKey, Replaced, Revision, SessionId,
    SessionStore, StoreError, StoreErrorKind, UserIndexRef,
};
use crate::event::{Measurement, Meters, StoreCall};

/// A call of the index asks for every session of a user: as many calls of the store, in the end, as fit into this many
/// deadlines.
const INDEX_CALLS: u32 = 20;

/// The store as the layer uses it. A call that is not answered within the deadline has an unknown outcome.
#[derive(Clone, Debug)]
pub(crate) struct BoundedStore {
    store: AnyStore,
    meters: Meters,
    deadline: Duration,
}

impl BoundedStore {
    pub(crate) fn new(store: AnyStore, deadline: Duration, meters: Meters) -> Self {
        Self {
            store,
            meters,
            deadline,
        }
    }

    /// The same store, for one who has no more time than this.
    pub(crate) fn within_at_most(&self, time: Duration) -> Self {
        Self {
            deadline: self.deadline.min(time),
            ..self.clone()
        }
    }

    pub(crate) fn prefix(&self) -> &str {
        self.store.prefix()
    }

    pub(crate) async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        let call = pin!(self.store.load(key));
        within(self.deadline, self.meters.measure(StoreCall::Load), call).await
    }

    pub(crate) async fn load_latest(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        let call = pin!(self.store.load_latest(key));
        within(self.deadline, self.meters.measure(StoreCall::Load), call).await
    }

    pub(crate) async fn create(
        &self,
        key: &RecordKey,
        record: &Record,
        ttl: Duration,
    ) -> Result<Created, StoreError> {
        let call = pin!(self.store.create(key, record, ttl));
        within(self.deadline, self.meters.measure(StoreCall::Create), call).await
    }

    pub(crate) async fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Replaced, StoreError> {
        let call = pin!(self.store.replace(key, expected, record, ttl));
        within(self.deadline, self.meters.measure(StoreCall::Replace), call).await
    }

    pub(crate) async fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        ttl: Duration,
        prolongs: Option<Binding<'_>>,
    ) -> Result<bool, StoreError> {
        let call = pin!(self.store.touch(key, expected, ttl, prolongs));
        within(self.deadline, self.meters.measure(StoreCall::Touch), call).await
    }

    pub(crate) async fn delete(
        &self,
        key: &RecordKey,
        user: Option<&str>,
    ) -> Result<(), StoreError> {
        let call = pin!(self.store.delete(key, user));
        within(self.deadline, self.meters.measure(StoreCall::Delete), call).await
    }

    /// The users' index, if the store keeps one. Its calls end in time too.
    pub(crate) fn user_index(&self) -> Option<BoundedIndex<'_>> {
        let index = self.store.user_index()?;
        let deadline = self.deadline * INDEX_CALLS;
        Some(BoundedIndex {
            index,
            meters: &self.meters,
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
        let call = pin!(self.index.sessions_of(namespace, user));
        let measurement = self.meters.measure(StoreCall::SessionsOf);
        let listed = within(self.deadline, measurement, call).await;
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
        let call = pin!(self.index.delete_user(namespace, user, except));
        let measurement = self.meters.measure(StoreCall::DeleteUser);
        within(self.deadline, measurement, call).await
    }
}

/// Pinned by the caller: a future that moves into another one takes up its place twice.
async fn within<T>(
    deadline: Duration,
    measurement: Measurement<'_>,
    mut call: Pin<&mut impl Future<Output = Result<T, StoreError>>>,
) -> Result<T, StoreError> {
    // A store that answers at once, such as memory, needs no timer, and so no runtime.
    if let Poll::Ready(answer) = poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await {
        measurement.done(&answer);
        return answer;
    }
    let answer = tokio::time::timeout(deadline, call)
        .await
        .unwrap_or_else(|_elapsed| Err(StoreError::new(StoreErrorKind::OutcomeUnknown)));
    measurement.done(&answer);
    answer
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
        let bounded = BoundedStore::new(
            AnyStore::new(store),
            Duration::from_millis(500),
            Meters::new(&"id".into()),
        );
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
}
