//! What the tests of the crate's behaviour stand on: stores, a server, browsers, and time that passes on command.

mod browser;
mod gate;
mod jar;
mod script;
mod stores;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use http::Method;
use tokio::net::TcpListener;
use tower_keycard::middleware::SessionLayerBuilder;
use tower_keycard::session::Timestamp;
use tower_keycard::store::testing::fault::{FaultStore, Faults};
use tower_keycard::store::{
    AnyStore, DecodeError, Loaded, Record, RecordKey, SessionStore, StoreCall,
};
use tower_keycard::{Clock, SessionConfig, SessionId, SessionLayer};

use crate::support::eventually;

pub(crate) use self::browser::{Browser, Reply};
pub(crate) use self::gate::Gate;
pub(crate) use self::jar::{HOST, SetCookie};
pub(crate) use self::script::{Stage, application, command, variant};
pub(crate) use self::stores::{Backend, Cluster, Memory, PATIENCE, Redis, Sentinel};
pub(crate) use crate::support::cookie::{NAME as COOKIE_NAME, id as selector};
pub(crate) use crate::support::log::Log;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A token of the right form that no server has issued.
pub(crate) const STRANGER: &str = "0123456789abcdefghijABCDEFGHIJabcdefghij_-_-";

/// Runs each of these tests on every store, under the test's name and the store's.
macro_rules! on_every_store {
    (in parallel: $($test:ident),* $(,)?) => {$(
        mod $test {
            $crate::behaviour::harness::on_each!((flavor = "multi_thread") super::$test);
        }
    )*};
    ($($test:ident),* $(,)?) => {$(
        mod $test {
            $crate::behaviour::harness::on_each!(() super::$test);
        }
    )*};
}

/// Adding a store adds one line.
macro_rules! on_each {
    ($how:tt $test:path) => {
        $crate::behaviour::harness::on_one!(memory, Memory, $how, $test);
        $crate::behaviour::harness::on_one!(redis, Redis, $how, $test);
        $crate::behaviour::harness::on_one!(redis_cluster, Cluster, $how, $test);
        $crate::behaviour::harness::on_one!(redis_sentinel, Sentinel, $how, $test);
    };
}

macro_rules! on_one {
    ($name:ident, $store:ident, ($($how:tt)*), $test:path) => {
        #[tokio::test($($how)*)]
        async fn $name() {
            let store = $crate::behaviour::harness::$store::open().await;
            $test($crate::behaviour::harness::Place::new(store)).await;
        }
    };
}

pub(crate) use {on_each, on_every_store, on_one};

/// Where one test takes place.
pub(crate) struct Place {
    pub(crate) store: FaultStore<AnyStore>,
    pub(crate) faults: Faults,
    pub(crate) stage: Stage,
    pub(crate) log: Log,
    backend: Box<dyn Backend>,
}

impl Place {
    pub(crate) fn new(backend: impl Backend + 'static) -> Self {
        let store = FaultStore::new(backend.store());
        let stage = Stage {
            clock: Clock::manual(Timestamp::from_millis(1_700_000_000_000)),
            gates: Default::default(),
            gone: Default::default(),
        };
        Self {
            faults: store.faults(),
            store,
            stage,
            log: Log::start(),
            backend: Box::new(backend),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.stage.clock.now()
    }

    /// A layer that is to be configured, over this place's store and clock.
    pub(crate) fn builder(&self) -> SessionLayerBuilder {
        SessionLayer::builder(self.store.clone())
            .config(config())
            .clock(self.stage.clock.clone())
    }

    /// Serves the scripted application, and opens a browser on it.
    pub(crate) async fn open(&self) -> Browser {
        self.open_with(|config| config).await
    }

    /// The same with a configuration of the test's own.
    pub(crate) async fn open_with(
        &self,
        configure: impl FnOnce(SessionConfig) -> SessionConfig,
    ) -> Browser {
        let layer = self.builder().config(configure(config()));
        let layer = layer.build().unwrap();
        self.open_layer(layer).await
    }

    pub(crate) async fn open_layer(&self, layer: SessionLayer) -> Browser {
        let application = application(self.stage.clone()).layer(layer);
        let watch = from_fn_with_state(self.stage.clone(), script::watch);
        self.browse(application.layer(watch)).await
    }

    /// Serves an application, and opens a browser on it.
    pub(crate) async fn browse(&self, application: Router) -> Browser {
        Browser::new(serve(application).await, self.stage.clock.clone())
    }

    /// Two requests that have both loaded the session before the first writes, and the second writes after it.
    pub(crate) async fn interleave(
        &self,
        first: (&Browser, &str),
        (other, second): (&Browser, &str),
    ) -> [Reply; 2] {
        self.interleave_as(first, (other, Method::POST, second))
            .await
    }

    /// The same, where the second request has a method of its own.
    pub(crate) async fn interleave_as(
        &self,
        (browser, first): (&Browser, &str),
        (other, method, second): (&Browser, Method, &str),
    ) -> [Reply; 2] {
        let (one, two) = (self.gate("one"), self.gate("two"));
        let order = async {
            one.arrived().await;
            two.arrived().await;
            one.open();
        };
        let first = async {
            let reply = browser.post(&format!("/read/wait:one{first}")).await;
            two.open();
            reply
        };
        let second = format!("/read/wait:two{second}");
        let second = other.ask(method, &second, &[]);
        let (first, second, ()) = tokio::join!(first, second, order);
        [first, second]
    }

    pub(crate) fn gate(&self, name: &str) -> Gate {
        self.stage.gates.named(name)
    }

    /// Lets time pass, for the layer and for the store.
    pub(crate) fn pass(&self, time: Duration) {
        self.stage.clock.advance(time);
        self.backend.pass(time);
    }

    /// Lets time pass for the layer alone: the store still has what has expired.
    pub(crate) fn pass_for_the_layer(&self, time: Duration) {
        self.stage.clock.advance(time);
    }

    pub(crate) fn spoil(&self, id: SessionId, how: DecodeError) {
        self.backend.spoil(&key(id), how);
    }

    /// How many records and tombstones the store holds.
    pub(crate) fn records(&self) -> usize {
        self.backend.len()
    }

    /// What the store has, asked behind the layer's back.
    pub(crate) async fn stored(&self, id: SessionId) -> Loaded {
        self.store.inner().load(&key(id)).await.unwrap()
    }

    /// The record of a session, which must be there, and how long the store will still keep it.
    pub(crate) async fn record(&self, id: SessionId) -> (Record, Duration) {
        match self.stored(id).await {
            Loaded::Record {
                record, remaining, ..
            } => (record, remaining),
            other => panic!("no record: {other:?}"),
        }
    }

    /// Waits for a deletion that nobody answers for.
    pub(crate) async fn until_deleted(&self, id: SessionId) {
        let deleted = async || matches!(self.stored(id).await, Loaded::Tombstone).then_some(());
        eventually("deleted", deleted).await;
    }

    /// Panics unless the store will keep a session for this long, give or take what the test itself takes.
    pub(crate) async fn keeps_for(&self, id: SessionId, time: Duration) {
        let (_, remaining) = self.record(id).await;
        let range = time.saturating_sub(PATIENCE)..=time;
        assert!(
            range.contains(&remaining),
            "{remaining:?} are left, not {time:?}"
        );
    }

    /// Makes the store keep a record for this long, whatever the layer wanted.
    pub(crate) async fn keep(&self, id: SessionId, record: &Record, time: Duration) {
        let kept = self
            .store
            .inner()
            .touch(&key(id), record.revision(), time, None)
            .await;
        assert!(kept.unwrap());
    }

    pub(crate) fn calls(&self, call: StoreCall) -> usize {
        self.faults.calls(call)
    }
}

/// The default configuration, but for a store that may be slow.
pub(crate) fn config() -> SessionConfig {
    SessionConfig::new().store_timeout(PATIENCE)
}

/// Where the layer with the default cookie keeps a session.
fn key(id: SessionId) -> RecordKey {
    RecordKey::new(COOKIE_NAME, id)
}

/// A real server on a port of its own, for as long as the test runs.
pub(crate) async fn serve(application: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, application).await });
    address
}
