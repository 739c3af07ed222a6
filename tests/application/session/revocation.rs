//! Logins before and after the end of all sessions of their user, on every store.

use std::time::Instant;

use http::StatusCode;
use tower_keycard::store::{AnyStore, REVOCATION_LIFETIME};
use tower_keycard::{Session, SessionLayer};

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
