//! A part of a [`MemoryStore`](super::MemoryStore)'s entries, behind a lock of its own, and the queue in which they expire.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::FixedState;

use super::Expired;
use crate::clock::Timestamp;
use crate::store::{Loaded, Record, RecordKey, Replaced, Revision};

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

pub(super) struct Table {
    // Only ids that the server drew at random are inserted. Whoever throws away the sessions he does not like chooses among
    // them, but not by a hash whose seed he does not know. So it need not be one that withstands chosen keys.
    pub(super) entries: HashMap<RecordKey, Entry, FixedState>,
    /// One element for each entry: its `queued`, and its key.
    pub(super) queue: BTreeSet<(Timestamp, RecordKey)>,
    /// How many entries are records, expired or not.
    pub(super) records: usize,
}

impl Default for Table {
    fn default() -> Self {
        let seed = RandomState::new().hash_one(());
        Self {
            entries: HashMap::with_hasher(FixedState::with_seed(seed)),
            queue: BTreeSet::new(),
            records: 0,
        }
    }
}

pub(super) struct Entry {
    /// `None`: a tombstone.
    pub(super) record: Option<Record>,
    pub(super) expires: Timestamp,
    /// Where the entry stands in the queue: at its expiry, or before it.
    pub(super) queued: Timestamp,
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
                record: record.clone(),
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

    /// Puts a record or a tombstone under a key, and hands out the record that it displaced.
    pub(super) fn put(
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

    /// Puts a record in place of one at the expected revision, and hands that out.
    pub(super) fn replace(
        &mut self,
        key: &RecordKey,
        expected: Revision,
        record: &Record,
        now: Timestamp,
        expires: Timestamp,
    ) -> (Replaced, Option<Record>) {
        let Some(entry) = self.entries.get_mut(key) else {
            return (Replaced::Conflict(Loaded::Absent), None);
        };
        match entry.record.as_ref().filter(|_| now < entry.expires) {
            Some(kept) if kept.includes(record.revision()) => (Replaced::Replaced, None),
            Some(kept) if kept.revision() == expected => {
                let before = entry.record.replace(record.settled());
                move_expiry(&mut self.queue, key, entry, expires);
                (Replaced::Replaced, before)
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
    pub(super) fn work_off(&mut self, now: Timestamp) -> Vec<Expired> {
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
