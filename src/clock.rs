//! The current time as an input: clocks and timestamps.

use std::fmt;
use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in time: whole milliseconds since the Unix epoch.
///
/// Differences saturate: if a clock steps back, nothing panics and no age is negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(
    /// One more than the milliseconds, so that an `Option` of it takes no extra space.
    NonZero<u64>,
);

impl Timestamp {
    /// The latest time that a record can store (48 bits of milliseconds: the year 10889).
    pub const MAX: Self = Self::from_millis(u64::MAX);

    /// The time that is this many milliseconds after the Unix epoch, capped at [`Timestamp::MAX`].
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        let longest = (1 << 48) - 1;
        let millis = if millis > longest { longest } else { millis };
        Self(NonZero::<u64>::MIN.saturating_add(millis))
    }

    /// The milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0.get() - 1
    }

    /// The duration from `earlier` to this time. Zero if `earlier` is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.as_millis().saturating_sub(earlier.as_millis()))
    }

    /// The time that is `duration` later, capped at [`Timestamp::MAX`].
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let millis = duration.as_secs().saturating_mul(1000);
        let millis = millis.saturating_add(duration.subsec_millis().into());
        Self::from_millis(self.as_millis().saturating_add(millis))
    }
}

impl Timestamp {
    /// The time that is `duration` earlier, but not before the Unix epoch.
    pub(crate) fn minus(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self::from_millis(self.as_millis().saturating_sub(millis))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_millis(0).plus(since_epoch)
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_millis(time.as_millis())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.as_millis())
    }
}

/// How far apart the clocks of the application's servers may be. The absolute limit is a time by such a clock. So a server
/// with a slow clock may keep a session a little longer than the server that indexed it expected.
pub(crate) const CLOCK_DIFFERENCE: Duration = Duration::from_secs(60);

/// The source of the time: the system's clock, or a clock that a test moves by hand.
///
/// Give it to the layer with [`SessionLayerBuilder::clock`](crate::middleware::SessionLayerBuilder::clock).
#[derive(Clone, Default)]
pub struct Clock(Source);

#[derive(Clone, Default)]
enum Source {
    #[default]
    System,
    #[cfg(any(test, feature = "testing"))]
    Manual(Arc<std::sync::atomic::AtomicU64>),
    Function(Arc<dyn Fn() -> SystemTime + Send + Sync>),
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock of your own. It is read often, also while a session is locked: it must be fast, and it must not use a session.
    pub fn from_fn(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Source::Function(Arc::new(now)))
    }

    /// A clock for tests. It stands still at `start`, a [`Timestamp`] or a [`SystemTime`], until you call
    /// [`advance`](Clock::advance) or [`set`](Clock::set). Clones share the time.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn manual(start: impl Into<Timestamp>) -> Self {
        let start = start.into().as_millis();
        Self(Source::Manual(Arc::new(std::sync::atomic::AtomicU64::new(
            start,
        ))))
    }

    /// Moves a [`manual`](Clock::manual) clock and all its clones forward. Does nothing to any other clock.
    #[cfg(any(test, feature = "testing"))]
    pub fn advance(&self, by: Duration) {
        self.set(self.now().plus(by));
    }

    /// Sets a [`manual`](Clock::manual) clock and all its clones. Does nothing to any other clock.
    #[cfg(any(test, feature = "testing"))]
    pub fn set(&self, to: impl Into<Timestamp>) {
        if let Source::Manual(now) = &self.0 {
            now.store(to.into().as_millis(), std::sync::atomic::Ordering::SeqCst);
        }
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => SystemTime::now().into(),
            #[cfg(any(test, feature = "testing"))]
            Source::Manual(now) => {
                Timestamp::from_millis(now.load(std::sync::atomic::Ordering::SeqCst))
            }
            Source::Function(now) => now().into(),
        }
    }
}

/// A moment to measure from. Unlike a [`Timestamp`], it does not move if the system's clock is set.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    Monotonic(Instant),
    /// By a clock that a test moves, while real time passes too, as it does for a server.
    #[cfg(any(test, feature = "testing"))]
    Manual(Timestamp, Instant),
}

impl Clock {
    /// The present moment.
    pub(crate) fn moment(&self) -> Moment {
        match &self.0 {
            #[cfg(any(test, feature = "testing"))]
            Source::Manual(_) => Moment::Manual(self.now(), Instant::now()),
            Source::System | Source::Function(_) => Moment::Monotonic(Instant::now()),
        }
    }

    /// How much time has passed since a moment of this clock.
    pub(crate) fn since(&self, moment: Moment) -> Duration {
        match moment {
            Moment::Monotonic(instant) => instant.elapsed(),
            #[cfg(any(test, feature = "testing"))]
            Moment::Manual(then, instant) => self.now().since(then) + instant.elapsed(),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.0 {
            Source::System => "System",
            #[cfg(any(test, feature = "testing"))]
            Source::Manual(_) => "Manual",
            Source::Function(_) => "Function",
        };
        f.debug_tuple("Clock").field(&name).finish()
    }
}
