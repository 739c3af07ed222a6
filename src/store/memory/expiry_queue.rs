//! The order in which the entries of a shard are due.

use super::slab::number_of;
use crate::clock::Timestamp;

/// A binary heap of entries that are numbered from zero, without gaps. It knows the position of each entry, so an entry can be
/// moved, or removed from the middle. So the queue is never longer than the slab.
#[derive(Default)]
pub(super) struct ExpiryQueue {
    /// No entry is due before its parent, which is at half its position.
    heap: Vec<Due>,
    /// The position of each entry in the heap.
    positions: Vec<u32>,
}

struct Due {
    at: Timestamp,
    entry: u32,
}

impl ExpiryQueue {
    /// The entry that is due first, and when.
    pub(super) fn first(&self) -> Option<(Timestamp, u32)> {
        self.heap.first().map(|due| (due.at, due.entry))
    }

    /// When an entry is due.
    pub(super) fn at(&self, entry: u32) -> Timestamp {
        self.heap[self.position(entry)].at
    }

    /// Adds an entry under the next number.
    pub(super) fn push(&mut self, at: Timestamp) {
        let position = self.heap.len();
        let entry = number_of(position);
        self.heap.push(Due { at, entry });
        self.positions.push(entry);
        self.sift_up(position);
    }

    pub(super) fn set(&mut self, entry: u32, at: Timestamp) {
        let position = self.position(entry);
        self.heap[position].at = at;
        self.sift(position);
    }

    /// Removes an entry. The entry with the last number gets its number, as with [`Vec::swap_remove`].
    pub(super) fn swap_remove(&mut self, entry: u32) {
        let position = self.positions.swap_remove(entry as usize) as usize;
        if let Some(renumbered) = self.positions.get(entry as usize) {
            self.heap[*renumbered as usize].entry = entry;
        }
        self.heap.swap_remove(position);
        if let Some(moved) = self.heap.get(position) {
            self.positions[moved.entry as usize] = number_of(position);
            self.sift(position);
        }
    }

    pub(super) fn shrink_to(&mut self, capacity: usize) {
        self.heap.shrink_to(capacity);
        self.positions.shrink_to(capacity);
    }

    fn position(&self, entry: u32) -> usize {
        self.positions[entry as usize] as usize
    }

    /// Restores the heap order after the entry at this position has changed.
    fn sift(&mut self, position: usize) {
        let position = self.sift_up(position);
        self.sift_down(position);
    }

    fn sift_up(&mut self, mut position: usize) -> usize {
        while position > 0 {
            let parent = (position - 1) / 2;
            if self.heap[parent].at <= self.heap[position].at {
                break;
            }
            self.swap(position, parent);
            position = parent;
        }
        position
    }

    fn sift_down(&mut self, mut position: usize) {
        loop {
            let children = 2 * position + 1..self.heap.len().min(2 * position + 3);
            let Some(first) = children.min_by_key(|child| self.heap[*child].at) else {
                return;
            };
            if self.heap[position].at <= self.heap[first].at {
                return;
            }
            self.swap(position, first);
            position = first;
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        for position in [one, other] {
            self.positions[self.heap[position].entry as usize] = number_of(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_oneof, proptest};
    use proptest::strategy::Strategy;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Push(u8),
        Set(usize, u8),
        Remove(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            any::<u8>().prop_map(Step::Push),
            any::<u8>().prop_map(Step::Push),
            any::<(usize, u8)>().prop_map(|(entry, at)| Step::Set(entry, at)),
            any::<usize>().prop_map(Step::Remove),
        ]
    }

    proptest! {
        #[test]
        fn it_returns_when_each_entry_is_due_and_which_is_first(
            steps in proptest::collection::vec(step(), 0..200)
        ) {
            let (mut queue, mut model) = (ExpiryQueue::default(), Vec::new());
            let time = |at| Timestamp::from_millis(u64::from(at));
            for step in steps {
                match step {
                    Step::Push(at) => {
                        queue.push(time(at));
                        model.push(time(at));
                    }
                    Step::Set(entry, at) if !model.is_empty() => {
                        let entry = entry % model.len();
                        queue.set(number_of(entry), time(at));
                        model[entry] = time(at);
                    }
                    Step::Remove(entry) if !model.is_empty() => {
                        let entry = entry % model.len();
                        queue.swap_remove(number_of(entry));
                        model.swap_remove(entry);
                    }
                    Step::Set(..) | Step::Remove(_) => {}
                }
                assert_eq!(queue.heap.len(), model.len());
                assert!((0..number_of(model.len())).map(|entry| queue.at(entry)).eq(model.iter().copied()));
                assert_eq!(queue.first().map(|(at, _)| at), model.iter().min().copied());
                assert!(queue.first().is_none_or(|(at, entry)| model[entry as usize] == at));
            }
        }
    }
}
