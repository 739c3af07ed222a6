//! A token that comes from another client than the one that it was given to.

use std::net::Ipv4Addr;
use std::time::Duration;

use http::header::USER_AGENT;
use tower_keycard::monitor::{ClientFingerprint, Monitor, Response};
use tower_keycard::store::testing::fault::Fault;
use tower_keycard::store::{Loaded, RecordKey, SessionStore, StoreCall};
use tower_keycard::{ClientFacts, Clock, MemoryStore, RedisStore, SessionId, SessionLayer};

use super::shop::{CURL, Device, FIREFOX, MINUTE, START, Shop, device, shop, shop_on};
use crate::support::cookie;
use crate::support::redis_server::RedisServer;

const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);
const HOUR: Duration = Duration::from_secs(3_600);
const CHANGED: &str = "suspected fingerprint_changed";

fn id(device: &Device) -> SessionId {
    let (_, token) = device.cookie.as_ref().unwrap().split_once('=').unwrap();
    cookie::id(token)
}

#[tokio::test]
async fn the_same_client_is_not_suspected_whatever_it_does() {
    let shop = shop(Monitor::default().fingerprint_changed(Response::Revoke));
    let mut device = shop.logged_in().await;
    for _ in 0..3 {
        // Another address of the same line, and an update of the browser.
        device = device.at([192, 0, 2, 99]);
        device.agent = "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0";
        let write = shop.request(&mut device, async |session| session.insert("cart", 1));
        write.await.unwrap().unwrap();
        let rotate = shop.request(&mut device, async |session| session.rotate_token());
        rotate.await.unwrap().unwrap();
        let again = shop.request(&mut device, async |session| session.reauthenticate());
        again.await.unwrap().unwrap();
        shop.clock.advance(MINUTE);
    }
    assert_eq!(shop.user(&mut device).await.as_deref(), Some("alice"));
    assert!(
        shop.events()
            .await
            .iter()
            .all(|event| !event.starts_with("suspected"))
    );
}

#[tokio::test]
async fn another_client_is_reported_once_and_goes_on_where_that_is_all_that_is_wanted() {
    let shop = shop(Monitor::default().fingerprint_changed(Response::Report));
    let device = shop.logged_in().await;
    shop.events().await;
    for mut thief in [device.at(ELSEWHERE), device.with_agent(CURL)] {
        for _ in 0..3 {
            assert_eq!(shop.user(&mut thief).await.as_deref(), Some("alice"));
            assert!(shop.is_fresh(&mut thief).await);
        }
        assert_eq!(shop.events().await, [format!("{CHANGED} report")]);
    }
}

async fn asks_for_reauthentication(shop: &Shop, other_server: &SessionLayer) {
    let device = shop.logged_in().await;
    shop.events().await;
    let mut thief = device.at(ELSEWHERE);
    assert!(!shop.is_fresh(&mut thief).await);
    // What the thief does not send is known for the owner, too: until it is settled, both have to authenticate again.
    let mut owner = device.clone();
    assert!(!shop.is_fresh(&mut owner).await);
    assert_eq!(shop.user(&mut owner).await.as_deref(), Some("alice"));
    assert_eq!(
        shop.events().await,
        [format!("{CHANGED} require_reauthentication")]
    );

    // The other server has never seen the thief.
    let elsewhere = shop.on(other_server);
    assert!(!elsewhere.is_fresh(&mut owner).await);
    let again = elsewhere.request(&mut owner, async |session| {
        session.reauthenticate().unwrap();
        assert!(!session.is_suspected());
        session.require_fresh(MINUTE)
    });
    again.await.unwrap().unwrap();
    assert!(elsewhere.is_fresh(&mut owner).await);
    assert!(shop.is_fresh(&mut owner).await);
    assert_eq!(
        shop.user(&mut thief).await,
        None,
        "the thief's token is dead"
    );
}

#[tokio::test]
async fn another_client_makes_the_user_reauthenticate_on_every_server() {
    let clock = Clock::manual(START);
    let store = MemoryStore::builder().clock(clock.clone()).build();
    let shop = shop_on(store.clone(), clock.clone(), Some(Monitor::default()));
    let other = shop_on(store, clock, Some(Monitor::default()));
    asks_for_reauthentication(&shop, &other.layer).await;
}

#[tokio::test]
async fn another_client_makes_the_user_reauthenticate_on_every_server_over_redis() {
    let server = RedisServer::start();
    let connect = async || RedisStore::connect(server.url()).await.unwrap();
    let shop = shop_on(connect().await, Clock::system(), Some(Monitor::default()));
    let other = shop_on(connect().await, Clock::system(), Some(Monitor::default()));
    asks_for_reauthentication(&shop, &other.layer).await;
}

#[tokio::test]
async fn a_server_without_a_monitor_keeps_to_a_suspicion_too() {
    let clock = Clock::manual(START);
    let store = MemoryStore::builder().clock(clock.clone()).build();
    let shop = shop_on(store.clone(), clock.clone(), Some(Monitor::default()));
    let device = shop.logged_in().await;
    assert!(!shop.is_fresh(&mut device.at(ELSEWHERE)).await);
    let plain = shop_on(store, clock, None);
    assert!(!plain.is_fresh(&mut device.clone()).await);
}

#[tokio::test]
async fn another_client_ends_the_session_where_that_is_wanted() {
    let shop = shop(Monitor::default().fingerprint_changed(Response::Revoke));
    let mut device = shop.logged_in().await;
    shop.events().await;
    let mut thief = device.at(ELSEWHERE);
    assert_eq!(shop.user(&mut thief).await, None);
    assert_eq!(thief.cookie, device.cookie, "nobody asked to be logged out");
    assert_eq!(shop.user(&mut thief).await, None);
    let expected = [format!("{CHANGED} revoke"), "revoked monitor".to_owned()];
    assert_eq!(shop.events().await[..2], expected);
    assert_eq!(shop.user(&mut device).await, None);
}

#[tokio::test]
async fn a_session_that_cannot_be_ended_is_not_handed_out() {
    let shop = shop(Monitor::default().fingerprint_changed(Response::Revoke));
    let device = shop.logged_in().await;
    shop.faults.next(StoreCall::Delete, Fault::Unavailable);
    let mut thief = device.at(ELSEWHERE);
    let seen = shop
        .request(&mut thief, async |session| session.user())
        .await;
    assert!(seen.is_err(), "{seen:?}");
    assert_eq!(shop.user(&mut thief).await, None);
}

#[tokio::test]
async fn a_suspicion_that_cannot_be_stored_holds_for_its_request_and_is_stored_by_the_next() {
    let shop = shop(Monitor::default());
    let device = shop.logged_in().await;
    let mut thief = device.at(ELSEWHERE);
    for call in [StoreCall::Replace, StoreCall::Load] {
        // The first load is the request's own.
        if call == StoreCall::Load {
            shop.faults.next(call, Fault::Pass);
        }
        shop.faults.next(call, Fault::Unavailable);
        assert!(!shop.is_fresh(&mut thief).await);
        assert!(
            shop.is_fresh(&mut device.clone()).await,
            "it could not be stored"
        );
    }
    assert!(!shop.is_fresh(&mut thief).await);
    assert!(!shop.is_fresh(&mut device.clone()).await);
}

#[tokio::test]
async fn what_a_suspected_request_writes_is_stored_and_the_suspicion_stays() {
    let shop = shop(Monitor::default());
    let device = shop.logged_in().await;
    let mut thief = device.at(ELSEWHERE);
    // What the monitor cannot write down at first, the request's own write does.
    shop.faults.next(StoreCall::Replace, Fault::Unavailable);
    for _ in 0..2 {
        let write = shop.request(&mut thief, async |session| {
            session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
        });
        write.await.unwrap().unwrap();
    }
    let mut owner = device.clone();
    let seen = shop.request(&mut owner, async |session| session.get::<u32>("n"));
    assert_eq!(seen.await.unwrap().unwrap(), Some(2));
    assert!(!shop.is_fresh(&mut owner).await);
}

#[tokio::test]
async fn a_login_and_a_rotation_bind_the_session_to_the_client_that_asked() {
    let shop = shop(Monitor::default());
    let device = shop.logged_in().await;
    let mut moved = device.at(ELSEWHERE);
    shop.log_in(&mut moved, "alice").await;
    shop.events().await;
    assert!(shop.is_fresh(&mut moved).await);
    assert!(shop.events().await.is_empty());
    assert!(!shop.is_fresh(&mut moved.at([192, 0, 2, 7])).await);
    assert_eq!(
        shop.events().await,
        [format!("{CHANGED} require_reauthentication")]
    );
    // A rotation alone proves nothing.
    let rotate = shop.request(&mut moved, async |session| session.rotate_token());
    rotate.await.unwrap().unwrap();
    assert!(!shop.is_fresh(&mut moved).await);
}

#[tokio::test]
async fn a_suspicion_takes_back_no_slide_made_while_it_was_stored() {
    let shop = shop(Monitor::default());
    let mut device = shop.logged_in().await;
    let mut thief = device.at(ELSEWHERE);
    shop.clock.advance(23 * HOUR);
    shop.faults.next(StoreCall::Replace, Fault::Hold);
    // The owner's slides, the thief's does not.
    shop.faults.next(StoreCall::Touch, Fault::Pass);
    shop.faults.next(StoreCall::Touch, Fault::Unavailable);
    let click = async {
        shop.faults.until_waiting(1).await;
        assert_eq!(shop.user(&mut device).await.as_deref(), Some("alice"));
        shop.faults.release().await;
    };
    tokio::join!(shop.user(&mut thief), click);
    shop.clock.advance(2 * HOUR);
    assert_eq!(shop.user(&mut device).await.as_deref(), Some("alice"));
    assert!(!shop.is_fresh(&mut device).await, "it was stored");
}

#[tokio::test]
async fn a_session_from_before_the_monitor_is_bound_by_its_next_write() {
    let clock = Clock::manual(START);
    let store = MemoryStore::builder().clock(clock.clone()).build();
    let before = shop_on(store.clone(), clock.clone(), None);
    let mut device = before.logged_in().await;
    let shop = shop_on(store, clock, Some(Monitor::default()));
    assert!(
        shop.is_fresh(&mut device.at(ELSEWHERE)).await,
        "nobody knows whose it is"
    );
    let write = shop.request(&mut device, async |session| session.insert("cart", 1));
    write.await.unwrap().unwrap();
    assert!(shop.is_fresh(&mut device).await);
    assert!(!shop.is_fresh(&mut device.at(ELSEWHERE)).await);
}

#[tokio::test]
async fn without_a_monitor_nothing_is_kept_of_a_client_but_its_description() {
    let clock = Clock::manual(START);
    let store = MemoryStore::builder().clock(clock.clone()).build();
    let encoded = async |shop: &Shop, device: &Device| {
        let key = RecordKey::new("__Host-id", id(device));
        match shop.store.load(&key).await.unwrap() {
            Loaded::Record { record, .. } => record.encode(),
            other => panic!("{other:?}"),
        }
    };
    let plain = shop_on(store.clone(), clock.clone(), None);
    let device = plain.logged_in().await;
    let without = encoded(&plain, &device).await;
    assert!(plain.is_fresh(&mut device.at(ELSEWHERE)).await);

    // With one, it is sixteen bytes more: different ones for two sessions of one client, and none that its parts can be
    // found by.
    let shop = shop_on(store, clock, Some(Monitor::default()));
    let [one, two] = [shop.logged_in().await, shop.logged_in().await];
    let hash = async |device| {
        let record = encoded(&shop, device).await;
        assert_eq!(record.len(), without.len() + 16);
        record[record.len() - 18..record.len() - 2].to_vec()
    };
    let hashes = [hash(&one).await, hash(&two).await];
    assert_ne!(hashes[0], hashes[1]);
    for record in [without, encoded(&shop, &one).await] {
        for part in [&b"192.0"[..], &[192, 0, 2]] {
            assert!(!record.windows(part.len()).any(|bytes| bytes == part));
        }
    }
}

#[tokio::test]
async fn one_line_is_enough_and_then_a_client_is_known_by_its_browser() {
    let layer = SessionLayer::builder(MemoryStore::new()).monitor(Monitor::default());
    let shop = shop(Monitor::default()).on(&layer.build().unwrap());
    let device = shop.logged_in().await;
    assert!(shop.is_fresh(&mut device.at(ELSEWHERE)).await);
    assert!(shop.is_fresh(&mut device.with_agent(FIREFOX)).await);
    assert!(!shop.is_fresh(&mut device.with_agent(CURL)).await);
}

#[tokio::test]
async fn a_client_that_leaves_out_what_it_is_known_by_is_another() {
    let layer = SessionLayer::builder(MemoryStore::new()).monitor(Monitor::default());
    let layer = layer.client(|request| {
        let agent = request.headers[USER_AGENT].to_str().unwrap();
        assert_ne!(agent, "a stumbling block");
        let known = ClientFingerprint::new([agent]);
        match agent {
            "" => ClientFacts::new(),
            _ => ClientFacts::new().with_fingerprint(known),
        }
    });
    let shop = shop(Monitor::default()).on(&layer.build().unwrap());
    for agent in ["", "a stumbling block"] {
        let mut owner = shop.logged_in().await;
        assert!(shop.is_fresh(&mut owner).await);
        assert!(!shop.is_fresh(&mut owner.with_agent(agent)).await);
        // A session that was never bound to anything is nobody else's.
        let mut bare = device().with_agent(agent);
        shop.log_in(&mut bare, "bob").await;
        assert!(shop.is_fresh(&mut bare).await);
    }
}
