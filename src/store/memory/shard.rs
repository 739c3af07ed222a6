//! A shard: some entries of a [`MemoryStore`](super::MemoryStore) behind a lock, and the queue in which they expire.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::expiry_queue::ExpiryQueue;
use super::room::Room;
use super::slab::{Entry, Life, Place, Slab};
use crate::clock::Timestamp;
use crate::record::{Record, Revision};
use crate::store::outcome::{Created, Loaded, Replaced};
use crate::store::record_key::RecordKey;
use crate::store::write::Write;
use crate::sync;

/// An entry that was removed because it has expired, or to make room.
pub(super) type Removed = (RecordKey, Entry);

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
    /// When the unconfirmed session that ends first ends, or `u64::MAX`.
    pub(super) next_unconfirmed: AtomicU64,
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
        let millis = |at: Option<Timestamp>| at.map_or(u64::MAX, |at| at.as_millis());
        let due = state.queue.first().map(|(at, _)| at);
        self.next_due.store(millis(due), Ordering::Release);
        let unconfirmed = state.unconfirmed.first();
        let unconfirmed = unconfirmed.map(|(life, _)| life.expires());
        self.next_unconfirmed
            .store(millis(unconfirmed), Ordering::Release);
        result
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.next_due.load(Ordering::Acquire) <= now.as_millis()
    }

    /// When the unconfirmed session that ends first ends. `None` if there is none.
    pub(super) fn first_unconfirmed(&self) -> Option<u64> {
        let ends = self.next_unconfirmed.load(Ordering::Acquire);
        (ends != u64::MAX).then_some(ends)
    }
}

#[derive(Default)]
pub(super) struct ShardState {
    pub(super) entries: Slab,
    /// The numbers of the same entries, each at its expiry or before it.
    pub(super) queue: ExpiryQueue,
    /// The numbers of the unconfirmed sessions, each at its expiry. A full store evicts the first one.
    pub(super) unconfirmed: BTreeSet<(Life, u32)>,
    /// The number of entries that are records, expired or not.
    pub(super) records: usize,
}

impl ShardState {
    pub(super) fn load(&self, key: &RecordKey, now: Timestamp) -> Loaded {
        let entry = self.entries.get(key);
        entry.map_or(Loaded::Absent, |entry| entry.load(now))
    }

    /// Inserts a record if none is present, and returns the expired record that it overwrote. Returns `None` if it would need
    /// a new entry and there is no room.
    pub(super) fn create(
        &mut self,
        key: &RecordKey,
        write: &Write<'_>,
        now: Timestamp,
        room: &Room,
    ) -> Option<(Created, Option<Record>)> {
        let life = Life::of(write, now);
        match self.entries.place(key) {
            Place::Taken(number) => Some(if self.entries[number].is_live(now) {
                (Created::Exists, None)
            } else {
                let before = self.overwrite(number, Some(write.record.clone()), life, room);
                (Created::Created, before)
            }),
            Place::Free(free) => room.enter(Some(write.record)).then(|| {
                let record = Some(write.record.clone());
                let number = free.fill(key.clone(), Entry { record, life });
                self.queue.push(life.expires());
                if life.is_unconfirmed() {
                    self.unconfirmed.insert((life, number));
                }
                self.records += 1;
                (Created::Created, None)
            }),
        }
    }

    /// Leaves a tombstone, and returns the record that it overwrote. Returns `None` if it would need a new entry and there is
    /// no room.
    pub(super) fn delete(
        &mut self,
        key: &RecordKey,
        expires: Timestamp,
        room: &Room,
    ) -> Option<Option<Record>> {
        let life = Life::until(expires);
        match self.entries.place(key) {
            Place::Taken(number) => Some(self.overwrite(number, None, life, room)),
            Place::Free(free) => room.enter(None).then(|| {
                let record = None;
                free.fill(key.clone(), Entry { record, life });
                self.queue.push(expires);
                None
            }),
        }
    }

    fn overwrite(
        &mut self,
        number: u32,
        record: Option<Record>,
        life: Life,
        room: &Room,
    ) -> Option<Record> {
        let entry = &mut self.entries[number];
        room.change(entry.record.as_ref(), record.as_ref());
        self.records += usize::from(record.is_some());
        let before = std::mem::replace(&mut entry.record, record);
        self.records -= usize::from(before.is_some());
        self.set_life(number, life);
        before
    }

    /// Replaces a record at the expected revision, and returns the old record.
    pub(super) fn replace(
        &mut self,
        key: &RecordKey,
        expected: Revision,
        write: &Write<'_>,
        now: Timestamp,
        room: &Room,
    ) -> (Replaced, Option<Record>) {
        let Some(number) = self.entries.find(key) else {
            return (Replaced::Conflict(Loaded::Absent), None);
        };
        let entry = &self.entries[number];
        match entry.record.as_ref().filter(|_| entry.is_live(now)) {
            // This test comes first: a record remembers only a part of each earlier revision, so the test below can match by
            // accident.
            Some(current) if current.revision() == expected => {
                let record = Some(write.record.clone());
                let life = match write.keeps_expiry {
                    true => Life::new(entry.life.expires(), write.unconfirmed),
                    false => Life::of(write, now),
                };
                let before = self.overwrite(number, record, life, room);
                (Replaced::Replaced, before)
            }
            Some(current) if current.includes(write.record.revision()) => {
                (Replaced::Replaced, None)
            }
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
        self.set_life(number, Life::until(expires));
        true
    }

    /// Handles a few entries that are due. Returns those that have expired, and queues the others again.
    pub(super) fn free_due(&mut self, now: Timestamp, room: &Room) -> Vec<Removed> {
        let mut expired = Vec::new();
        for _ in 0..DUE_PER_CALL {
            let Some((_, number)) = self.queue.first().filter(|(at, _)| *at <= now) else {
                break;
            };
            let entry = &self.entries[number];
            if entry.is_live(now) {
                self.queue.set(number, entry.life.expires());
            } else {
                expired.push(self.remove(number, room));
            }
        }
        // After a time of high load the slab would keep its size for ever. It shrinks to a quarter when it is less than an
        // eighth full, which is rare enough to be cheap.
        let capacity = self.entries.capacity();
        if capacity > 1024 && self.entries.len() < capacity / 8 {
            self.entries.shrink_to(capacity / 4);
            self.queue.shrink_to(capacity / 4);
        }
        expired
    }

    /// Removes the unconfirmed session that ends first.
    pub(super) fn evict(&mut self, room: &Room) -> Option<Removed> {
        let (_, number) = *self.unconfirmed.first()?;
        room.evict();
        Some(self.remove(number, room))
    }

    fn remove(&mut self, number: u32, room: &Room) -> Removed {
        // The entry with the last number gets the number that is free then.
        for (number, renumbered) in [(number, None), (self.entries.last(), Some(number))] {
            let life = self.entries[number].life;
            if life.is_unconfirmed() && self.unconfirmed.remove(&(life, number)) {
                self.unconfirmed
                    .extend(renumbered.map(|number| (life, number)));
            }
        }
        self.queue.swap_remove(number);
        let removed = self.entries.swap_remove(number);
        let record = removed.1.record.as_ref();
        self.records -= usize::from(record.is_some());
        room.leave(record);
        removed
    }

    /// Sets the life of an entry. The entry moves in the queue only if its queued time would be too late.
    fn set_life(&mut self, number: u32, life: Life) {
        let before = std::mem::replace(&mut self.entries[number].life, life);
        if before.is_unconfirmed() {
            self.unconfirmed.remove(&(before, number));
        }
        if life.is_unconfirmed() {
            self.unconfirmed.insert((life, number));
        }
        if life.expires() < self.queue.at(number) {
            self.queue.set(number, life.expires());
        }
    }
}
