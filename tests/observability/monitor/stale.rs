//! A token that was rotated out comes once more.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tower_keycard::monitor::{Monitor, Response, Signal};
use tower_keycard::store::{
    Created, IndexEntry, Loaded, RecordKey, Replaced, Revision, SessionStore, StoreError, Write,
};
use tower_keycard::{Clock, MemoryStore};

use super::shop::{Device, MINUTE, START, Shop, shop, shop_on};

const STALE: &str = "suspected stale_token";

/// A device whose token was rotated, and another that still has the old one.
async fn copied(shop: &Shop) -> (Device, Device) {
    let mut device = shop.logged_in().await;
    let copy = device.clone();
    let rotate = shop.request(&mut device, async |session| session.rotate_token());
    rotate.await.unwrap().unwrap();
    shop.events().await;
    (device, copy)
}

#[tokio::test]
async fn within_the_minute_after_a_rotation_an_old_token_means_nothing() {
    for response in [Response::RequireReauthentication, Response::Revoke] {
        let shop = shop(Monitor::default().stale_token(response));
        let (mut device, mut tab) = copied(&shop).await;
        shop.clock.advance(MINUTE - Duration::from_millis(1));
        assert_eq!(shop.user(&mut tab).await, None);
        assert_eq!(shop.events().await, ["stale superseded"]);
        assert!(shop.is_fresh(&mut device).await);
    }
}

#[tokio::test]
async fn later_it_is_reported_once_and_harms_nobody_by_default() {
    let shop = shop(Monitor::default());
    let (mut device, copy) = copied(&shop).await;
    shop.clock.advance(MINUTE);
    for _ in 0..2 {
        assert_eq!(shop.user(&mut copy.clone()).await, None);
    }
    let expected = ["stale old", "suspected stale_token report", "stale old"];
    assert_eq!(shop.events().await, expected);
    assert!(shop.is_fresh(&mut device).await);
}

#[tokio::test]
async fn the_session_needs_reauthentication_or_ends_where_that_is_wanted() {
    let ask = shop(Monitor::default().stale_token(Response::RequireReauthentication));
    let (mut device, mut copy) = copied(&ask).await;
    ask.clock.advance(MINUTE);
    ask.user(&mut copy).await;
    let expected = [
        "stale old".to_owned(),
        format!("{STALE} require_reauthentication"),
    ];
    assert_eq!(ask.events().await, expected);
    assert!(!ask.is_fresh(&mut device).await);
    assert_eq!(ask.user(&mut device).await.as_deref(), Some("alice"));

    let end = shop(Monitor::default().stale_token(Response::Revoke));
    let (mut device, mut copy) = copied(&end).await;
    end.clock.advance(MINUTE);
    end.user(&mut copy).await;
    let events = end.events().await;
    assert_eq!(
        events[1..],
        [format!("{STALE} revoke"), "revoked monitor".to_owned()]
    );
    assert_eq!(end.user(&mut device).await, None);
}

#[tokio::test]
async fn an_old_cookie_that_a_browser_sends_beside_the_present_one_is_no_sign() {
    for response in [Response::RequireReauthentication, Response::Revoke] {
        let shop = shop(Monitor::default().stale_token(response));
        let (mut device, copy) = copied(&shop).await;
        shop.clock.advance(MINUTE);
        let both = [&device, &copy].map(|device| device.cookie.clone().unwrap());
        device.cookie = Some(both.join("; "));
        assert!(shop.is_fresh(&mut device).await);
        assert_eq!(shop.events().await, ["stale old"]);
        // Beside a token of another session it is one, as when it comes alone.
        let mut thief = shop.logged_in().await;
        thief.cookie = Some([thief.cookie.unwrap(), copy.cookie.unwrap()].join("; "));
        shop.events().await;
        assert_eq!(shop.user(&mut thief).await.as_deref(), Some("alice"));
        assert!(shop.events().await[1].starts_with(STALE));
    }
}

#[tokio::test]
async fn where_it_is_not_looked_for_it_is_an_event_like_any_other() {
    let shop = shop(Monitor::default().without(Signal::StaleToken));
    let (_, mut copy) = copied(&shop).await;
    shop.clock.advance(MINUTE);
    shop.user(&mut copy).await;
    assert_eq!(shop.events().await, ["stale old"]);
}

/// Says of each record that it remains for so long, as a store does whose word is a clock's that was wrong.
#[derive(Clone)]
struct Misjudging {
    store: MemoryStore,
    remaining: Arc<Mutex<Option<Duration>>>,
    key: Arc<Mutex<Option<RecordKey>>>,
}

impl SessionStore for Misjudging {
    fn prefix(&self) -> &str {
        self.store.prefix()
    }

    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        *self.key.lock().unwrap() = Some(key.clone());
        let said = *self.remaining.lock().unwrap();
        Ok(match (self.store.load(key).await?, said) {
            (
                Loaded::Record {
                    record,
                    stale,
                    unconfirmed,
                    ..
                },
                Some(remaining),
            ) => Loaded::Record {
                record,
                remaining,
                stale,
                unconfirmed,
            },
            (loaded, _) => loaded,
        })
    }

    async fn create(&self, key: &RecordKey, write: &Write<'_>) -> Result<Created, StoreError> {
        self.store.create(key, write).await
    }

    async fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        write: &Write<'_>,
    ) -> Result<Replaced, StoreError> {
        self.store.replace(key, expected, write).await
    }

    async fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        ttl: Duration,
        extends: Option<IndexEntry<'_>>,
    ) -> Result<bool, StoreError> {
        self.store.touch(key, expected, ttl, extends).await
    }

    async fn delete(&self, key: &RecordKey, user: Option<&str>) -> Result<(), StoreError> {
        self.store.delete(key, user).await
    }
}

#[tokio::test]
async fn a_suspicion_neither_ends_a_session_nor_keeps_it_beyond_its_limit_whatever_is_said_to_remain()
 {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    for (said, kept) in [
        // The store keeps what it has. What is said to be too much is set right.
        (Duration::ZERO, DAY - MINUTE),
        (30 * DAY, DAY),
        (DAY / 2, DAY - MINUTE),
    ] {
        let clock = Clock::manual(START);
        let store = Misjudging {
            store: MemoryStore::builder().clock(clock.clone()).build(),
            remaining: Arc::default(),
            key: Arc::default(),
        };
        let monitor = Monitor::default().stale_token(Response::RequireReauthentication);
        let shop = shop_on(store.clone(), clock, Some(monitor));
        let (mut device, mut copy) = copied(&shop).await;
        shop.clock.advance(MINUTE);
        *store.remaining.lock().unwrap() = Some(said);
        assert_eq!(shop.user(&mut copy).await, None);
        *store.remaining.lock().unwrap() = None;
        let key = store.key.lock().unwrap().clone().unwrap();
        match store.store.load(&key).await.unwrap() {
            Loaded::Record { remaining, .. } => assert_eq!(remaining, kept),
            other => panic!("{other:?}"),
        }
        assert!(!shop.is_fresh(&mut device).await);
    }
}
