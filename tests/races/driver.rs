//! Plays a scene: steps its requests one at a time, in the order that a schedule picks, and writes down what happened.
//!
//! Everything runs on one thread. Whatever requests share is either the store, whose every call is a point at which the
//! schedule decides, or stands under one `std::sync::Mutex` that is never held across an await. So threads can do nothing
//! that some order of these steps does not do: what is explored here is what a checker of interleavings would explore.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use http::header::COOKIE;
use http::{Method, Request, Response};
use tower::{Layer, Service, service_fn};
use tower_keycard::session::Timestamp;
use tower_keycard::store::{RecordKey, SessionStore};
use tower_keycard::{Clock, SessionConfig, SessionLayer};

use crate::browser::{Browser, SetCookie};
use crate::schedule::Schedule;
use crate::script::{Carries, Notes, Operation, Scene, Script, Sight, Start, handle};
use crate::stage::{Call, Found, Stage, StagedStore};
use crate::support::cookie;
use crate::support::random::Random;

/// The number of the request that made the session before the first one.
pub(crate) const BEFORE: usize = 9;
/// A token of the right form that nobody was ever given.
const NEVER_ISSUED: &str = "neverissuedneverissuedneverissuedneverissued";
pub(crate) const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Response<()>, Infallible>> + Send>>;

/// What became of a request.
#[derive(Clone, Default)]
pub(crate) struct Outcome {
    /// The token that it carried.
    pub(crate) carried: Option<String>,
    /// The status of its response; none if the client was gone by then.
    pub(crate) status: Option<u16>,
    pub(crate) cookie: Option<SetCookie>,
    /// How many responses the browser had received when it sent the request.
    pub(crate) sent_after: usize,
    /// The place of its response among all.
    pub(crate) answered: Option<usize>,
    pub(crate) sights: Vec<Sight>,
    pub(crate) logged_out: bool,
}

impl Outcome {
    /// Whether the browser got an answer that knows what became of its session.
    pub(crate) fn heard(&self) -> bool {
        self.status.is_some_and(|status| status != 503)
    }
}

/// What happened in a scene.
pub(crate) struct Trace {
    pub(crate) scene: Scene,
    pub(crate) first_token: Option<String>,
    /// What is in the store before the first request.
    pub(crate) before: BTreeMap<RecordKey, Found>,
    pub(crate) calls: Vec<Call>,
    /// When, in calls made by then, time passed.
    pub(crate) time: Vec<(usize, Duration)>,
    pub(crate) outcomes: Vec<Outcome>,
    /// What is in the store in the end.
    pub(crate) after: BTreeMap<RecordKey, Found>,
    /// What each token that anybody was ever given shows in the end.
    pub(crate) tokens: BTreeMap<String, Sight>,
}

struct Actor {
    script: Script,
    notes: Notes,
    layer: SessionLayer,
    request: Option<Answering>,
    started: bool,
    finished: bool,
}

#[derive(Clone, Copy)]
enum Action {
    Step(usize),
    Vanish(usize),
    ApplyLate,
    PassTime,
}

pub(crate) struct Driver<S> {
    store: S,
    stage: Stage,
    clock: Clock,
    random: Arc<Mutex<Random>>,
    save_every_request: bool,
    actors: Vec<Actor>,
    browser: Browser,
    answered: usize,
    outcomes: Vec<Outcome>,
}

impl<S: SessionStore + Clone> Driver<S> {
    pub(crate) fn new(store: S, clock: Clock, seed: u64) -> Self {
        Self {
            store,
            stage: Stage::default(),
            clock,
            random: Arc::new(Mutex::new(Random::new(seed))),
            save_every_request: false,
            actors: Vec::new(),
            browser: Browser::default(),
            answered: 0,
            outcomes: Vec::new(),
        }
    }

    /// Plays a scene to its end.
    pub(crate) async fn play(mut self, scene: &Scene, schedule: &mut Schedule) -> Trace {
        self.save_every_request = scene.save_every_request;
        let first_token = self.set_up(scene.start).await;
        self.browser = Browser::default();
        self.browser
            .receive(first_token.clone().map(SetCookie::Set).as_ref());
        let mut before = BTreeMap::new();
        if let (Some(token), true) = (&first_token, scene.start != Start::Unknown) {
            let key = key_of(token);
            let found = self.store.load(&key).await.unwrap().into();
            before.insert(key, found);
        }
        for script in &scene.requests {
            let lane = self.stage.open_lane(&script.faults);
            let store = StagedStore {
                store: self.store.clone(),
                stage: self.stage.clone(),
                lane,
            };
            self.actors.push(Actor {
                script: script.clone(),
                notes: Notes::default(),
                layer: self.layer(store),
                request: None,
                started: false,
                finished: false,
            });
            self.outcomes.push(Outcome::default());
        }

        let mut time = Vec::new();
        loop {
            let left = &scene.time[time.len()..];
            let actions = self.actions(left);
            if actions.is_empty() {
                break;
            }
            match actions[schedule.choose(actions.len())] {
                Action::Step(number) => {
                    let first = first_token.as_deref();
                    self.step(number, scene.carries, first).await;
                }
                Action::Vanish(number) => self.vanish(number).await,
                Action::ApplyLate => {
                    if let Some(call) = self.stage.take_late_call() {
                        call.await;
                    }
                }
                Action::PassTime => {
                    self.clock.advance(left[0]);
                    time.push((self.stage.calls().len(), left[0]));
                }
            }
        }
        self.finish(scene, first_token, before, time).await
    }

    fn actions(&self, time: &[Duration]) -> Vec<Action> {
        let mut actions = Vec::new();
        for (number, actor) in self.actors.iter().enumerate() {
            if !actor.finished {
                actions.push(Action::Step(number));
                if actor.script.vanishes && actor.request.is_some() {
                    actions.push(Action::Vanish(number));
                }
            }
        }
        if self.stage.has_late_calls() {
            actions.push(Action::ApplyLate);
        }
        if !time.is_empty() {
            actions.push(Action::PassTime);
        }
        actions
    }

    fn layer(&self, store: impl SessionStore) -> SessionLayer {
        let random = self.random.clone();
        SessionLayer::builder(store)
            .config(
                SessionConfig::new()
                    // What a slow machine makes of a schedule is no part of it.
                    .store_timeout(Duration::from_secs(3_600))
                    .save_every_request(self.save_every_request),
            )
            .clock(self.clock.clone())
            .random(move |bytes| {
                let mut random = random.lock().unwrap();
                for chunk in bytes.chunks_mut(8) {
                    let word = random.next().to_le_bytes();
                    chunk.copy_from_slice(&word[..chunk.len()]);
                }
                true
            })
            .build()
            .unwrap()
    }

    /// A request that runs from its start to its end with nobody beside it.
    async fn alone(&self, script: &Script, token: Option<&str>) -> (Option<SetCookie>, Sight) {
        let layer = self.layer(self.store.clone());
        let notes = Notes::default();
        let response = request(&layer, BEFORE, script, &notes, token)
            .await
            .unwrap();
        let sight = notes.sights().pop().unwrap();
        (SetCookie::of(response.headers()), sight)
    }

    async fn set_up(&self, start: Start) -> Option<String> {
        if start == Start::Unknown {
            return Some(NEVER_ISSUED.to_owned());
        }
        let operations = start.operations()?;
        match self.alone(&Script::new(operations), None).await {
            (Some(SetCookie::Set(token)), _) => Some(token),
            _ => panic!("a first write sets a cookie"),
        }
    }

    /// Lets a request go on until its next call of the store waits for its turn, or it is done.
    async fn step(&mut self, number: usize, carries: Carries, first: Option<&str>) {
        let actor = &mut self.actors[number];
        if actor.started {
            self.stage.grant(number);
        } else {
            actor.started = true;
            let token = match carries {
                Carries::TheFirst => first,
                Carries::TheLatest => self.browser.token(),
            };
            self.outcomes[number].carried = token.map(ToOwned::to_owned);
            self.outcomes[number].sent_after = self.answered;
            let (script, notes) = (&actor.script, &actor.notes);
            actor.request = Some(request(&actor.layer, number, script, notes, token));
        }
        self.settle(number).await;
    }

    /// The client hangs up.
    async fn vanish(&mut self, number: usize) {
        self.actors[number].request = None;
        self.settle(number).await;
    }

    async fn settle(&mut self, number: usize) {
        let Actor { request, layer, .. } = &mut self.actors[number];
        let mut drained = Box::pin(layer.drain());
        let stage = &self.stage;
        let answer = poll_fn(|context| {
            match request {
                Some(request) => {
                    if let Poll::Ready(answer) = request.as_mut().poll(context) {
                        return Poll::Ready(Some(answer));
                    }
                }
                // What is left of the request is the runtime's.
                None => {
                    if drained.as_mut().poll(context).is_ready() {
                        return Poll::Ready(None);
                    }
                }
            }
            if stage.is_waiting(number, context) {
                Poll::Ready(None)
            } else {
                Poll::Pending
            }
        })
        .await;
        let waits = poll_fn(|context| Poll::Ready(stage.is_waiting(number, context))).await;
        drop(drained);
        if let Some(Ok(answer)) = answer {
            self.receive(number, &answer);
        } else if !waits {
            self.actors[number].finished = true;
        }
    }

    fn receive(&mut self, number: usize, answer: &Response<()>) {
        self.actors[number].request = None;
        self.actors[number].finished = true;
        let cookie = SetCookie::of(answer.headers());
        self.browser.receive(cookie.as_ref());
        let outcome = &mut self.outcomes[number];
        outcome.status = Some(answer.status().as_u16());
        outcome.cookie = cookie;
        outcome.answered = Some(self.answered);
        self.answered += 1;
    }

    async fn finish(
        mut self,
        scene: &Scene,
        first_token: Option<String>,
        before: BTreeMap<RecordKey, Found>,
        time: Vec<(usize, Duration)>,
    ) -> Trace {
        for (outcome, actor) in self.outcomes.iter_mut().zip(&self.actors) {
            outcome.sights = actor.notes.sights();
            outcome.logged_out = actor.notes.logged_out();
        }
        let calls = self.stage.calls();
        let mut after = BTreeMap::new();
        for key in before.keys().chain(calls.iter().map(|call| &call.key)) {
            let found = self.store.load(key).await.unwrap().into();
            after.insert(key.clone(), found);
        }
        let handed_out = self.outcomes.iter().filter_map(|outcome| {
            let Some(SetCookie::Set(token)) = &outcome.cookie else {
                return None;
            };
            Some(token)
        });
        let mut tokens = BTreeMap::new();
        for token in handed_out.chain(&first_token) {
            let (_, sight) = self
                .alone(&Script::new(&[Operation::Read]), Some(token))
                .await;
            tokens.insert(token.clone(), sight);
        }
        Trace {
            scene: scene.clone(),
            first_token,
            before,
            calls,
            time,
            outcomes: self.outcomes,
            after,
            tokens,
        }
    }
}

/// Under which key the store keeps the session that a token names.
pub(crate) fn key_of(token: &str) -> RecordKey {
    RecordKey::new(cookie::NAME, cookie::id(token))
}

/// A request to the application behind a layer.
pub(crate) fn request(
    layer: &SessionLayer,
    number: usize,
    script: &Script,
    notes: &Notes,
    token: Option<&str>,
) -> Answering {
    let (script, notes) = (script.clone(), notes.clone());
    let application = service_fn(move |request: Request<()>| {
        handle(request, number, script.clone(), notes.clone())
    });
    let mut request = Request::builder().method(Method::POST).uri("/");
    if let Some(token) = token {
        request = request.header(COOKIE, cookie::header(token));
    }
    let mut service = layer.layer(application);
    Box::pin(service.call(request.body(()).unwrap()))
}
