//! Observers are told in their own time, and stop nobody.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use http::StatusCode;
use tower_keycard::event::EventKind;
use tower_keycard::{MemoryStore, Session, SessionEvent, SessionLayer, SessionObserver};

use super::witness::{Witness, look, words};
use crate::support::client::Desk;
use crate::support::eventually;

/// An observer that is told one event at a time, and waits before each until it is let on.
#[derive(Clone, Default)]
struct Slow {
    gate: Arc<(Mutex<bool>, Condvar)>,
    waiting: Arc<AtomicUsize>,
    told: Witness,
}

impl SessionObserver for Slow {
    fn observe(&self, event: &SessionEvent) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let open = self
            .gate
            .1
            .wait_while(self.gate.0.lock().unwrap(), |open| !*open);
        drop(open.unwrap());
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        self.told.observe(event);
    }
}

impl Slow {
    fn open(&self) {
        *self.gate.0.lock().unwrap() = true;
        self.gate.1.notify_all();
    }

    async fn is_stuck(&self) {
        let stuck = async || (self.waiting.load(Ordering::SeqCst) == 1).then_some(());
        eventually("the observer is told", stuck).await;
    }

    fn words(&self) -> Vec<String> {
        self.told.take().iter().map(words).collect()
    }
}

async fn log_in(layer: &SessionLayer) -> Desk {
    let device = Desk::with(layer.clone());
    let response = device.visit(async |session| session.login("alice")).await;
    assert_eq!(response.status(), StatusCode::OK);
    device
}

async fn send_malformed(layer: &SessionLayer, times: usize) {
    let device = Desk::with(layer.clone());
    for _ in 0..times {
        device.set_cookie(Some("__Host-id=short".to_owned()));
        look(&device).await;
    }
}

/// A layer whose observer is stuck with a login that it was told of; four more events may wait for it.
async fn stuck() -> (SessionLayer, Slow) {
    let slow = Slow::default();
    let layer = SessionLayer::builder(MemoryStore::new())
        .observer(slow.clone())
        .observer_queue(4);
    let layer = layer.build().unwrap();
    log_in(&layer).await;
    slow.is_stuck().await;
    (layer, slow)
}

#[tokio::test]
async fn a_slow_observer_holds_up_no_request_and_is_told_how_much_it_missed() {
    let (layer, slow) = stuck().await;
    // Each is answered while the observer is stuck with the first: four wait for it, and six do not fit.
    for _ in 0..10 {
        log_in(&layer).await;
    }
    assert_eq!(slow.waiting.load(Ordering::SeqCst), 1);
    slow.open();
    layer.drain().await;
    let events = slow.told.take();
    let told: Vec<_> = events.iter().map(words).collect();
    let login = "created login";
    assert_eq!(told, [login, "lost", login, login, login, login]);
    assert_eq!(events[1].kind, EventKind::Lost { events: 6 });
    // And afterwards all is well.
    log_in(&layer).await;
    layer.drain().await;
    assert_eq!(slow.words(), [login]);
}

#[tokio::test]
async fn what_strangers_send_crowds_out_no_login() {
    let (layer, slow) = stuck().await;
    send_malformed(&layer, 100).await;
    for _ in 0..2 {
        log_in(&layer).await;
    }
    slow.open();
    layer.drain().await;
    let events = slow.told.take();
    let told: Vec<_> = events.iter().map(words).collect();
    let login = "created login";
    assert_eq!(
        told,
        [login, "lost", "malformed", "malformed", login, login]
    );
    assert_eq!(events[1].kind, EventKind::Lost { events: 98 });
}

#[tokio::test]
async fn who_writes_with_a_dead_card_over_and_over_crowds_out_no_login() {
    let slow = Slow::default();
    let layer = SessionLayer::builder(MemoryStore::new())
        .observer(slow.clone())
        .observer_queue(6);
    let layer = layer.build().unwrap();
    let stranger = Desk::with(layer.clone());
    stranger.visit(async |session| session.insert("n", 1)).await;
    slow.is_stuck().await;
    let card = stranger.cookie();
    stranger.visit(async |session| session.logout()).await;
    for n in 0..50 {
        stranger.set_cookie(card.clone());
        let response = stranger.visit(async |session| session.insert("n", n)).await;
        assert_eq!(response.status(), StatusCode::CONFLICT);
    }
    for _ in 0..3 {
        log_in(&layer).await;
    }
    slow.open();
    layer.drain().await;
    let (dead, login) = (["stale deleted", "interrupted"], "created login");
    let told = slow.words();
    assert_eq!(told[..3], ["created write", "lost", "destroyed logout"]);
    assert_eq!(told[3..], [dead[0], dead[1], login, login, login]);
}

#[tokio::test]
async fn who_begins_and_ends_sessions_of_nobody_crowds_out_no_login() {
    let slow = Slow::default();
    let layer = SessionLayer::builder(MemoryStore::new())
        .observer(slow.clone())
        .observer_queue(4);
    let layer = layer.build().unwrap();
    let stranger = Desk::with(layer.clone());
    let insert = async |session: Session| session.insert("n", 1);
    stranger.visit(insert).await;
    slow.is_stuck().await;
    for _ in 0..50 {
        stranger.visit(async |session| session.cycle_id()).await;
        stranger.visit(async |session| session.logout()).await;
        stranger.visit(insert).await;
    }
    for _ in 0..2 {
        log_in(&layer).await;
    }
    slow.open();
    layer.drain().await;
    let (login, told) = ("created login", slow.words());
    assert_eq!(told[..2], ["created write", "lost"]);
    assert_eq!(
        told[2..],
        ["rotated cycle", "destroyed logout", login, login]
    );
}

#[tokio::test]
async fn an_observer_that_panics_stops_no_logout_and_keeps_no_other_from_being_told() {
    let panics = Arc::new(AtomicUsize::new(0));
    let (counted, witness) = (panics.clone(), Witness::default());
    let layer = SessionLayer::builder(MemoryStore::new())
        .observer(move |_: &SessionEvent| {
            counted.fetch_add(1, Ordering::SeqCst);
            panic!("as an application's observer might");
        })
        .observer(witness.clone())
        .build()
        .unwrap();
    let device = log_in(&layer).await;
    let response = device.visit(async |session| session.logout()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(device.cookie(), None);
    layer.drain().await;
    let told: Vec<_> = witness.take().iter().map(words).collect();
    assert_eq!(told, ["created login", "resumed", "destroyed logout"]);
    assert_eq!(
        panics.load(Ordering::SeqCst),
        2,
        "it did not ask for every request"
    );
}

#[tokio::test]
async fn each_request_is_told_only_to_those_who_asked_for_it() {
    let (all, some) = (Witness::default(), Slow::default());
    some.open();
    let layer = SessionLayer::builder(MemoryStore::new())
        .observer(some.clone())
        .observer(Arc::new(all.clone()))
        .build()
        .unwrap();
    let device = log_in(&layer).await;
    look(&device).await;
    layer.drain().await;
    let told: Vec<_> = all.take().iter().map(words).collect();
    assert_eq!(told, ["created login", "resumed"]);
    assert_eq!(some.words(), ["created login"]);
}

/// Says that it is gone.
struct Leaving(Witness, Arc<AtomicBool>);

impl SessionObserver for Leaving {
    fn observe(&self, event: &SessionEvent) {
        self.0.observe(event);
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.1.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn the_thread_ends_with_the_last_clone_of_the_layer_after_all_was_told() {
    let (witness, gone) = (Witness::default(), Arc::new(AtomicBool::new(false)));
    let slow = Slow::default();
    let layer = SessionLayer::builder(MemoryStore::new())
        .observer(slow.clone())
        .observer(Leaving(witness.clone(), gone.clone()))
        .build()
        .unwrap();
    let device = log_in(&layer).await;
    slow.is_stuck().await;
    log_in(&layer).await;
    drop(layer);
    // The device holds a clone.
    assert!(!gone.load(Ordering::SeqCst));
    drop(device);
    slow.open();
    let ended = async || gone.load(Ordering::SeqCst).then_some(());
    eventually("the thread ends", ended).await;
    assert_eq!(witness.take().len(), 2);
}

#[tokio::test]
async fn an_observer_that_never_answers_holds_up_no_shutdown_for_long() {
    let slow = Slow::default();
    let layer = SessionLayer::builder(MemoryStore::new()).observer(slow.clone());
    let layer = layer.build().unwrap();
    log_in(&layer).await;
    slow.is_stuck().await;
    let drained = tokio::time::timeout(Duration::from_secs(10), layer.drain());
    drained.await.expect("five seconds");
    assert!(slow.words().is_empty());
    slow.open();
}

#[test]
fn a_queue_without_room_is_refused() {
    let layer = SessionLayer::builder(MemoryStore::new()).observer_queue(0);
    let error = layer.build().unwrap_err();
    assert!(error.to_string().contains("observer_queue"), "{error}");
}
