//! How long a session lives: the idle limit, the absolute limit, and the cookie's lifetime (pure).
//!
//! The idle limit is the expiry of the record in the store, which each activity slides. The absolute limit is in the record
//! and is checked on load, whatever the store says. The server enforces both. The cookie's lifetime enforces nothing (NIST SP
//! 800-63B-4, section 5.1.1).

use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::{Limits, SessionConfig};
use crate::record::{Expiry, Header, Limit};

/// A touch is due at the latest when the session was unused for its idle limit divided by this.
const SLIDE_DIVISOR: u64 = 20;

/// If a session ends before its idle limit, activity cannot move its end, and the time that the store has left would no longer
/// show when the session was last used. So the store keeps the record a little longer: by the time that is cut off, divided
/// by this. Differences between clocks count this many times as much in the result.
const TRACE_DIVISOR: u64 = 100;

/// The time left, in microseconds, if there is no limit.
const FOREVER: u64 = u64::MAX;

/// The limits in force for one session at one moment.
///
/// All times are whole microseconds in a `u64`: every request computes them, and arithmetic on `Duration` is slower. Clocks
/// and records have a resolution of milliseconds, so one of those divided by [`TRACE_DIVISOR`] is still ten microseconds.
pub(crate) struct Lifetime<'a> {
    config: &'a SessionConfig,
    limits: Limits,
    expiry: Expiry,
    start: Timestamp,
    deadline: Option<Timestamp>,
    now: Timestamp,
    /// The time until the absolute limit, in microseconds.
    absolute_left: u64,
}

impl<'a> Lifetime<'a> {
    pub(crate) fn new(config: &'a SessionConfig, header: &Header, now: Timestamp) -> Self {
        // The smaller of the configured and the stored limit, so that a shorter limit in the configuration applies at once.
        // Never more than the limit itself, so that a record that a wrong clock dated in the future does not live for ever.
        let limits = config.limits(header.login.remember);
        let start = header.last_login();
        let configured = limits.absolute.map_or(FOREVER, |limit| {
            between(now, start.plus(limit)).min(micros(limit))
        });
        let stored = header
            .deadline
            .map_or(FOREVER, |deadline| between(now, deadline));
        Self {
            config,
            limits,
            expiry: header.expiry,
            start,
            deadline: header.deadline,
            now,
            absolute_left: configured.min(stored),
        }
    }

    /// Whether the absolute limit, or the instant set for this session, has passed.
    pub(crate) fn is_over(&self) -> bool {
        self.ended_by().is_some()
    }

    /// The limit that has passed, if one has: the absolute limit, or the instant set for this session.
    pub(crate) fn ended_by(&self) -> Option<Limit> {
        match (self.absolute_left, self.instant_left()) {
            (0, _) => Some(Limit::Absolute),
            (_, 0) => Some(Limit::Instant),
            _ => None,
        }
    }

    fn instant_left(&self) -> u64 {
        match self.expiry {
            Expiry::At(instant) => between(self.now, instant),
            _ => FOREVER,
        }
    }

    /// The idle limit in force: the session's own one, the one of a remembered login, or the layer's. An instant takes its
    /// place.
    fn idle(&self) -> u64 {
        match self.expiry {
            Expiry::At(_) => FOREVER,
            Expiry::Idle(idle) => micros(idle),
            Expiry::Default | Expiry::BrowserClose => micros(self.limits.idle),
        }
    }

    /// The time until the session ends, whatever its activity.
    fn left(&self) -> u64 {
        self.absolute_left.min(self.instant_left())
    }

    /// The longest time that the session can live, from its login or creation.
    fn span(&self) -> u64 {
        let until = |end| between(self.start, end);
        let instant = match self.expiry {
            Expiry::At(instant) => until(instant),
            _ => FOREVER,
        };
        self.limits
            .absolute
            .map_or(FOREVER, micros)
            .min(self.deadline.map_or(FOREVER, until))
            .min(instant)
    }

    /// The longest time that a live session can have been unused.
    fn longest_unused(&self) -> u64 {
        self.idle().min(self.span())
    }

    /// The time until the session ends if it is not used from now on.
    pub(crate) fn ends_in(&self) -> Duration {
        Duration::from_micros(self.idle().min(self.left()))
    }

    /// The same while the session is unconfirmed.
    pub(crate) fn ends_unconfirmed_in(&self) -> Duration {
        self.ends_in().min(self.config.unconfirmed_idle)
    }

    /// How long the store must keep the record from now on.
    pub(crate) fn time_to_live(&self) -> Duration {
        Duration::from_micros(self.micros_to_live()).max(Duration::from_millis(1))
    }

    fn micros_to_live(&self) -> u64 {
        let ends = self.idle().min(self.left());
        let trace = self.longest_unused().saturating_sub(ends) / TRACE_DIVISOR;
        ends + trace
    }

    /// How long ago the session was last used if the store keeps its record for another `remaining`: the inverse of
    /// [`time_to_live`](Self::time_to_live).
    pub(crate) fn unused_for(&self, remaining: Duration) -> Duration {
        Duration::from_micros(self.micros_unused(micros(remaining)))
    }

    fn micros_unused(&self, remaining: u64) -> u64 {
        let left = self.left();
        let trace = remaining.saturating_sub(left).saturating_mul(TRACE_DIVISOR);
        self.longest_unused()
            .saturating_sub(remaining.min(left))
            .saturating_sub(trace)
    }

    /// Whether the time that the store has left is wrong by enough to be worth a store call: too short after activity, or too
    /// long after the limits were shortened. No touch is due for a session that is over: if the clock is wrong, the session
    /// continues once the clock is right.
    pub(crate) fn touch_is_due(&self, remaining: Duration) -> bool {
        if self.is_over() {
            return false;
        }
        let remaining = micros(remaining);
        let slack =
            micros(self.config.resolved_refresh_interval()).min(self.idle() / SLIDE_DIVISOR);
        slack == 0
            || self.micros_unused(remaining) > slack
            || remaining > self.micros_to_live().saturating_add(slack)
    }

    /// Whether a touch is due even directly after the last one.
    pub(crate) fn touch_is_always_due(&self) -> bool {
        self.config.resolved_refresh_interval().is_zero() && !self.is_over()
    }

    /// The cookie's lifetime. With `None` the cookie ends with the browser.
    pub(crate) fn max_age(&self) -> Option<Duration> {
        let age = match self.expiry {
            Expiry::BrowserClose => return None,
            Expiry::Default if !self.limits.persistent => return None,
            Expiry::Default if !self.config.save_every_request => match self.absolute_left {
                FOREVER => self.idle(),
                left => left,
            },
            Expiry::Default | Expiry::Idle(_) | Expiry::At(_) => self.idle().min(self.left()),
        };
        Some(Duration::from_micros(age))
    }

    /// Whether activity extends the cookie's lifetime, so that the cookie must be sent again.
    pub(crate) fn cookie_slides(&self) -> bool {
        self.config.save_every_request
            || match self.expiry {
                Expiry::Idle(_) => true,
                Expiry::Default => self.limits.persistent && self.absolute_left == FOREVER,
                Expiry::At(_) | Expiry::BrowserClose => false,
            }
    }

    /// Whether the session's own expiry is later than the absolute limit, which then applies.
    pub(crate) fn expiry_is_capped(&self) -> bool {
        let own = match self.expiry {
            Expiry::Idle(_) => self.idle(),
            Expiry::At(_) => self.instant_left(),
            Expiry::Default | Expiry::BrowserClose => return false,
        };
        self.absolute_left < own
    }
}

fn micros(duration: Duration) -> u64 {
    let seconds = duration.as_secs().saturating_mul(1_000_000);
    seconds.saturating_add(duration.subsec_micros().into())
}

/// The microseconds from one time to the other; zero if the second is not later.
fn between(from: Timestamp, to: Timestamp) -> u64 {
    to.as_millis().saturating_sub(from.as_millis()) * 1_000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

    use super::*;
    use crate::config::{Persistence, RememberMe};
    use crate::record::{Revision, VerifierHash};

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
        assert_eq!(left, HOUR + 23 * HOUR / 100);
        let ends = with(&config, Expiry::Default, 14 * DAY - HOUR, |life| {
            life.ends_in()
        });
        assert_eq!(ends, HOUR);
    }

    #[test]
    fn the_time_that_the_store_has_left_shows_when_a_session_was_last_used() {
        let remembered = SessionConfig::default().remember_me(RememberMe::new(14 * DAY, 30 * DAY));
        let short = SessionConfig::default().idle(MINUTE).absolute(DAY);
        let idle = SessionConfig::default().idle(20 * DAY);
        for (config, remember) in [(remembered, Some(true)), (short, None), (idle, None)] {
            for expiry in [
                Expiry::Default,
                Expiry::Idle(HOUR),
                Expiry::At(START.plus(10 * HOUR)),
            ] {
                let mut header = header(expiry);
                header.login.change(|details| details.remember = remember);
                header.deadline = None;
                let at = |time| Lifetime::new(&config, &header, START.plus(time));
                let used = |used: Duration, passed: Duration| {
                    let kept = at(used).time_to_live();
                    let now = at(used + passed);
                    if now.is_over() || kept <= passed {
                        return;
                    }
                    let unused = now.unused_for(kept - passed);
                    assert!(unused.abs_diff(passed) < Duration::from_millis(1));
                    // When a touch is due does not depend on how close the end is.
                    let due = micros(passed) > micros(MINUTE).min(now.idle() / SLIDE_DIVISOR);
                    assert_eq!(now.touch_is_due(kept - passed), due, "{used:?} {passed:?}");
                };
                for hours in 0..30 * 24 {
                    for passed in [0, 1, 59, 61, 3_000, 80_000, 1_000_000] {
                        used(hours * HOUR, Duration::from_secs(passed));
                    }
                }
            }
        }
    }

    #[test]
    fn a_remembered_login_has_its_own_limits_and_cookie() {
        let browser = SessionConfig::default().persistence(Persistence::BrowserSession);
        let off = SessionConfig::aal2();
        for (config, remember, ttl, max_age) in [
            (&browser, None, DAY, None),
            (&browser, Some(false), DAY, None),
            (&browser, Some(true), 14 * DAY, Some(30 * DAY)),
            (&SessionConfig::default(), None, DAY, Some(14 * DAY)),
            (&SessionConfig::default(), Some(false), DAY, None),
            // Without remember-me in the configuration, the choice at the login has no effect.
            (&off, Some(true), HOUR, None),
            (&off, Some(false), HOUR, None),
            (
                &SessionConfig::strict(),
                Some(true),
                HOUR / 2,
                Some(8 * HOUR),
            ),
        ] {
            let mut header = header(Expiry::Default);
            header.deadline = None;
            header.login.change(|details| details.remember = remember);
            let life = Lifetime::new(config, &header, START);
            assert_eq!(life.time_to_live(), ttl, "{remember:?}");
            assert_eq!(life.max_age(), max_age, "{remember:?}");
        }
    }

    #[test]
    fn shortening_the_limits_of_remembered_logins_takes_effect_at_once() {
        let mut header = header(Expiry::Default);
        header.login.change(|details| details.remember = Some(true));
        header.deadline = Some(START.plus(30 * DAY));
        let over = |config: &SessionConfig, after| {
            Lifetime::new(config, &header, START.plus(after)).is_over()
        };
        let default = SessionConfig::default();
        assert!(!over(&default, 29 * DAY) && over(&default, 30 * DAY));
        let shorter = default.clone().remember_me(RememberMe::new(DAY, 20 * DAY));
        assert!(!over(&shorter, 19 * DAY) && over(&shorter, 20 * DAY));
        let longer = default.clone().remember_me(RememberMe::new(DAY, 40 * DAY));
        assert!(over(&longer, 30 * DAY));
        // Without remember-me they have the limits of every other login.
        let off = default.remember_me(None);
        assert!(!over(&off, 13 * DAY) && over(&off, 14 * DAY));
    }

    #[test]
    fn a_shorter_limit_in_the_configuration_applies_at_once_and_a_longer_one_does_not() {
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
    fn a_sessions_own_expiry_replaces_the_idle_limit_up_to_the_absolute_one() {
        let config = SessionConfig::default();
        let idle = |time| Expiry::Idle(time);
        assert_eq!(
            with(&config, idle(3 * DAY), DAY, |life| life.time_to_live()),
            3 * DAY
        );
        assert_eq!(
            with(&config, idle(20 * DAY), DAY, |life| life.time_to_live()),
            13 * DAY + DAY / 100
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
    fn an_instant_takes_the_place_of_the_idle_limit_up_to_the_absolute_one() {
        let config = SessionConfig::default();
        let at = Expiry::At(START.plus(2 * DAY));
        assert_eq!(
            with(&config, at, Duration::ZERO, |life| life.time_to_live()),
            2 * DAY
        );
        assert_eq!(
            with(&config, at, DAY + HOUR, |life| life.time_to_live()),
            23 * HOUR + 25 * HOUR / 100
        );
        assert_eq!(with(&config, at, DAY, |life| life.max_age()), Some(DAY));
        assert_eq!(with(&config, at, DAY, |life| life.ends_in()), DAY);
        let late = Expiry::At(START.plus(60 * DAY));
        for ask in [
            |life: Lifetime<'_>| life.max_age().unwrap(),
            |life: Lifetime<'_>| life.ends_in(),
        ] {
            assert_eq!(with(&config, late, DAY, ask), 13 * DAY);
        }
        assert!(with(&config, late, DAY, |life| life.expiry_is_capped()));
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
    fn max_age_is_the_rest_of_the_absolute_limit_or_slides_with_the_idle_one() {
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
        // The limit was shortened: without a touch the store would keep the session for too long.
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

    fn expiries() -> impl Strategy<Value = Expiry> {
        let time = || (1..60 * 86_400_000_u64).prop_map(Duration::from_millis);
        prop_oneof![
            Just(Expiry::Default),
            Just(Expiry::BrowserClose),
            time().prop_map(Expiry::Idle),
            time().prop_map(|time| Expiry::At(START.plus(time))),
        ]
    }

    fn configs() -> impl Strategy<Value = SessionConfig> {
        let days = |range: std::ops::Range<u32>| range.prop_map(|days| days * DAY);
        (
            days(1..40),
            proptest::option::of(days(1..40)),
            any::<(bool, bool)>(),
            proptest::option::of((days(1..40), days(1..40))),
        )
            .prop_map(|(idle, absolute, (browser, every), remember)| {
                let remember = remember.map(|(idle, absolute)| RememberMe::new(idle, absolute));
                let config = SessionConfig::default().idle(idle).absolute(absolute);
                let config = config.remember_me(remember).save_every_request(every);
                match browser {
                    true => config.persistence(Persistence::BrowserSession),
                    false => config,
                }
            })
    }

    fn sessions() -> impl Strategy<Value = (SessionConfig, Header)> {
        (configs(), expiries(), any::<Option<bool>>()).prop_map(|(config, expiry, remember)| {
            let mut header = header(expiry);
            header.login.change(|details| details.remember = remember);
            let limit = config.limits(remember).absolute;
            header.deadline = limit.map(|limit| START.plus(limit));
            (config, header)
        })
    }

    proptest! {
        /// A cookie that activity extends ends with the session, if nobody uses it. Any other cookie ends when the session
        /// ends at the latest, however much it is used.
        #[test]
        fn the_cookie_ends_when_the_server_ends_the_session(
            (config, header) in sessions(),
            after in 0..50 * 86_400_000_u64,
        ) {
            let life = Lifetime::new(&config, &header, START.plus(Duration::from_millis(after)));
            let granted = match life.cookie_slides() {
                true => life.idle().min(life.left()),
                false => life.left(),
            };
            let persistent = match header.expiry {
                Expiry::BrowserClose => false,
                Expiry::Default => config.limits(header.login.remember).persistent,
                Expiry::Idle(_) | Expiry::At(_) => true,
            };
            let expected = persistent.then(|| Duration::from_micros(granted));
            assert_eq!(life.max_age(), expected);
            if life.cookie_slides() && persistent {
                assert_eq!(life.max_age(), Some(life.ends_in()));
            }
        }

        /// A session that is used in time lives until its absolute limit or its instant, and an unused one for exactly as long
        /// as it was granted: the store keeps it that long, and it is over when a limit has passed.
        #[test]
        fn the_server_keeps_a_session_for_as_long_as_it_grants(
            (config, header) in sessions(),
            after in 0..50 * 86_400_000_u64,
        ) {
            let now = START.plus(Duration::from_millis(after));
            let life = Lifetime::new(&config, &header, now);
            if life.is_over() {
                return Ok(());
            }
            assert!(life.time_to_live() >= life.ends_in());
            let ends = now.plus(life.ends_in());
            let end = Lifetime::new(&config, &header, ends);
            // Either a limit ends it then, or it was unused for its idle limit, and the store has dropped it.
            assert!(end.is_over() || life.time_to_live() == life.ends_in());
            if let Expiry::At(instant) = header.expiry {
                let absolute = header.deadline.unwrap_or(Timestamp::MAX);
                assert_eq!(ends, instant.min(absolute));
            }
            let unused = life.unused_for(life.time_to_live());
            assert!(unused < Duration::from_millis(1), "{unused:?}");
        }
    }
}
