//! A store without its type: what the layer holds, and what an application holds that chooses its store at run time.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{Created, Loaded, Record, RecordKey, Replaced, Revision, SessionStore, StoreError};

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// [`SessionStore`] with boxed futures, so that it can stand behind a `dyn`.
trait Boxed: Send + Sync + 'static {
    fn prefix(&self) -> &str;
    fn load<'a>(&'a self, key: &'a RecordKey) -> Answer<'a, Loaded>;
    fn create<'a>(
        &'a self,
        key: &'a RecordKey,
        record: &'a Record,
        ttl: Duration,
    ) -> Answer<'a, Created>;
    fn replace<'a>(
        &'a self,
        key: &'a RecordKey,
        expected: Revision,
        record: &'a Record,
        ttl: Duration,
    ) -> Answer<'a, Replaced>;
    fn touch<'a>(
        &'a self,
        key: &'a RecordKey,
        expected: Revision,
        ttl: Duration,
    ) -> Answer<'a, bool>;
    fn delete<'a>(&'a self, key: &'a RecordKey) -> Answer<'a, ()>;
}

impl<S: SessionStore> Boxed for S {
    fn prefix(&self) -> &str {
        SessionStore::prefix(self)
    }

    fn load<'a>(&'a self, key: &'a RecordKey) -> Answer<'a, Loaded> {
        Box::pin(SessionStore::load(self, key))
    }

    fn create<'a>(
        &'a self,
        key: &'a RecordKey,
        record: &'a Record,
        ttl: Duration,
    ) -> Answer<'a, Created> {
        Box::pin(SessionStore::create(self, key, record, ttl))
    }

    fn replace<'a>(
        &'a self,
        key: &'a RecordKey,
        expected: Revision,
        record: &'a Record,
        ttl: Duration,
    ) -> Answer<'a, Replaced> {
        Box::pin(SessionStore::replace(self, key, expected, record, ttl))
    }

    fn touch<'a>(
        &'a self,
        key: &'a RecordKey,
        expected: Revision,
        ttl: Duration,
    ) -> Answer<'a, bool> {
        Box::pin(SessionStore::touch(self, key, expected, ttl))
    }

    fn delete<'a>(&'a self, key: &'a RecordKey) -> Answer<'a, ()> {
        Box::pin(SessionStore::delete(self, key))
    }
}

/// Any store, chosen at run time: `AnyStore::new(MemoryStore::new())`. Clones are the same store.
#[derive(Clone)]
pub struct AnyStore(Arc<dyn Boxed>);

impl AnyStore {
    /// Forgets which store it is.
    pub fn new(store: impl SessionStore) -> Self {
        // Twice erased would be twice boxed.
        match (&store as &dyn Any).downcast_ref::<Self>() {
            Some(erased) => erased.clone(),
            None => Self(Arc::new(store)),
        }
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyStore")
            .field("prefix", &self.0.prefix())
            .finish_non_exhaustive()
    }
}

impl SessionStore for AnyStore {
    fn prefix(&self) -> &str {
        self.0.prefix()
    }

    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        self.0.load(key).await
    }

    async fn create(
        &self,
        key: &RecordKey,
        record: &Record,
        ttl: Duration,
    ) -> Result<Created, StoreError> {
        self.0.create(key, record, ttl).await
    }

    async fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Replaced, StoreError> {
        self.0.replace(key, expected, record, ttl).await
    }

    async fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        self.0.touch(key, expected, ttl).await
    }

    async fn delete(&self, key: &RecordKey) -> Result<(), StoreError> {
        self.0.delete(key).await
    }
}
