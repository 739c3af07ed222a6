//! Sessions in this process's memory: bounded, and without a task that cleans up.
//!
//! Entries live in shards, each behind a lock of its own; what is done under a lock is this crate's code alone, and never
//! waits. An entry stands in its shard's queue exactly once, at a time that is not after its expiry. Moving the expiry
//! back, as every touch does, leaves the queue alone: whoever works the queue off puts the entry where it belongs by then.
//! So a touch is one lookup, and a session touched a million times takes no more room than one never touched.

mod users;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::users::Users;
use super::{
    Binding, Created, Indexed, Loaded, Owner, Record, RecordKey, Replaced, Revision, SessionId,
    SessionStore, StoreError, StoreErrorKind, TOMBSTONE_LIFETIME, UserIndex, UserIndexRef, of_whom,
};
use crate::clock::{Clock, Timestamp};

/// A power of two, and more than there are likely to be threads.
const SHARDS: usize = 64;

/// How many due entries a call works off beside its own task: more than the one it may add, so that the queue shrinks.
const STEP: usize = 16;

/// Keeps sessions in this process's memory: for tests, development, and applications that run as one process.
///
/// Sessions end with the process. Clones are the same store. Nothing is encoded: what is kept is the [`Record`] itself,
/// and loading one copies a pointer.
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
    /// How many sessions the store keeps at most, tombstones included; 1,000,000 by default.
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
            max: self.max,
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
        let front = id.as_str().as_bytes().first_chunk();
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
            if let Some(user) = entry.record.as_ref().and_then(Record::user) {
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
    ) -> Result<(Created, Option<Record>), StoreError> {
        let shard = self.shard(key);
        let created = self.with_room(shard, now, expired, |table| {
            let expired = match table.entries.get(key) {
                Some(entry) if entry.lives(now) => return Some((Created::Exists, None)),
                Some(_) => true,
                None => false,
            };
            // What has expired but is still there lends its place.
            (expired || self.reserve()).then(|| {
                let before = table.put(key, Some(record.settled()), now.plus(ttl));
                (Created::Created, before)
            })
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
    ) -> (Replaced, Option<Record>) {
        self.shard(key).write(|table| match table.load(key, now) {
            Loaded::Record { record: kept, .. } if kept.includes(record.revision()) => {
                (Replaced::Replaced, None)
            }
            Loaded::Record { record: kept, .. } if kept.revision() == expected => {
                let before = table.put(key, Some(record.settled()), now.plus(ttl));
                (Replaced::Replaced, before)
            }
            other => (Replaced::Conflict(other), None),
        })
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
            if index.refuses(key.id(), now) {
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
        inner.displaced(key, before.as_ref(), record.user(), now);
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
        inner.displaced(key, before.as_ref(), record.user(), now);
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
            (table.entries.contains_key(key) || self.0.reserve())
                .then(|| table.put(key, None, now.plus(TOMBSTONE_LIFETIME)))
        });
        self.0.forget(&expired, now);
        let before = before.flatten();
        // The record knows best.
        if let Some(user) = before.as_ref().and_then(Record::user).or(user) {
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
    ) -> Result<usize, StoreError> {
        let (now, inner) = (self.0.clock.now(), &*self.0);
        let shared: Arc<str> = namespace.into();
        // Freed after the locks were: records can be large.
        let ended = inner.users.with((namespace, user), now, |index| {
            index.mark(except, now);
            let mut ended = Vec::new();
            index.sessions.retain(|id| {
                if except == Some(*id) {
                    return true;
                }
                let key = RecordKey::new(shared.clone(), *id);
                ended.extend(inner.shard(&key).write(|table| {
                    let owner = of_whom(&table.load(&key, now), user);
                    (owner == Owner::TheUser)
                        .then(|| table.put(&key, None, now.plus(TOMBSTONE_LIFETIME)))
                }));
                false
            });
            ended
        });
        Ok(ended.len())
    }
}

/// A part of the entries. Aligned, so that two locks do not share a cache line.
#[derive(Default)]
#[repr(align(128))]
struct Shard {
    table: Mutex<Table>,
    /// The time at the front of the queue, or `u64::MAX`: tells without the lock that nothing is due.
    due: AtomicU64,
    /// Which shard to tidy next when a call was about this one. One counter for all would be the one thing that all
    /// threads wait for.
    turn: AtomicUsize,
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing panics under the lock; if it did, this session's trouble should not be everybody's.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.lock();
        let result = change(&mut table);
        let due = table
            .queue
            .first()
            .map_or(u64::MAX, |(at, _)| at.as_millis());
        self.due.store(due, Ordering::Release);
        result
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.due.load(Ordering::Acquire) <= now.as_millis()
    }
}

#[derive(Default)]
struct Table {
    // The standard hasher, which is keyed: ids are random where the server made them, but whoever throws away the
    // sessions he does not like chooses among them.
    entries: HashMap<RecordKey, Entry>,
    /// One element for each entry: its `queued`, and its key.
    queue: BTreeSet<(Timestamp, RecordKey)>,
    /// How many entries are records, expired or not.
    records: usize,
}

struct Entry {
    /// `None`: a tombstone.
    record: Option<Record>,
    expires: Timestamp,
    /// Where the entry stands in the queue: at its expiry, or before it.
    queued: Timestamp,
}

impl Entry {
    fn lives(&self, now: Timestamp) -> bool {
        now < self.expires
    }
}

impl Table {
    fn load(&self, key: &RecordKey, now: Timestamp) -> Loaded {
        match self.entries.get(key).filter(|entry| entry.lives(now)) {
            None => Loaded::Absent,
            Some(Entry { record: None, .. }) => Loaded::Tombstone,
            Some(Entry {
                record: Some(record),
                expires,
                ..
            }) => Loaded::Record {
                record: record.clone(),
                remaining: expires.since(now),
            },
        }
    }

    /// Puts a record or a tombstone under a key, and hands out the record that it displaced.
    fn put(
        &mut self,
        key: &RecordKey,
        record: Option<Record>,
        expires: Timestamp,
    ) -> Option<Record> {
        self.records += usize::from(record.is_some());
        let Some(entry) = self.entries.get_mut(key) else {
            self.queue.insert((expires, key.clone()));
            let entry = Entry {
                record,
                expires,
                queued: expires,
            };
            self.entries.insert(key.clone(), entry);
            return None;
        };
        let before = std::mem::replace(&mut entry.record, record);
        self.records -= usize::from(before.is_some());
        move_expiry(&mut self.queue, key, entry, expires);
        before
    }

    fn touch(
        &mut self,
        key: &RecordKey,
        expected: Revision,
        now: Timestamp,
        expires: Timestamp,
    ) -> bool {
        let at_revision = |entry: &&mut Entry| {
            let record = entry.record.as_ref().filter(|_| entry.lives(now));
            record.is_some_and(|record| record.revision() == expected)
        };
        let Some(entry) = self.entries.get_mut(key).filter(at_revision) else {
            return false;
        };
        move_expiry(&mut self.queue, key, entry, expires);
        true
    }

    /// Takes a few entries off the queue's front that are due, and hands out those that have expired.
    fn work_off(&mut self, now: Timestamp) -> Vec<Expired> {
        let mut expired = Vec::new();
        for _ in 0..STEP {
            if self.queue.first().is_none_or(|(at, _)| *at > now) {
                break;
            }
            let Some((_, key)) = self.queue.pop_first() else {
                break;
            };
            match self.entries.get_mut(&key) {
                Some(entry) if entry.lives(now) => {
                    entry.queued = entry.expires;
                    self.queue.insert((entry.queued, key));
                }
                _ => expired.extend(self.entries.remove(&key).map(|entry| (key, entry))),
            }
        }
        self.records -= expired
            .iter()
            .filter(|(_, entry)| entry.record.is_some())
            .count();
        // After a rush the table would keep its size for ever. Of an eighth full, a quarter is left: rare enough to be cheap.
        let capacity = self.entries.capacity();
        if capacity > 1024 && self.entries.len() < capacity / 8 {
            self.entries.shrink_to(capacity / 4);
        }
        expired
    }
}

/// Gives an entry a new expiry, and its new place in the queue if the one it has would be too late.
fn move_expiry(
    queue: &mut BTreeSet<(Timestamp, RecordKey)>,
    key: &RecordKey,
    entry: &mut Entry,
    expires: Timestamp,
) {
    entry.expires = expires;
    if expires < entry.queued {
        let place = (entry.queued, key.clone());
        if let Some((_, key)) = queue.take(&place) {
            queue.insert((expires, key));
        }
        entry.queued = expires;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::{sample_key, sample_record, sample_revision_of};

    const MINUTE: Duration = Duration::from_secs(60);

    fn store(max: usize) -> (MemoryStore, Clock) {
        let clock = Clock::manual(Timestamp::from_millis(1_000_000));
        let builder = MemoryStore::builder().max_sessions(max);
        (builder.clock(clock.clone()).build(), clock)
    }

    impl MemoryStore {
        fn entries(&self) -> usize {
            // All locks at once: else what moves meanwhile is counted twice.
            let tables: Vec<_> = self.0.shards.iter().map(Shard::lock).collect();
            tables.iter().map(|table| table.entries.len()).sum()
        }

        /// Checks what must always hold between the parts of the store.
        fn check(&self) {
            let mut kept = 0;
            for shard in &self.0.shards {
                let table = shard.lock();
                assert_eq!(table.queue.len(), table.entries.len());
                for (queued, key) in &table.queue {
                    let entry = &table.entries[key];
                    assert!(entry.queued == *queued && *queued <= entry.expires);
                }
                let records = table.entries.values();
                let records = records.filter(|entry| entry.record.is_some()).count();
                assert_eq!(table.records, records);
                let front = table
                    .queue
                    .first()
                    .map_or(u64::MAX, |(at, _)| at.as_millis());
                assert!(shard.due.load(Ordering::Acquire) <= front);
                kept += table.entries.len();
            }
            assert_eq!(self.0.kept.load(Ordering::Relaxed), kept);
            assert!(kept <= self.0.max);
        }
    }

    async fn fill(store: &MemoryStore, count: usize, ttl: Duration) -> Vec<RecordKey> {
        let record = sample_record("{}");
        let keys: Vec<_> = (0..count).map(|_| sample_key()).collect();
        for key in &keys {
            let created = store.create(key, &record, ttl).await.unwrap();
            assert_eq!(created, Created::Created);
        }
        keys
    }

    async fn is_full(store: &MemoryStore) -> bool {
        let answer = store
            .create(&sample_key(), &sample_record("{}"), MINUTE)
            .await;
        answer.is_err_and(|error| error.kind() == StoreErrorKind::Full)
    }

    #[tokio::test]
    async fn a_full_store_refuses_new_sessions_until_old_ones_expire() {
        let (store, clock) = store(100);
        let long = fill(&store, 40, MINUTE * 2).await;
        fill(&store, 60, MINUTE).await;
        clock.advance(MINUTE - Duration::from_millis(1));
        assert!(is_full(&store).await);
        assert_eq!(store.len(), 100);
        clock.advance(Duration::from_millis(1));
        // Nobody asks for those that have expired.
        fill(&store, 60, MINUTE).await;
        assert!(is_full(&store).await);
        store.check();
        for key in &long {
            assert!(matches!(
                store.load(key).await.unwrap(),
                Loaded::Record { .. }
            ));
        }
    }

    #[tokio::test]
    async fn tombstones_take_room_and_give_it_back() {
        let (store, clock) = store(10);
        for key in fill(&store, 10, MINUTE * 60).await {
            store.delete(&key, None).await.unwrap();
            assert!(matches!(store.load(&key).await.unwrap(), Loaded::Tombstone));
        }
        assert!(store.is_empty());
        assert!(is_full(&store).await);
        store.check();
        clock.advance(TOMBSTONE_LIFETIME);
        fill(&store, 10, MINUTE).await;
        store.check();
    }

    #[tokio::test]
    async fn deleting_what_is_not_there_grows_a_full_store_by_nothing() {
        let (store, clock) = store(3);
        let keys = fill(&store, 2, MINUTE).await;
        let (one, other) = (sample_key(), sample_key());
        store.delete(&one, None).await.unwrap();
        store.delete(&other, None).await.unwrap();
        assert!(matches!(store.load(&one).await.unwrap(), Loaded::Tombstone));
        assert!(matches!(store.load(&other).await.unwrap(), Loaded::Absent));
        assert_eq!(store.entries(), 3);
        // What has expired makes room for a tombstone too, whether it is the session's own or another's.
        clock.advance(MINUTE);
        store.delete(&keys[0], None).await.unwrap();
        store.delete(&other, None).await.unwrap();
        assert!(matches!(
            store.load(&keys[0]).await.unwrap(),
            Loaded::Tombstone
        ));
        assert!(matches!(
            store.load(&other).await.unwrap(),
            Loaded::Tombstone
        ));
        store.check();
    }

    #[tokio::test]
    async fn what_has_expired_is_freed_by_calls_about_another_session() {
        let (store, clock) = store(10_000);
        fill(&store, 5_000, MINUTE).await;
        let only = fill(&store, 1, MINUTE * 2).await.remove(0);
        clock.advance(MINUTE);
        for _ in 0..(5_000 / STEP + SHARDS) * 2 {
            store.load(&only).await.unwrap();
        }
        assert_eq!(store.entries(), 1);
        store.check();
    }

    #[tokio::test]
    async fn one_call_frees_only_a_few() {
        let (store, clock) = store(10_000);
        fill(&store, 10_000, MINUTE).await;
        clock.advance(MINUTE);
        store.load(&sample_key()).await.unwrap();
        assert!(store.entries() >= 10_000 - STEP);
        let left = store.entries();
        assert_eq!(store.purge_expired(), left);
        assert_eq!(store.entries(), 0);
        store.check();
    }

    #[tokio::test]
    async fn a_session_touched_a_million_times_takes_no_more_room() {
        let (store, clock) = store(10);
        let (key, record) = (sample_key(), sample_record("{}"));
        store.create(&key, &record, MINUTE).await.unwrap();
        for turn in 0..1_000_000_u32 {
            // Further away, nearer, and past what was queued.
            let ttl = MINUTE * (1 + turn % 3);
            assert!(
                store
                    .touch(&key, record.revision(), ttl, None)
                    .await
                    .unwrap()
            );
            if turn % 1000 == 0 {
                clock.advance(MINUTE / 2);
            }
        }
        assert_eq!(store.entries(), 1);
        store.check();
        clock.advance(MINUTE * 3);
        assert_eq!(store.purge_expired(), 1);
        store.check();
    }

    #[tokio::test]
    async fn a_session_whose_life_was_prolonged_outlives_its_first_expiry() {
        let (store, clock) = store(10);
        let (key, record) = (sample_key(), sample_record("{}"));
        store.create(&key, &record, MINUTE).await.unwrap();
        clock.advance(MINUTE / 2);
        assert!(
            store
                .touch(&key, record.revision(), MINUTE, None)
                .await
                .unwrap()
        );
        clock.advance(MINUTE / 2);
        assert_eq!(store.purge_expired(), 0);
        assert_eq!(store.len(), 1);
        store.check();
        clock.advance(MINUTE / 2);
        assert_eq!(store.purge_expired(), 1);
        assert!(store.is_empty());
    }

    #[tokio::test]
    async fn a_session_is_over_at_its_expiry_and_not_before() {
        let (store, clock) = store(10);
        let key = fill(&store, 1, MINUTE).await.remove(0);
        clock.advance(MINUTE - Duration::from_millis(1));
        let Loaded::Record { remaining, .. } = store.load(&key).await.unwrap() else {
            panic!("it expired too early");
        };
        assert_eq!(remaining, Duration::from_millis(1));
        clock.advance(Duration::from_millis(1));
        assert!(matches!(store.load(&key).await.unwrap(), Loaded::Absent));
    }

    #[tokio::test]
    async fn after_a_rush_the_tables_shrink() {
        let (store, clock) = store(200_000);
        fill(&store, 100_000, MINUTE).await;
        clock.advance(MINUTE);
        store.purge_expired();
        for shard in &store.0.shards {
            assert!(shard.lock().entries.capacity() <= 1024);
        }
    }

    #[test]
    fn of_many_threads_exactly_one_replaces_a_revision() {
        let (store, _clock) = store(10);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        for _ in 0..100 {
            let (key, first) = (sample_key(), sample_record("{}"));
            runtime
                .block_on(store.create(&key, &first, MINUTE))
                .unwrap();
            let start = std::sync::Barrier::new(8);
            let winners = std::thread::scope(|scope| {
                let replace = || {
                    let next = sample_revision_of(&first, "{}");
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .build()
                        .unwrap();
                    start.wait();
                    let answer =
                        runtime.block_on(store.replace(&key, first.revision(), &next, MINUTE));
                    matches!(answer.unwrap(), Replaced::Replaced)
                };
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(replace)).collect();
                let won = threads.into_iter().map(|thread| thread.join().unwrap());
                won.filter(|won| *won).count()
            });
            assert_eq!(winners, 1);
            runtime.block_on(store.delete(&key, None)).unwrap();
            store.0.clock.advance(TOMBSTONE_LIFETIME);
        }
    }

    #[test]
    fn many_threads_never_exceed_the_bound_and_use_all_of_it() {
        let (store, clock) = store(500);
        std::thread::scope(|scope| {
            for thread in 0..8_usize {
                let (store, clock) = (&store, &clock);
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .build()
                        .unwrap();
                    runtime.block_on(async {
                        for turn in 0..2_000 {
                            let (key, record) = (sample_key(), sample_record("{}"));
                            store.create(&key, &record, MINUTE).await.ok();
                            if turn % 3 == thread % 3 {
                                store.delete(&key, None).await.unwrap();
                            }
                            if turn % 100 == 0 {
                                clock.advance(MINUTE / 8);
                            }
                            assert!(store.entries() <= 500);
                        }
                    });
                });
            }
        });
        store.check();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            clock.advance(MINUTE);
            fill(&store, 500, MINUTE).await;
            assert!(is_full(&store).await);
        });
        store.check();
    }

    #[tokio::test]
    async fn sessions_spread_over_all_shards() {
        let (store, _clock) = store(64 * SHARDS);
        fill(&store, 64 * SHARDS, MINUTE).await;
        for shard in &store.0.shards {
            let entries = shard.lock().entries.len();
            // 64 on average, with a standard deviation of 8.
            assert!((4..124).contains(&entries), "{entries}");
        }
    }

    #[test]
    fn an_empty_prefix_is_none() {
        let prefix = |prefix: &str| {
            let store = MemoryStore::builder().prefix(prefix).build();
            SessionStore::prefix(&store).to_owned()
        };
        assert_eq!(prefix(""), "keycard:");
        assert_eq!(prefix("shop:"), "shop:");
    }

    #[tokio::test]
    async fn printing_a_store_shows_no_session() {
        let (store, _clock) = store(10);
        let key = fill(&store, 1, MINUTE).await.remove(0);
        assert!(!format!("{store:?}").contains(key.id().as_str()));
    }
}
