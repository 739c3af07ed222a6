//! Where the suite's stores and their time come from.

use std::fmt;
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::store::{RecordKey, SessionStore};

/// Gives the suite its stores, and lets time pass for them.
///
/// [`ManualTime`] and [`RealTime`] are two that fit most stores. Write the methods as `async fn`.
pub trait Harness: Sync {
    /// The store. Its clones are the same store; one that is not `Clone` comes as an [`AnyStore`](crate::store::AnyStore).
    type Store: SessionStore + Clone;

    /// A store that holds none of the records of those before it: an empty one, or one with a prefix of its own.
    fn store(&self) -> impl Future<Output = Self::Store> + Send;

    /// Lets this much time pass for all stores.
    fn pass(&self, time: Duration) -> impl Future<Output = ()> + Send;

    /// The longest time it can let pass at once: what needs more is skipped.
    fn patience(&self) -> Duration {
        Duration::MAX
    }

    /// Puts these bytes into the store where the record would be, and says whether it could: what needs it is skipped
    /// otherwise, as with a store that keeps no bytes. They shall last for at least a minute.
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

/// Stores that read a [`Clock`], which stands still until the suite moves it.
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
    /// Stores that `open` makes around the clock.
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

/// Stores with a time of their own, for which the suite has to wait.
///
/// Most cases wait for some tenths of a second. The end of a tombstone takes more than a minute, and is skipped unless
/// [`patience`](RealTime::patience) says otherwise.
pub struct RealTime<F> {
    open: F,
    patience: Duration,
}

impl<F, S, O> RealTime<F>
where
    F: Fn() -> O + Sync,
    O: Future<Output = S> + Send,
    S: SessionStore + Clone,
{
    /// Stores that `open` makes: each empty, or with a prefix of its own.
    pub fn new(open: F) -> Self {
        Self {
            open,
            patience: Duration::from_secs(5),
        }
    }

    /// How long a case may wait at once: 5 seconds by default. With 70, no case is skipped for it.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

impl<F> fmt::Debug for RealTime<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RealTime")
            .field("patience", &self.patience)
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

    fn patience(&self) -> Duration {
        self.patience
    }
}
