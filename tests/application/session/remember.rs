//! Logins that the browser is to remember, and those that it is not to.

use std::time::Duration;

use http::header::SET_COOKIE;
use tower_keycard::config::{Persistence, RememberMe};
use tower_keycard::session::{Expiry, Timestamp};
use tower_keycard::{Clock, Login, MemoryStore, Session, SessionConfig, SessionLayer};

use crate::support::client::Client;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Layers over one store, as an application that is configured anew and started again.
struct Place {
    store: MemoryStore,
    clock: Clock,
}

impl Place {
    fn new() -> Self {
        let clock = Clock::manual(START);
        let store = MemoryStore::builder().clock(clock.clone()).build();
        Self { store, clock }
    }

    fn device(&self, config: SessionConfig) -> Client {
        let layer = SessionLayer::builder(self.store.clone());
        let layer = layer.config(config).clock(self.clock.clone());
        Client::with(layer.build().unwrap())
    }
}

/// Logs alice in, and says how many seconds the cookie is kept; `None`: as long as the browser is open.
async fn log_in(device: &Client, remember: impl Into<Option<bool>>) -> Option<u64> {
    let mut login = Login::new("alice");
    if let Some(remember) = remember.into() {
        login = login.remember(remember);
    }
    max_age(device, async |session: Session| session.login(login)).await
}

async fn max_age<T: crate::support::client::IntoAnswer>(
    device: &Client,
    handler: impl AsyncFnOnce(Session) -> T,
) -> Option<u64> {
    let response = device.request(handler).await;
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
    let (_, rest) = cookie.split_once("Max-Age=")?;
    rest.split(';').next().unwrap().parse().ok()
}

async fn lives(device: &Client) -> bool {
    let mut lives = false;
    let cookie = device.cookie();
    device
        .request(async |session: Session| lives = session.user().is_some())
        .await;
    // What a later look with another configuration begins with.
    device.set_cookie(cookie);
    lives
}

fn seconds(days: u32) -> u64 {
    (days * DAY).as_secs()
}

#[tokio::test]
async fn each_login_says_whether_its_cookie_outlives_the_browser() {
    let place = Place::new();
    let browser = SessionConfig::new().persistence(Persistence::BrowserSession);
    for (config, unasked) in [(SessionConfig::new(), Some(seconds(14))), (browser, None)] {
        let device = place.device(config);
        assert_eq!(log_in(&device, None).await, unasked);
        assert_eq!(log_in(&device, false).await, None);
        assert_eq!(log_in(&device, true).await, Some(seconds(30)));
        // And the next login on the same session says it anew.
        assert_eq!(log_in(&device, None).await, unasked);
    }
}

#[tokio::test]
async fn a_login_that_is_remembered_lasts_for_its_own_limits() {
    let place = Place::new();
    let config = SessionConfig::new();
    let (remembered, other, active) = (
        place.device(config.clone()),
        place.device(config.clone()),
        place.device(config),
    );
    log_in(&remembered, true).await;
    log_in(&other, false).await;
    log_in(&active, true).await;
    for day in 1..=30 {
        place.clock.advance(DAY);
        assert_eq!(lives(&active).await, day < 30, "day {day}");
        if day == 1 {
            assert!(!lives(&other).await);
        }
        if day == 13 || day == 26 || day == 27 {
            assert!(lives(&remembered).await);
        }
    }
    assert!(!lives(&remembered).await);
    // Nobody uses it for two weeks.
    log_in(&remembered, true).await;
    place.clock.advance(14 * DAY);
    assert!(!lives(&remembered).await);
}

#[tokio::test]
async fn a_rotation_keeps_the_details_of_the_login() {
    let place = Place::new();
    let device = place.device(SessionConfig::new());
    log_in(&device, true).await;
    place.clock.advance(DAY);
    let left = Some(seconds(29));
    for _ in 0..2 {
        let rotated = async |session: Session| session.rotate_token();
        assert_eq!(max_age(&device, rotated).await, left);
        let again = async |session: Session| session.reauthenticate();
        assert_eq!(max_age(&device, again).await, left);
        device.request(async |session| session.insert("n", 1)).await;
    }
    log_in(&device, false).await;
    let rotated = async |session: Session| session.rotate_token();
    assert_eq!(max_age(&device, rotated).await, None);
}

#[tokio::test]
async fn an_expiry_of_the_sessions_own_goes_before_the_login_and_gives_way_to_it_again() {
    let place = Place::new();
    let device = place.device(SessionConfig::new());
    log_in(&device, true).await;
    let browser = async |session: Session| session.set_expiry(Expiry::BrowserClose);
    assert_eq!(max_age(&device, browser).await, None);
    let back = async |session: Session| session.set_expiry(Expiry::Default);
    assert_eq!(max_age(&device, back).await, Some(seconds(30)));
    place.clock.advance(10 * DAY);
    assert!(lives(&device).await);
}

#[tokio::test]
async fn shorter_limits_hold_at_once_for_who_is_remembered_already() {
    let place = Place::new();
    let device = place.device(SessionConfig::new());
    log_in(&device, true).await;
    let with = |limits: Option<RememberMe>| {
        let other = place.device(SessionConfig::new().remember_me(limits));
        other.set_cookie(device.cookie());
        other
    };
    place.clock.advance(10 * DAY);
    let absolute = |days| Some(RememberMe::new(5 * DAY, days * DAY));
    assert!(!lives(&with(absolute(10))).await);
    // The idle limit is the store's from the next request on.
    assert!(lives(&with(absolute(11))).await);
    place.clock.advance(5 * DAY);
    assert!(!lives(&device).await);

    log_in(&device, true).await;
    assert!(lives(&with(None)).await, "as any other from now on");
    place.clock.advance(DAY);
    assert!(!lives(&device).await);
}

#[tokio::test]
async fn no_longer_limits_are_given_to_who_was_remembered_before() {
    let place = Place::new();
    let short = RememberMe::new(DAY * 2, DAY * 3);
    let before = place.device(SessionConfig::new().remember_me(short));
    assert_eq!(log_in(&before, true).await, Some(seconds(3)));
    let now = place.device(SessionConfig::new());
    now.set_cookie(before.cookie());
    assert!(lives(&now).await);
    place.clock.advance(3 * DAY);
    assert!(!lives(&now).await);
}
