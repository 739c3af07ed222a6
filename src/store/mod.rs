//! Where sessions are kept: the contract, and the stores that come with this crate.
//!
//! A store keeps [`Record`]s under [`RecordKey`]s. It knows nothing of HTTP, cookies, users' data or merging: it answers
//! five calls, each of which is one round trip in the stores that come with this crate, but for the write that a login
//! makes, which is two.
//!
//! # The contract
//!
//! What every store keeps, whatever the storm around it. The suite in `store::conformance` (feature `testing`) proves it for
//! the stores of this crate, and for yours from its own `tests/`.
//!
//! 1. [`replace`](SessionStore::replace) and [`touch`](SessionStore::touch) never create. A deleted session is never
//!    resurrected, by nobody, late or early.
//! 2. [`replace`](SessionStore::replace) is atomic: of two writers at the same revision exactly one wins, and the other is
//!    handed the winner's record. A replace that finds its own new revision already there, or among the few
//!    [before it](Record::includes), has succeeded, and changes nothing more: a client library may have sent it twice.
//! 3. [`create`](SessionStore::create) never overwrites; a tombstone counts as present.
//! 4. An expired record is never returned, even when it is still there.
//! 5. Times are relative: a store is told how long to keep a record, never what time it is. A longer time than it can keep
//!    is cut, to 400 days at least; none at all never means for ever.
//! 6. Every call comes to an end by itself. One whose outcome is not known answers
//!    [`StoreErrorKind::OutcomeUnknown`], not [`StoreErrorKind::Unavailable`].
//!
//! A store may also keep an index of its users' sessions, to list and to end them: a [`UserIndex`] says what that takes.
//! Without one, a store ignores what it is told of users.

mod bounded;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod erased;
#[cfg(any(test, feature = "testing"))]
pub mod fault;
mod index;
mod memory;
#[cfg(feature = "redis")]
pub mod redis;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::bounded::{BoundedIndex, BoundedStore};
pub use self::erased::{AnyStore, UserIndexRef};
pub use self::index::{Indexed, LOGIN_LIFETIME, MARKER_LIFETIME, REVOCATION_LIFETIME, UserIndex};
pub(crate) use self::index::{Owner, no_index, of_whom};
pub use self::memory::{MemoryStore, MemoryStoreBuilder};
#[cfg(feature = "redis")]
pub use self::redis::{RedisConfig, RedisStore, RedisStoreError};
pub use crate::record::{Binding, DecodeError, Record, Revision};
pub use crate::token::SessionId;

/// How long a tombstone stands in the place of a deleted record.
pub const TOMBSTONE_LIFETIME: Duration = Duration::from_secs(60);

/// Keeps session records: in memory, in Redis, or wherever an application wants them.
///
/// The [module's documentation](self) states the contract. Write the methods as `async fn`; `examples/custom_store.rs` is
/// a whole store in under 80 lines.
pub trait SessionStore: Send + Sync + 'static {
    /// What tells this store's records from those of other applications on the same server, such as `"keycard:"`.
    ///
    /// It belongs in front of every key, and is part of what the verifier's hash covers: a record copied under another
    /// prefix opens nothing there. It must not change while the store lives.
    fn prefix(&self) -> &str;

    /// The record (or its tombstone), and how long the store will still keep it. One round trip; nothing is written.
    fn load(&self, key: &RecordKey) -> impl Future<Output = Result<Loaded, StoreError>> + Send;

    /// What [`load`](SessionStore::load) answers when it must not be stale. The same, unless `load` may answer from a replica:
    /// such a store marks what comes from there as [possibly stale](Record::possibly_stale), and overrides this. It is
    /// asked before a card is turned down by such a record, and wherever a change depends on the answer.
    fn load_latest(
        &self,
        key: &RecordKey,
    ) -> impl Future<Output = Result<Loaded, StoreError>> + Send {
        self.load(key)
    }

    /// Inserts a record where there is none; a tombstone counts as present, and a record that has expired does not.
    fn create(
        &self,
        key: &RecordKey,
        record: &Record,
        ttl: Duration,
    ) -> impl Future<Output = Result<Created, StoreError>> + Send;

    /// Replaces a record that is still at the `expected` revision; on a conflict, hands back what is there now.
    fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> impl Future<Output = Result<Replaced, StoreError>> + Send;

    /// Moves the expiry of a record that is still at the `expected` revision, and says whether it was. One that merely
    /// [includes](Record::includes) that revision is not.
    ///
    /// `prolongs` is the entry in a [`UserIndex`] that has to live on with the record, if there is one.
    fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        ttl: Duration,
        prolongs: Option<Binding<'_>>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Removes the record, present or not, and leaves a tombstone for [`TOMBSTONE_LIFETIME`], however short the record's
    /// own life was. Only where there was no record may a store that is full leave none.
    ///
    /// `user` is the one whom the session belongs to, where the caller knows: a [`UserIndex`] removes the entry too. One
    /// that is left behind does no harm, so that it never makes a deletion fail.
    fn delete(
        &self,
        key: &RecordKey,
        user: Option<&str>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The index of this store's users, if it keeps one: `Some(UserIndexRef::new(self))` where it implements [`UserIndex`].
    ///
    /// None by default. It is how the layer, which does not know the store's type, finds the index.
    fn user_index(&self) -> Option<UserIndexRef<'_>> {
        None
    }
}

/// The name of a record in a store: the layer's namespace and the session's id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordKey {
    namespace: Arc<str>,
    id: SessionId,
}

impl RecordKey {
    /// The key of session `id` in a layer's `namespace`.
    pub fn new(namespace: impl Into<Arc<str>>, id: SessionId) -> Self {
        Self {
            namespace: namespace.into(),
            id,
        }
    }

    /// The layer's namespace: by default the name of its cookie.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The session's public id.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }
}

/// By the id alone, which tells sessions apart in every namespace but by the rarest accident.
impl Hash for RecordKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

/// `namespace:id`, to stand behind the store's prefix.
impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.namespace, self.id)
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordKey({self})")
    }
}

/// What [`SessionStore::load`] found.
#[derive(Clone, Debug)]
pub enum Loaded {
    /// Nothing, or nothing that is still alive.
    Absent,
    /// The session was deleted less than [`TOMBSTONE_LIFETIME`] ago.
    Tombstone,
    /// A record.
    Record {
        /// The record.
        record: Record,
        /// How long the store will still keep it, as nearly as it knows. It tells when a touch is due; that a record has
        /// ended is told by its not being there.
        remaining: Duration,
    },
    /// Something that is not a record this version can read. It is left as it is.
    Unreadable(DecodeError),
}

/// What became of [`SessionStore::create`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// The record is there.
    Created,
    /// Something was there before: a record, a tombstone, or what cannot be read. It is left as it is.
    Exists,
}

/// What became of [`SessionStore::replace`].
#[derive(Clone, Debug)]
pub enum Replaced {
    /// The new record is there, or has been there.
    Replaced,
    /// The record was not at the expected revision: this is there now.
    Conflict(Loaded),
}

/// A store call that failed. What it says is for logs: no client is told.
#[derive(Clone)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// What a failed store call means for what it was to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store could not be asked: nothing was changed, and nothing will be.
    Unavailable,
    /// It was asked, and no answer came: the change was made, or will be, or not.
    OutcomeUnknown,
    /// The store takes no more sessions. Nothing was changed.
    Full,
    /// The store refused: wrong password, missing right, a server too old, a read-only replica. Nothing was changed.
    Refused,
    /// All sessions of the user who logs in were [ended](UserIndex::delete_user) a moment ago, or since the login began. No
    /// record was changed; the login may be tried again after [`REVOCATION_LIFETIME`].
    Revoked,
    /// The change was made, and may be undone: not as many replicas confirmed it as the store was told to wait for.
    Unreplicated,
}

impl StoreErrorKind {
    /// Each of them.
    pub const ALL: &'static [Self] = &[
        Self::Unavailable,
        Self::OutcomeUnknown,
        Self::Full,
        Self::Refused,
        Self::Revoked,
        Self::Unreplicated,
    ];

    /// The name in logs, metrics and the audit log. It does not change.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Full => "full",
            Self::Refused => "refused",
            Self::Revoked => "revoked",
            Self::Unreplicated => "unreplicated",
        }
    }
}

impl StoreError {
    /// An error of this kind.
    #[must_use]
    pub const fn new(kind: StoreErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// An error of this kind, and what caused it.
    pub fn caused_by(
        kind: StoreErrorKind,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            source: Some(source.into().into()),
        }
    }

    /// What the failure means for what the call was to do.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("kind", &self.kind)
            .field("source", &self.source)
            .finish()
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            StoreErrorKind::Unavailable => "the session store is not available",
            StoreErrorKind::OutcomeUnknown => "the session store did not answer",
            StoreErrorKind::Full => "the session store is full",
            StoreErrorKind::Refused => "the session store refused",
            StoreErrorKind::Revoked => "the user's sessions have just been ended",
            StoreErrorKind::Unreplicated => "too few replicas of the session store had the change",
        })
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
