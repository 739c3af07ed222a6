//! A shop that knows its clients by address and browser, and hears everything.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::{COOKIE, USER_AGENT};
use http::{Request, Response};
use tower_keycard::event::SessionEvent;
use tower_keycard::monitor::{Browser, ClientFingerprint, Monitor, network_of};
use tower_keycard::session::Timestamp;
use tower_keycard::store::testing::fault::{FaultStore, Faults};
use tower_keycard::store::{AnyStore, SessionStore};
use tower_keycard::{ClientFacts, Clock, MemoryStore, Session, SessionError, SessionLayer};

use crate::support::client::respond;
use crate::support::cookie;

pub(crate) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

pub(crate) struct Shop {
    pub(crate) layer: SessionLayer,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) store: AnyStore,
    events: Arc<Mutex<Vec<SessionEvent>>>,
}

/// A browser somewhere, with the cookies that it was given.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) address: IpAddr,
    pub(crate) agent: &'static str,
    pub(crate) cookie: Option<String>,
}

pub(crate) const FIREFOX: &str =
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
pub(crate) const CURL: &str = "curl/8.5.0";

pub(crate) fn device() -> Device {
    Device {
        address: [192, 0, 2, 7].into(),
        agent: FIREFOX,
        cookie: None,
    }
}

impl Device {
    pub(crate) fn at(&self, address: impl Into<IpAddr>) -> Self {
        Self {
            address: address.into(),
            ..self.clone()
        }
    }

    pub(crate) fn with_agent(&self, agent: &'static str) -> Self {
        Self {
            agent,
            ..self.clone()
        }
    }
}

pub(crate) fn shop(monitor: Monitor) -> Shop {
    let clock = Clock::manual(START);
    shop_on(
        MemoryStore::builder().clock(clock.clone()).build(),
        clock,
        Some(monitor),
    )
}

pub(crate) fn shop_on(store: impl SessionStore, clock: Clock, monitor: Option<Monitor>) -> Shop {
    let store = AnyStore::new(store);
    let faulty = FaultStore::new(store.clone());
    let faults = faulty.faults();
    let events: Arc<Mutex<Vec<SessionEvent>>> = Arc::default();
    let heard = events.clone();
    let mut layer = SessionLayer::builder(faulty)
        .clock(clock.clone())
        .observer(move |event: &SessionEvent| heard.lock().unwrap().push(event.clone()))
        .client(|request| {
            let address = *request.extensions.get::<IpAddr>().unwrap();
            let browser = Browser::of(&request.headers).to_string();
            let fingerprint = ClientFingerprint::new([&network_of(address), &browser]);
            ClientFacts::new()
                .with_address(address)
                .with_description(browser)
                .with_fingerprint(fingerprint)
        });
    if let Some(monitor) = monitor {
        layer = layer.monitor(monitor);
    }
    Shop {
        layer: layer.build().unwrap(),
        clock,
        faults,
        store,
        events,
    }
}

impl Shop {
    /// The same clients at another server.
    pub(crate) fn on(&self, layer: &SessionLayer) -> Self {
        Self {
            layer: layer.clone(),
            clock: self.clock.clone(),
            faults: self.faults.clone(),
            store: self.store.clone(),
            events: Arc::default(),
        }
    }

    /// Sends a request, and keeps the cookie of its response.
    pub(crate) async fn request<T: Send + 'static>(
        &self,
        device: &mut Device,
        handler: impl AsyncFnOnce(Session) -> T,
    ) -> Result<T, SessionError> {
        let mut request = Request::new(());
        request.extensions_mut().insert(device.address);
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, device.agent.parse().unwrap());
        if let Some(cookie) = &device.cookie {
            headers.insert(COOKIE, cookie.parse().unwrap());
        }
        let answer = async |session| {
            Response::new(Some(match session {
                Ok(session) => Ok(handler(session).await),
                Err(rejected) => Err(rejected),
            }))
        };
        let response = respond(&self.layer, request, answer).await;
        cookie::keep(&mut device.cookie, response.headers());
        response.into_body().unwrap()
    }

    pub(crate) async fn log_in(&self, device: &mut Device, user: &'static str) {
        let login = self.request(device, async |session| session.login(user));
        login.await.unwrap().unwrap();
    }

    pub(crate) async fn logged_in(&self) -> Device {
        let mut device = device();
        self.log_in(&mut device, "alice").await;
        device
    }

    pub(crate) async fn user(&self, device: &mut Device) -> Option<String> {
        self.request(device, async |session| session.user())
            .await
            .unwrap()
    }

    /// Whether what asks for a recent authentication is open to this device.
    pub(crate) async fn is_fresh(&self, device: &mut Device) -> bool {
        let seen = self.request(device, async |session| {
            let fresh = session.require_fresh(Duration::from_secs(3_600));
            (fresh, session.is_suspected())
        });
        match seen.await.unwrap() {
            (Ok(()), false) => true,
            (Err(SessionError::NotFresh), true) => false,
            other => panic!("{other:?}"),
        }
    }

    /// What happened since it was last asked: `suspected stale_token report`, say.
    pub(crate) async fn events(&self) -> Vec<String> {
        self.layer.drain().await;
        let events = std::mem::take(&mut *self.events.lock().unwrap());
        let words = |event: &SessionEvent| {
            let event = serde_json::to_value(event).unwrap();
            let names = ["event", "reason", "response"];
            let words = names.iter().filter_map(|name| event[name].as_str());
            words.collect::<Vec<_>>().join(" ")
        };
        events.iter().map(words).collect()
    }
}
