//! A shard: some entries of a [`MemoryStore`](super::MemoryStore) behind a lock, and the queue in which they expire.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::expiry_queue::ExpiryQueue;
use super::slab::{Entry, Place, Slab};
use crate::clock::Timestamp;
use crate::record::{Record, Revision};
use crate::store::outcome::{Created, Loaded, Replaced};
use crate::store::record_key::RecordKey;
use crate::sync;

/// An expired entry that was freed.
pub(super) type Expired = (RecordKey, Entry);

/// How many due entries a call handles in addition to its own work. It is more than the one entry that the call may add, so the
/// queue shrinks.
pub(super) const DUE_PER_CALL: usize = 16;

/// Some of the entries. The alignment prevents two locks from sharing a cache line.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Shard {
    pub(super) state: Mutex<ShardState>,
    /// The time at the front of the queue, or `u64::MAX`. It shows without taking the lock that nothing is due.
    pub(super) next_due: AtomicU64,
    /// The shard whose expired entries the next call to this shard frees. A single counter for all shards would be contended by
    /// all threads.
    pub(super) next_to_free: AtomicUsize,
}

impl Shard {
    pub(super) fn lock(&self) -> MutexGuard<'_, ShardState> {
        sync::lock(&self.state)
    }

    pub(super) fn write<T>(&self, change: impl FnOnce(&mut ShardState) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        let due = state
            .queue
            .first()
            .map_or(u64::MAX, |(at, _)| at.as_millis());
        self.next_due.store(due, Ordering::Release);
        result
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.next_due.load(Ordering::Acquire) <= now.as_millis()
    }
}

#[derive(Default)]
pub(super) struct ShardState {
    pub(super) entries: Slab,
    /// The numbers of the same entries, each at its expiry or before it.
    pub(super) queue: ExpiryQueue,
    /// The number of entries that are records, expired or not.
    pub(super) records: usize,
}

impl ShardState {
    pub(super) fn load(&self, key: &RecordKey, now: Timestamp) -> Loaded {
        let entry = self.entries.get(key);
        entry.map_or(Loaded::Absent, |entry| entry.load(now))
    }

    /// Inserts a record if none is present, and returns the expired record that it overwrote. Returns `None` if it would need
    /// a new entry and the store is full.
    pub(super) fn create(
        &mut self,
        key: &RecordKey,
        record: &Record,
        (now, expires): (Timestamp, Timestamp),
        reserve: impl FnOnce() -> bool,
    ) -> Option<(Created, Option<Record>)> {
        let record = || Some(record.clone());
        match self.entries.place(key) {
            Place::Taken(number) => Some(if self.entries[number].is_live(now) {
                (Created::Exists, None)
            } else {
                let before = self.overwrite(number, record(), expires);
                (Created::Created, before)
            }),
            Place::Free(free) => reserve().then(|| {
                let record = record();
                free.fill(key.clone(), Entry { record, expires });
                self.queue.push(expires);
                self.records += 1;
                (Created::Created, None)
            }),
        }
    }

    /// Leaves a tombstone, and returns the record that it overwrote. Returns `None` if it would need a new entry and the store
    /// is full.
    pub(super) fn delete(
        &mut self,
        key: &RecordKey,
        expires: Timestamp,
        reserve: impl FnOnce() -> bool,
    ) -> Option<Option<Record>> {
        match self.entries.place(key) {
            Place::Taken(number) => Some(self.overwrite(number, None, expires)),
            Place::Free(free) => reserve().then(|| {
                let record = None;
                free.fill(key.clone(), Entry { record, expires });
                self.queue.push(expires);
                None
            }),
        }
    }

    fn overwrite(
        &mut self,
        number: u32,
        record: Option<Record>,
        expires: Timestamp,
    ) -> Option<Record> {
        self.records += usize::from(record.is_some());
        let before = std::mem::replace(&mut self.entries[number].record, record);
        self.records -= usize::from(before.is_some());
        self.move_expiry(number, expires);
        before
    }

    /// Replaces a record at the expected revision, and returns the old record.
    pub(super) fn replace(
        &mut self,
        key: &RecordKey,
        expected: Revision,
        record: &Record,
        now: Timestamp,
        expires: Timestamp,
    ) -> (Replaced, Option<Record>) {
        let Some(number) = self.entries.find(key) else {
            return (Replaced::Conflict(Loaded::Absent), None);
        };
        let entry = &mut self.entries[number];
        match entry.record.as_ref().filter(|_| now < entry.expires) {
            // This test comes first: a record remembers only a part of each earlier revision, so the test below can match by
            // accident.
            Some(current) if current.revision() == expected => {
                let before = entry.record.replace(record.clone());
                self.move_expiry(number, expires);
                (Replaced::Replaced, before)
            }
            Some(current) if current.includes(record.revision()) => (Replaced::Replaced, None),
            _ => (Replaced::Conflict(entry.load(now)), None),
        }
    }

    pub(super) fn touch(
        &mut self,
        key: &RecordKey,
        expected: Revision,
        now: Timestamp,
        expires: Timestamp,
    ) -> bool {
        let at_revision = |number: &u32| {
            let entry = &self.entries[*number];
            let record = entry.record.as_ref().filter(|_| entry.is_live(now));
            record.is_some_and(|record| record.revision() == expected)
        };
        let Some(number) = self.entries.find(key).filter(at_revision) else {
            return false;
        };
        self.move_expiry(number, expires);
        true
    }

    /// Handles a few entries that are due. Returns those that have expired, and queues the others again.
    pub(super) fn free_due(&mut self, now: Timestamp) -> Vec<Expired> {
        let mut expired = Vec::new();
        for _ in 0..DUE_PER_CALL {
            let Some((_, number)) = self.queue.first().filter(|(at, _)| *at <= now) else {
                break;
            };
            let entry = &self.entries[number];
            if entry.is_live(now) {
                self.queue.set(number, entry.expires);
            } else {
                self.queue.swap_remove(number);
                expired.push(self.entries.swap_remove(number));
            }
        }
        self.records -= expired
            .iter()
            .filter(|(_, entry)| entry.record.is_some())
            .count();
        // After a time of high load the slab would keep its size for ever. It shrinks to a quarter when it is less than an
        // eighth full, which is rare enough to be cheap.
        let capacity = self.entries.capacity();
        if capacity > 1024 && self.entries.len() < capacity / 8 {
            self.entries.shrink_to(capacity / 4);
            self.queue.shrink_to(capacity / 4);
        }
        expired
    }

    /// Sets the expiry of an entry. The entry moves in the queue only if its queued time would be too late.
    fn move_expiry(&mut self, number: u32, expires: Timestamp) {
        self.entries[number].expires = expires;
        if expires < self.queue.at(number) {
            self.queue.set(number, expires);
        }
    }
}
