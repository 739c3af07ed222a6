//! A store without its type: for the layer, and for an application that chooses its store at run time.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::error::StoreError;
use super::memory::MemoryStore;
use super::outcome::{Created, Loaded, Replaced};
use super::record_key::RecordKey;
use super::session_store::SessionStore;
use super::user_index::{
    DeletedPage, IndexCursor, IndexPage, Marker, UserIndex, UserIndexRef, no_index,
};
use super::write::{IndexEntry, Write};
use crate::record::{Revision, SessionId};

type BoxedResult<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// [`SessionStore`] with boxed futures, so that it can be used as a trait object.
trait BoxedStore: Send + Sync + 'static {
    fn prefix(&self) -> &str;
    fn load<'a>(&'a self, key: &'a RecordKey) -> BoxedResult<'a, Loaded>;
    fn load_latest<'a>(&'a self, key: &'a RecordKey) -> BoxedResult<'a, Loaded>;
    fn create<'a>(&'a self, key: &'a RecordKey, write: &'a Write<'a>) -> BoxedResult<'a, Created>;
    fn replace<'a>(
        &'a self,
        key: &'a RecordKey,
        expected: Revision,
        write: &'a Write<'a>,
    ) -> BoxedResult<'a, Replaced>;
    fn touch<'a>(
        &'a self,
        key: &'a RecordKey,
        expected: Revision,
        ttl: Duration,
        extends: Option<IndexEntry<'a>>,
    ) -> BoxedResult<'a, bool>;
    fn delete<'a>(&'a self, key: &'a RecordKey, user: Option<&'a str>) -> BoxedResult<'a, ()>;
    fn user_index(&self) -> Option<UserIndexRef<'_>>;
    fn evicted(&self) -> u64;
}

impl<S: SessionStore> BoxedStore for S {
    fn prefix(&self) -> &str {
        SessionStore::prefix(self)
    }

    fn load<'a>(&'a self, key: &'a RecordKey) -> BoxedResult<'a, Loaded> {
        Box::pin(SessionStore::load(self, key))
    }

    fn load_latest<'a>(&'a self, key: &'a RecordKey) -> BoxedResult<'a, Loaded> {
        Box::pin(SessionStore::load_latest(self, key))
    }

    fn create<'a>(&'a self, key: &'a RecordKey, write: &'a Write<'a>) -> BoxedResult<'a, Created> {
        Box::pin(SessionStore::create(self, key, write))
    }

    fn replace<'a>(
        &'a self,
        key: &'a RecordKey,
        expected: Revision,
        write: &'a Write<'a>,
    ) -> BoxedResult<'a, Replaced> {
        Box::pin(SessionStore::replace(self, key, expected, write))
    }

    fn touch<'a>(
        &'a self,
        key: &'a RecordKey,
        expected: Revision,
        ttl: Duration,
        extends: Option<IndexEntry<'a>>,
    ) -> BoxedResult<'a, bool> {
        Box::pin(SessionStore::touch(self, key, expected, ttl, extends))
    }

    fn delete<'a>(&'a self, key: &'a RecordKey, user: Option<&'a str>) -> BoxedResult<'a, ()> {
        Box::pin(SessionStore::delete(self, key, user))
    }

    fn user_index(&self) -> Option<UserIndexRef<'_>> {
        SessionStore::user_index(self)
    }

    fn evicted(&self) -> u64 {
        SessionStore::evicted(self)
    }
}

/// Any store, chosen at run time. Clones are the same store.
///
/// Use it where the type of the store must not depend on the configuration:
///
/// ```
/// use tower_keycard::store::SessionStore;
/// use tower_keycard::{AnyStore, MemoryStore};
///
/// let store = AnyStore::new(MemoryStore::new());
/// assert_eq!(store.prefix(), "keycard:");
/// ```
#[derive(Clone)]
pub struct AnyStore(Kind);

#[derive(Clone)]
enum Kind {
    /// The memory store is called directly: it never waits, so boxing its futures would be a notable part of the cost.
    Memory(MemoryStore),
    Other(Arc<dyn BoxedStore>),
}

impl AnyStore {
    /// Wraps a store. An `AnyStore` is returned as it is.
    pub fn new(store: impl SessionStore) -> Self {
        let any = &store as &dyn Any;
        // Another wrapper would box every future twice.
        if let Some(wrapped) = any.downcast_ref::<Self>() {
            return wrapped.clone();
        }
        Self(match any.downcast_ref::<MemoryStore>() {
            Some(memory) => Kind::Memory(memory.clone()),
            None => Kind::Other(Arc::new(store)),
        })
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyStore")
            .field("prefix", &SessionStore::prefix(self))
            .finish_non_exhaustive()
    }
}

impl SessionStore for AnyStore {
    fn prefix(&self) -> &str {
        match &self.0 {
            Kind::Memory(store) => SessionStore::prefix(store),
            Kind::Other(store) => store.prefix(),
        }
    }

    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        match &self.0 {
            Kind::Memory(store) => SessionStore::load(store, key).await,
            Kind::Other(store) => store.load(key).await,
        }
    }

    async fn load_latest(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        match &self.0 {
            Kind::Memory(store) => SessionStore::load_latest(store, key).await,
            Kind::Other(store) => store.load_latest(key).await,
        }
    }

    async fn create(&self, key: &RecordKey, write: &Write<'_>) -> Result<Created, StoreError> {
        match &self.0 {
            Kind::Memory(store) => SessionStore::create(store, key, write).await,
            Kind::Other(store) => store.create(key, write).await,
        }
    }

    async fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        write: &Write<'_>,
    ) -> Result<Replaced, StoreError> {
        match &self.0 {
            Kind::Memory(store) => SessionStore::replace(store, key, expected, write).await,
            Kind::Other(store) => store.replace(key, expected, write).await,
        }
    }

    async fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        ttl: Duration,
        extends: Option<IndexEntry<'_>>,
    ) -> Result<bool, StoreError> {
        match &self.0 {
            Kind::Memory(store) => SessionStore::touch(store, key, expected, ttl, extends).await,
            Kind::Other(store) => store.touch(key, expected, ttl, extends).await,
        }
    }

    async fn delete(&self, key: &RecordKey, user: Option<&str>) -> Result<(), StoreError> {
        match &self.0 {
            Kind::Memory(store) => SessionStore::delete(store, key, user).await,
            Kind::Other(store) => store.delete(key, user).await,
        }
    }

    fn user_index(&self) -> Option<UserIndexRef<'_>> {
        match &self.0 {
            Kind::Memory(store) => SessionStore::user_index(store),
            Kind::Other(store) => store.user_index(),
        }
    }

    fn evicted(&self) -> u64 {
        match &self.0 {
            Kind::Memory(store) => SessionStore::evicted(store),
            Kind::Other(store) => store.evicted(),
        }
    }
}

/// The index of the store inside. If that store has none, the calls fail with
/// [`StoreErrorKind::Refused`](super::StoreErrorKind::Refused): check [`user_index`](SessionStore::user_index) first.
impl UserIndex for AnyStore {
    async fn sessions_of(
        &self,
        namespace: &str,
        user: &str,
        after: Option<&IndexCursor>,
    ) -> Result<IndexPage, StoreError> {
        let index = SessionStore::user_index(self).ok_or_else(no_index)?;
        index.sessions_of(namespace, user, after).await
    }

    async fn revoke_user(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> Result<Marker, StoreError> {
        let index = SessionStore::user_index(self).ok_or_else(no_index)?;
        index.revoke_user(namespace, user, except).await
    }

    async fn delete_sessions_of(
        &self,
        namespace: &str,
        user: &str,
        marker: &Marker,
        after: Option<&IndexCursor>,
    ) -> Result<DeletedPage, StoreError> {
        let index = SessionStore::user_index(self).ok_or_else(no_index)?;
        let piece = index.delete_sessions_of(namespace, user, marker, after);
        piece.await
    }
}
