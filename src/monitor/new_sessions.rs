//! The sessions that one client begins without a login.

use super::recent::lately;
use super::settings::Rate;
use super::sliding::SlidingCount;
use crate::clock::Timestamp;

/// How many sessions without a login one client began in the last window.
#[derive(Default)]
pub(super) struct NewSessions {
    begun: SlidingCount,
    reported: Option<Timestamp>,
}

impl NewSessions {
    /// Counts a session. Returns whether there are more than the limit allows in the window that ends now, and that was not
    /// reported in the last window.
    pub(super) fn exceed(&mut self, rate: Rate, now: Timestamp) -> bool {
        let begun = self.begun.count(rate.within, now);
        let exceeds = begun > rate.most.into() && !lately(self.reported, rate.within, now);
        if exceeds {
            self.reported = Some(now);
        }
        exceeds
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_client_that_begins_too_many_is_reported_once_in_a_window() {
        let (most, within) = (3, Duration::from_secs(60));
        let (rate, start) = (
            Rate { most, within },
            Timestamp::from_millis(1_800_000_000_000),
        );
        let mut sessions = NewSessions::default();
        let mut at = |seconds| sessions.exceed(rate, start.plus(Duration::from_secs(seconds)));
        assert_eq!([0, 1, 2].map(&mut at), [false; 3]);
        assert_eq!([3, 4, 30].map(&mut at), [true, false, false]);
        // The next ones come when those are over.
        assert_eq!([200, 201, 202].map(&mut at), [false; 3]);
        assert_eq!([203, 204].map(&mut at), [true, false]);
    }
}
