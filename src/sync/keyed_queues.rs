//! Queues for keys: writers of this process that have met at a key write one after the other from then on. So may readers.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{Mutex as Turns, OwnedMutexGuard};

use super::lock;

/// Into how many parts the queues are divided, so that writers who look for theirs seldom meet.
const PARTS: usize = 32;

/// A queue for each key at which writers have met. It exists as long as at least one of them has not finished, so there are
/// never more queues than writes in flight.
pub(crate) struct KeyedQueues<K>([Part<K>; PARTS]);

struct Part<K> {
    /// The number of writers in these queues. As long as there are none, nobody takes the lock.
    writers: AtomicUsize,
    queues: Mutex<HashMap<K, Entry>>,
}

#[derive(Default)]
struct Entry {
    turns: Arc<Turns<()>>,
    /// The number of writers that have their turn or wait for it.
    writers: usize,
}

/// The queue of one key, which may not exist yet.
#[derive(Clone, Copy)]
pub(crate) struct Queue<'a, K> {
    part: &'a Part<K>,
    key: K,
}

/// A writer's turn. Dropping it gives the turn to the next writer.
pub(crate) struct Turn<'a, K: Copy + Eq + Hash> {
    _turn: OwnedMutexGuard<()>,
    _member: Member<'a, K>,
}

/// A writer that is in a queue.
struct Member<'a, K: Copy + Eq + Hash>(Queue<'a, K>);

impl<K> Default for KeyedQueues<K> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Part {
            writers: AtomicUsize::new(0),
            queues: Mutex::default(),
        }))
    }
}

impl<K: Copy + Eq + Hash> KeyedQueues<K> {
    /// The queue of a key. `spread` is a number that differs from key to key.
    pub(crate) fn queue(&self, key: K, spread: usize) -> Queue<'_, K> {
        let part = &self.0[spread % PARTS];
        Queue { part, key }
    }
}

impl<'a, K: Copy + Eq + Hash> Queue<'a, K> {
    /// Whether writers of this key have met, and at least one of them has not finished.
    ///
    /// A new writer that does not wait for them could win against them again and again, until they give up.
    pub(crate) fn exists(self) -> bool {
        self.part.writers.load(Ordering::Relaxed) > 0
            && lock(&self.part.queues).contains_key(&self.key)
    }

    /// The turn, if nobody came before.
    pub(crate) fn try_turn(self) -> Option<Turn<'a, K>> {
        let (turns, member) = Member::join(self);
        Some(Turn {
            _turn: turns.try_lock_owned().ok()?,
            _member: member,
        })
    }

    /// Waits for the writers that came before.
    pub(crate) async fn turn(self) -> Turn<'a, K> {
        let (turns, member) = Member::join(self);
        Turn {
            _turn: turns.lock_owned().await,
            _member: member,
        }
    }
}

impl<'a, K: Copy + Eq + Hash> Member<'a, K> {
    fn join(queue: Queue<'a, K>) -> (Arc<Turns<()>>, Self) {
        let mut queues = lock(&queue.part.queues);
        let entry = queues.entry(queue.key).or_default();
        entry.writers += 1;
        queue.part.writers.fetch_add(1, Ordering::Relaxed);
        (entry.turns.clone(), Self(queue))
    }
}

impl<K: Copy + Eq + Hash> Drop for Member<'_, K> {
    fn drop(&mut self) {
        let Self(Queue { part, key }) = self;
        let mut queues = lock(&part.queues);
        part.writers.fetch_sub(1, Ordering::Relaxed);
        if let Some(entry) = queues.get_mut(key) {
            entry.writers -= 1;
            if entry.writers == 0 {
                queues.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Polls once.
    fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }

    fn queues_in(queues: &KeyedQueues<u8>) -> usize {
        queues.0.iter().map(|part| lock(&part.queues).len()).sum()
    }

    #[test]
    fn a_queue_exists_until_its_last_writer_is_gone() {
        let queues = KeyedQueues::default();
        let queue = queues.queue(1, 1);
        assert!(!queue.exists());
        let first = poll(pin!(queue.turn())).expect("nobody came before");
        let mut second = Box::pin(queue.turn());
        assert!(poll(second.as_mut()).is_none());
        drop(first);
        assert!(queue.exists());
        // A writer that gave up while it waited no longer counts.
        drop(second);
        assert!(!queue.exists());
        assert_eq!(queues_in(&queues), 0);
    }

    #[test]
    fn writers_of_a_key_wait_for_each_other_and_for_no_other_writer() {
        let queues = KeyedQueues::default();
        // All in the same part.
        let turns: Vec<_> = (0..100)
            .map(|key| {
                poll(pin!(queues.queue(key, 7).turn())).expect("no other writer of this key")
            })
            .collect();
        assert_eq!(queues_in(&queues), 100);
        assert!(!queues.queue(200, 7).exists());
        let mut waiting: Vec<_> = (0..100)
            .map(|key| Box::pin(queues.queue(key, 7).turn()))
            .collect();
        assert!(waiting.iter_mut().all(|turn| poll(turn.as_mut()).is_none()));
        drop(turns);
        let turns: Vec<_> = waiting.iter_mut().map(|turn| poll(turn.as_mut())).collect();
        assert!(turns.iter().all(Option::is_some));
        drop((turns, waiting));
        assert_eq!(queues_in(&queues), 0);
    }
}
