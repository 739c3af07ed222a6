//! Observers handle events at their own pace, and delay no request.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use http::StatusCode;
use tower_keycard::event::{EventKind, SessionEvent, SessionObserver};
use tower_keycard::{MemoryStore, Session, SessionLayer};

use super::witness::{Witness, look, words};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::log::Log;

/// An observer that waits before each event until it is let on.
#[derive(Clone, Default)]
struct Slow {
    gate: Arc<(Mutex<bool>, Condvar)>,
    waiting: Arc<AtomicUsize>,
    seen: Witness,
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
        self.seen.observe(event);
    }
}

impl Slow {
    fn open(&self) {
        *self.gate.0.lock().unwrap() = true;
        self.gate.1.notify_all();
    }

    async fn is_stuck(&self) {
        let stuck = async || (self.waiting.load(Ordering::SeqCst) == 1).then_some(());
        eventually("the observer has an event", stuck).await;
    }

    fn words(&self) -> Vec<String> {
        self.seen.take().iter().map(words).collect()
    }
}

async fn log_in(layer: &SessionLayer) -> Client {
    let device = Client::with(layer.clone());
    let response = device.request(async |session| session.login("alice")).await;
    assert_eq!(response.status(), StatusCode::OK);
    device
}

async fn send_malformed(layer: &SessionLayer, times: usize) {
    let device = Client::with(layer.clone());
    for _ in 0..times {
        device.set_cookie(Some("__Host-id=short".to_owned()));
        look(&device).await;
    }
}

/// A layer whose observer is stuck with a login that was reported to it; four more events may wait for it.
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
async fn a_slow_observer_delays_no_request_and_learns_how_much_it_missed() {
    let (layer, slow) = stuck().await;
    // Each is answered while the observer is stuck with the first: four wait for it, and six do not fit.
    for _ in 0..10 {
        log_in(&layer).await;
    }
    assert_eq!(slow.waiting.load(Ordering::SeqCst), 1);
    slow.open();
    layer.drain().await;
    let events = slow.seen.take();
    let reported: Vec<_> = events.iter().map(words).collect();
    let login = "created login";
    assert_eq!(reported, [login, "lost", login, login, login, login]);
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
    let events = slow.seen.take();
    let reported: Vec<_> = events.iter().map(words).collect();
    let login = "created login";
    assert_eq!(
        reported,
        [login, "lost", "malformed", "malformed", login, login]
    );
    assert_eq!(events[1].kind, EventKind::Lost { events: 98 });
}

/// How many lost events the log knows of, from how many lines.
fn logged_lost(log: &Log) -> (u64, usize) {
    let lines = log.events("lost");
    let events = lines
        .iter()
        .map(|line| line["events"].parse::<u64>().unwrap());
    (events.sum(), lines.len())
}

#[tokio::test]
async fn the_log_says_what_an_observer_loses_that_never_answers_while_it_does_not() {
    let log = Log::start();
    let (layer, slow) = stuck().await;
    // Two of them fit.
    send_malformed(&layer, 5_002).await;
    let (events, lines) = logged_lost(&log);
    assert!((2_500..=5_000).contains(&events), "{events} of 5000");
    assert!(lines < 20, "{lines} lines");
    assert_eq!(log.events("lost")[0]["level"], "WARN");
    slow.open();
    layer.drain().await;
    assert_eq!(logged_lost(&log).0, 5_000);
    let lost = slow.seen.take().into_iter().map(|event| event.kind);
    let lost: Vec<_> = lost
        .filter(|kind| matches!(kind, EventKind::Lost { .. }))
        .collect();
    assert_eq!(lost, [EventKind::Lost { events: 5_000 }]);
}

#[tokio::test]
async fn an_observer_that_never_answers_costs_the_others_no_event() {
    let (slow, witness) = (Slow::default(), Witness::default());
    let layer = SessionLayer::builder(MemoryStore::new())
        .observer(slow.clone())
        .observer(witness.clone())
        .observer_queue(4)
        .build()
        .unwrap();
    log_in(&layer).await;
    slow.is_stuck().await;
    for seen in 2..=10 {
        log_in(&layer).await;
        let reported = async || (witness.len() == seen).then_some(());
        eventually("the other observer has it", reported).await;
    }
    assert_eq!(slow.waiting.load(Ordering::SeqCst), 1);
    slow.open();
}

#[tokio::test]
async fn an_expiry_of_strangers_beyond_the_limit_crowds_out_no_login() {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
    let slow = Slow::default();
    let layer = SessionLayer::builder(MemoryStore::new())
        .observer(slow.clone())
        .observer_queue(4);
    let layer = layer.build().unwrap();
    log_in(&layer).await;
    slow.is_stuck().await;
    let stranger = Client::with(layer.clone());
    for _ in 0..50 {
        stranger
            .request(async |session| {
                session.insert("n", 1)?;
                session.set_expiry(YEAR)
            })
            .await;
        stranger.set_cookie(None);
    }
    for _ in 0..4 {
        log_in(&layer).await;
    }
    slow.open();
    layer.drain().await;
    let (login, reported) = ("created login", slow.words());
    assert_eq!(reported[..2], [login, "lost"]);
    assert_eq!(reported[2..4], ["created write", "expiry_capped"]);
    assert_eq!(reported[4..], [login; 4]);
}

#[tokio::test]
async fn writes_with_a_dead_token_over_and_over_crowd_out_no_login() {
    let slow = Slow::default();
    let layer = SessionLayer::builder(MemoryStore::new())
        .observer(slow.clone())
        .observer_queue(6);
    let layer = layer.build().unwrap();
    let stranger = Client::with(layer.clone());
    stranger
        .request(async |session| session.insert("n", 1))
        .await;
    slow.is_stuck().await;
    let token = stranger.cookie();
    stranger.request(async |session| session.logout()).await;
    for n in 0..50 {
        stranger.set_cookie(token.clone());
        let response = stranger
            .request(async |session| session.insert("n", n))
            .await;
        assert_eq!(response.status(), StatusCode::CONFLICT);
    }
    for _ in 0..3 {
        log_in(&layer).await;
    }
    slow.open();
    layer.drain().await;
    let (dead, login) = (["stale deleted", "interrupted"], "created login");
    let reported = slow.words();
    assert_eq!(reported[..3], ["created write", "lost", "destroyed logout"]);
    assert_eq!(reported[3..], [dead[0], dead[1], login, login, login]);
}

#[tokio::test]
async fn sessions_of_nobody_that_begin_and_end_crowd_out_no_login() {
    let slow = Slow::default();
    let layer = SessionLayer::builder(MemoryStore::new())
        .observer(slow.clone())
        .observer_queue(4);
    let layer = layer.build().unwrap();
    let stranger = Client::with(layer.clone());
    let insert = async |session: Session| session.insert("n", 1);
    stranger.request(insert).await;
    slow.is_stuck().await;
    for _ in 0..50 {
        stranger
            .request(async |session| session.rotate_token())
            .await;
        stranger.request(async |session| session.logout()).await;
        stranger.request(insert).await;
    }
    for _ in 0..2 {
        log_in(&layer).await;
    }
    slow.open();
    layer.drain().await;
    let (login, reported) = ("created login", slow.words());
    assert_eq!(reported[..2], ["created write", "lost"]);
    assert_eq!(
        reported[2..],
        ["rotated requested", "destroyed logout", login, login]
    );
}

#[tokio::test]
async fn an_observer_that_panics_stops_no_logout_and_keeps_no_event_from_the_others() {
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
    let response = device.request(async |session| session.logout()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(device.cookie(), None);
    layer.drain().await;
    let reported: Vec<_> = witness.take().iter().map(words).collect();
    assert_eq!(reported, ["created login", "resumed", "destroyed logout"]);
    assert_eq!(
        panics.load(Ordering::SeqCst),
        2,
        "it did not ask for every request"
    );
}

#[tokio::test]
async fn each_request_is_reported_only_to_those_who_asked_for_it() {
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
    let reported: Vec<_> = all.take().iter().map(words).collect();
    assert_eq!(reported, ["created login", "resumed"]);
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
async fn the_thread_ends_with_the_last_clone_of_the_layer_after_all_was_reported() {
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
async fn an_observer_that_never_answers_does_not_delay_a_shutdown_for_long() {
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
