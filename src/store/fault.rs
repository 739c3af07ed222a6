//! A store that fails on command: for testing what an application, or this crate, does then.
//!
//! ```
//! use tower_keycard::store::fault::{Fault, FaultStore, Operation};
//! use tower_keycard::store::{MemoryStore, SessionStore, StoreErrorKind};
//! # use tower_keycard::store::conformance::{sample_key, sample_record};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let store = FaultStore::new(MemoryStore::new());
//! store.faults().next(Operation::Load, Fault::Unavailable);
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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

mod index;

use super::{
    Binding, Created, Loaded, Record, RecordKey, Replaced, Revision, SessionStore, StoreError,
    StoreErrorKind, UserIndexRef,
};

/// A call of [`SessionStore`], or of [`UserIndex`](super::UserIndex).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// [`SessionStore::load`]
    Load,
    /// [`SessionStore::create`]
    Create,
    /// [`SessionStore::replace`]
    Replace,
    /// [`SessionStore::touch`]
    Touch,
    /// [`SessionStore::delete`]
    Delete,
    /// [`UserIndex::sessions_of`](super::UserIndex::sessions_of)
    SessionsOf,
    /// [`UserIndex::delete_user`](super::UserIndex::delete_user)
    DeleteUser,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Load,
        Self::Create,
        Self::Replace,
        Self::Touch,
        Self::Delete,
        Self::SessionsOf,
        Self::DeleteUser,
    ];
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing: the call goes through.
    Pass,
    /// It is not carried out, and fails as [`StoreErrorKind::Unavailable`].
    Unavailable,
    /// It is not carried out, and fails as [`StoreErrorKind::Refused`].
    Refused,
    /// It is not carried out, and fails as [`StoreErrorKind::Full`].
    Full,
    /// It is not carried out, and fails as [`StoreErrorKind::OutcomeUnknown`].
    LostRequest,
    /// It is carried out, and fails as [`StoreErrorKind::OutcomeUnknown`].
    LostReply,
    /// It fails as [`StoreErrorKind::OutcomeUnknown`], and is carried out when [`Faults::release`] is called.
    AppliedLate,
    /// It is carried out after this time, by Tokio's clock.
    Delay(Duration),
    /// It waits for [`Faults::release`], and is carried out then.
    Hold,
    /// It is carried out, and its answer waits for [`Faults::release`].
    HoldReply,
    /// It waits for [`Faults::release`], is not carried out, and fails as [`StoreErrorKind::OutcomeUnknown`] then.
    Hang,
}

/// Wraps a store, and lets [`Faults`] befall its calls. Clones are the same store.
pub struct FaultStore<S> {
    store: Arc<S>,
    faults: Faults,
}

impl<S: SessionStore> FaultStore<S> {
    /// This store, faultless so far.
    pub fn new(store: S) -> Self {
        Self {
            store: Arc::new(store),
            faults: Faults::default(),
        }
    }

    /// What commands the faults; it can be kept where the store itself is given away.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// The store behind the faults: to look at, or to change behind everybody's back.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.store
    }

    /// Carries out a call, or not, as it was commanded. What `make_call` returns owns all it needs, so that it can be
    /// carried out when the caller is long gone.
    async fn run<T, C, F>(&self, operation: Operation, make_call: C) -> Result<T, StoreError>
    where
        T: Send + 'static,
        C: FnOnce(Arc<S>) -> F + Send,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let fault = self.faults.begin(operation);
        let call = make_call(self.store.clone());
        let fails = |kind| Err(StoreError::new(kind));
        match fault {
            Fault::Pass => call.await,
            Fault::Unavailable => fails(StoreErrorKind::Unavailable),
            Fault::Refused => fails(StoreErrorKind::Refused),
            Fault::Full => fails(StoreErrorKind::Full),
            Fault::LostRequest => fails(StoreErrorKind::OutcomeUnknown),
            Fault::LostReply => {
                call.await?;
                fails(StoreErrorKind::OutcomeUnknown)
            }
            Fault::AppliedLate => {
                self.faults.postpone(Box::pin(async {
                    // Nobody is there any more to be told.
                    call.await.ok();
                }));
                fails(StoreErrorKind::OutcomeUnknown)
            }
            Fault::Delay(time) => {
                tokio::time::sleep(time).await;
                call.await
            }
            Fault::Hold => {
                self.faults.wait(operation).await;
                call.await
            }
            Fault::HoldReply => {
                let answer = call.await;
                self.faults.wait(operation).await;
                answer
            }
            Fault::Hang => {
                self.faults.wait(operation).await;
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
        self.run(Operation::Load, call).await
    }

    async fn load_latest(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        let key = key.clone();
        let call = async move |store: Arc<S>| store.load_latest(&key).await;
        self.run(Operation::Load, call).await
    }

    async fn create(
        &self,
        key: &RecordKey,
        record: &Record,
        ttl: Duration,
    ) -> Result<Created, StoreError> {
        let (key, record) = (key.clone(), record.clone());
        let call = async move |store: Arc<S>| store.create(&key, &record, ttl).await;
        self.run(Operation::Create, call).await
    }

    async fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Replaced, StoreError> {
        let (key, record) = (key.clone(), record.clone());
        let call = async move |store: Arc<S>| store.replace(&key, expected, &record, ttl).await;
        self.run(Operation::Replace, call).await
    }

    async fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        ttl: Duration,
        prolongs: Option<Binding<'_>>,
    ) -> Result<bool, StoreError> {
        let key = key.clone();
        let prolongs = prolongs.map(|entry| (entry.user.to_owned(), entry.life));
        let call = async move |store: Arc<S>| {
            let prolongs = prolongs.as_ref();
            let prolongs = prolongs.map(|(user, life)| Binding { user, life: *life });
            store.touch(&key, expected, ttl, prolongs).await
        };
        self.run(Operation::Touch, call).await
    }

    async fn delete(&self, key: &RecordKey, user: Option<&str>) -> Result<(), StoreError> {
        let (key, user) = (key.clone(), user.map(str::to_owned));
        let call = async move |store: Arc<S>| store.delete(&key, user.as_deref()).await;
        self.run(Operation::Delete, call).await
    }

    fn user_index(&self) -> Option<UserIndexRef<'_>> {
        self.store.user_index().map(|_| UserIndexRef::new(self))
    }
}

/// Commands the faults of a [`FaultStore`], and counts its calls. Clones command the same store.
///
/// A call meets its fault when it is first polled. Faults that were [queued](Faults::next) come first, one per call, then
/// those that are [always](Faults::always) there.
#[derive(Clone)]
pub struct Faults(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// How many calls wait for their release.
    waiting: watch::Sender<usize>,
}

struct State {
    down: bool,
    plans: [Plan; Operation::ALL.len()],
    /// Each call that waits, by the sender whose end it waits for.
    held: VecDeque<(Operation, oneshot::Sender<()>)>,
    late: VecDeque<Late>,
}

struct Plan {
    queue: VecDeque<Fault>,
    always: Fault,
    calls: usize,
}

/// A call that is to be carried out later.
type Late = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Default for Faults {
    fn default() -> Self {
        let plan = |_| Plan {
            queue: VecDeque::new(),
            always: Fault::Pass,
            calls: 0,
        };
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                down: false,
                plans: Operation::ALL.map(plan),
                held: VecDeque::new(),
                late: VecDeque::new(),
            }),
            waiting: watch::Sender::new(0),
        }))
    }
}

impl Faults {
    /// Lets this befall the next call of the operation, after those that are queued already.
    pub fn next(&self, operation: Operation, fault: Fault) {
        self.plan(operation, |plan| plan.queue.push_back(fault));
    }

    /// Lets this befall every call of the operation for which nothing is queued; [`Fault::Pass`] ends it.
    pub fn always(&self, operation: Operation, fault: Fault) {
        self.plan(operation, |plan| plan.always = fault);
    }

    /// The store cannot be reached: every call fails as [`Fault::Unavailable`]. What is queued waits for better times.
    pub fn down(&self) {
        self.state().down = true;
    }

    /// The store can be reached again.
    pub fn up(&self) {
        self.state().down = false;
    }

    /// How many calls of the operation there have been, failed ones included.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> usize {
        self.plan(operation, |plan| plan.calls)
    }

    /// How many calls there have been of all operations.
    #[must_use]
    pub fn all_calls(&self) -> usize {
        self.state().plans.iter().map(|plan| plan.calls).sum()
    }

    /// How many calls wait to be released. One that was dropped waits no more.
    #[must_use]
    pub fn waiting(&self) -> usize {
        *self.0.waiting.borrow()
    }

    /// Comes back when at least so many calls wait to be released.
    pub async fn until_waiting(&self, calls: usize) {
        let mut waiting = self.0.waiting.subscribe();
        // The sender lives as long as `self`.
        waiting.wait_for(|waiting| *waiting >= calls).await.ok();
    }

    /// Carries out the calls that were to be [applied late](Fault::AppliedLate), in their order; then lets all calls go on
    /// that wait.
    pub async fn release(&self) {
        loop {
            let late = self.state().late.pop_front();
            let Some(late) = late else { break };
            late.await;
        }
        let held = std::mem::take(&mut self.state().held);
        for (_, call) in held {
            call.send(()).ok();
        }
    }

    /// Lets the call of this operation go on that has waited longest, and says whether there was one.
    pub fn release_one(&self, operation: Operation) -> bool {
        let mut state = self.state();
        loop {
            let held = state.held.iter().position(|(held, _)| *held == operation);
            let Some((_, call)) = held.and_then(|place| state.held.remove(place)) else {
                return false;
            };
            // One that was dropped meanwhile does not count.
            if call.send(()).is_ok() {
                return true;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plan<T>(&self, operation: Operation, change: impl FnOnce(&mut Plan) -> T) -> T {
        change(&mut self.state().plans[operation as usize])
    }

    /// Counts a call, and says what is to befall it.
    fn begin(&self, operation: Operation) -> Fault {
        let mut state = self.state();
        let down = state.down;
        let plan = &mut state.plans[operation as usize];
        plan.calls += 1;
        if down {
            return Fault::Unavailable;
        }
        plan.queue.pop_front().unwrap_or(plan.always)
    }

    fn postpone(&self, call: Late) {
        self.state().late.push_back(call);
    }

    async fn wait(&self, operation: Operation) {
        let (sender, receiver) = oneshot::channel();
        self.state().held.push_back((operation, sender));
        let _waiting = Waiting::new(&self.0.waiting);
        // The sender is dropped only with the last command over these faults.
        receiver.await.ok();
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let calls = state.plans.iter().map(|plan| plan.calls);
        f.debug_struct("Faults")
            .field("down", &state.down)
            .field("calls", &calls.sum::<usize>())
            .finish_non_exhaustive()
    }
}

/// Counts a call that waits, for as long as it does.
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
