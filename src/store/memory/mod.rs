//! A store in this process's memory, with a limit on its size and without a background task.
//!
//! Entries live in shards, each behind its own lock. Only code of this crate runs under a lock, and it never waits. An entry is
//! in the expiry queue of its shard exactly once, at a time that is not after its expiry. A touch that moves the expiry to a
//! later time leaves the queue alone: when the queued time is due, the entry is queued again at its real expiry. So a touch
//! is one lookup, and a session that is touched a million times takes no more memory than one that is never touched.
//!
//! A shard also has its unconfirmed sessions in the order in which a full store evicts them. Only they take memory there.

mod expiry_queue;
mod room;
mod shard;
mod slab;
mod user_index;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use self::room::Room;
use self::shard::{Removed, Shard, ShardState};
use self::user_index::IndexShards;
use super::error::{StoreError, StoreErrorKind};
use super::outcome::{Created, Loaded, Owner, Replaced};
use super::record_key::RecordKey;
use super::session_store::{SessionStore, TOMBSTONE_LIFETIME};
use super::user_index::{
    DeletedPage, IndexCursor, IndexPage, Indexed, Marker, UserIndex, UserIndexRef,
};
use super::write::{IndexChange, IndexEntry, Write};
use crate::clock::{Clock, Timestamp};
use crate::record::{Record, Revision, SessionId};

/// A power of two, and more than the likely number of threads.
const SHARDS: usize = 64;

/// A store cannot have more entries: the number of an entry has 32 bits.
const MAX_ENTRIES: usize = u32::MAX as usize;

/// A store in this process's memory: for tests, development, and applications that run as one process.
///
/// Sessions end with the process. Clones are the same store. Nothing is encoded: the store keeps the content of the [`Record`]
/// itself, and loading one copies a pointer.
///
/// [`max_sessions`](MemoryStoreBuilder::max_sessions) limits the memory. A full store evicts
/// [unconfirmed sessions](crate::SessionConfig::unconfirmed_idle), and no others. There is no background task: each call frees a few
/// entries that have expired, of any session. Expiry follows the [`Clock`], which is the system's by default. If that clock is
/// set forward or back, sessions live shorter or longer by the same time.
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
    /// A store for up to [1,000,000](MemoryStoreBuilder::max_sessions) sessions.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A builder for a store with other options.
    pub fn builder() -> MemoryStoreBuilder {
        MemoryStoreBuilder::default()
    }

    /// The number of live sessions. Frees all that have expired.
    #[must_use]
    pub fn len(&self) -> usize {
        self.purge_expired();
        let shards = self.0.shards.iter();
        shards.map(|shard| shard.lock().records).sum()
    }

    /// Whether no session is live. Frees all that have expired.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Frees all records and tombstones that have expired, and returns how many.
    ///
    /// You need not call it: the other calls do the same in small steps. After a peak of load
    /// with no further calls, it frees the memory at once.
    pub fn purge_expired(&self) -> usize {
        let now = self.0.clock.now();
        let mut freed = 0;
        for shard in &self.0.shards {
            while shard.is_due(now) {
                let expired = self.0.free_due(shard, now);
                freed += expired.len();
                self.0.unbind_all(&expired, now);
            }
        }
        freed
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("prefix", &self.0.prefix)
            .field("max_sessions", &self.0.room.max_entries())
            .finish_non_exhaustive()
    }
}

/// The options of a [`MemoryStore`], which [`build`](MemoryStoreBuilder::build) makes.
#[derive(Clone, Debug)]
#[must_use]
pub struct MemoryStoreBuilder {
    max_sessions: usize,
    reserved_for_users: Option<usize>,
    prefix: Arc<str>,
    clock: Clock,
}

impl Default for MemoryStoreBuilder {
    fn default() -> Self {
        Self {
            max_sessions: 1_000_000,
            reserved_for_users: None,
            prefix: "keycard:".into(),
            clock: Clock::system(),
        }
    }
}

impl MemoryStoreBuilder {
    /// The maximum number of sessions that the store keeps, including tombstones: 1,000,000 by default. A number above
    /// 4,294,967,295 means 4,294,967,295.
    ///
    /// A full store frees expired entries first, and then evicts
    /// [unconfirmed sessions](crate::SessionConfig::unconfirmed_idle): those first that would end first, which is the oldest
    /// first unless their limits differ. If there are none, it refuses to create a session, with [`StoreErrorKind::Full`]: a
    /// session of a user, or one whose token has come back, is never removed for another one. Deleting a session always
    /// succeeds. The tombstone takes the place of the record. If there was no record and the store is full, there is no
    /// tombstone either.
    pub fn max_sessions(mut self, max: usize) -> Self {
        self.max_sessions = max;
        self
    }

    /// How many of [`max_sessions`](Self::max_sessions) only sessions with a user may take: a quarter by default. If it is all of
    /// them, no session begins without a login.
    ///
    /// So however many sessions without a user there are, that many users can log in. Sessions with a user may also take the
    /// rest. A login on a session that exists needs no more room.
    pub fn reserved_for_users(mut self, sessions: usize) -> Self {
        self.reserved_for_users = Some(sessions);
        self
    }

    /// The store's [prefix](SessionStore::prefix): `keycard:` by default. An empty prefix is replaced by the default.
    ///
    /// No other application shares this memory, so the prefix separates nothing here. But the verifier hashes cover it.
    pub fn prefix(mut self, prefix: impl Into<Arc<str>>) -> Self {
        let prefix = prefix.into();
        if !prefix.is_empty() {
            self.prefix = prefix;
        }
        self
    }

    /// The source of time: the system's clock by default.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// A new, empty store.
    #[must_use]
    pub fn build(self) -> MemoryStore {
        let max_entries = self.max_sessions.min(MAX_ENTRIES);
        let for_users = self.reserved_for_users.unwrap_or(max_entries / 4);
        MemoryStore(Arc::new(Inner {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            user_index: IndexShards::new(),
            room: Room::new(max_entries, for_users),
            prefix: self.prefix,
            clock: self.clock,
        }))
    }
}

struct Inner {
    shards: Box<[Shard]>,
    /// A user in it is locked before any of the shards, never after.
    user_index: IndexShards,
    room: Room,
    prefix: Arc<str>,
    clock: Clock,
}

impl Inner {
    fn shard(&self, key: &RecordKey) -> &Shard {
        // A client chooses the ids that are loaded, and can choose them to fall into one shard. All it gains is a store with
        // one lock: the hash table of the shard has a random seed.
        let id = key.id();
        let head = id.as_bytes().first_chunk();
        let head = head.map_or(0, |bytes| u64::from_le_bytes(*bytes));
        // Fibonacci hashing: the upper bits of the product depend on all eight characters.
        let hash = head.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        &self.shards[usize::try_from(hash).unwrap_or_default() >> (32 - SHARDS.ilog2())]
    }

    /// Frees some expired entries of one shard. Each call takes the next shard, so expired entries are freed even if no call
    /// ever asks for them.
    fn free_some(&self, shard: &Shard, now: Timestamp) {
        let next = shard.next_to_free.fetch_add(1, Ordering::Relaxed) % SHARDS;
        if self.shards[next].is_due(now) {
            let expired = self.free_due(&self.shards[next], now);
            self.unbind_all(&expired, now);
        }
    }

    /// Frees a limited number of expired entries of a shard, and returns them: records can be large, and the sessions must be
    /// [removed from the user index](Inner::unbind_all) after the lock is released.
    fn free_due(&self, shard: &Shard, now: Timestamp) -> Vec<Removed> {
        shard.write(|state| state.free_due(now, &self.room))
    }

    /// Removes expired sessions from the index of their users.
    fn unbind_all(&self, expired: &[Removed], now: Timestamp) {
        for (key, entry) in expired {
            if let Some(user) = entry.record.as_ref().and_then(Record::user) {
                self.unbind(key, user, now);
            }
        }
    }

    /// Removes a session from the index of a user, unless it belongs to the user.
    fn unbind(&self, key: &RecordKey, user: &str, now: Timestamp) {
        self.user_index.with((key.namespace(), user), now, |index| {
            if self.load(key, now).owner(user) != Owner::TheUser {
                index.sessions.remove(&key.id());
            }
        });
    }

    fn load(&self, key: &RecordKey, now: Timestamp) -> Loaded {
        self.shard(key).lock().load(key, now)
    }

    /// Frees at least one expired entry in any shard, and returns whether there was one.
    fn free_space(&self, now: Timestamp, removed: &mut Vec<Removed>) -> bool {
        let before = removed.len();
        self.shards.iter().any(|shard| {
            while removed.len() == before && shard.is_due(now) {
                removed.append(&mut self.free_due(shard, now));
            }
            removed.len() > before
        })
    }

    /// Evicts the unconfirmed session that ends first, in any shard, and returns whether there was one.
    fn evict(&self, removed: &mut Vec<Removed>) -> bool {
        loop {
            let ends = |shard: &&Shard| shard.first_unconfirmed();
            let shards = self.shards.iter();
            let shards = shards.filter(|shard| ends(shard).is_some());
            let Some(shard) = shards.min_by_key(ends) else {
                return false;
            };
            // If it was confirmed or evicted meanwhile, the shard says so from now on, and the next one is asked.
            if let Some(evicted) = shard.write(|state| state.evict(&self.room)) {
                removed.push(evicted);
                return true;
            }
        }
    }

    /// Makes a change that may add an entry. If there is no room, frees expired entries and tries again, as long as there are
    /// any.
    fn with_space<T>(
        &self,
        shard: &Shard,
        now: Timestamp,
        removed: &mut Vec<Removed>,
        mut change: impl FnMut(&mut ShardState) -> Option<T>,
    ) -> Option<T> {
        loop {
            if let Some(done) = shard.write(&mut change) {
                return Some(done);
            }
            if !self.free_space(now, removed) {
                return None;
            }
        }
    }

    /// Inserts a record if none is present, and returns the expired record that it overwrote. If there is no room, evicts an
    /// unconfirmed session.
    fn create(
        &self,
        key: &RecordKey,
        write: &Write<'_>,
        now: Timestamp,
        removed: &mut Vec<Removed>,
    ) -> Result<(Created, Option<Record>), StoreError> {
        let shard = self.shard(key);
        loop {
            let created = self.with_space(shard, now, removed, |state| {
                state.create(key, write, now, &self.room)
            });
            if let Some(created) = created {
                return Ok(created);
            }
            if !self.evict(removed) {
                return Err(StoreError::new(StoreErrorKind::Full));
            }
        }
    }

    /// Replaces a record at the expected revision, and returns the old record.
    fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        write: &Write<'_>,
        now: Timestamp,
    ) -> (Replaced, Option<Record>) {
        self.shard(key)
            .write(|state| state.replace(key, expected, write, now, &self.room))
    }

    /// Makes a write that may bind the session to a user. If it does, the user is locked until the write is made, and the
    /// session enters the user's index if it belongs to the user after the write.
    fn bind<T>(
        &self,
        key: &RecordKey,
        written: &Write<'_>,
        now: Timestamp,
        write: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let IndexChange::Bind {
            entry,
            login_age,
            after,
        } = written.index
        else {
            return write();
        };
        let user = entry.user;
        self.user_index.with((key.namespace(), user), now, |index| {
            index.admit(key.id(), (login_age, after), &self.clock)?;
            let result = write()?;
            if self.load(key, now).owner(user) == Owner::TheUser {
                index.sessions.insert(key.id(), self.user_index.moment());
            }
            if let Some(entries) = written.entries {
                entries.set(index.sessions.len());
            }
            Ok(result)
        })
    }

    /// Removes a session from the index of its previous user, if a write has changed its user.
    fn unbind_previous_user(
        &self,
        key: &RecordKey,
        before: Option<&Record>,
        user: Option<&str>,
        now: Timestamp,
    ) {
        if let Some(before) = before
            .and_then(Record::user)
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
        self.0.free_some(shard, now);
        Ok(loaded)
    }

    async fn create(&self, key: &RecordKey, write: &Write<'_>) -> Result<Created, StoreError> {
        let (now, inner) = (self.0.clock.now(), &*self.0);
        inner.free_some(inner.shard(key), now);
        let mut removed = Vec::new();
        let created = inner.bind(key, write, now, || {
            inner.create(key, write, now, &mut removed)
        });
        inner.unbind_all(&removed, now);
        let (created, before) = created?;
        inner.unbind_previous_user(key, before.as_ref(), write.record.user(), now);
        Ok(created)
    }

    async fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        write: &Write<'_>,
    ) -> Result<Replaced, StoreError> {
        let (now, inner) = (self.0.clock.now(), &*self.0);
        let (replaced, before) = inner.bind(key, write, now, || {
            Ok(inner.replace(key, expected, write, now))
        })?;
        inner.unbind_previous_user(key, before.as_ref(), write.record.user(), now);
        inner.free_some(inner.shard(key), now);
        Ok(replaced)
    }

    async fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        ttl: Duration,
        // An entry always lives as long as its session.
        _extends: Option<IndexEntry<'_>>,
    ) -> Result<bool, StoreError> {
        let (now, shard) = (self.0.clock.now(), self.0.shard(key));
        let touched = shard.write(|state| state.touch(key, expected, now, now.plus(ttl)));
        self.0.free_some(shard, now);
        Ok(touched)
    }

    async fn delete(&self, key: &RecordKey, user: Option<&str>) -> Result<(), StoreError> {
        let (now, shard) = (self.0.clock.now(), self.0.shard(key));
        self.0.free_some(shard, now);
        let mut removed = Vec::new();
        // If there is no space for a tombstone, there is no record either, so the session is deleted. No call of this store
        // arrives late, so there is no write that the tombstone would have to prevent.
        let before = self.0.with_space(shard, now, &mut removed, |state| {
            state.delete(key, now.plus(TOMBSTONE_LIFETIME), &self.0.room)
        });
        self.0.unbind_all(&removed, now);
        let before = before.flatten();
        // The record decides; the caller may name another user.
        if let Some(user) = before.as_ref().and_then(Record::user).or(user) {
            self.0.unbind(key, user, now);
        }
        Ok(())
    }

    fn user_index(&self) -> Option<UserIndexRef<'_>> {
        Some(UserIndexRef::new(self))
    }

    fn evicted(&self) -> u64 {
        self.0.room.evicted()
    }
}

/// The user is locked while an entry and its record change. So the index is exact, and a session that is not in it needs no
/// tombstone.
impl UserIndex for MemoryStore {
    async fn sessions_of(
        &self,
        namespace: &str,
        user: &str,
        after: Option<&IndexCursor>,
    ) -> Result<IndexPage, StoreError> {
        let (now, inner) = (self.0.clock.now(), &*self.0);
        let shared: Arc<str> = namespace.into();
        let page = inner.user_index.with((namespace, user), now, |index| {
            let (piece, next) = index.piece(after);
            let mut sessions = Vec::with_capacity(piece.len());
            for (id, bound) in piece {
                let key = RecordKey::new(shared.clone(), id);
                match inner.load(&key, now) {
                    Loaded::Record {
                        record, remaining, ..
                    } if record.user() == Some(user) => {
                        sessions.push(Indexed::new(key, (&record).into(), remaining, bound));
                    }
                    _ => drop(index.sessions.remove(&id)),
                }
            }
            IndexPage { sessions, next }
        });
        Ok(page)
    }

    async fn revoke_user(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> Result<Marker, StoreError> {
        let (now, inner) = (self.0.clock.now(), &*self.0);
        let marker = inner.user_index.with((namespace, user), now, |index| {
            let marker = Marker {
                left: inner.user_index.moment(),
                except,
                replicated: true,
            };
            index.mark(marker, &inner.clock);
            marker
        });
        Ok(marker)
    }

    async fn delete_sessions_of(
        &self,
        namespace: &str,
        user: &str,
        marker: &Marker,
        after: Option<&IndexCursor>,
    ) -> Result<DeletedPage, StoreError> {
        let (now, inner) = (self.0.clock.now(), &*self.0);
        let shared: Arc<str> = namespace.into();
        // Records can be large, so they are freed after the locks are released.
        let (page, displaced) = inner.user_index.with((namespace, user), now, |index| {
            let (piece, next) = index.piece(after);
            let (mut ended, mut displaced) = (Vec::new(), Vec::new());
            for (id, bound) in piece {
                if marker.except == Some(id) || bound > marker.left {
                    continue;
                }
                let key = RecordKey::new(shared.clone(), id);
                inner.shard(&key).write(|state| {
                    if state.load(&key, now).owner(user) == Owner::TheUser {
                        let expires = now.plus(TOMBSTONE_LIFETIME);
                        displaced.push(state.delete(&key, expires, &inner.room));
                        ended.push(id);
                    }
                });
                index.sessions.remove(&id);
            }
            let page = DeletedPage {
                ended,
                next,
                replicated: true,
            };
            (page, displaced)
        });
        drop(displaced);
        Ok(page)
    }
}

#[cfg(test)]
mod tests;
