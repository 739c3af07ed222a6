//! In which order a table's entries are due.

use super::entries::number_of;
use crate::clock::Timestamp;

/// A binary heap over entries that are numbered from zero, without gaps. It knows where each of them stands, so that one can
/// be moved, or taken out of the middle, and the queue is never longer than the table.
#[derive(Default)]
pub(super) struct Queue {
    /// None is due before its parent, which stands at half its place.
    heap: Vec<Due>,
    /// Where in the heap each entry stands.
    places: Vec<u32>,
}

struct Due {
    at: Timestamp,
    entry: u32,
}

impl Queue {
    /// The entry that is due first, and when.
    pub(super) fn first(&self) -> Option<(Timestamp, u32)> {
        self.heap.first().map(|due| (due.at, due.entry))
    }

    /// When an entry is due.
    pub(super) fn at(&self, entry: u32) -> Timestamp {
        self.heap[self.place(entry)].at
    }

    /// Adds an entry, with the number that follows.
    pub(super) fn push(&mut self, at: Timestamp) {
        let place = self.heap.len();
        let entry = number_of(place);
        self.heap.push(Due { at, entry });
        self.places.push(entry);
        self.rise(place);
    }

    pub(super) fn set(&mut self, entry: u32, at: Timestamp) {
        let place = self.place(entry);
        self.heap[place].at = at;
        self.settle(place);
    }

    /// Takes an entry out. The one with the last number gets its number, as with [`Vec::swap_remove`].
    pub(super) fn swap_remove(&mut self, entry: u32) {
        let place = self.places.swap_remove(entry as usize) as usize;
        if let Some(renumbered) = self.places.get(entry as usize) {
            self.heap[*renumbered as usize].entry = entry;
        }
        self.heap.swap_remove(place);
        if let Some(moved) = self.heap.get(place) {
            self.places[moved.entry as usize] = number_of(place);
            self.settle(place);
        }
    }

    pub(super) fn shrink_to(&mut self, capacity: usize) {
        self.heap.shrink_to(capacity);
        self.places.shrink_to(capacity);
    }

    fn place(&self, entry: u32) -> usize {
        self.places[entry as usize] as usize
    }

    /// Puts what stands at a place where it belongs.
    fn settle(&mut self, place: usize) {
        let place = self.rise(place);
        self.sink(place);
    }

    fn rise(&mut self, mut place: usize) -> usize {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.heap[parent].at <= self.heap[place].at {
                break;
            }
            self.swap(place, parent);
            place = parent;
        }
        place
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let children = 2 * place + 1..self.heap.len().min(2 * place + 3);
            let Some(first) = children.min_by_key(|child| self.heap[*child].at) else {
                return;
            };
            if self.heap[place].at <= self.heap[first].at {
                return;
            }
            self.swap(place, first);
            place = first;
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        for place in [one, other] {
            self.places[self.heap[place].entry as usize] = number_of(place);
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
        fn it_says_of_each_entry_when_it_is_due_and_which_is_first(
            steps in proptest::collection::vec(step(), 0..200)
        ) {
            let (mut queue, mut model) = (Queue::default(), Vec::new());
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
