//! The store as the scenes see it: every call waits twice for its turn, and faults befall it.
//!
//! A call waits before it is carried out, and again before its answer arrives. Between the two turns it is carried out as one
//! step, as a server would. So each call is two points at which the schedule may let another request go on.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tower_keycard::store::testing::OwnedWrite;
use tower_keycard::store::{
    Created, IndexEntry, Loaded, Record, RecordKey, Replaced, Revision, SessionStore, StoreError,
    StoreErrorKind, Write,
};

use crate::script::Fault;

/// What there is under a key.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    Nothing,
    Tombstone,
    Record(Record),
}

impl From<Loaded> for Found {
    fn from(loaded: Loaded) -> Self {
        match loaded {
            Loaded::Absent => Self::Nothing,
            Loaded::Tombstone => Self::Tombstone,
            Loaded::Record { record, .. } => Self::Record(record),
            Loaded::Unreadable(why) => panic!("the store keeps what cannot be read: {why:?}"),
        }
    }
}

/// A store's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Load,
    Create,
    Replace,
    Touch,
    Delete,
}

/// What a call did.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// It was not carried out; perhaps not yet.
    NotSent,
    Loaded(Found),
    Created(Record),
    Existed,
    Replaced(Record),
    Conflicted(Found),
    Touched,
    Deleted,
}

/// One call, in the order in which the store carried them out.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) request: usize,
    pub(crate) kind: Kind,
    pub(crate) key: RecordKey,
    pub(crate) fault: Fault,
    /// Whether it was carried out after its caller had given it up.
    pub(crate) late: bool,
    pub(crate) effect: Effect,
}

type LateCall = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Default)]
struct Lane {
    /// Whether a turn comes by itself, after one yield, and nothing is written down.
    free: bool,
    waiting: bool,
    granted: bool,
    waker: Option<Waker>,
    faults: VecDeque<Fault>,
}

#[derive(Default)]
struct State {
    lanes: Vec<Lane>,
    calls: Vec<Call>,
    late: VecDeque<LateCall>,
    driver: Option<Waker>,
}

/// Where requests wait for their turn: one lane each.
#[derive(Clone, Default)]
pub(crate) struct Stage(Arc<Mutex<State>>);

impl Stage {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Opens a lane for a request, with the faults of its calls.
    pub(crate) fn open_lane(&self, faults: &[Fault]) -> usize {
        let mut state = self.state();
        state.lanes.push(Lane {
            faults: faults.iter().copied().collect(),
            ..Lane::default()
        });
        state.lanes.len() - 1
    }

    /// Opens a lane in which every turn comes by itself, after one yield.
    pub(crate) fn open_free_lane(&self) -> usize {
        let lane = self.open_lane(&[]);
        self.state().lanes[lane].free = true;
        lane
    }

    fn write_down(&self, call: Call) {
        let mut state = self.state();
        if !state.lanes[call.request].free {
            state.calls.push(call);
        }
    }

    /// Lets a request's waiting call go on to its next turn.
    pub(crate) fn grant(&self, lane: usize) {
        let mut state = self.state();
        let lane = &mut state.lanes[lane];
        assert!(lane.waiting);
        (lane.waiting, lane.granted) = (false, true);
        let waker = lane.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether a request's call waits for its turn. If not, the driver is woken when it does.
    pub(crate) fn is_waiting(&self, lane: usize, context: &Context<'_>) -> bool {
        let mut state = self.state();
        let waiting = state.lanes[lane].waiting;
        if !waiting {
            state.driver = Some(context.waker().clone());
        }
        waiting
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    pub(crate) fn has_late_calls(&self) -> bool {
        !self.state().late.is_empty()
    }

    /// The call that was given up first.
    pub(crate) fn take_late_call(&self) -> Option<LateCall> {
        self.state().late.pop_front()
    }
}

/// A call's wait for its turn.
pub(crate) struct Turn<'a> {
    stage: &'a Stage,
    lane: usize,
    yielded: bool,
    over: bool,
}

impl Future for Turn<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.stage.state();
        let lane = &mut state.lanes[self.lane];
        if lane.granted || lane.free && self.yielded {
            lane.granted = false;
            drop(state);
            self.over = true;
            return Poll::Ready(());
        }
        if lane.free {
            drop(state);
            self.yielded = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        lane.waiting = true;
        lane.waker = Some(context.waker().clone());
        let driver = state.driver.take();
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        Poll::Pending
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // A call that nobody waits for any more waits for nothing.
        if !self.over {
            let mut state = self.stage.state();
            let lane = &mut state.lanes[self.lane];
            (lane.waiting, lane.granted) = (false, false);
        }
    }
}

/// A store, seen by one request from behind the stage.
pub(crate) struct StagedStore<S> {
    pub(crate) store: S,
    pub(crate) stage: Stage,
    pub(crate) lane: usize,
}

impl<S> StagedStore<S> {
    pub(crate) fn turn(&self) -> Turn<'_> {
        Turn {
            stage: &self.stage,
            lane: self.lane,
            yielded: false,
            over: false,
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        kind: Kind,
        key: &RecordKey,
        call: impl Future<Output = Result<T, StoreError>> + Send + 'static,
        effect: impl FnOnce(&T) -> Effect + Send + 'static,
    ) -> Result<T, StoreError> {
        self.turn().await;
        let fault = self.stage.state().lanes[self.lane]
            .faults
            .pop_front()
            .unwrap_or(Fault::None);
        let report = Call {
            request: self.lane,
            kind,
            key: key.clone(),
            fault,
            late: false,
            effect: Effect::NotSent,
        };
        let answer = match fault {
            Fault::None | Fault::ReplyLost => {
                let answer = call.await.expect("the store itself works");
                let effect = effect(&answer);
                self.stage.write_down(Call { effect, ..report });
                Ok(answer)
            }
            Fault::Unavailable | Fault::RequestLost => {
                self.stage.write_down(report);
                Err(StoreError::new(StoreErrorKind::Unavailable))
            }
            Fault::AppliedLate => {
                let stage = self.stage.clone();
                let late = Call {
                    late: true,
                    ..report.clone()
                };
                let carry_out = async move {
                    let answer = call.await.expect("the store itself works");
                    let effect = effect(&answer);
                    stage.write_down(Call { effect, ..late });
                };
                let mut state = self.stage.state();
                state.calls.push(report);
                state.late.push_back(Box::pin(carry_out));
                Err(StoreError::new(StoreErrorKind::OutcomeUnknown))
            }
        };
        self.turn().await;
        match fault {
            Fault::RequestLost | Fault::ReplyLost => {
                Err(StoreError::new(StoreErrorKind::OutcomeUnknown))
            }
            Fault::None | Fault::Unavailable | Fault::AppliedLate => answer,
        }
    }
}

impl<S: SessionStore + Clone> SessionStore for StagedStore<S> {
    fn prefix(&self) -> &str {
        self.store.prefix()
    }

    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        let (store, at) = (self.store.clone(), key.clone());
        let call = async move { store.load(&at).await };
        let effect = |loaded: &Loaded| Effect::Loaded(loaded.clone().into());
        self.run(Kind::Load, key, call, effect).await
    }

    async fn create(&self, key: &RecordKey, write: &Write<'_>) -> Result<Created, StoreError> {
        let (store, at, written) = (self.store.clone(), key.clone(), write.record.clone());
        let (ttl, new) = (write.ttl, OwnedWrite::of(write));
        let call = async move { store.create(&at, &new.write(ttl)).await };
        let effect = |created: &Created| match created {
            Created::Created => Effect::Created(written),
            Created::Exists => Effect::Existed,
        };
        self.run(Kind::Create, key, call, effect).await
    }

    async fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        write: &Write<'_>,
    ) -> Result<Replaced, StoreError> {
        let (store, at, written) = (self.store.clone(), key.clone(), write.record.clone());
        let (ttl, new) = (write.ttl, OwnedWrite::of(write));
        let call = async move { store.replace(&at, expected, &new.write(ttl)).await };
        let effect = |replaced: &Replaced| match replaced {
            Replaced::Replaced => Effect::Replaced(written),
            Replaced::Conflict(there) => Effect::Conflicted(there.clone().into()),
        };
        self.run(Kind::Replace, key, call, effect).await
    }

    async fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        ttl: Duration,
        _extends: Option<IndexEntry<'_>>,
    ) -> Result<bool, StoreError> {
        let (store, at) = (self.store.clone(), key.clone());
        let call = async move { store.touch(&at, expected, ttl, None).await };
        let effect = |_: &bool| Effect::Touched;
        self.run(Kind::Touch, key, call, effect).await
    }

    async fn delete(&self, key: &RecordKey, user: Option<&str>) -> Result<(), StoreError> {
        let (store, at) = (self.store.clone(), key.clone());
        let user = user.map(str::to_owned);
        let call = async move { store.delete(&at, user.as_deref()).await };
        self.run(Kind::Delete, key, call, |()| Effect::Deleted)
            .await
    }
}
