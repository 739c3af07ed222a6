//! What a full store has evicted, and when to report it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Timestamp;

/// The shortest time between two reports. A flood evicts thousands of sessions in it.
const INTERVAL: Duration = Duration::from_secs(60);

/// The evictions of a store that were reported.
#[derive(Default)]
pub(crate) struct Evictions {
    reported: AtomicU64,
    reported_at: AtomicU64,
}

impl Evictions {
    /// How many of these `evicted` sessions are to be reported now. `None` if all of them were, or some a moment ago.
    pub(super) fn to_report(&self, evicted: u64, now: Timestamp) -> Option<u64> {
        if evicted == self.reported.load(Ordering::Relaxed) {
            return None;
        }
        let before = self.reported_at.load(Ordering::Relaxed);
        let at = Timestamp::from_millis(before);
        if now.since(at).max(at.since(now)) < INTERVAL {
            return None;
        }
        // Of several requests at the same time, one reports.
        let exchanged = self.reported_at.compare_exchange(
            before,
            now.as_millis(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        exchanged.ok()?;
        let reported = self.reported.swap(evicted, Ordering::Relaxed);
        Some(evicted.saturating_sub(reported)).filter(|more| *more > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evictions_are_reported_once_a_minute_and_all_of_them() {
        let (evictions, start) = (Evictions::default(), Timestamp::from_millis(1 << 40));
        let at = |seconds| start.plus(Duration::from_secs(seconds));
        let report = |evicted, seconds| evictions.to_report(evicted, at(seconds));
        assert_eq!(report(0, 0), None);
        assert_eq!(report(3, 1), Some(3));
        assert_eq!(report(3, 100), None);
        assert_eq!(report(5, 100), Some(2));
        assert_eq!((report(9, 159), report(9, 160)), (None, Some(4)));
        // A clock that was set back does not silence it.
        assert_eq!(evictions.to_report(10, start), Some(1));
    }
}
