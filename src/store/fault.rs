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
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use crate::store::conformance::{sample_key, sample_record, sample_revision_of};

    const TTL: Duration = Duration::from_secs(60);

    fn store() -> (FaultStore<MemoryStore>, Faults) {
        let store = FaultStore::new(MemoryStore::new());
        let faults = store.faults();
        (store, faults)
    }

    fn kind<T: fmt::Debug>(answer: Result<T, StoreError>) -> StoreErrorKind {
        answer.unwrap_err().kind()
    }

    async fn is_there(store: &FaultStore<MemoryStore>, key: &RecordKey) -> bool {
        matches!(
            store.inner().load(key).await.unwrap(),
            Loaded::Record { .. }
        )
    }

    #[tokio::test]
    async fn faults_come_in_their_order_and_then_no_more() {
        let (store, faults) = store();
        let key = sample_key();
        faults.next(Operation::Load, Fault::Unavailable);
        faults.next(Operation::Load, Fault::Pass);
        faults.next(Operation::Load, Fault::Refused);
        assert_eq!(kind(store.load(&key).await), StoreErrorKind::Unavailable);
        assert!(store.delete(&key, None).await.is_ok());
        assert!(store.load(&key).await.is_ok());
        assert_eq!(kind(store.load(&key).await), StoreErrorKind::Refused);
        assert!(store.load(&key).await.is_ok());
        assert_eq!(faults.calls(Operation::Load), 4);
        assert_eq!(faults.calls(Operation::Delete), 1);
        assert_eq!(faults.all_calls(), 5);
    }

    #[tokio::test]
    async fn a_lost_reply_leaves_the_change_and_a_lost_request_does_not() {
        let (store, faults) = store();
        let (one, other, record) = (sample_key(), sample_key(), sample_record("{}"));
        faults.next(Operation::Create, Fault::LostReply);
        faults.next(Operation::Create, Fault::LostRequest);
        for key in [&one, &other] {
            let answer = store.create(key, &record, TTL).await;
            assert_eq!(kind(answer), StoreErrorKind::OutcomeUnknown);
        }
        assert!(is_there(&store, &one).await);
        assert!(!is_there(&store, &other).await);
    }

    #[tokio::test]
    async fn what_is_applied_late_is_applied_on_release_and_in_order() {
        let (store, faults) = store();
        let (key, first) = (sample_key(), sample_record("{}"));
        let second = sample_revision_of(&first, r#"{"n":2}"#);
        faults.next(Operation::Create, Fault::AppliedLate);
        faults.next(Operation::Replace, Fault::AppliedLate);
        let created = store.create(&key, &first, TTL).await;
        assert_eq!(kind(created), StoreErrorKind::OutcomeUnknown);
        let replaced = store.replace(&key, first.revision(), &second, TTL).await;
        assert_eq!(kind(replaced), StoreErrorKind::OutcomeUnknown);
        assert!(!is_there(&store, &key).await);
        faults.release().await;
        let Loaded::Record { record, .. } = store.load(&key).await.unwrap() else {
            panic!("nothing was applied");
        };
        assert_eq!(record.revision(), second.revision());
    }

    #[tokio::test]
    async fn a_late_replace_does_not_bring_a_deleted_session_back() {
        let (store, faults) = store();
        let (key, first) = (sample_key(), sample_record("{}"));
        let second = sample_revision_of(&first, "{}");
        store.create(&key, &first, TTL).await.unwrap();
        faults.next(Operation::Replace, Fault::AppliedLate);
        let answer = store.replace(&key, first.revision(), &second, TTL).await;
        assert_eq!(kind(answer), StoreErrorKind::OutcomeUnknown);
        store.delete(&key, None).await.unwrap();
        faults.release().await;
        assert!(matches!(store.load(&key).await.unwrap(), Loaded::Tombstone));
    }

    #[tokio::test]
    async fn a_held_call_lets_another_overtake_it() {
        let (store, faults) = store();
        let (key, first) = (sample_key(), sample_record("{}"));
        let slow = sample_revision_of(&first, r#"{"by":"slow"}"#);
        let fast = sample_revision_of(&first, r#"{"by":"fast"}"#);
        store.create(&key, &first, TTL).await.unwrap();
        faults.next(Operation::Replace, Fault::Hold);
        let held = tokio::spawn({
            let (store, key, expected) = (store.clone(), key.clone(), first.revision());
            async move { store.replace(&key, expected, &slow, TTL).await }
        });
        faults.until_waiting(1).await;
        let answer = store.replace(&key, first.revision(), &fast, TTL).await;
        assert!(matches!(answer.unwrap(), Replaced::Replaced));
        faults.release().await;
        let answer = held.await.unwrap().unwrap();
        assert!(matches!(
            answer,
            Replaced::Conflict(Loaded::Record { record, .. }) if record.revision() == fast.revision()
        ));
        assert_eq!(faults.waiting(), 0);
    }

    #[tokio::test]
    async fn held_calls_are_released_one_by_one_and_dropped_ones_do_not_count() {
        let (store, faults) = store();
        let (key, record) = (sample_key(), sample_record("{}"));
        faults.always(Operation::Delete, Fault::HoldReply);
        faults.next(Operation::Load, Fault::Hang);
        store.inner().create(&key, &record, TTL).await.unwrap();
        let call = |store: FaultStore<MemoryStore>, key: RecordKey| {
            tokio::spawn(async move { store.delete(&key, None).await })
        };
        let dropped = call(store.clone(), key.clone());
        faults.until_waiting(1).await;
        assert!(!is_there(&store, &key).await);
        let kept = call(store.clone(), key.clone());
        let hung = tokio::spawn({
            let (store, key) = (store.clone(), key.clone());
            async move { store.load(&key).await }
        });
        faults.until_waiting(3).await;
        dropped.abort();
        assert!(dropped.await.unwrap_err().is_cancelled());
        assert_eq!(faults.waiting(), 2);
        assert!(faults.release_one(Operation::Delete));
        assert!(kept.await.unwrap().is_ok());
        assert!(!faults.release_one(Operation::Delete));
        assert!(faults.release_one(Operation::Load));
        assert_eq!(kind(hung.await.unwrap()), StoreErrorKind::OutcomeUnknown);
    }

    #[tokio::test]
    async fn a_store_that_is_down_refuses_everything_and_loses_nothing() {
        let (store, faults) = store();
        let (key, record) = (sample_key(), sample_record("{}"));
        store.create(&key, &record, TTL).await.unwrap();
        faults.next(Operation::Load, Fault::Full);
        faults.down();
        assert_eq!(kind(store.load(&key).await), StoreErrorKind::Unavailable);
        assert_eq!(
            kind(store.delete(&key, None).await),
            StoreErrorKind::Unavailable
        );
        faults.up();
        assert_eq!(kind(store.load(&key).await), StoreErrorKind::Full);
        assert!(is_there(&store, &key).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_delayed_call_takes_its_time() {
        let (store, faults) = store();
        let delay = Duration::from_secs(3);
        faults.always(Operation::Load, Fault::Delay(delay));
        let start = tokio::time::Instant::now();
        store.load(&sample_key()).await.unwrap();
        assert_eq!(start.elapsed(), delay);
        faults.always(Operation::Load, Fault::Pass);
        store.load(&sample_key()).await.unwrap();
        assert_eq!(start.elapsed(), delay);
    }
}
