//! Logins before and after the end of all sessions of their user, on every store.

use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use http::StatusCode;
use tower_keycard::config::BeyondLimit;
use tower_keycard::store::{AnyStore, REVOCATION_LIFETIME};
use tower_keycard::{Session, SessionConfig, SessionLayer};

use crate::behaviour::harness::{Backend, Cluster, Memory, Redis};
use crate::support::client::{Client, ask};

async fn on_every_store(test: impl AsyncFn(AnyStore)) {
    test(Memory::open().await.store()).await;
    test(Redis::open().await.store()).await;
    test(Cluster::open().await.store()).await;
}

async fn log_in(device: &Client) -> StatusCode {
    let response = device.request(async |session: Session| session.login("alice"));
    response.await.status()
}

async fn user(device: &Client) -> Option<String> {
    ask(device, async |session| session.user()).await
}

#[tokio::test]
async fn a_login_that_arrives_after_all_sessions_were_ended_is_admitted_at_once() {
    on_every_store(async |store| {
        let layer = SessionLayer::new(store);
        for round in 0..10 {
            let phone = Client::with(layer.clone());
            assert_eq!(log_in(&phone).await, StatusCode::OK);
            assert!(layer.users().end_all("alice").await.unwrap() >= 1);
            let ended = Instant::now();
            assert_eq!(user(&phone).await, None);
            // An answer that is delayed on a busy machine proves nothing: the client tries again, as it is told.
            while log_in(&phone).await != StatusCode::OK {
                assert!(
                    ended.elapsed() < REVOCATION_LIFETIME / 2,
                    "in round {round}"
                );
            }
            assert_eq!(user(&phone).await.as_deref(), Some("alice"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_login_that_arrived_before_all_sessions_were_ended_is_refused() {
    on_every_store(async |store| {
        let layer = SessionLayer::new(store);
        let phone = Client::with(layer.clone());
        let response = phone.request(async |session: Session| {
            // The password was right a moment ago.
            layer.users().end_all("alice").await.unwrap();
            session.login("alice")
        });
        assert_eq!(response.await.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(user(&phone).await, None);
        assert!(layer.users().sessions_of("alice").await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_login_that_a_second_revocation_overtakes_is_refused() {
    on_every_store(async |store| {
        let layer = SessionLayer::new(store);
        layer.users().end_all("alice").await.unwrap();
        let phone = Client::with(layer.clone());
        let response = phone.request(async |session: Session| {
            session.login("alice").unwrap();
            layer.users().end_all("alice").await.unwrap();
        });
        assert_eq!(response.await.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(user(&phone).await, None);
    })
    .await;
}

#[tokio::test]
async fn whoever_lists_their_own_sessions_keeps_no_login_and_no_revocation_waiting() {
    on_every_store(async |store| {
        for beyond in [BeyondLimit::Refuse, BeyondLimit::EvictOldest] {
            let config = SessionConfig::new()
                .max_sessions_per_user(1, beyond)
                .store_timeout(Duration::from_secs(5));
            let layer = SessionLayer::builder(store.clone()).config(config);
            let layer = layer.build().unwrap();
            let log_in = async |user: &'static str| {
                let device = Client::with(layer.clone());
                let response = device.request(async move |session| session.login(user));
                assert_eq!(response.await.status(), StatusCode::OK, "{user}");
                device
            };
            let phone = log_in("alice").await;
            let users = layer.users();
            users.sessions_of("mallory").await.unwrap();
            // They begin, and do not go on.
            let lists: Vec<Pin<Box<_>>> = (0..50)
                .map(|_| {
                    let mut list = Box::pin(users.sessions_of("mallory"));
                    let mut context = Context::from_waker(Waker::noop());
                    let _begun = list.as_mut().poll(&mut context).is_pending();
                    list
                })
                .collect();
            assert_eq!(users.end_all("alice").await.unwrap(), 1);
            assert_eq!(user(&phone).await, None);
            let mut last = log_in("mallory").await;
            log_in("bob").await;
            if beyond == BeyondLimit::EvictOldest {
                let first = std::mem::replace(&mut last, log_in("mallory").await);
                assert_eq!(user(&first).await, None, "the limit is enforced");
            }
            drop(lists);
            for name in ["bob", "mallory"] {
                assert_eq!(users.end_all(name).await.unwrap(), 1);
            }
        }
    })
    .await;
}
