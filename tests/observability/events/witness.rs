//! An observer that remembers, and a site whose every event it hears.

use std::sync::{Arc, Mutex};

use http::StatusCode;
use tower_keycard::event::{SessionEvent, SessionObserver};
use tower_keycard::middleware::SessionLayerBuilder;
use tower_keycard::session::Timestamp;
use tower_keycard::store::SessionStore;
use tower_keycard::store::testing::fault::{FaultStore, Faults};
use tower_keycard::{ClientFacts, Clock, MemoryStore, SessionLayer};

use crate::support::client::Client;

pub(crate) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

#[derive(Clone, Default)]
pub(crate) struct Witness(Arc<Mutex<Vec<SessionEvent>>>);

impl SessionObserver for Witness {
    fn observe(&self, event: &SessionEvent) {
        self.0.lock().unwrap().push(event.clone());
    }

    fn every_request(&self) -> bool {
        true
    }
}

impl Witness {
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn take(&self) -> Vec<SessionEvent> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// `created login`, and `resumed`: what happened, in words.
pub(crate) fn words(event: &SessionEvent) -> String {
    let reason = event.kind.reason();
    reason.map_or(event.kind.name().to_owned(), |reason| {
        format!("{} {reason}", event.kind.name())
    })
}

pub(crate) struct Site {
    pub(crate) layer: SessionLayer,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    witness: Witness,
}

pub(crate) fn site() -> Site {
    site_with(|layer| layer)
}

pub(crate) fn site_with(
    configure: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder,
) -> Site {
    let clock = Clock::manual(START);
    let store = MemoryStore::builder().clock(clock.clone()).build();
    site_on(store, clock, configure)
}

pub(crate) fn site_on(
    store: impl SessionStore,
    clock: Clock,
    configure: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder,
) -> Site {
    crate::support::log::listen();
    let (store, witness) = (FaultStore::new(store), Witness::default());
    let faults = store.faults();
    let layer = SessionLayer::builder(store)
        .clock(clock.clone())
        .observer(witness.clone())
        .client(|_| ClientFacts::new().with_description("a browser"));
    Site {
        layer: configure(layer).build().unwrap(),
        clock,
        faults,
        witness,
    }
}

impl Site {
    /// A browser that nobody has used yet.
    pub(crate) fn device(&self) -> Client {
        Client::with(self.layer.clone())
    }

    pub(crate) async fn logged_in(&self, user: &'static str) -> Client {
        let device = self.device();
        let response = device
            .request(async move |session| session.login(user))
            .await;
        assert_eq!(response.status(), StatusCode::OK);
        device
    }

    /// A browser that sends this cookie.
    pub(crate) fn with_cookie(&self, cookie: &str) -> Client {
        let device = self.device();
        device.set_cookie(Some(cookie.to_owned()));
        device
    }

    /// What happened since it was last asked.
    pub(crate) async fn events(&self) -> Vec<SessionEvent> {
        self.layer.drain().await;
        self.witness.take()
    }

    pub(crate) async fn words(&self) -> Vec<String> {
        self.events().await.iter().map(words).collect()
    }
}

/// Reads the session, as most requests do.
pub(crate) async fn look(device: &Client) {
    device.request(async |session| drop(session.user())).await;
}
