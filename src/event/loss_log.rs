//! When the log says that events were lost.

use std::time::{Duration, Instant};

/// After this time without a line, the next lost event gets one.
const INTERVAL: Duration = Duration::from_secs(60);

/// Counts lost events, and says when the log gets a line about them: at the first one, and from then on whenever as many were
/// lost again as the log knows of. So the log always knows of more than half of them, from few lines.
#[derive(Default)]
pub(super) struct LossLog {
    /// The number in the lines since `since`.
    logged: u64,
    /// The number that is in no line yet.
    unlogged: u64,
    since: Option<Instant>,
}

impl LossLog {
    /// Counts a lost event. Returns the number for the log, if it gets a line now.
    pub(super) fn count(&mut self, now: Instant) -> Option<u64> {
        self.unlogged += 1;
        let begins = self
            .since
            .is_none_or(|since| now.saturating_duration_since(since) >= INTERVAL);
        if begins {
            (self.since, self.logged) = (Some(now), 0);
        }
        if self.unlogged < self.logged {
            return None;
        }
        self.logged += self.unlogged;
        self.rest()
    }

    /// The number that is in no line yet, for the last line.
    pub(super) fn rest(&mut self) -> Option<u64> {
        let rest = std::mem::take(&mut self.unlogged);
        (rest > 0).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_always_knows_of_more_than_half_of_the_lost_events_from_few_lines() {
        let (mut log, now) = (LossLog::default(), Instant::now());
        let (mut lines, mut logged) = (0, 0);
        for lost in 1..=100_000 {
            if let Some(events) = log.count(now) {
                lines += 1;
                logged += events;
            }
            assert!(2 * logged > lost, "{logged} of {lost}");
        }
        assert_eq!(lines, 17, "the first line, and one for each doubling");
        assert_eq!(logged + log.rest().unwrap(), 100_000);
        assert_eq!(log.rest(), None);
    }

    #[test]
    fn after_a_minute_the_next_lost_event_gets_a_line_with_those_before_it() {
        let (mut log, now) = (LossLog::default(), Instant::now());
        let lines: Vec<_> = (0..7).filter_map(|_| log.count(now)).collect();
        assert_eq!(lines, [1, 1, 2]);
        assert_eq!(
            log.count(now + INTERVAL - Duration::from_millis(1)),
            Some(4)
        );
        assert_eq!(log.count(now + INTERVAL), Some(1));
        assert_eq!(log.count(now + INTERVAL), Some(1));
        assert_eq!(log.count(now + INTERVAL), None);
    }
}
