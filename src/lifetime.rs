//! How long a session lives: the idle limit, the absolute limit, and what the cookie says of them (pure).
//!
//! The idle limit lives in the store's expiry, which each activity slides. The absolute limit lives in the record and is
//! checked on load, whatever the store says. Both are the server's: the cookie's lifetime enforces nothing (NIST SP
//! 800-63B-4, section 5.1.1).

use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::{Persistence, SessionConfig};
use crate::event::Limit;
use crate::record::{Expiry, Header};

/// What a slide of less than this share of the idle limit is not worth.
const SLIDE_SHARE: u32 = 20;

/// The limits in force for one session at one moment.
pub(crate) struct Lifetime<'a> {
    config: &'a SessionConfig,
    expiry: Expiry,
    /// What is left of the absolute limit, where there is one.
    absolute_left: Option<Duration>,
    now: Timestamp,
}

impl<'a> Lifetime<'a> {
    pub(crate) fn new(config: &'a SessionConfig, header: &Header, now: Timestamp) -> Self {
        // The smaller of the two, so that a shorter limit in the configuration holds at once. And never more than the
        // limit itself, so that a record dated in the future by a wrong clock does not live for ever.
        let configured = config.absolute.map(|limit| {
            let start = header.authenticated.unwrap_or(header.created);
            start.plus(limit).since(now).min(limit)
        });
        let stored = header.deadline.map(|deadline| deadline.since(now));
        let absolute_left = match (configured, stored) {
            (Some(configured), Some(stored)) => Some(configured.min(stored)),
            (one, other) => one.or(other),
        };
        Self {
            config,
            expiry: header.expiry,
            absolute_left,
            now,
        }
    }

    /// Whether the absolute limit, or the instant set for this session, has passed.
    pub(crate) fn is_over(&self) -> bool {
        self.ended_by().is_some()
    }

    /// Which of the limits that the record knows has passed.
    pub(crate) fn ended_by(&self) -> Option<Limit> {
        match (self.absolute_left, self.instant_left()) {
            (Some(Duration::ZERO), _) => Some(Limit::Absolute),
            (_, Some(Duration::ZERO)) => Some(Limit::Instant),
            _ => None,
        }
    }

    fn instant_left(&self) -> Option<Duration> {
        match self.expiry {
            Expiry::At(instant) => Some(instant.since(self.now)),
            _ => None,
        }
    }

    /// The idle limit in force: the session's own, or that of the layer.
    fn idle(&self) -> Duration {
        match self.expiry {
            Expiry::Idle(idle) => idle,
            _ => self.config.idle,
        }
    }

    fn capped(&self, duration: Duration) -> Duration {
        duration.min(self.absolute_left.unwrap_or(Duration::MAX))
    }

    /// How long the store is to keep the record from now on.
    pub(crate) fn time_to_live(&self) -> Duration {
        let left = self.capped(
            self.idle()
                .min(self.instant_left().unwrap_or(Duration::MAX)),
        );
        left.max(Duration::from_millis(1))
    }

    /// Whether what the store has left is off by enough to be worth a call: too short after activity, or too long after the
    /// limits were shortened. Never for a session that is over: if it is the clock that is wrong, it goes on afterwards.
    pub(crate) fn touch_is_due(&self, remaining: Duration) -> bool {
        if self.is_over() {
            return false;
        }
        let interval = self.config.resolved_refresh_interval();
        let off = remaining.abs_diff(self.time_to_live());
        interval.is_zero() || off > interval || off.saturating_mul(SLIDE_SHARE) > self.idle()
    }

    /// Whether a touch is due however short a time ago the last one was.
    pub(crate) fn touch_is_always_due(&self) -> bool {
        self.config.resolved_refresh_interval().is_zero() && !self.is_over()
    }

    /// The cookie's lifetime; `None`: it ends with the browser.
    pub(crate) fn max_age(&self) -> Option<Duration> {
        match self.expiry {
            Expiry::BrowserClose => None,
            Expiry::Default if self.config.persistence == Persistence::BrowserSession => None,
            Expiry::Default if !self.config.save_every_request => {
                Some(self.absolute_left.unwrap_or(self.config.idle))
            }
            Expiry::Default | Expiry::Idle(_) => Some(self.capped(self.idle())),
            Expiry::At(instant) => Some(self.capped(instant.since(self.now))),
        }
    }

    /// Whether activity moves the cookie's lifetime, so that it is worth sending again.
    pub(crate) fn cookie_slides(&self) -> bool {
        self.config.save_every_request
            || match self.expiry {
                Expiry::Idle(_) => true,
                Expiry::Default => {
                    self.config.persistence == Persistence::Persistent
                        && self.absolute_left.is_none()
                }
                Expiry::At(_) | Expiry::BrowserClose => false,
            }
    }

    /// Whether the session's own expiry reaches beyond the absolute limit, which then holds.
    pub(crate) fn expiry_is_capped(&self) -> bool {
        let own = match self.expiry {
            Expiry::Idle(idle) => idle,
            Expiry::At(instant) => instant.since(self.now),
            Expiry::Default | Expiry::BrowserClose => return false,
        };
        self.capped(own) < own
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Revision;
    use crate::token::VerifierHash;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3_600);
    const DAY: Duration = Duration::from_secs(86_400);
    const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn header(expiry: Expiry) -> Header {
        let mut header = Header::new(Revision([1; 8]), VerifierHash([0; 32]), START);
        header.deadline = Some(START.plus(14 * DAY));
        header.expiry = expiry;
        header
    }

    fn with<T>(
        config: &SessionConfig,
        expiry: Expiry,
        after: Duration,
        ask: impl FnOnce(Lifetime<'_>) -> T,
    ) -> T {
        ask(Lifetime::new(config, &header(expiry), START.plus(after)))
    }

    #[test]
    fn the_absolute_limit_ends_a_session_whatever_its_activity() {
        let config = SessionConfig::default();
        let over = |after| with(&config, Expiry::Default, after, |life| life.is_over());
        assert!(!over(14 * DAY - Duration::from_millis(1)));
        assert!(over(14 * DAY));
        let left = with(&config, Expiry::Default, 14 * DAY - HOUR, |life| {
            life.time_to_live()
        });
        assert_eq!(left, HOUR);
    }

    #[test]
    fn a_shorter_limit_in_the_configuration_holds_at_once_and_a_longer_one_does_not() {
        let shorter = SessionConfig::default().absolute(HOUR);
        assert!(with(&shorter, Expiry::Default, HOUR, |life| life.is_over()));
        let longer = SessionConfig::default().absolute(20 * DAY);
        assert!(with(&longer, Expiry::Default, 14 * DAY, |life| life.is_over()));
        let off = SessionConfig::default().absolute(None);
        assert!(with(&off, Expiry::Default, 14 * DAY, |life| life.is_over()));
    }

    #[test]
    fn a_record_from_a_future_clock_lives_no_longer_than_the_limit() {
        let config = SessionConfig::default();
        let mut header = header(Expiry::Default);
        header.created = START.plus(400 * DAY);
        header.deadline = Some(START.plus(414 * DAY));
        assert_eq!(
            Lifetime::new(&config, &header, START).max_age(),
            Some(14 * DAY)
        );
    }

    #[test]
    fn an_expiry_of_ones_own_replaces_the_idle_limit_up_to_the_absolute_one() {
        let config = SessionConfig::default();
        let idle = |time| Expiry::Idle(time);
        assert_eq!(
            with(&config, idle(3 * DAY), DAY, |life| life.time_to_live()),
            3 * DAY
        );
        assert_eq!(
            with(&config, idle(20 * DAY), DAY, |life| life.time_to_live()),
            13 * DAY
        );
        assert!(with(&config, idle(20 * DAY), DAY, |life| life.expiry_is_capped()));
        assert!(!with(&config, idle(3 * DAY), DAY, |life| life.expiry_is_capped()));
        assert_eq!(
            with(&config, idle(3 * DAY), DAY, |life| life.max_age()),
            Some(3 * DAY)
        );
        assert!(with(&config, idle(HOUR), DAY, |life| life.cookie_slides()));
    }

    #[test]
    fn an_instant_is_fixed_and_the_idle_limit_holds_before_it() {
        let config = SessionConfig::default();
        let at = Expiry::At(START.plus(2 * DAY));
        assert_eq!(
            with(&config, at, Duration::ZERO, |life| life.time_to_live()),
            DAY
        );
        assert_eq!(
            with(&config, at, DAY + HOUR, |life| life.time_to_live()),
            23 * HOUR
        );
        assert_eq!(with(&config, at, DAY, |life| life.max_age()), Some(DAY));
        assert!(!with(&config, at, DAY, |life| life.cookie_slides()));
        assert!(with(&config, at, 2 * DAY, |life| life.is_over()));
        assert!(!with(&config, at, 2 * DAY - MINUTE, |life| life.is_over()));
    }

    #[test]
    fn a_browser_length_session_has_no_max_age_and_keeps_the_servers_limits() {
        let config = SessionConfig::default();
        assert_eq!(
            with(&config, Expiry::BrowserClose, DAY, |life| life.max_age()),
            None
        );
        assert_eq!(
            with(&config, Expiry::BrowserClose, DAY, |life| life
                .time_to_live()),
            DAY
        );
        let browser = SessionConfig::default().persistence(Persistence::BrowserSession);
        assert_eq!(
            with(&browser, Expiry::Default, DAY, |life| life.max_age()),
            None
        );
        assert_eq!(
            with(&browser, Expiry::Idle(HOUR), DAY, |life| life.max_age()),
            Some(HOUR)
        );
        assert!(!with(&browser, Expiry::Default, DAY, |life| life.cookie_slides()));
    }

    #[test]
    fn max_age_is_what_is_left_of_the_absolute_limit_or_slides_with_the_idle_one() {
        let plain = SessionConfig::default();
        assert_eq!(
            with(&plain, Expiry::Default, DAY, |life| life.max_age()),
            Some(13 * DAY)
        );
        assert!(!with(&plain, Expiry::Default, DAY, |life| life.cookie_slides()));
        let every = SessionConfig::default().save_every_request(true);
        assert_eq!(
            with(&every, Expiry::Default, DAY, |life| life.max_age()),
            Some(DAY)
        );
        assert_eq!(
            with(&every, Expiry::Default, 14 * DAY - HOUR, |life| life
                .max_age()),
            Some(HOUR)
        );
        assert!(with(&every, Expiry::Default, DAY, |life| life.cookie_slides()));
        let off = SessionConfig::default().absolute(None);
        let mut header = header(Expiry::Default);
        header.deadline = None;
        let life = Lifetime::new(&off, &header, START.plus(100 * DAY));
        assert_eq!(life.max_age(), Some(DAY));
        assert!(life.cookie_slides() && !life.is_over());
    }

    #[test]
    fn a_touch_is_due_once_a_refresh_interval_or_a_twentieth_of_the_limit_has_passed() {
        let due = |config: &SessionConfig, remaining| {
            with(config, Expiry::Default, DAY, |life| {
                life.touch_is_due(remaining)
            })
        };
        let plain = SessionConfig::default();
        assert!(!due(&plain, DAY) && !due(&plain, DAY - MINUTE));
        assert!(due(&plain, DAY - MINUTE - Duration::from_millis(1)));
        assert!(due(&plain, Duration::ZERO));
        // The limit was shortened: the store would keep the session for too long.
        assert!(due(&plain, 2 * DAY));
        let short = SessionConfig::default().idle(MINUTE);
        assert!(!due(&short, 57 * MINUTE / 60) && due(&short, 56 * MINUTE / 60));
        let every = SessionConfig::default().save_every_request(true);
        assert!(due(&every, DAY));
        let throttled = every.refresh_interval(HOUR);
        assert!(!due(&throttled, DAY - HOUR) && due(&throttled, DAY - HOUR - MINUTE));
    }

    #[test]
    fn a_session_that_is_over_is_not_cut_short_by_a_touch() {
        for config in [
            SessionConfig::default(),
            SessionConfig::default().save_every_request(true),
        ] {
            for remaining in [Duration::ZERO, HOUR, DAY] {
                with(&config, Expiry::Default, 400 * DAY, |life| {
                    assert!(life.is_over() && !life.touch_is_due(remaining));
                });
            }
        }
    }
}
