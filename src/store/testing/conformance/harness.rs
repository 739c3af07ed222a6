//! The harness: the source of the suite's stores and of their time.

use std::fmt;
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::store::{RecordKey, SessionStore};

/// Makes the stores for the suite, and lets time pass for them.
///
/// [`ManualTime`] and [`RealTime`] fit most stores. If you write your own, write the methods as `async fn`.
pub trait Harness: Sync {
    /// The type of the store. Clones must be the same store. Wrap a store that is not `Clone` in an
    /// [`AnyStore`](crate::store::AnyStore).
    type Store: SessionStore + Clone;

    /// Makes a store without the records of earlier stores: an empty store, or one with its own prefix.
    fn store(&self) -> impl Future<Output = Self::Store> + Send;

    /// Lets this time pass for all stores.
    fn pass(&self, time: Duration) -> impl Future<Output = ()> + Send;

    /// The longest time that the harness can let pass at once. Cases that need more are skipped.
    fn max_wait(&self) -> Duration {
        Duration::MAX
    }

    /// Puts these bytes in the place of a record, for at least a minute, and returns whether it could. Cases that need it are
    /// skipped if it returns `false`, for example because the store keeps no bytes.
    fn plant(
        &self,
        store: &Self::Store,
        key: &RecordKey,
        bytes: &[u8],
    ) -> impl Future<Output = bool> + Send {
        let _ = (store, key, bytes);
        async { false }
    }
}

/// A harness for stores that read a [`Clock`]. The clock stands still until the suite moves it.
pub struct ManualTime<F> {
    clock: Clock,
    open: F,
}

impl<F, S, O> ManualTime<F>
where
    F: Fn(Clock) -> O + Sync,
    O: Future<Output = S> + Send,
    S: SessionStore + Clone,
{
    /// A harness whose stores `open` makes, each with the clock it is given.
    pub fn new(open: F) -> Self {
        Self {
            clock: Clock::manual(Timestamp::from_millis(1_800_000_000_000)),
            open,
        }
    }
}

impl<F> fmt::Debug for ManualTime<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualTime").finish_non_exhaustive()
    }
}

impl<F, S, O> Harness for ManualTime<F>
where
    F: Fn(Clock) -> O + Sync,
    O: Future<Output = S> + Send,
    S: SessionStore + Clone,
{
    type Store = S;

    async fn store(&self) -> S {
        (self.open)(self.clock.clone()).await
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

/// A harness for stores with their own clock. The suite has to wait for time to pass.
///
/// Most cases wait for some tenths of a second. The case about the end of a tombstone waits for more than a minute, and is
/// skipped unless [`max_wait`](RealTime::max_wait) allows it.
pub struct RealTime<F> {
    open: F,
    max_wait: Duration,
}

impl<F, S, O> RealTime<F>
where
    F: Fn() -> O + Sync,
    O: Future<Output = S> + Send,
    S: SessionStore + Clone,
{
    /// A harness whose stores `open` makes: each empty, or with its own prefix.
    pub fn new(open: F) -> Self {
        Self {
            open,
            max_wait: Duration::from_secs(5),
        }
    }

    /// How long a case may wait at once: 5 seconds by default. With 70 seconds, no case is skipped because of its wait.
    #[must_use]
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = max_wait;
        self
    }
}

impl<F> fmt::Debug for RealTime<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RealTime")
            .field("max_wait", &self.max_wait)
            .finish_non_exhaustive()
    }
}

impl<F, S, O> Harness for RealTime<F>
where
    F: Fn() -> O + Sync,
    O: Future<Output = S> + Send,
    S: SessionStore + Clone,
{
    type Store = S;

    async fn store(&self) -> S {
        (self.open)().await
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn max_wait(&self) -> Duration {
        self.max_wait
    }
}
