//! Counts events in a window of time that always ends now.

use std::time::Duration;

use crate::clock::Timestamp;

/// Into how many slots a window is divided. One more is counted, for the slot that has just begun.
const SLOTS: usize = 15;

/// The number of events in each of the last slots of time, the present one first.
///
/// The slots cover the whole window and at most a fifteenth of it more, in 72 bytes, however many events there are.
#[derive(Default)]
pub(super) struct SlidingCount {
    slots: [u32; SLOTS + 1],
    /// The number of the present slot, counted from the epoch.
    present: u64,
}

impl SlidingCount {
    /// Counts an event, and returns how many there were in the window that ends now: at least all of them, this one included,
    /// and at most those of 16 fifteenths of the window.
    ///
    /// If the clock was set back, the slots stay where they are, unless it was by more than a window.
    pub(super) fn count(&mut self, window: Duration, now: Timestamp) -> u64 {
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let slot = now.as_millis() / window.div_ceil(SLOTS as u64).max(1);
        if self.present.saturating_sub(slot) > SLOTS as u64 {
            *self = Self::default();
        }
        let passed = slot.saturating_sub(self.present);
        let passed = usize::try_from(passed).map_or(self.slots.len(), |n| n.min(self.slots.len()));
        self.slots.rotate_right(passed);
        self.slots[..passed].fill(0);
        self.present = self.present.max(slot);
        self.slots[0] = self.slots[0].saturating_add(1);
        self.slots.iter().copied().map(u64::from).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: u64 = 1_800_000_000_000;

    /// The times of events that are counted, and of those among them that are not beyond the limit.
    fn pass(most: u64, window: Duration, gaps: &[u64]) -> (Vec<u64>, Vec<u64>) {
        let (mut count, mut now) = (SlidingCount::default(), START);
        let (mut all, mut passed) = (Vec::new(), Vec::new());
        for gap in gaps {
            now += gap;
            all.push(now);
            if count.count(window, Timestamp::from_millis(now)) <= most {
                passed.push(now);
            }
        }
        (all, passed)
    }

    /// The largest number of these times in any interval of this length.
    fn densest(times: &[u64], length: u64) -> usize {
        let from = |(place, start): (usize, &u64)| {
            let inside = times[place..]
                .iter()
                .take_while(|time| **time - start <= length);
            inside.count()
        };
        times.iter().enumerate().map(from).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn no_more_than_the_limit_pass_in_any_interval_of_the_windows_length(
            most in 1_u64..40,
            window in 1_000_u64..70_000,
            gaps in prop::collection::vec(prop_oneof![4 => 0_u64..400, 2 => 0_u64..5_000, 1 => 0_u64..90_000], 1..300),
        ) {
            let (_, passed) = pass(most, Duration::from_millis(window), &gaps);
            prop_assert!(densest(&passed, window) as u64 <= most);
        }

        #[test]
        fn who_stays_within_the_limit_is_never_beyond_it(
            most in 1_u64..40,
            window in 1_000_u64..70_000,
            gaps in prop::collection::vec(0_u64..5_000, 1..300),
        ) {
            let (all, passed) = pass(most, Duration::from_millis(window), &gaps);
            // A fifteenth more, and the milliseconds by which the slots are rounded up.
            let longer = window + window / 15 + 16;
            if densest(&all, longer) as u64 <= most {
                prop_assert_eq!(all, passed);
            }
        }
    }

    #[test]
    fn two_windows_that_meet_are_one() {
        let minute = Duration::from_secs(60);
        let burst = |gap| std::iter::once(gap).chain(std::iter::repeat_n(0, 1_199));
        // All of one window at its end, and all of the next at its beginning, 60 milliseconds apart.
        let gaps: Vec<_> = burst(59_970).chain(burst(60)).collect();
        let (_, passed) = pass(1_200, minute, &gaps);
        assert_eq!(passed.len(), 1_200);
    }

    #[test]
    fn a_clock_that_is_set_back_a_little_counts_on_and_by_more_begins_anew() {
        let second = Duration::from_secs(1);
        let at = |millis| Timestamp::from_millis(START + millis);
        let mut count = SlidingCount::default();
        assert_eq!(count.count(second, at(100_000)), 1);
        assert_eq!(count.count(second, at(99_500)), 2);
        assert_eq!(count.count(second, at(100_100)), 3);
        assert_eq!(count.count(second, at(50_000)), 1);
        assert_eq!(count.count(second, at(50_000)), 2);
        assert_eq!(count.count(second, Timestamp::MAX), 1);
    }
}
