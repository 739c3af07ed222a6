//! The entries of a table, numbered, and found by their keys.

use std::hash::{BuildHasher, RandomState};
use std::ops::{Index, IndexMut};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::table::Entry;
use crate::store::RecordKey;

/// The entries stand side by side, and the hash table, which is half empty after it has grown, holds only their numbers.
pub(super) struct Entries {
    slots: Vec<(RecordKey, Entry)>,
    numbers: HashTable<usize>,
    // Only ids that the server drew at random are inserted. Whoever throws away the sessions he does not like chooses among
    // them, but not by a hash whose seed he does not know. So it need not be one that withstands chosen keys.
    hasher: FixedState,
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
    pub(super) fn find(&self, key: &RecordKey) -> Option<usize> {
        let same = |number: &usize| self.slots[*number].0 == *key;
        self.numbers.find(self.hasher.hash_one(key), same).copied()
    }

    pub(super) fn get(&self, key: &RecordKey) -> Option<&Entry> {
        self.find(key).map(|number| &self[number])
    }

    /// Adds an entry, with the number that follows, for a key that has none.
    pub(super) fn push(&mut self, key: RecordKey, entry: Entry) {
        let (slots, hasher) = (&mut self.slots, &self.hasher);
        let (hash, number) = (hasher.hash_one(&key), slots.len());
        slots.push((key, entry));
        let rehash = |number: &usize| hasher.hash_one(&slots[*number].0);
        self.numbers.insert_unique(hash, number, rehash);
    }

    /// Takes an entry out. The one with the last number gets its number, as with [`Vec::swap_remove`].
    pub(super) fn swap_remove(&mut self, number: usize) -> (RecordKey, Entry) {
        let last = self.slots.len() - 1;
        let hash = |number: usize| self.hasher.hash_one(&self.slots[number].0);
        let (gone, moved) = (hash(number), hash(last));
        if let Ok(gone) = self.numbers.find_entry(gone, |kept| *kept == number) {
            gone.remove();
        }
        if let Some(moved) = self.numbers.find_mut(moved, |kept| *kept == last) {
            *moved = number;
        }
        self.slots.swap_remove(number)
    }

    pub(super) fn shrink_to(&mut self, capacity: usize) {
        self.slots.shrink_to(capacity);
        let rehash = |number: &usize| self.hasher.hash_one(&self.slots[*number].0);
        self.numbers.shrink_to(capacity, rehash);
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &(RecordKey, Entry)> {
        self.slots.iter()
    }
}

impl Index<usize> for Entries {
    type Output = Entry;

    fn index(&self, number: usize) -> &Entry {
        &self.slots[number].1
    }
}

impl IndexMut<usize> for Entries {
    fn index_mut(&mut self, number: usize) -> &mut Entry {
        &mut self.slots[number].1
    }
}
