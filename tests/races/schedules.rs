//! The schedules: every one of small scenes, seeded ones of larger.

use std::time::Duration;

use tower_keycard::Clock;
use tower_keycard::store::{MemoryStore, SessionStore};

use crate::driver::{Driver, START, Trace};
use crate::invariants::violations;
use crate::schedule::Schedule;
use crate::script::Operation::{
    Append, Clear, Fail, Insert, Login, Logout, Read, Reload, Remove, Rotate, Save, SaveTwice,
    SetExpiry,
};
use crate::script::{Carries, Fault, Operation, Scene, Script, Start};
use crate::support::random::Random;

/// How many schedules to explore, beside those of the exhaustive search.
pub(crate) fn wanted() -> u64 {
    std::env::var("KEYCARD_SCHEDULES").map_or(20_000, |wanted| wanted.parse().unwrap())
}

/// Where the seeds begin.
fn first_seed() -> u64 {
    std::env::var("KEYCARD_SEED").map_or(0, |seed| seed.parse().unwrap())
}

/// A runtime for one thread, on which no time passes by itself.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

/// Makes a store that follows a clock.
pub(crate) trait MakeStore {
    type Store: SessionStore + Clone;
    fn make(&self, clock: Clock) -> Self::Store;
}

pub(crate) struct InMemory;

impl MakeStore for InMemory {
    type Store = MemoryStore;

    fn make(&self, clock: Clock) -> MemoryStore {
        MemoryStore::builder().clock(clock).build()
    }
}

/// Plays scenes, one after the other, each over a store of its own.
pub(crate) struct Explorer<M> {
    make: M,
    runtime: tokio::runtime::Runtime,
    pub(crate) explored: u64,
}

impl<M: MakeStore> Explorer<M> {
    pub(crate) fn new(make: M) -> Self {
        Self {
            make,
            runtime: runtime(),
            explored: 0,
        }
    }

    pub(crate) fn play(&mut self, scene: &Scene, schedule: &mut Schedule) -> Trace {
        self.explored += 1;
        let clock = Clock::manual(START);
        let driver = Driver::new(self.make.make(clock.clone()), clock, 1);
        self.runtime.block_on(driver.play(scene, schedule))
    }

    /// What is wrong with a scene in one schedule, if anything is.
    fn fault(&mut self, scene: &Scene, schedule: &mut Schedule) -> Option<String> {
        let trace = self.play(scene, schedule);
        let violations = violations(&trace);
        if violations.is_empty() {
            return None;
        }
        let calls = trace.calls.iter().map(|call| {
            let (request, kind, fault) = (call.request, call.kind, call.fault);
            let late = if call.late { " (late)" } else { "" };
            let effect = format!("{:?}", call.effect);
            format!("\n    {request}: {kind:?} {fault:?}{late} → {effect:.40}")
        });
        Some(format!(
            "{}\n  scene: {scene:?}\n  path: {:?}\n  calls:{}",
            violations.join("\n"),
            schedule.path(),
            calls.collect::<String>(),
        ))
    }

    /// Plays a scene in every schedule.
    pub(crate) fn exhaust(&mut self, scene: &Scene) -> Result<(), String> {
        let mut path = Some(Vec::new());
        while let Some(next) = path {
            let mut schedule = Schedule::replay(&next);
            self.fault(scene, &mut schedule).map_or(Ok(()), Err)?;
            path = schedule.next_path();
        }
        Ok(())
    }

    /// Plays the scene and the schedule that a seed stands for.
    pub(crate) fn seed(&mut self, seed: u64) -> Result<(), String> {
        let mut random = Random::new(seed);
        let scene = scene(&mut random);
        let mut schedule = Schedule::random(random);
        match self.fault(&scene, &mut schedule) {
            None => Ok(()),
            Some(fault) => Err(format!("KEYCARD_SEED={seed} KEYCARD_SCHEDULES=1\n{fault}")),
        }
    }
}

/// What a request of an exhaustive search does; the first six in every run.
pub(crate) const MENU: &[&[Operation]] = &[
    &[Read],
    &[Append],
    &[Insert("b"), Login("alice")],
    &[Login("bob"), Append],
    &[Logout],
    &[Rotate, Append],
    &[Insert("b"), Save, Append],
    &[Remove("a")],
    &[Logout, Insert("b")],
    &[Clear, Insert("b")],
    &[SetExpiry(600)],
    &[Logout, Fail],
    &[Append, SaveTwice, Append],
];

/// What handlers do in made-up scenes, each as often as it stands here.
pub(crate) const OPERATIONS: &[Operation] = &[
    Read,
    Insert("a"),
    Insert("b"),
    Remove("a"),
    Append,
    Append,
    Append,
    Clear,
    Login("alice"),
    Login("alice"),
    Login("bob"),
    Logout,
    Rotate,
    SetExpiry(600),
    Save,
    Save,
    SaveTwice,
    Reload,
    Fail,
];

/// What befalls calls in made-up scenes.
pub(crate) const FAULTS: &[Fault] = &[
    Fault::None,
    Fault::None,
    Fault::Unavailable,
    Fault::RequestLost,
    Fault::ReplyLost,
    Fault::ReplyLost,
    Fault::AppliedLate,
];

/// A scene that a generator makes up.
pub(crate) fn scene(random: &mut Random) -> Scene {
    let starts = [
        Start::Nothing,
        Start::Anonymous,
        Start::Anonymous,
        Start::Alice,
        Start::Alice,
        Start::Unknown,
    ];
    let troubled = random.below(2) == 0;
    let mut requests = Vec::new();
    for _ in 0..2 + random.below(3) {
        let operations: Vec<_> = (0..=random.below(4))
            .map(|_| random.one_of(OPERATIONS))
            .collect();
        let mut script = Script::new(&operations);
        if troubled {
            script.faults = (0..random.below(5))
                .map(|_| random.one_of(FAULTS))
                .collect();
        }
        script.vanishes = random.below(4) == 0;
        requests.push(script);
    }
    let time = match random.below(8) {
        0 => vec![Duration::from_secs(61)],
        1 => vec![Duration::from_secs(30), Duration::from_secs(86_400)],
        2 => vec![Duration::from_secs(5)],
        _ => Vec::new(),
    };
    Scene {
        start: random.one_of(&starts),
        carries: random.one_of(&[Carries::TheFirst, Carries::TheLatest]),
        requests,
        time,
        save_every_request: random.below(4) == 0,
    }
}

#[test]
fn every_schedule_of_two_requests() {
    let mut explorer = Explorer::new(InMemory);
    // All of the menu takes 140,000 schedules.
    let menu = if wanted() < 100_000 { &MENU[..6] } else { MENU };
    for start in [Start::Anonymous, Start::Alice] {
        for (place, one) in menu.iter().enumerate() {
            for other in &menu[place..] {
                let scene = Scene::new(start, vec![Script::new(one), Script::new(other)]);
                explorer
                    .exhaust(&scene)
                    .unwrap_or_else(|fault| panic!("{fault}"));
            }
        }
    }
    println!("{} schedules", explorer.explored);
    assert!(explorer.explored > 10_000);
}

#[test]
fn seeded_schedules_of_two_to_four_requests() {
    let mut explorer = Explorer::new(InMemory);
    let first = first_seed();
    for seed in first..first + wanted() {
        explorer
            .seed(seed)
            .unwrap_or_else(|fault| panic!("{fault}"));
    }
    println!("{} schedules", explorer.explored);
    assert_eq!(explorer.explored, wanted());
}
