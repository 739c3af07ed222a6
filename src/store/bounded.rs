//! A store whose every call ends in time, whatever the store does.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::{
    AnyStore, Created, Loaded, Record, RecordKey, Replaced, Revision, SessionStore, StoreError,
    StoreErrorKind,
};

/// The store as the layer uses it. A call that is not answered within the deadline has an unknown outcome.
#[derive(Clone, Debug)]
pub(crate) struct BoundedStore {
    store: AnyStore,
    deadline: Duration,
}

impl BoundedStore {
    pub(crate) fn new(store: AnyStore, deadline: Duration) -> Self {
        Self { store, deadline }
    }

    /// The same store, for one who has no more time than this.
    pub(crate) fn within_at_most(&self, time: Duration) -> Self {
        Self::new(self.store.clone(), self.deadline.min(time))
    }

    pub(crate) fn prefix(&self) -> &str {
        self.store.prefix()
    }

    pub(crate) async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        self.within(self.store.load(key)).await
    }

    pub(crate) async fn create(
        &self,
        key: &RecordKey,
        record: &Record,
        ttl: Duration,
    ) -> Result<Created, StoreError> {
        self.within(self.store.create(key, record, ttl)).await
    }

    pub(crate) async fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Replaced, StoreError> {
        self.within(self.store.replace(key, expected, record, ttl))
            .await
    }

    pub(crate) async fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        self.within(self.store.touch(key, expected, ttl)).await
    }

    pub(crate) async fn delete(&self, key: &RecordKey) -> Result<(), StoreError> {
        self.within(self.store.delete(key)).await
    }

    async fn within<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let mut call = pin!(call);
        // A store that answers at once, such as memory, needs no timer, and so no runtime.
        if let Poll::Ready(answer) =
            poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await
        {
            return answer;
        }
        tokio::time::timeout(self.deadline, call)
            .await
            .unwrap_or_else(|_elapsed| Err(StoreError::new(StoreErrorKind::OutcomeUnknown)))
    }
}
