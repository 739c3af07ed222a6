//! The requests of one session.

use super::recent::lately;
use super::settings::Rate;
use super::sliding::SlidingCount;
use crate::clock::Timestamp;

/// How many requests loaded one session in the last window, and what was done about it.
#[derive(Default)]
pub(super) struct RequestRate {
    requests: SlidingCount,
    reported: Option<Timestamp>,
    answered: Option<Timestamp>,
}

/// A request beyond the limit.
pub(super) struct Exceeded {
    /// Whether that was not reported in the last window.
    pub(super) is_new: bool,
}

impl RequestRate {
    /// Counts a request. Every request beyond the limit counts as such, until the response to it was carried out; then none
    /// does for a window. So the user who authenticates again is not asked once more at once.
    pub(super) fn exceed(&mut self, rate: Rate, now: Timestamp) -> Option<Exceeded> {
        let requests = self.requests.count(rate.within, now);
        if requests <= rate.most.into() || lately(self.answered, rate.within, now) {
            return None;
        }
        let is_new = !lately(self.reported, rate.within, now);
        if is_new {
            self.reported = Some(now);
        }
        Some(Exceeded { is_new })
    }

    /// Remembers that the response was carried out.
    pub(super) fn answered(&mut self, now: Timestamp) {
        self.answered = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RATE: Rate = Rate {
        most: 2,
        within: Duration::from_secs(60),
    };

    #[test]
    fn each_request_beyond_the_limit_counts_until_the_response_was_carried_out() {
        let at = |seconds: u64| Timestamp::from_millis(1_800_000_000_000 + 1_000 * seconds);
        let mut requests = RequestRate::default();
        let new = |exceeded: Option<Exceeded>| exceeded.map(|exceeded| exceeded.is_new);
        let seen: Vec<_> = (0..5).map(|_| new(requests.exceed(RATE, at(0)))).collect();
        let expected = [None, None, Some(true), Some(false), Some(false)];
        assert_eq!(seen, expected);
        requests.answered(at(1));
        assert_eq!(new(requests.exceed(RATE, at(60))), None);
        // It goes on all the time.
        assert!((0..5).all(|_| requests.exceed(RATE, at(60)).is_none()));
        assert_eq!(new(requests.exceed(RATE, at(61))), Some(true));
        assert_eq!(new(requests.exceed(RATE, at(61))), Some(false));
    }
}
