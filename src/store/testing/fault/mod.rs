//! A store that fails on command: for testing how your application, or this crate, handles the failure.
//!
//! ```
//! use tower_keycard::store::testing::fault::{Fault, FaultStore};
//! use tower_keycard::store::{MemoryStore, SessionStore, StoreCall, StoreErrorKind};
//! # use tower_keycard::store::testing::conformance::{sample_key, sample_record};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let store = FaultStore::new(MemoryStore::new());
//! store.faults().next(StoreCall::Load, Fault::Unavailable);
//!
//! let key = sample_key();
//! let error = store.load(&key).await.unwrap_err();
//! assert_eq!(error.kind(), StoreErrorKind::Unavailable);
//! assert!(store.load(&key).await.is_ok());
//! # }
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

mod index;

use super::owned_write::OwnedWrite;
use crate::record::Revision;
use crate::store::{
    Created, IndexEntry, Loaded, RecordKey, Replaced, SessionStore, StoreCall, StoreError,
    StoreErrorKind, UserIndexRef, Write,
};
use crate::sync;

/// A fault that a call meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// No fault: the call runs.
    Pass,
    /// The call does not run, and fails with [`StoreErrorKind::Unavailable`].
    Unavailable,
    /// The call does not run, and fails with [`StoreErrorKind::Refused`].
    Refused,
    /// The call does not run, and fails with [`StoreErrorKind::Full`].
    Full,
    /// The call does not run, and fails with [`StoreErrorKind::OutcomeUnknown`].
    LostRequest,
    /// The call runs, and fails with [`StoreErrorKind::OutcomeUnknown`].
    LostReply,
    /// The call fails with [`StoreErrorKind::OutcomeUnknown`], and runs when [`Faults::release`] is called.
    AppliedLate,
    /// The call runs after this time, by Tokio's clock.
    Delay(Duration),
    /// The call waits for [`Faults::release`], and then runs.
    Hold,
    /// The call runs, and its result waits for [`Faults::release`].
    HoldReply,
    /// The call waits for [`Faults::release`]. Then it fails with [`StoreErrorKind::OutcomeUnknown`] and does not run.
    Hang,
}

/// A store that wraps another one and injects [faults](Faults) into its calls. Clones are the same store.
///
/// Use it to test how your application handles a store that fails, hangs or answers late.
pub struct FaultStore<S> {
    store: Arc<S>,
    faults: Faults,
}

impl<S: SessionStore> FaultStore<S> {
    /// Wraps this store, without any faults yet.
    pub fn new(store: S) -> Self {
        Self {
            store: Arc::new(store),
            faults: Faults::default(),
        }
    }

    /// The control of the faults. Keep it if you hand the store itself to a layer.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// The wrapped store, without faults: to look at it, or to change it between two calls.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.store
    }

    /// Runs a call with its fault. The future that `make_call` returns owns all it needs, so it can run after its caller is
    /// gone.
    async fn run<T, C, F>(&self, call: StoreCall, make_call: C) -> Result<T, StoreError>
    where
        T: Send + 'static,
        C: FnOnce(Arc<S>) -> F + Send,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let fault = self.faults.fault_of(call);
        let run = make_call(self.store.clone());
        let fails = |kind| Err(StoreError::new(kind));
        match fault {
            Fault::Pass => run.await,
            Fault::Unavailable => fails(StoreErrorKind::Unavailable),
            Fault::Refused => fails(StoreErrorKind::Refused),
            Fault::Full => fails(StoreErrorKind::Full),
            Fault::LostRequest => fails(StoreErrorKind::OutcomeUnknown),
            Fault::LostReply => {
                run.await?;
                fails(StoreErrorKind::OutcomeUnknown)
            }
            Fault::AppliedLate => {
                self.faults.run_on_release(Box::pin(async {
                    // No caller waits for this result any more.
                    run.await.ok();
                }));
                fails(StoreErrorKind::OutcomeUnknown)
            }
            Fault::Delay(time) => {
                tokio::time::sleep(time).await;
                run.await
            }
            Fault::Hold => {
                self.faults.wait(call).await;
                run.await
            }
            Fault::HoldReply => {
                let result = run.await;
                self.faults.wait(call).await;
                result
            }
            Fault::Hang => {
                self.faults.wait(call).await;
                fails(StoreErrorKind::OutcomeUnknown)
            }
        }
    }
}

impl<S> Clone for FaultStore<S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            faults: self.faults.clone(),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for FaultStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultStore")
            .field("store", &self.store)
            .field("faults", &self.faults)
            .finish()
    }
}

impl<S: SessionStore> SessionStore for FaultStore<S> {
    fn prefix(&self) -> &str {
        self.store.prefix()
    }

    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        let key = key.clone();
        let call = async move |store: Arc<S>| store.load(&key).await;
        self.run(StoreCall::Load, call).await
    }

    async fn load_latest(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        let key = key.clone();
        let call = async move |store: Arc<S>| store.load_latest(&key).await;
        self.run(StoreCall::Load, call).await
    }

    async fn create(&self, key: &RecordKey, write: &Write<'_>) -> Result<Created, StoreError> {
        let (key, ttl, own) = (key.clone(), write.ttl, OwnedWrite::of(write));
        let entries = own.entries();
        let call = async move |store: Arc<S>| store.create(&key, &own.write(ttl)).await;
        let created = self.run(StoreCall::Create, call).await;
        if let Some(told) = write.entries {
            told.copy_from(&entries);
        }
        created
    }

    async fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        write: &Write<'_>,
    ) -> Result<Replaced, StoreError> {
        let (key, ttl, own) = (key.clone(), write.ttl, OwnedWrite::of(write));
        let entries = own.entries();
        let call = async move |store: Arc<S>| store.replace(&key, expected, &own.write(ttl)).await;
        let replaced = self.run(StoreCall::Replace, call).await;
        if let Some(told) = write.entries {
            told.copy_from(&entries);
        }
        replaced
    }

    async fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        ttl: Duration,
        extends: Option<IndexEntry<'_>>,
    ) -> Result<bool, StoreError> {
        let key = key.clone();
        let extends = extends.map(|entry| (entry.user.to_owned(), entry.lifetime));
        let call = async move |store: Arc<S>| {
            let extends = extends.as_ref();
            let extends = extends.map(|&(ref user, lifetime)| IndexEntry { user, lifetime });
            store.touch(&key, expected, ttl, extends).await
        };
        self.run(StoreCall::Touch, call).await
    }

    async fn delete(&self, key: &RecordKey, user: Option<&str>) -> Result<(), StoreError> {
        let (key, user) = (key.clone(), user.map(str::to_owned));
        let call = async move |store: Arc<S>| store.delete(&key, user.as_deref()).await;
        self.run(StoreCall::Delete, call).await
    }

    fn user_index(&self) -> Option<UserIndexRef<'_>> {
        self.store.user_index().map(|_| UserIndexRef::new(self))
    }

    fn evicted(&self) -> u64 {
        self.store.evicted()
    }
}

/// Controls the faults of a [`FaultStore`], and counts its calls. Clones control the same store.
///
/// A call meets its fault when it is first polled. [Queued](Faults::next) faults come first, one for each call, and then the
/// [permanent](Faults::always) fault.
#[derive(Clone)]
pub struct Faults(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// The number of calls that wait for their release.
    waiting: watch::Sender<usize>,
}

struct State {
    down: bool,
    scripts: [Script; StoreCall::ALL.len()],
    /// The calls that wait, each with the sender that releases it.
    waiting_calls: VecDeque<(StoreCall, oneshot::Sender<()>)>,
    late_calls: VecDeque<LateCall>,
}

struct Script {
    queue: VecDeque<Fault>,
    always: Fault,
    calls: usize,
}

/// A call that runs at the next release.
type LateCall = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Default for Faults {
    fn default() -> Self {
        let script = |_| Script {
            queue: VecDeque::new(),
            always: Fault::Pass,
            calls: 0,
        };
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                down: false,
                scripts: [(); StoreCall::ALL.len()].map(script),
                waiting_calls: VecDeque::new(),
                late_calls: VecDeque::new(),
            }),
            waiting: watch::Sender::new(0),
        }))
    }
}

impl Faults {
    /// Queues a fault for one call of this kind, after the faults that are queued already.
    pub fn next(&self, call: StoreCall, fault: Fault) {
        self.script(call, |script| script.queue.push_back(fault));
    }

    /// Sets the fault of every call of this kind for which none is queued. [`Fault::Pass`] ends it.
    pub fn always(&self, call: StoreCall, fault: Fault) {
        self.script(call, |script| script.always = fault);
    }

    /// Makes the store unreachable: every call fails like [`Fault::Unavailable`]. Queued faults stay queued.
    pub fn down(&self) {
        self.state().down = true;
    }

    /// Makes the store reachable again.
    pub fn up(&self) {
        self.state().down = false;
    }

    /// The number of calls of this kind so far, including failed ones.
    #[must_use]
    pub fn calls(&self, call: StoreCall) -> usize {
        self.script(call, |script| script.calls)
    }

    /// The number of calls of all kinds so far, including failed ones.
    #[must_use]
    pub fn all_calls(&self) -> usize {
        self.state().scripts.iter().map(|script| script.calls).sum()
    }

    /// The number of calls that wait for their release. A dropped call does not count.
    #[must_use]
    pub fn waiting(&self) -> usize {
        *self.0.waiting.borrow()
    }

    /// Returns when at least this many calls wait for their release.
    pub async fn until_waiting(&self, calls: usize) {
        let mut waiting = self.0.waiting.subscribe();
        // The sender lives as long as `self`.
        waiting.wait_for(|waiting| *waiting >= calls).await.ok();
    }

    /// Runs the calls that were to be [applied late](Fault::AppliedLate), in their order. Then lets all waiting calls continue.
    pub async fn release(&self) {
        loop {
            let late_call = self.state().late_calls.pop_front();
            let Some(late_call) = late_call else { break };
            late_call.await;
        }
        let waiting_calls = std::mem::take(&mut self.state().waiting_calls);
        for (_, release) in waiting_calls {
            release.send(()).ok();
        }
    }

    /// Lets the call of this kind continue that has waited longest, and returns whether there was one.
    pub fn release_one(&self, call: StoreCall) -> bool {
        let mut state = self.state();
        loop {
            let mut waiting = state.waiting_calls.iter();
            let oldest = waiting.position(|(waiting, _)| *waiting == call);
            let Some((_, release)) = oldest.and_then(|at| state.waiting_calls.remove(at)) else {
                return false;
            };
            // A call that was dropped meanwhile does not count.
            if release.send(()).is_ok() {
                return true;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        sync::lock(&self.0.state)
    }

    fn script<T>(&self, call: StoreCall, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.state().scripts[call as usize])
    }

    /// Counts a call, and returns its fault.
    fn fault_of(&self, call: StoreCall) -> Fault {
        let mut state = self.state();
        let down = state.down;
        let script = &mut state.scripts[call as usize];
        script.calls += 1;
        if down {
            return Fault::Unavailable;
        }
        script.queue.pop_front().unwrap_or(script.always)
    }

    fn run_on_release(&self, call: LateCall) {
        self.state().late_calls.push_back(call);
    }

    async fn wait(&self, call: StoreCall) {
        let (sender, receiver) = oneshot::channel();
        self.state().waiting_calls.push_back((call, sender));
        let _waiting = Waiting::new(&self.0.waiting);
        // The sender is dropped without a release only if the last `Faults` is dropped.
        receiver.await.ok();
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let calls = state.scripts.iter().map(|script| script.calls);
        f.debug_struct("Faults")
            .field("down", &state.down)
            .field("calls", &calls.sum::<usize>())
            .finish_non_exhaustive()
    }
}

/// Counts a call as waiting until it is dropped.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|waiting| *waiting += 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

#[cfg(test)]
mod tests;
