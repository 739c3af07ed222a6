//! How often something happened lately, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;
use std::time::Duration;

use crate::clock::Timestamp;

/// Something for each key that was seen in this window of time or in the one before it.
///
/// There is no list of what is the oldest: two generations take turns. When the window is over, or the newer one is full,
/// the older one is forgotten as a whole. So it never holds more than twice its capacity, whatever clients send.
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

    /// What is remembered of a key.
    pub(super) fn of(&mut self, key: K, now: Timestamp) -> &mut V {
        self.turn(now);
        if !self.newer.contains_key(&key) && self.newer.len() >= self.capacity {
            self.older = mem::take(&mut self.newer);
        }
        let before = self.older.remove(&key);
        self.newer
            .entry(key)
            .or_insert_with(|| before.unwrap_or_default())
    }

    fn turn(&mut self, now: Timestamp) {
        // A clock that was put back would keep a generation for long.
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

/// Events of one kind, counted in a window that begins with the first of them.
#[derive(Default)]
pub(super) struct Count {
    since: Option<Timestamp>,
    events: u32,
}

impl Count {
    /// Counts one, and says whether it is the first beyond `most` in its window.
    pub(super) fn exceeds(&mut self, most: u32, window: Duration, now: Timestamp) -> bool {
        let current = self
            .since
            .is_some_and(|since| now.since(since) < window && since.since(now) < window);
        if !current {
            *self = Self {
                since: Some(now),
                events: 0,
            };
        }
        self.events = self.events.saturating_add(1);
        self.events == most.saturating_add(1)
    }
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
        *recent.of(1, START) += 1;
        assert_eq!(*recent.of(1, START.plus(MINUTE - SECOND)), 1);
        assert_eq!(*recent.of(1, START.plus(2 * MINUTE - SECOND)), 1);
        assert_eq!(*recent.of(2, START.plus(3 * MINUTE)), 0);
        assert_eq!(*recent.of(1, START.plus(5 * MINUTE)), 0);
    }

    #[test]
    fn no_flood_makes_it_remember_more_than_twice_its_capacity() {
        let mut recent: Recent<u32, u32> = Recent::new(MINUTE, 10);
        for key in 0..1_000 {
            *recent.of(key, START) += 1;
            assert!(recent.len() <= 20);
        }
        assert_eq!(*recent.of(999, START), 1, "the newest is still there");
    }

    #[test]
    fn the_first_event_beyond_the_limit_is_the_one_that_counts() {
        let mut count = Count::default();
        let mut at = |after| count.exceeds(2, MINUTE, START.plus(after));
        assert_eq!(
            [at(SECOND), at(SECOND), at(SECOND), at(SECOND)],
            [false, false, true, false]
        );
        let later = MINUTE + 2 * SECOND;
        assert_eq!([at(later), at(later), at(later)], [false, false, true]);
    }

    #[test]
    fn a_clock_that_is_put_back_begins_anew() {
        let mut count = Count::default();
        assert!(count.exceeds(0, MINUTE, START.plus(10 * MINUTE)));
        assert!(count.exceeds(0, MINUTE, START));
        let mut recent: Recent<u32, u32> = Recent::new(MINUTE, 10);
        *recent.of(1, START.plus(10 * MINUTE)) += 1;
        assert_eq!(*recent.of(1, START), 0);
    }
}
