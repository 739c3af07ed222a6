//! The entries of a table, numbered, and found by their keys.

use std::hash::{BuildHasher, RandomState};
use std::ops::{Index, IndexMut};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::{self, VacantEntry};

use super::table::Entry;
use crate::store::RecordKey;

type Slot = (RecordKey, Entry);

/// The entries stand side by side, and the hash table, which is half empty after it has grown, holds only their numbers.
pub(super) struct Entries {
    slots: Vec<Slot>,
    numbers: HashTable<u32>,
    // Only ids that the server drew at random are inserted. Whoever throws away the sessions he does not like chooses among
    // them, but not by a hash whose seed he does not know. So it need not be one that withstands chosen keys.
    hasher: FixedState,
}

/// Where a key's entry is, or may be put.
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
    /// Adds the key's entry, with the number that follows.
    pub(super) fn fill(self, key: RecordKey, entry: Entry) {
        self.number.insert(number_of(self.slots.len()));
        self.slots.push((key, entry));
    }
}

/// There are never more entries than [`MOST`](super::MOST).
pub(super) fn number_of(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

impl Default for Entries {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            numbers: HashTable::new(),
            hasher: FixedState::with_seed(RandomState::new().hash_one(())),
        }
    }
}

impl Entries {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
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

    /// Where a key's entry is, or may be put, without looking for it again.
    pub(super) fn place(&mut self, key: &RecordKey) -> Place<'_> {
        let (slots, hasher) = (&mut self.slots, &self.hasher);
        let same = |number: &u32| slots[*number as usize].0 == *key;
        let rehash = |number: &u32| hasher.hash_one(&slots[*number as usize].0);
        match self.numbers.entry(hasher.hash_one(key), same, rehash) {
            hash_table::Entry::Occupied(number) => Place::Taken(*number.get()),
            hash_table::Entry::Vacant(number) => Place::Free(Free { number, slots }),
        }
    }

    /// Takes an entry out. The one with the last number gets its number, as with [`Vec::swap_remove`].
    pub(super) fn swap_remove(&mut self, number: u32) -> Slot {
        let last = number_of(self.slots.len() - 1);
        let hash = |number: u32| self.hasher.hash_one(&self.slots[number as usize].0);
        let (gone, moved) = (hash(number), hash(last));
        if let Ok(gone) = self.numbers.find_entry(gone, |kept| *kept == number) {
            gone.remove();
        }
        if let Some(moved) = self.numbers.find_mut(moved, |kept| *kept == last) {
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

impl Index<u32> for Entries {
    type Output = Entry;

    fn index(&self, number: u32) -> &Entry {
        &self.slots[number as usize].1
    }
}

impl IndexMut<u32> for Entries {
    fn index_mut(&mut self, number: u32) -> &mut Entry {
        &mut self.slots[number as usize].1
    }
}
