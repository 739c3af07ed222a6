//! Remembers what was seen lately, in limited memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;
use std::time::Duration;

use crate::clock::Timestamp;

/// A value for each key that was seen in this window of time or in the one before it.
///
/// It does not track which entry is the oldest. Instead it has two generations. When the window is over or the newer
/// generation is full, the older one is dropped as a whole. So it never has more entries than twice its capacity, whatever
/// clients send.
pub(super) struct Recent<K, V> {
    newer: HashMap<K, V>,
    older: HashMap<K, V>,
    since: Timestamp,
    window: Duration,
    capacity: usize,
}

impl<K: Eq + Hash, V: Default> Recent<K, V> {
    pub(super) fn new(window: Duration, capacity: usize) -> Self {
        Self {
            newer: HashMap::new(),
            older: HashMap::new(),
            since: Timestamp::from_millis(0),
            window,
            capacity,
        }
    }

    /// The value of a key, which is the default if the key was not seen lately.
    pub(super) fn get_or_default(&mut self, key: K, now: Timestamp) -> &mut V {
        self.rotate(now);
        if !self.newer.contains_key(&key) && self.newer.len() >= self.capacity {
            self.older = mem::take(&mut self.newer);
        }
        let before = self.older.remove(&key);
        self.newer
            .entry(key)
            .or_insert_with(|| before.unwrap_or_default())
    }

    fn rotate(&mut self, now: Timestamp) {
        // The distance in either direction: a clock that was set back must not keep a generation for long.
        let age = now.since(self.since).max(self.since.since(now));
        if age < self.window {
            return;
        }
        let newer = mem::take(&mut self.newer);
        self.older = if age < 2 * self.window {
            newer
        } else {
            HashMap::new()
        };
        self.since = now;
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.newer.len() + self.older.len()
    }
}

/// Whether something happened less than `within` ago. A clock that was set back must not make it last longer.
pub(super) fn lately(at: Option<Timestamp>, within: Duration, now: Timestamp) -> bool {
    at.is_some_and(|at| now.since(at) < within && at.since(now) < within)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_was_seen_in_the_last_window_is_remembered_and_then_forgotten() {
        let mut recent: Recent<u32, u32> = Recent::new(MINUTE, 10);
        *recent.get_or_default(1, START) += 1;
        assert_eq!(*recent.get_or_default(1, START.plus(MINUTE - SECOND)), 1);
        assert_eq!(
            *recent.get_or_default(1, START.plus(2 * MINUTE - SECOND)),
            1
        );
        assert_eq!(*recent.get_or_default(2, START.plus(3 * MINUTE)), 0);
        assert_eq!(*recent.get_or_default(1, START.plus(5 * MINUTE)), 0);
    }

    #[test]
    fn a_flood_of_keys_never_exceeds_twice_the_capacity() {
        let mut recent: Recent<u32, u32> = Recent::new(MINUTE, 10);
        for key in 0..1_000 {
            *recent.get_or_default(key, START) += 1;
            assert!(recent.len() <= 20);
        }
        assert_eq!(
            *recent.get_or_default(999, START),
            1,
            "the newest key must still be there"
        );
    }

    #[test]
    fn a_clock_that_is_set_back_forgets() {
        let mut recent: Recent<u32, u32> = Recent::new(MINUTE, 10);
        *recent.get_or_default(1, START.plus(10 * MINUTE)) += 1;
        assert_eq!(*recent.get_or_default(1, START), 0);
        assert!(lately(Some(START), MINUTE, START.plus(MINUTE - SECOND)));
        for now in [START.plus(MINUTE), START.minus(MINUTE)] {
            assert!(!lately(Some(START), MINUTE, now));
        }
        assert!(!lately(None, MINUTE, START));
    }
}
