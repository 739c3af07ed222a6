//! A part of a [`MemoryStore`](super::MemoryStore)'s entries, behind a lock of its own, and the queue in which they expire.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Expired;
use super::entries::{Entries, Place};
use super::queue::Queue;
use crate::clock::Timestamp;
use crate::record::Content;
use crate::store::{Created, Loaded, RecordKey, Replaced, Revision};

/// How many due entries a call works off beside its own task: more than the one it may add, so that the queue shrinks.
pub(super) const STEP: usize = 16;

/// A part of the entries. Aligned, so that two locks do not share a cache line.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Shard {
    pub(super) table: Mutex<Table>,
    /// The time at the front of the queue, or `u64::MAX`: tells without the lock that nothing is due.
    pub(super) due: AtomicU64,
    /// Which shard to tidy next when a call was about this one. One counter for all would be the one thing that all
    /// threads wait for.
    pub(super) turn: AtomicUsize,
}

impl Shard {
    pub(super) fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing panics under the lock; if it did, this session's trouble should not be everybody's.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.lock();
        let result = change(&mut table);
        let due = table
            .queue
            .first()
            .map_or(u64::MAX, |(at, _)| at.as_millis());
        self.due.store(due, Ordering::Release);
        result
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.due.load(Ordering::Acquire) <= now.as_millis()
    }
}

#[derive(Default)]
pub(super) struct Table {
    pub(super) entries: Entries,
    /// The same entries by their numbers: at their expiry, or before it.
    pub(super) queue: Queue,
    /// How many entries are records, expired or not.
    pub(super) records: usize,
}

pub(super) struct Entry {
    /// `None`: a tombstone.
    pub(super) record: Option<Arc<Content>>,
    pub(super) expires: Timestamp,
}

impl Entry {
    pub(super) fn lives(&self, now: Timestamp) -> bool {
        now < self.expires
    }

    fn load(&self, now: Timestamp) -> Loaded {
        match &self.record {
            _ if !self.lives(now) => Loaded::Absent,
            None => Loaded::Tombstone,
            Some(record) => Loaded::Record {
                record: record.clone().into(),
                remaining: self.expires.since(now),
            },
        }
    }
}

impl Table {
    pub(super) fn load(&self, key: &RecordKey, now: Timestamp) -> Loaded {
        let entry = self.entries.get(key);
        entry.map_or(Loaded::Absent, |entry| entry.load(now))
    }

    /// Inserts a record where there is none, and hands out the one that had expired there. None if it would be one entry
    /// more, and there is no room.
    pub(super) fn create(
        &mut self,
        key: &RecordKey,
        record: &Arc<Content>,
        (now, expires): (Timestamp, Timestamp),
        has_room: impl FnOnce() -> bool,
    ) -> Option<(Created, Option<Arc<Content>>)> {
        let record = || Some(record.clone());
        match self.entries.place(key) {
            Place::Taken(number) => Some(if self.entries[number].lives(now) {
                (Created::Exists, None)
            } else {
                let before = self.overwrite(number, record(), expires);
                (Created::Created, before)
            }),
            Place::Free(free) => has_room().then(|| {
                let record = record();
                free.fill(key.clone(), Entry { record, expires });
                self.queue.push(expires);
                self.records += 1;
                (Created::Created, None)
            }),
        }
    }

    /// Leaves a tombstone, and hands out the record that it displaced. None if it would be one entry more, and there is no
    /// room.
    pub(super) fn bury(
        &mut self,
        key: &RecordKey,
        expires: Timestamp,
        has_room: impl FnOnce() -> bool,
    ) -> Option<Option<Arc<Content>>> {
        match self.entries.place(key) {
            Place::Taken(number) => Some(self.overwrite(number, None, expires)),
            Place::Free(free) => has_room().then(|| {
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
        record: Option<Arc<Content>>,
        expires: Timestamp,
    ) -> Option<Arc<Content>> {
        self.records += usize::from(record.is_some());
        let before = std::mem::replace(&mut self.entries[number].record, record);
        self.records -= usize::from(before.is_some());
        self.move_expiry(number, expires);
        before
    }

    /// Puts a record in place of one at the expected revision, and hands that out.
    pub(super) fn replace(
        &mut self,
        key: &RecordKey,
        expected: Revision,
        record: &Arc<Content>,
        now: Timestamp,
        expires: Timestamp,
    ) -> (Replaced, Option<Arc<Content>>) {
        let Some(number) = self.entries.find(key) else {
            return (Replaced::Conflict(Loaded::Absent), None);
        };
        let entry = &mut self.entries[number];
        match entry.record.as_ref().filter(|_| now < entry.expires) {
            // First, for what is remembered of revisions before is not all of them.
            Some(kept) if kept.revision() == expected => {
                let before = entry.record.replace(record.clone());
                self.move_expiry(number, expires);
                (Replaced::Replaced, before)
            }
            Some(kept) if kept.includes(record.revision()) => (Replaced::Replaced, None),
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
            let record = entry.record.as_ref().filter(|_| entry.lives(now));
            record.is_some_and(|record| record.revision() == expected)
        };
        let Some(number) = self.entries.find(key).filter(at_revision) else {
            return false;
        };
        self.move_expiry(number, expires);
        true
    }

    /// Takes a few entries off the queue's front that are due, and hands out those that have expired.
    pub(super) fn work_off(&mut self, now: Timestamp) -> Vec<Expired> {
        let mut expired = Vec::new();
        for _ in 0..STEP {
            let Some((_, number)) = self.queue.first().filter(|(at, _)| *at <= now) else {
                break;
            };
            let entry = &self.entries[number];
            if entry.lives(now) {
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
        // After a rush the table would keep its size for ever. Of an eighth full, a quarter is left: rare enough to be cheap.
        let capacity = self.entries.capacity();
        if capacity > 1024 && self.entries.len() < capacity / 8 {
            self.entries.shrink_to(capacity / 4);
            self.queue.shrink_to(capacity / 4);
        }
        expired
    }

    /// Gives an entry a new expiry, and its new place in the queue if the one it has would be too late.
    fn move_expiry(&mut self, number: u32, expires: Timestamp) {
        self.entries[number].expires = expires;
        if expires < self.queue.at(number) {
            self.queue.set(number, expires);
        }
    }
}
