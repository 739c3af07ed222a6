//! The entries of a shard: each has a number, and is found by its key.

use std::hash::{BuildHasher, RandomState};
use std::ops::{Index, IndexMut};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::{self, VacantEntry};

use crate::clock::Timestamp;
use crate::record::Record;
use crate::store::outcome::Loaded;
use crate::store::record_key::RecordKey;
use crate::store::write::Write;

type Slot = (RecordKey, Entry);

pub(super) struct Entry {
    /// `None`: a tombstone.
    pub(super) record: Option<Record>,
    pub(super) life: Life,
}

/// What a record is stored with: until when, and whether its session is unconfirmed. A time has 48 bits, so both fit into one
/// number, and an entry is no larger for the second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Life(u64);

impl Life {
    pub(super) fn new(expires: Timestamp, unconfirmed: bool) -> Self {
        Self(expires.as_millis() << 1 | u64::from(unconfirmed))
    }

    /// The life of a write that is made now.
    pub(super) fn of(write: &Write<'_>, now: Timestamp) -> Self {
        Self::new(now.plus(write.ttl), write.unconfirmed)
    }

    /// The life of a confirmed session, or of a tombstone.
    pub(super) fn until(expires: Timestamp) -> Self {
        Self::new(expires, false)
    }

    pub(super) fn expires(self) -> Timestamp {
        Timestamp::from_millis(self.0 >> 1)
    }

    pub(super) fn is_unconfirmed(self) -> bool {
        self.0 & 1 != 0
    }
}

impl Entry {
    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        now < self.life.expires()
    }

    pub(super) fn load(&self, now: Timestamp) -> Loaded {
        match &self.record {
            _ if !self.is_live(now) => Loaded::Absent,
            None => Loaded::Tombstone,
            Some(record) => Loaded::Record {
                record: record.clone(),
                remaining: self.life.expires().since(now),
                stale: false,
                unconfirmed: self.life.is_unconfirmed(),
            },
        }
    }
}

/// The entries are in a vector without gaps. The hash table is half empty after it has grown, so it has only their numbers.
pub(super) struct Slab {
    slots: Vec<Slot>,
    numbers: HashTable<u32>,
    // Only ids that the server drew at random are inserted. A client can choose among them by discarding sessions, but not by
    // their hashes, because it does not know the seed. So the hash need not withstand chosen keys.
    hasher: FixedState,
}

/// The place of a key: its entry, or where to insert one.
pub(super) enum Place<'a> {
    Taken(u32),
    Free(Free<'a>),
}

/// A place in the hash table for a key that has no entry.
pub(super) struct Free<'a> {
    number: VacantEntry<'a, u32>,
    slots: &'a mut Vec<Slot>,
}

impl Free<'_> {
    /// Adds the key's entry under the next number, and returns that number.
    pub(super) fn fill(self, key: RecordKey, entry: Entry) -> u32 {
        let number = number_of(self.slots.len());
        self.number.insert(number);
        self.slots.push((key, entry));
        number
    }
}

/// The number of the entry at an index. It fits: there are never more than [`MAX_ENTRIES`](super::MAX_ENTRIES) entries.
pub(super) fn number_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

impl Default for Slab {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            numbers: HashTable::new(),
            hasher: FixedState::with_seed(RandomState::new().hash_one(())),
        }
    }
}

impl Slab {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The last number. There must be an entry.
    pub(super) fn last(&self) -> u32 {
        number_of(self.slots.len() - 1)
    }

    pub(super) fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// The number of a key's entry.
    pub(super) fn find(&self, key: &RecordKey) -> Option<u32> {
        let same = |number: &u32| self.slots[*number as usize].0 == *key;
        self.numbers.find(self.hasher.hash_one(key), same).copied()
    }

    pub(super) fn get(&self, key: &RecordKey) -> Option<&Entry> {
        self.find(key).map(|number| &self[number])
    }

    /// The place of a key, so that an entry can be inserted without a second lookup.
    pub(super) fn place(&mut self, key: &RecordKey) -> Place<'_> {
        let (slots, hasher) = (&mut self.slots, &self.hasher);
        let same = |number: &u32| slots[*number as usize].0 == *key;
        let rehash = |number: &u32| hasher.hash_one(&slots[*number as usize].0);
        match self.numbers.entry(hasher.hash_one(key), same, rehash) {
            hash_table::Entry::Occupied(number) => Place::Taken(*number.get()),
            hash_table::Entry::Vacant(number) => Place::Free(Free { number, slots }),
        }
    }

    /// Removes an entry. The entry with the last number gets its number, as with [`Vec::swap_remove`].
    pub(super) fn swap_remove(&mut self, number: u32) -> Slot {
        let last = self.last();
        let hash = |number: u32| self.hasher.hash_one(&self.slots[number as usize].0);
        let (removed, moved) = (hash(number), hash(last));
        if let Ok(removed) = self.numbers.find_entry(removed, |found| *found == number) {
            removed.remove();
        }
        if let Some(moved) = self.numbers.find_mut(moved, |found| *found == last) {
            *moved = number;
        }
        self.slots.swap_remove(number as usize)
    }

    pub(super) fn shrink_to(&mut self, capacity: usize) {
        self.slots.shrink_to(capacity);
        let rehash = |number: &u32| self.hasher.hash_one(&self.slots[*number as usize].0);
        self.numbers.shrink_to(capacity, rehash);
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }
}

impl Index<u32> for Slab {
    type Output = Entry;

    fn index(&self, number: u32) -> &Entry {
        &self.slots[number as usize].1
    }
}

impl IndexMut<u32> for Slab {
    fn index_mut(&mut self, number: u32) -> &mut Entry {
        &mut self.slots[number as usize].1
    }
}
