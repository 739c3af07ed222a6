//! The model, the store in memory and the one in Redis agree on every call, every answer, and what is stored in the end.
//!
//! Scenes and schedules are made up by proptest, which shrinks both. The driver is this crate's own, not that of
//! proptest-state-machine: there a test is one sequence of transitions, each of which is over before the next begins; here
//! the transitions are store calls of requests that are all under way.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any};
use proptest::sample::select;
use proptest::test_runner::{TestCaseError, TestCaseResult, TestRunner};
use proptest::{prop_assert_eq, prop_oneof};
use tower_keycard::Clock;
use tower_keycard::store::{MemoryStore, RedisStore, SessionStore};

use crate::browser::SetCookie;
use crate::driver::{Driver, START, Trace};
use crate::facts::Facts;
use crate::invariants::violations;
use crate::model::{self, Answered, Cookie, Sent};
use crate::schedule::Schedule;
use crate::schedules::{FAULTS, OPERATIONS, runtime, wanted};
use crate::script::{Carries, Fault, Scene, Script, Start};
use crate::stage::{Effect, Found};
use crate::support::redis_server::RedisServer;
use crate::world::{self, Token, World};

type Modelled = Pin<Box<dyn Future<Output = Answered>>>;

/// The model's requests, played beside a trace.
struct Play<'a> {
    trace: &'a Trace,
    world: Rc<RefCell<World>>,
    first: Option<Token>,
    requests: BTreeMap<usize, Modelled>,
    answers: BTreeMap<usize, Answered>,
}

impl<'a> Play<'a> {
    fn new(trace: &'a Trace) -> Self {
        let mut world = World::new(trace.scene.save_every_request);
        let first = trace
            .scene
            .start
            .operations()
            .map(|operations| world::first(&mut world, operations));
        Self {
            trace,
            world: Rc::new(RefCell::new(world)),
            first,
            requests: BTreeMap::new(),
            answers: BTreeMap::new(),
        }
    }

    /// Lets a request go on to its next call.
    fn go_on(&mut self, number: usize) {
        if !self.requests.contains_key(&number) && !self.answers.contains_key(&number) {
            let script = self.trace.scene.requests[number].clone();
            let request = model::serve(self.world.clone(), number, script, self.sent(number));
            self.requests.insert(number, Box::pin(request));
        }
        if let Some(request) = self.requests.get_mut(&number)
            && let Poll::Ready(answer) = request
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
        {
            self.requests.remove(&number);
            self.answers.insert(number, answer);
        }
    }

    /// The model's token for the one that a real request carried.
    fn sent(&self, number: usize) -> Sent {
        let outcomes = &self.trace.outcomes;
        let Some(token) = &outcomes[number].carried else {
            return Sent::Nothing;
        };
        if self.trace.scene.start == Start::Unknown
            && self.trace.first_token.as_ref() == Some(token)
        {
            return Sent::NeverIssued;
        }
        let gave = |number: &usize| matches!(&outcomes[*number].cookie, Some(SetCookie::Set(given)) if given == token);
        let given = (0..outcomes.len()).filter(gave).find_map(|number| {
            match self.answers.get(&number)?.cookie? {
                Cookie::Set(token) => Some(token),
                Cookie::Remove => None,
            }
        });
        let first = self
            .first
            .filter(|_| self.trace.first_token.as_ref() == Some(token));
        Sent::Token(first.or(given).expect("the model gave this token as well"))
    }

    fn play(mut self) -> TestCaseResult {
        for call in &self.trace.calls {
            if !call.late {
                self.go_on(call.request);
            }
            self.world
                .borrow_mut()
                .carry_out(call.request, call.kind, call.fault, call.late);
            if !call.late {
                self.go_on(call.request);
            }
        }
        for number in 0..self.trace.outcomes.len() {
            self.go_on(number);
        }
        self.compare()
    }

    fn compare(self) -> TestCaseResult {
        for (number, outcome) in self.trace.outcomes.iter().enumerate() {
            let Some(answer) = self.answers.get(&number) else {
                return Err(TestCaseError::fail(format!(
                    "the model of {number} goes on"
                )));
            };
            prop_assert_eq!(Some(answer.status), outcome.status, "status of {}", number);
            let sets = |set: bool| if set { "set" } else { "remove" };
            let modelled = answer
                .cookie
                .map(|cookie| sets(matches!(cookie, Cookie::Set(_))));
            let real = outcome.cookie.as_ref();
            let real = real.map(|cookie| sets(matches!(cookie, SetCookie::Set(_))));
            prop_assert_eq!(modelled, real, "cookie of {}", number);
        }
        // Both number their sessions as they are created.
        let mut keys: Vec<_> = self.trace.before.keys().collect();
        for call in &self.trace.calls {
            if matches!(call.effect, Effect::Created(_)) && !keys.contains(&&call.key) {
                keys.push(&call.key);
            }
        }
        let world = self.world.borrow();
        let mut modelled: Vec<_> = world
            .sessions
            .values()
            .map(|slot| {
                slot.as_ref()
                    .map(|record| (record.user.clone(), record.data.clone()))
            })
            .collect();
        let mut real: Vec<_> = keys
            .into_iter()
            .map(|key| match &self.trace.after[key] {
                Found::Record(record) => {
                    let facts = Facts::of(record);
                    Some((facts.user, facts.data))
                }
                Found::Nothing | Found::Tombstone => None,
            })
            .collect();
        // A token that was never issued, and is logged out, leaves nothing behind.
        modelled.sort();
        real.sort();
        prop_assert_eq!(modelled, real, "what is stored in the end");
        Ok(())
    }
}

fn scripts() -> impl Strategy<Value = Script> {
    let faults = prop_oneof![Just(Vec::new()), vec(select(FAULTS), 0..5)];
    (vec(select(OPERATIONS), 1..5), faults).prop_map(|(operations, faults): (_, Vec<Fault>)| {
        Script {
            operations,
            faults,
            vanishes: false,
        }
    })
}

fn scenes() -> impl Strategy<Value = (Scene, Vec<usize>)> {
    let starts = [
        Start::Nothing,
        Start::Anonymous,
        Start::Alice,
        Start::Unknown,
    ];
    let carries = [Carries::TheFirst, Carries::TheLatest];
    let requests = vec(scripts(), 2..5);
    let scene = (
        select(starts.to_vec()),
        select(carries.to_vec()),
        requests,
        any::<bool>(),
    );
    let scene = scene.prop_map(|(start, carries, requests, save_every_request)| Scene {
        start,
        carries,
        requests,
        time: Vec::new(),
        save_every_request,
    });
    (scene, vec(0..60_usize, 0..60))
}

/// Every world's tokens are its own, also where they share a server.
static WORLDS: AtomicU64 = AtomicU64::new(1);

fn agree<S: SessionStore + Clone>(
    cases: u64,
    runtime: &tokio::runtime::Runtime,
    make: impl Fn(Clock) -> S,
) {
    let config = ProptestConfig {
        cases: cases.try_into().unwrap(),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new(config)
        .run(&scenes(), |(scene, path)| {
            let clock = Clock::manual(START);
            let seed = WORLDS.fetch_add(1, Ordering::Relaxed);
            let driver = Driver::new(make(clock.clone()), clock, seed);
            let trace = runtime.block_on(driver.play(&scene, &mut Schedule::replay(&path)));
            prop_assert_eq!(violations(&trace), Vec::<String>::new());
            Play::new(&trace).play()
        })
        .unwrap_or_else(|fault| panic!("{fault}"));
}

#[test]
fn memory_does_what_the_model_does() {
    agree(wanted() / 8, &runtime(), |clock| {
        MemoryStore::builder().clock(clock).build()
    });
}

#[test]
fn redis_does_what_the_model_does() {
    let server = RedisServer::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let store = runtime
        .block_on(RedisStore::connect(server.patiently()))
        .unwrap();
    agree(wanted() / 80, &runtime, |_clock| store.clone());
}
