//! How many entries a store has, and how many it may have.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::record::Record;

/// The number of entries in all shards. An entry is counted before it is inserted, and until after it was removed, so there are
/// never more entries than the room says, nor more than it has places.
///
/// An entry is *anonymous* unless it is the record of a session with a user. A tombstone is anonymous: whoever can make sessions
/// can end them, and leave a tombstone for each.
pub(super) struct Room {
    entries: AtomicUsize,
    anonymous: AtomicUsize,
    max_entries: usize,
    max_anonymous: usize,
    evicted: AtomicU64,
}

impl Room {
    /// Room for so many entries, of which some are kept for sessions with a user.
    pub(super) fn new(max_entries: usize, for_users: usize) -> Self {
        Self {
            entries: AtomicUsize::new(0),
            anonymous: AtomicUsize::new(0),
            max_entries,
            max_anonymous: max_entries.saturating_sub(for_users),
            evicted: AtomicU64::new(0),
        }
    }

    pub(super) fn max_entries(&self) -> usize {
        self.max_entries
    }

    /// Counts one more entry, unless there is no room for it.
    pub(super) fn enter(&self, record: Option<&Record>) -> bool {
        let anonymous = is_anonymous(record);
        if anonymous && !count(&self.anonymous, self.max_anonymous) {
            return false;
        }
        let entered = count(&self.entries, self.max_entries);
        if anonymous && !entered {
            self.anonymous.fetch_sub(1, Ordering::Relaxed);
        }
        entered
    }

    /// Counts an entry that was removed.
    pub(super) fn leave(&self, record: Option<&Record>) {
        self.entries.fetch_sub(1, Ordering::Relaxed);
        if is_anonymous(record) {
            self.anonymous.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Counts an entry that holds something else now.
    pub(super) fn change(&self, before: Option<&Record>, after: Option<&Record>) {
        match (is_anonymous(before), is_anonymous(after)) {
            (false, true) => self.anonymous.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.anonymous.fetch_sub(1, Ordering::Relaxed),
            _ => return,
        };
    }

    /// Counts a session that was evicted.
    pub(super) fn evict(&self) {
        self.evicted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// The number of entries, and how many of them are anonymous.
    #[cfg(test)]
    pub(super) fn counted(&self) -> [usize; 2] {
        [&self.entries, &self.anonymous].map(|count| count.load(Ordering::Relaxed))
    }
}

pub(super) fn is_anonymous(record: Option<&Record>) -> bool {
    record.and_then(Record::user).is_none()
}

/// Adds one, unless there are `max` already.
fn count(entries: &AtomicUsize, max: usize) -> bool {
    let one_more = |entries| (entries < max).then_some(entries + 1);
    entries
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
        .is_ok()
}
