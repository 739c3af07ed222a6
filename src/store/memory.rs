//! Sessions in this process's memory: bounded, and without a task that cleans up.
//!
//! Entries live in shards, each behind a lock of its own; what is done under a lock is this crate's code alone, and never
//! waits. An entry stands in its shard's queue exactly once, at a time that is not after its expiry. Moving the expiry
//! back, as every touch does, leaves the queue alone: whoever works the queue off puts the entry where it belongs by then.
//! So a touch is one lookup, and a session touched a million times takes no more room than one never touched.

mod entries;
mod queue;
mod table;
mod users;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use self::table::{Entry, Shard, Table};
use self::users::Users;
use super::{
    Binding, Created, Indexed, Loaded, Owner, Record, RecordKey, Replaced, Revision, SessionId,
    SessionStore, StoreError, StoreErrorKind, TOMBSTONE_LIFETIME, UserIndex, UserIndexRef, of_whom,
};
use crate::clock::{Clock, Timestamp};
use crate::record::Content;

/// A power of two, and more than there are likely to be threads.
const SHARDS: usize = 64;

/// More entries are in no store: each has a number of 32 bits.
const MOST: usize = u32::MAX as usize;

/// Keeps sessions in this process's memory: for tests, development, and applications that run as one process.
///
/// Sessions end with the process. Clones are the same store. Nothing is encoded: what is kept is the content of the [`Record`]
/// itself, and loading one copies a pointer.
///
/// Memory is bounded by [`max_sessions`](MemoryStoreBuilder::max_sessions). There is no background task: each call frees
/// a few entries that have expired, whosesoever they are. Expiry follows the [`Clock`], which is the system's by default,
/// so sessions live longer or shorter by as much as somebody sets that clock.
///
/// ```
/// use tower_keycard::store::MemoryStore;
///
/// let store = MemoryStore::builder().max_sessions(10_000).build();
/// assert!(store.is_empty());
/// ```
#[derive(Clone)]
pub struct MemoryStore(Arc<Inner>);

impl MemoryStore {
    /// A store for up to [a million](MemoryStoreBuilder::max_sessions) sessions.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A store with other limits.
    pub fn builder() -> MemoryStoreBuilder {
        MemoryStoreBuilder::default()
    }

    /// How many sessions are alive. Frees all that are not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.purge_expired();
        let shards = self.0.shards.iter();
        shards.map(|shard| shard.lock().records).sum()
    }

    /// Whether no session is alive. Frees all that are not.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Frees all records and tombstones that have expired, and says how many.
    ///
    /// There is no need to call it: other calls do the same in small steps. After a rush followed by silence, it gives the
    /// memory back earlier.
    pub fn purge_expired(&self) -> usize {
        let now = self.0.clock.now();
        let mut freed = 0;
        for shard in &self.0.shards {
            while shard.is_due(now) {
                let expired = self.0.work_off(shard, now);
                freed += expired.len();
                self.0.forget(&expired, now);
            }
        }
        freed
    }
}

/// An entry that has expired and was freed.
type Expired = (RecordKey, Entry);

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("prefix", &self.0.prefix)
            .field("max_sessions", &self.0.max)
            .finish_non_exhaustive()
    }
}

/// Makes a [`MemoryStore`].
#[derive(Clone, Debug)]
#[must_use]
pub struct MemoryStoreBuilder {
    max: usize,
    prefix: Arc<str>,
    clock: Clock,
}

impl Default for MemoryStoreBuilder {
    fn default() -> Self {
        Self {
            max: 1_000_000,
            prefix: "keycard:".into(),
            clock: Clock::system(),
        }
    }
}

impl MemoryStoreBuilder {
    /// How many sessions the store keeps at most, tombstones included; 1,000,000 by default, and 4,294,967,295
    /// instead of more.
    ///
    /// Of a full store, expired entries go first. Once there are none, creating a session is refused with
    /// [`StoreErrorKind::Full`]: a live session never makes room for another. Deleting a session always succeeds. Its
    /// tombstone takes the record's place; where there was no record, and no room, there will be no tombstone either.
    pub fn max_sessions(mut self, max: usize) -> Self {
        self.max = max;
        self
    }

    /// The store's [prefix](SessionStore::prefix); `keycard:` by default, and instead of an empty one.
    ///
    /// Nobody shares this memory, so it separates nothing here. It is part of what the verifiers' hashes cover.
    pub fn prefix(mut self, prefix: impl Into<Arc<str>>) -> Self {
        let prefix = prefix.into();
        if !prefix.is_empty() {
            self.prefix = prefix;
        }
        self
    }

    /// Where the time comes from; the system's clock by default.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The store.
    #[must_use]
    pub fn build(self) -> MemoryStore {
        MemoryStore(Arc::new(Inner {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            users: Users::new(),
            kept: AtomicUsize::new(0),
            max: self.max.min(MOST),
            prefix: self.prefix,
            clock: self.clock,
        }))
    }
}

struct Inner {
    shards: Box<[Shard]>,
    /// Who is locked before any of the shards, never after.
    users: Users,
    /// All entries of all shards. Counted up before an entry is inserted and down after it was removed, so that there are
    /// never more than this says, nor more than `max`.
    kept: AtomicUsize,
    max: usize,
    prefix: Arc<str>,
    clock: Clock,
}

impl Inner {
    fn shard(&self, key: &RecordKey) -> &Shard {
        // A browser chooses the ids that are loaded, and could choose them to fall into one shard. All it gains is a store
        // with one lock; the map behind it hashes with a random key.
        let id = key.id();
        let front = id.as_bytes().first_chunk();
        let front = front.map_or(0, |bytes| u64::from_le_bytes(*bytes));
        // Fibonacci hashing: the upper bits of the product depend on all eight characters.
        let hash = front.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        &self.shards[usize::try_from(hash).unwrap_or_default() >> (32 - SHARDS.ilog2())]
    }

    /// Frees what is due in one shard: another one each time, so that no entry stays for want of somebody asking for it.
    fn tidy(&self, shard: &Shard, now: Timestamp) {
        let next = shard.turn.fetch_add(1, Ordering::Relaxed) % SHARDS;
        if self.shards[next].is_due(now) {
            let expired = self.work_off(&self.shards[next], now);
            self.forget(&expired, now);
        }
    }

    /// Works off a bounded piece of a shard's queue, and hands out the entries that this freed: records can be large, and
    /// their users have to [forget](Inner::forget) them once no lock is held.
    fn work_off(&self, shard: &Shard, now: Timestamp) -> Vec<Expired> {
        let expired = shard.write(|table| table.work_off(now));
        self.kept.fetch_sub(expired.len(), Ordering::Relaxed);
        expired
    }

    /// Takes sessions that are gone out of the index of their users.
    fn forget(&self, expired: &[Expired], now: Timestamp) {
        for (key, entry) in expired {
            if let Some(user) = entry.record.as_deref().and_then(Content::user) {
                self.unbind(key, user, now);
            }
        }
    }

    /// Takes a session out of the index of a user, unless it is the user's.
    fn unbind(&self, key: &RecordKey, user: &str, now: Timestamp) {
        self.users.with((key.namespace(), user), now, |index| {
            if of_whom(&self.look(key, now), user) != Owner::TheUser {
                index.sessions.remove(&key.id());
            }
        });
    }

    fn look(&self, key: &RecordKey, now: Timestamp) -> Loaded {
        self.shard(key).lock().load(key, now)
    }

    /// Counts one entry more, if there may be one.
    fn reserve(&self) -> bool {
        let more = |kept| (kept < self.max).then_some(kept + 1);
        self.kept
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }

    /// Frees something that has expired, wherever it is.
    fn make_room(&self, now: Timestamp, expired: &mut Vec<Expired>) -> bool {
        let before = expired.len();
        self.shards.iter().any(|shard| {
            while expired.len() == before && shard.is_due(now) {
                expired.append(&mut self.work_off(shard, now));
            }
            expired.len() > before
        })
    }

    /// Makes a change that may need room: again, for as long as it finds none and some can be made.
    fn with_room<T>(
        &self,
        shard: &Shard,
        now: Timestamp,
        expired: &mut Vec<Expired>,
        mut change: impl FnMut(&mut Table) -> Option<T>,
    ) -> Option<T> {
        loop {
            if let Some(done) = shard.write(&mut change) {
                return Some(done);
            }
            if !self.make_room(now, expired) {
                return None;
            }
        }
    }

    /// Inserts a record where there is none, and hands out what had expired there.
    fn create(
        &self,
        key: &RecordKey,
        record: &Record,
        (now, ttl): (Timestamp, Duration),
        expired: &mut Vec<Expired>,
    ) -> Result<(Created, Option<Arc<Content>>), StoreError> {
        let shard = self.shard(key);
        let times = (now, now.plus(ttl));
        let created = self.with_room(shard, now, expired, |table| {
            table.create(key, record.content(), times, || self.reserve())
        });
        created.ok_or(StoreError::new(StoreErrorKind::Full))
    }

    /// Replaces a record at the expected revision, and hands it out.
    fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        record: &Record,
        (now, ttl): (Timestamp, Duration),
    ) -> (Replaced, Option<Arc<Content>>) {
        let expires = now.plus(ttl);
        self.shard(key)
            .write(|table| table.replace(key, expected, record.content(), now, expires))
    }

    /// Makes a write that may bind the session to a user: then the user is locked until it is made, and has the session if
    /// it is the user's after that.
    fn bind<T>(
        &self,
        key: &RecordKey,
        record: &Record,
        now: Timestamp,
        write: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Some(binding) = record.binds() else {
            return write();
        };
        let user = binding.user;
        self.users.with((key.namespace(), user), now, |index| {
            if index.refuses(key.id(), record.login_age(), now) {
                return Err(StoreError::new(StoreErrorKind::Revoked));
            }
            let written = write()?;
            if of_whom(&self.look(key, now), user) == Owner::TheUser {
                index.sessions.insert(key.id());
            }
            Ok(written)
        })
    }

    /// Takes a session out of the index of the user whom it belonged to, if a write has taken it from there.
    fn displaced(
        &self,
        key: &RecordKey,
        before: Option<&Content>,
        user: Option<&str>,
        now: Timestamp,
    ) {
        if let Some(before) = before
            .and_then(Content::user)
            .filter(|before| user != Some(before))
        {
            self.unbind(key, before, now);
        }
    }
}

impl SessionStore for MemoryStore {
    fn prefix(&self) -> &str {
        &self.0.prefix
    }

    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        let (now, shard) = (self.0.clock.now(), self.0.shard(key));
        let loaded = shard.lock().load(key, now);
        self.0.tidy(shard, now);
        Ok(loaded)
    }

    async fn create(
        &self,
        key: &RecordKey,
        record: &Record,
        ttl: Duration,
    ) -> Result<Created, StoreError> {
        let (now, inner) = (self.0.clock.now(), &*self.0);
        inner.tidy(inner.shard(key), now);
        let mut expired = Vec::new();
        let created = inner.bind(key, record, now, || {
            inner.create(key, record, (now, ttl), &mut expired)
        });
        inner.forget(&expired, now);
        let (created, before) = created?;
        inner.displaced(key, before.as_deref(), record.user(), now);
        Ok(created)
    }

    async fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Replaced, StoreError> {
        let (now, inner) = (self.0.clock.now(), &*self.0);
        let (replaced, before) = inner.bind(key, record, now, || {
            Ok(inner.replace(key, expected, record, (now, ttl)))
        })?;
        inner.displaced(key, before.as_deref(), record.user(), now);
        inner.tidy(inner.shard(key), now);
        Ok(replaced)
    }

    async fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        ttl: Duration,
        // An entry lives as long as its session.
        _prolongs: Option<Binding<'_>>,
    ) -> Result<bool, StoreError> {
        let (now, shard) = (self.0.clock.now(), self.0.shard(key));
        let touched = shard.write(|table| table.touch(key, expected, now, now.plus(ttl)));
        self.0.tidy(shard, now);
        Ok(touched)
    }

    async fn delete(&self, key: &RecordKey, user: Option<&str>) -> Result<(), StoreError> {
        let (now, shard) = (self.0.clock.now(), self.0.shard(key));
        self.0.tidy(shard, now);
        let mut expired = Vec::new();
        // Without room for a tombstone, nothing is there all the same, which is what was asked for: no call of this store
        // arrives late, so there is nothing that the tombstone would have to keep out.
        let before = self.0.with_room(shard, now, &mut expired, |table| {
            table.bury(key, now.plus(TOMBSTONE_LIFETIME), || self.0.reserve())
        });
        self.0.forget(&expired, now);
        let before = before.flatten();
        // The record knows best.
        if let Some(user) = before.as_deref().and_then(Content::user).or(user) {
            self.0.unbind(key, user, now);
        }
        Ok(())
    }

    fn user_index(&self) -> Option<UserIndexRef<'_>> {
        Some(UserIndexRef::new(self))
    }
}

/// Nothing comes between an entry and its record: the index is exact, and what is not in it needs no tombstone.
impl UserIndex for MemoryStore {
    async fn sessions_of(&self, namespace: &str, user: &str) -> Result<Vec<Indexed>, StoreError> {
        let (now, inner) = (self.0.clock.now(), &*self.0);
        let shared: Arc<str> = namespace.into();
        let listed = inner.users.with((namespace, user), now, |index| {
            let mut listed = Vec::with_capacity(index.sessions.len());
            index.sessions.retain(|id| {
                let key = RecordKey::new(shared.clone(), *id);
                match inner.look(&key, now) {
                    Loaded::Record { record, remaining } if record.user() == Some(user) => {
                        listed.push(Indexed::new(key, record, remaining));
                        true
                    }
                    _ => false,
                }
            });
            listed
        });
        Ok(listed)
    }

    async fn delete_user(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let (now, inner) = (self.0.clock.now(), &*self.0);
        let shared: Arc<str> = namespace.into();
        // Freed after the locks were: records can be large.
        let (ended, displaced) = inner.users.with((namespace, user), now, |index| {
            index.mark(except, now);
            let (mut ended, mut displaced) = (Vec::new(), Vec::new());
            index.sessions.retain(|id| {
                if except == Some(*id) {
                    return true;
                }
                let key = RecordKey::new(shared.clone(), *id);
                inner.shard(&key).write(|table| {
                    if of_whom(&table.load(&key, now), user) == Owner::TheUser {
                        displaced.push(table.bury(&key, now.plus(TOMBSTONE_LIFETIME), || false));
                        ended.push(*id);
                    }
                });
                false
            });
            (ended, displaced)
        });
        drop(displaced);
        Ok(ended)
    }
}

#[cfg(test)]
mod tests;
