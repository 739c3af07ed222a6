//! Logins of one user at the same time: with a limit of sessions, and while all sessions of the user are ended.
//!
//! As in the other scenes, the requests are stepped by hand, one store call at a time. These scenes have an index of users, whose
//! calls are steps too.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tower_keycard::config::BeyondLimit;
use tower_keycard::store::testing::all_sessions_of;
use tower_keycard::store::{
    Created, DeletedPage, IndexCursor, IndexEntry, IndexPage, Loaded, Marker, MemoryStore,
    RecordKey, Replaced, Revision, SessionId, SessionStore, StoreError, UserIndex, UserIndexRef,
    Write,
};
use tower_keycard::{Clock, SessionConfig, SessionLayer};

use crate::browser::{Browser, SetCookie};
use crate::driver::{START, request};
use crate::schedule::Schedule;
use crate::schedules::{runtime, wanted};
use crate::script::{Notes, Operation, Script};
use crate::stage::{Stage, StagedStore};
use crate::support::cookie;
use crate::support::random::Random;

/// A store behind the stage, with its index.
struct Staged(StagedStore<MemoryStore>);

impl SessionStore for Staged {
    fn prefix(&self) -> &str {
        self.0.prefix()
    }

    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        self.0.load(key).await
    }

    async fn create(&self, key: &RecordKey, write: &Write<'_>) -> Result<Created, StoreError> {
        self.refusable(self.0.store.create(key, write)).await
    }

    async fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        write: &Write<'_>,
    ) -> Result<Replaced, StoreError> {
        let replaced = self.0.store.replace(key, expected, write);
        self.refusable(replaced).await
    }

    async fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        ttl: Duration,
        extends: Option<IndexEntry<'_>>,
    ) -> Result<bool, StoreError> {
        self.0.touch(key, expected, ttl, extends).await
    }

    async fn delete(&self, key: &RecordKey, user: Option<&str>) -> Result<(), StoreError> {
        self.0.delete(key, user).await
    }

    fn user_index(&self) -> Option<UserIndexRef<'_>> {
        Some(UserIndexRef::new(self))
    }
}

impl Staged {
    /// A call that is carried out between two turns.
    async fn refusable<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.0.turn().await;
        let answer = call.await;
        self.0.turn().await;
        answer
    }
}

impl UserIndex for Staged {
    async fn sessions_of(
        &self,
        namespace: &str,
        user: &str,
        after: Option<&IndexCursor>,
    ) -> Result<IndexPage, StoreError> {
        let call = UserIndex::sessions_of(&self.0.store, namespace, user, after);
        self.refusable(call).await
    }

    async fn revoke_user(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> Result<Marker, StoreError> {
        let call = UserIndex::revoke_user(&self.0.store, namespace, user, except);
        self.refusable(call).await
    }

    async fn delete_sessions_of(
        &self,
        namespace: &str,
        user: &str,
        marker: &Marker,
        after: Option<&IndexCursor>,
    ) -> Result<DeletedPage, StoreError> {
        let index = &self.0.store;
        let call = UserIndex::delete_sessions_of(index, namespace, user, marker, after);
        self.refusable(call).await
    }
}

/// Logins of Alice at the same time, all from one browser.
#[derive(Clone, Copy, Debug)]
struct Scene {
    logins: usize,
    /// Whether the browser has a session of nobody before.
    has_session: bool,
    limit: Option<(u32, BeyondLimit)>,
    /// Whether all sessions of Alice are ended meanwhile, and a second passes.
    revokes: bool,
}

/// What became of a login.
#[derive(Clone, Debug, Default)]
struct Outcome {
    arrived: Option<Moment>,
    status: Option<u16>,
    cookie: Option<SetCookie>,
    /// When its last call was carried out: from then on its answer was decided.
    decided: usize,
}

/// A moment of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    BeforeTheMarker,
    /// The marker was left, and no time has passed since.
    AfterTheMarker,
    /// Time has passed since the marker was left.
    Later,
}

type Running = Pin<Box<dyn Future<Output = Option<(u16, Option<SetCookie>)>> + Send>>;

struct Actor {
    layer: SessionLayer,
    running: Option<Running>,
    started: bool,
    finished: bool,
    /// How often it was let go on: every other time a call is carried out.
    turns: usize,
}

struct Play {
    scene: Scene,
    store: MemoryStore,
    clock: Clock,
    stage: Stage,
    /// The logins, and then whoever ends all sessions.
    actors: Vec<Actor>,
    outcomes: Vec<Outcome>,
    browser: Browser,
    moment: Moment,
    time_passed: bool,
    steps: usize,
}

impl Play {
    fn new(scene: Scene) -> Self {
        let clock = Clock::manual(START);
        Self {
            scene,
            store: MemoryStore::builder().clock(clock.clone()).build(),
            clock,
            stage: Stage::default(),
            actors: Vec::new(),
            outcomes: vec![Outcome::default(); scene.logins],
            browser: Browser::default(),
            moment: Moment::BeforeTheMarker,
            time_passed: false,
            steps: 0,
        }
    }

    fn layer(&self, store: impl SessionStore) -> SessionLayer {
        let mut config = SessionConfig::new().store_timeout(Duration::from_secs(3_600));
        if let Some((most, beyond)) = self.scene.limit {
            config = config.max_sessions_per_user(most, beyond);
        }
        let layer = SessionLayer::builder(store).config(config);
        layer.clock(self.clock.clone()).build().unwrap()
    }

    async fn play(mut self, schedule: &mut Schedule) -> Result<(), String> {
        if self.scene.has_session {
            let layer = self.layer(self.store.clone());
            let script = Script::new(&[Operation::Insert("a")]);
            let answer = request(&layer, 0, &script, &Notes::default(), None).await;
            let cookie = SetCookie::of(answer.unwrap().headers());
            self.browser.receive(cookie.as_ref());
        }
        let first = self.browser.token().map(str::to_owned);
        for _ in 0..self.scene.logins + usize::from(self.scene.revokes) {
            let lane = self.stage.open_lane(&[]);
            let store = Staged(StagedStore {
                store: self.store.clone(),
                stage: self.stage.clone(),
                lane,
            });
            self.actors.push(Actor {
                layer: self.layer(store),
                running: None,
                started: false,
                finished: false,
                turns: 0,
            });
        }
        loop {
            let unfinished = |number: &usize| !self.actors[*number].finished;
            let mut choices: Vec<usize> = (0..self.actors.len()).filter(unfinished).collect();
            if choices.is_empty() {
                return self.check().await;
            }
            if self.scene.revokes && !self.time_passed {
                choices.push(usize::MAX);
            }
            match choices[schedule.choose(choices.len())] {
                usize::MAX => {
                    self.clock.advance(Duration::from_secs(1));
                    self.time_passed = true;
                    if self.moment == Moment::AfterTheMarker {
                        self.moment = Moment::Later;
                    }
                }
                number => self.step(number, first.as_deref()).await,
            }
        }
    }

    /// Lets an actor go on until its next call waits for its turn, or it is done.
    async fn step(&mut self, number: usize, first: Option<&str>) {
        let actor = &mut self.actors[number];
        let is_login = number < self.scene.logins;
        if actor.started {
            self.stage.grant(number);
            actor.turns += 1;
            self.steps += 1;
            if is_login && actor.turns % 2 == 1 {
                self.outcomes[number].decided = self.steps;
            }
            if !is_login && self.moment == Moment::BeforeTheMarker {
                // The first call of whoever ends all sessions leaves the marker.
                self.moment = Moment::AfterTheMarker;
            }
        } else {
            actor.started = true;
            actor.running = Some(if is_login {
                self.outcomes[number].arrived = Some(self.moment);
                let script = Script::new(&[Operation::Login("alice")]);
                let answer = request(&actor.layer, number, &script, &Notes::default(), first);
                Box::pin(async move {
                    let answer = answer.await.unwrap();
                    let cookie = SetCookie::of(answer.headers());
                    Some((answer.status().as_u16(), cookie))
                })
            } else {
                let users = actor.layer.users();
                Box::pin(async move {
                    users.end_all("alice").await.unwrap();
                    None
                })
            });
        }
        let running = &mut actor.running;
        let stage = &self.stage;
        let answer = poll_fn(|context| {
            if let Some(work) = running
                && let Poll::Ready(answer) = work.as_mut().poll(context)
            {
                return Poll::Ready(Some(answer));
            }
            match stage.is_waiting(number, context) {
                true => Poll::Ready(None),
                false => Poll::Pending,
            }
        });
        if let Some(answer) = answer.await {
            (actor.running, actor.finished) = (None, true);
            if let Some((status, cookie)) = answer {
                self.outcomes[number].status = Some(status);
                self.outcomes[number].cookie = cookie;
            }
        }
    }

    async fn check(self) -> Result<(), String> {
        let live = all_sessions_of(&self.store, cookie::NAME, "alice").await;
        let live: Vec<_> = live.unwrap().into_iter().map(|it| it.key.id()).collect();
        let lives =
            |cookie: Option<&str>| cookie.is_some_and(|token| live.contains(&cookie::id(token)));
        let fail = |what: &str| {
            let (scene, outcomes) = (self.scene, &self.outcomes);
            Err(format!(
                "{what}\n  {scene:?}\n  {outcomes:?}\n  live: {live:?}"
            ))
        };
        if let Some((most, _)) = self.scene.limit {
            if live.len() != self.scene.logins.min(most as usize) {
                return fail("the limit is not exact");
            }
            // As the browser is left if no answer overtakes another one that was decided before it.
            let mut browser = self.browser.clone();
            let mut answers: Vec<_> = self.outcomes.iter().collect();
            answers.sort_by_key(|outcome| outcome.decided);
            for outcome in answers {
                browser.receive(outcome.cookie.as_ref());
            }
            if !lives(browser.token()) {
                return fail("the browser is left with a dead cookie");
            }
        }
        for outcome in &self.outcomes {
            let logged_in = match &outcome.cookie {
                Some(SetCookie::Set(token)) => lives(Some(token)),
                _ => false,
            };
            match outcome.arrived.unwrap() {
                Moment::BeforeTheMarker if self.scene.revokes && logged_in => {
                    return fail("a login slipped through the revocation");
                }
                Moment::Later if outcome.status != Some(200) || !logged_in => {
                    return fail("a login after the revocation was not admitted");
                }
                _ => {}
            }
        }
        let given = self
            .outcomes
            .iter()
            .filter(|outcome| outcome.cookie.is_some());
        if self.scene.limit.is_none() && live.len() > given.count() {
            return fail("a session lives that no browser has");
        }
        Ok(())
    }
}

fn exhaust(scene: Scene) -> usize {
    let runtime = runtime();
    let (mut path, mut explored) = (Some(Vec::new()), 0);
    while let Some(next) = path {
        let mut schedule = Schedule::replay(&next);
        let played = runtime.block_on(Play::new(scene).play(&mut schedule));
        played.unwrap_or_else(|fault| panic!("{fault}\n  path: {:?}", schedule.path()));
        explored += 1;
        path = schedule.next_path();
    }
    explored
}

fn seeded(scene: Scene) {
    let runtime = runtime();
    for seed in 0..wanted() / 20 {
        let mut schedule = Schedule::random(Random::new(seed));
        let played = runtime.block_on(Play::new(scene).play(&mut schedule));
        played.unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
    }
}

fn limited(logins: usize, most: u32, beyond: BeyondLimit, has_session: bool) -> Scene {
    Scene {
        logins,
        has_session,
        limit: Some((most, beyond)),
        revokes: false,
    }
}

#[test]
fn after_two_logins_at_the_same_time_the_limit_is_exact_in_every_schedule() {
    let explored = exhaust(limited(2, 1, BeyondLimit::EvictOldest, false));
    assert!(explored > 100, "{explored}");
}

#[test]
fn after_two_to_four_logins_at_the_same_time_the_limit_is_exact() {
    for beyond in [BeyondLimit::EvictOldest, BeyondLimit::Refuse] {
        for (logins, most) in [(2, 1), (3, 1), (3, 2), (4, 2)] {
            seeded(limited(logins, most, beyond, false));
        }
    }
    for logins in [2, 3] {
        seeded(limited(logins, 1, BeyondLimit::EvictOldest, true));
    }
}

fn revoked(logins: usize, has_session: bool) -> Scene {
    Scene {
        logins,
        has_session,
        limit: None,
        revokes: true,
    }
}

#[test]
fn no_login_slips_through_a_revocation_and_a_later_one_is_admitted_in_every_schedule() {
    let explored = exhaust(revoked(1, false));
    assert!(explored > 100, "{explored}");
}

#[test]
fn no_logins_slip_through_a_revocation_and_later_ones_are_admitted() {
    for has_session in [false, true] {
        seeded(revoked(3, has_session));
    }
}
