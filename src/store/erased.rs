//! A store without its type: what the layer holds, and what an application holds that chooses its store at run time.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Binding, Created, Indexed, Loaded, MemoryStore, Record, RecordKey, Replaced, Revision,
    SessionId, SessionStore, StoreError, UserIndex, no_index,
};

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// [`SessionStore`] with boxed futures, so that it can stand behind a `dyn`.
trait Boxed: Send + Sync + 'static {
    fn prefix(&self) -> &str;
    fn load<'a>(&'a self, key: &'a RecordKey) -> Answer<'a, Loaded>;
    fn load_latest<'a>(&'a self, key: &'a RecordKey) -> Answer<'a, Loaded>;
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
        prolongs: Option<Binding<'a>>,
    ) -> Answer<'a, bool>;
    fn delete<'a>(&'a self, key: &'a RecordKey, user: Option<&'a str>) -> Answer<'a, ()>;
    fn user_index(&self) -> Option<UserIndexRef<'_>>;
}

/// [`UserIndex`] with boxed futures.
trait BoxedIndex: Send + Sync {
    fn sessions_of<'a>(&'a self, namespace: &'a str, user: &'a str) -> Answer<'a, Vec<Indexed>>;
    fn delete_user<'a>(
        &'a self,
        namespace: &'a str,
        user: &'a str,
        except: Option<SessionId>,
    ) -> Answer<'a, Vec<SessionId>>;
}

impl<S: SessionStore> Boxed for S {
    fn prefix(&self) -> &str {
        SessionStore::prefix(self)
    }

    fn load<'a>(&'a self, key: &'a RecordKey) -> Answer<'a, Loaded> {
        Box::pin(SessionStore::load(self, key))
    }

    fn load_latest<'a>(&'a self, key: &'a RecordKey) -> Answer<'a, Loaded> {
        Box::pin(SessionStore::load_latest(self, key))
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
        prolongs: Option<Binding<'a>>,
    ) -> Answer<'a, bool> {
        Box::pin(SessionStore::touch(self, key, expected, ttl, prolongs))
    }

    fn delete<'a>(&'a self, key: &'a RecordKey, user: Option<&'a str>) -> Answer<'a, ()> {
        Box::pin(SessionStore::delete(self, key, user))
    }

    fn user_index(&self) -> Option<UserIndexRef<'_>> {
        SessionStore::user_index(self)
    }
}

impl<S: UserIndex> BoxedIndex for S {
    fn sessions_of<'a>(&'a self, namespace: &'a str, user: &'a str) -> Answer<'a, Vec<Indexed>> {
        Box::pin(UserIndex::sessions_of(self, namespace, user))
    }

    fn delete_user<'a>(
        &'a self,
        namespace: &'a str,
        user: &'a str,
        except: Option<SessionId>,
    ) -> Answer<'a, Vec<SessionId>> {
        Box::pin(UserIndex::delete_user(self, namespace, user, except))
    }
}

/// The [`UserIndex`] of a store whose type is not known: what [`SessionStore::user_index`] answers.
#[derive(Clone, Copy)]
pub struct UserIndexRef<'a>(&'a dyn BoxedIndex);

impl<'a> UserIndexRef<'a> {
    /// The index that this store keeps.
    pub fn new(store: &'a impl UserIndex) -> Self {
        Self(store)
    }

    /// The user's sessions: see [`UserIndex::sessions_of`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn sessions_of(
        &self,
        namespace: &str,
        user: &str,
    ) -> Result<Vec<Indexed>, StoreError> {
        self.0.sessions_of(namespace, user).await
    }

    /// Ends the user's sessions, and says which: see [`UserIndex::delete_user`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn delete_user(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.0.delete_user(namespace, user, except).await
    }
}

impl fmt::Debug for UserIndexRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UserIndexRef").finish_non_exhaustive()
    }
}

/// Any store, chosen at run time: `AnyStore::new(MemoryStore::new())`. Clones are the same store.
#[derive(Clone)]
pub struct AnyStore(Kind);

#[derive(Clone)]
enum Kind {
    /// What answers at once is called without a box around each answer.
    Memory(MemoryStore),
    Other(Arc<dyn Boxed>),
}

impl AnyStore {
    /// Forgets which store it is.
    pub fn new(store: impl SessionStore) -> Self {
        let any = &store as &dyn Any;
        // Twice erased would be twice boxed.
        if let Some(erased) = any.downcast_ref::<Self>() {
            return erased.clone();
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

    async fn create(
        &self,
        key: &RecordKey,
        record: &Record,
        ttl: Duration,
    ) -> Result<Created, StoreError> {
        match &self.0 {
            Kind::Memory(store) => SessionStore::create(store, key, record, ttl).await,
            Kind::Other(store) => store.create(key, record, ttl).await,
        }
    }

    async fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Replaced, StoreError> {
        match &self.0 {
            Kind::Memory(store) => SessionStore::replace(store, key, expected, record, ttl).await,
            Kind::Other(store) => store.replace(key, expected, record, ttl).await,
        }
    }

    async fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        ttl: Duration,
        prolongs: Option<Binding<'_>>,
    ) -> Result<bool, StoreError> {
        match &self.0 {
            Kind::Memory(store) => SessionStore::touch(store, key, expected, ttl, prolongs).await,
            Kind::Other(store) => store.touch(key, expected, ttl, prolongs).await,
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
}

/// That of the store it is. One without an index refuses: ask [`user_index`](SessionStore::user_index) first.
impl UserIndex for AnyStore {
    async fn sessions_of(&self, namespace: &str, user: &str) -> Result<Vec<Indexed>, StoreError> {
        let index = SessionStore::user_index(self).ok_or_else(no_index)?;
        index.sessions_of(namespace, user).await
    }

    async fn delete_user(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let index = SessionStore::user_index(self).ok_or_else(no_index)?;
        index.delete_user(namespace, user, except).await
    }
}
