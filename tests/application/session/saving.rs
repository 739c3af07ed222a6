//! Saving by hand, and writing after the response's head.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use http::header::SET_COOKIE;
use tower_keycard::store::StoreCall;
use tower_keycard::store::testing::fault::{Fault, FaultStore};
use tower_keycard::{MemoryStore, Session, SessionConfig, SessionError, SessionLayer};

use crate::support::client::Client;

#[tokio::test]
async fn what_was_saved_by_hand_stays_and_gets_its_cookie_though_the_handler_fails() {
    let client = Client::new();
    let response = client
        .request(async |session| {
            session.insert("kept", 1).unwrap();
            session.save().await.unwrap();
            assert!(session.id().is_some());
            session.insert("lost", 1).unwrap();
            StatusCode::INTERNAL_SERVER_ERROR
        })
        .await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(response.headers().contains_key(SET_COOKIE));
    client
        .request(async |session| assert_eq!(session.keys(), ["kept"]))
        .await;
}

#[tokio::test]
async fn a_session_saved_by_hand_is_written_on_in_the_same_request() {
    let client = Client::new();
    client
        .request(async |session| {
            session
                .update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
                .unwrap();
            session.save().await.unwrap();
            session
                .update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
                .unwrap();
            session.save().await.unwrap();
            session.login("alice").unwrap();
            session.save().await.unwrap();
            session
                .update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
                .unwrap();
        })
        .await;
    client
        .request(async |session| {
            assert_eq!(session.get::<u32>("n").unwrap(), Some(3));
            assert_eq!(session.user().as_deref(), Some("alice"));
        })
        .await;
}

#[tokio::test]
async fn a_session_saved_and_then_ended_is_gone() {
    let client = Client::new();
    let response = client
        .request(async |session| {
            session.insert("n", 1).unwrap();
            session.save().await.unwrap();
            session.logout().unwrap();
        })
        .await;
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("Max-Age=0"), "{cookie}");
    assert_eq!(response.headers().get_all(SET_COOKIE).iter().count(), 1);
}

fn faulty() -> (Client, tower_keycard::store::testing::fault::Faults) {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let layer = SessionLayer::builder(store)
        .config(SessionConfig::new().store_timeout(Duration::from_secs(60)));
    (Client::with(layer.build().unwrap()), faults)
}

#[tokio::test]
async fn a_save_that_failed_is_reported_by_the_call_and_by_the_response() {
    let (client, faults) = faulty();
    client.request(async |session| session.insert("n", 1)).await;
    let failing = faults.clone();
    let response = client
        .request(async move |session| {
            session.insert("n", 2).unwrap();
            failing.next(StoreCall::Replace, Fault::Unavailable);
            assert!(matches!(session.save().await, Err(SessionError::Store(_))));
        })
        .await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    client
        .request(async |session| assert_eq!(session.get::<u32>("n").unwrap(), Some(1)))
        .await;
    let response = client
        .request(async move |session| {
            session.insert("n", 2).unwrap();
            faults.next(StoreCall::Replace, Fault::Unavailable);
            assert!(session.save().await.is_err());
            session.reload().await.unwrap();
            assert_eq!(session.get::<u32>("n").unwrap(), Some(1));
        })
        .await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn while_a_save_is_under_way_writes_are_refused_and_a_logout_overtakes_it() {
    let (client, faults) = faulty();
    client.request(async |session| session.insert("n", 1)).await;
    let response = client
        .request(async move |session| {
            session.insert("n", 2).unwrap();
            faults.next(StoreCall::Replace, Fault::Hold);
            let saving = tokio::spawn({
                let session = session.clone();
                async move { session.save().await }
            });
            faults.until_waiting(1).await;
            assert!(matches!(session.insert("m", 1), Err(SessionError::Saving)));
            assert!(matches!(session.login("alice"), Err(SessionError::Saving)));
            assert_eq!(session.get::<u32>("n").unwrap(), Some(2));
            session.logout().unwrap();
            assert!(session.is_empty());
            faults.release().await;
            saving.await.unwrap().unwrap();
            assert!(session.is_empty() && !session.exists());
        })
        .await;
    assert!(
        response.headers()[SET_COOKIE]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
}

/// A handle that outlives its response, as a stream's does.
async fn outlive(client: &Client) -> Session {
    let kept = Arc::new(Mutex::new(None));
    let slot = kept.clone();
    client
        .request(async move |session| *slot.lock().unwrap() = Some(session))
        .await;
    let session = kept.lock().unwrap().take();
    session.unwrap()
}

#[tokio::test]
async fn after_the_response_head_a_session_is_sealed_until_it_is_reloaded() {
    let client = Client::new();
    client.request(async |session| session.insert("n", 1)).await;
    let session = outlive(&client).await;
    assert_eq!(session.get::<u32>("n").unwrap(), Some(1));
    assert!(matches!(session.insert("n", 2), Err(SessionError::Sealed)));
    assert!(matches!(session.remove("n"), Err(SessionError::Sealed)));
    assert!(matches!(session.clear(), Err(SessionError::Sealed)));
    assert!(matches!(session.login("a"), Err(SessionError::Sealed)));
    assert!(matches!(session.logout(), Err(SessionError::Sealed)));
    assert!(matches!(session.rotate_token(), Err(SessionError::Sealed)));
    assert!(matches!(
        session.set_expiry(Duration::from_secs(9)),
        Err(SessionError::Sealed)
    ));
    assert!(matches!(session.save().await, Err(SessionError::Sealed)));

    session.reload().await.unwrap();
    session
        .update("n", |n: Option<u32>| n.unwrap_or(0) + 10)
        .unwrap();
    assert!(matches!(session.login("a"), Err(SessionError::HeadSent)));
    assert!(matches!(
        session.rotate_token(),
        Err(SessionError::HeadSent)
    ));
    assert!(matches!(
        session.reauthenticate(),
        Err(SessionError::HeadSent)
    ));
    assert!(matches!(
        session.set_expiry(Duration::from_secs(9)),
        Err(SessionError::HeadSent)
    ));
    session.save().await.unwrap();
    client
        .request(async |session| assert_eq!(session.get::<u32>("n").unwrap(), Some(11)))
        .await;

    session.logout().unwrap();
    session.save().await.unwrap();
    let response = client
        .request(async |session| assert!(session.is_empty()))
        .await;
    assert!(
        !response.headers().contains_key(SET_COOKIE),
        "the session ended a moment ago"
    );
}

#[tokio::test]
async fn a_reloaded_session_sees_what_others_wrote_and_nothing_after_a_rotation() {
    let client = Client::new();
    client.request(async |session| session.insert("n", 1)).await;
    let session = outlive(&client).await;
    client.request(async |session| session.insert("n", 2)).await;
    assert_eq!(session.get::<u32>("n").unwrap(), Some(1));
    session.reload().await.unwrap();
    assert_eq!(session.get::<u32>("n").unwrap(), Some(2));

    client.request(async |session| session.login("alice")).await;
    session.insert("n", 3).unwrap();
    assert!(matches!(
        session.save().await,
        Err(SessionError::Interrupted)
    ));
    session.reload().await.unwrap();
    assert!(session.is_empty() && session.user().is_none());
    assert!(matches!(
        session.insert("n", 3),
        Err(SessionError::HeadSent)
    ));
    client
        .request(async |session| assert_eq!(session.get::<u32>("n").unwrap(), Some(2)))
        .await;
}

#[tokio::test]
async fn a_reload_takes_nothing_from_a_response_that_is_being_committed() {
    let (client, faults) = faulty();
    client.request(async |session| session.insert("n", 1)).await;
    faults.next(StoreCall::Replace, Fault::Hold);
    let kept = Arc::new(Mutex::new(None));
    let slot = kept.clone();
    let reload = async {
        faults.until_waiting(1).await;
        let session: Session = kept.lock().unwrap().take().unwrap();
        assert!(matches!(session.reload().await, Err(SessionError::Saving)));
        faults.release().await;
        session
    };
    let request = client.request(async move |session| {
        session.insert("n", 2).unwrap();
        *slot.lock().unwrap() = Some(session);
    });
    let (response, session) = tokio::join!(request, reload);
    assert_eq!(response.status(), StatusCode::OK);
    session.reload().await.unwrap();
    assert_eq!(session.get::<u32>("n").unwrap(), Some(2));
}

#[tokio::test]
async fn what_cannot_be_saved_can_still_be_read() {
    let layer = SessionLayer::new(MemoryStore::new());
    let mut cookies = Vec::new();
    for user in ["alice", "bob"] {
        let device = Client::with(layer.clone());
        device.request(async |session| session.login(user)).await;
        cookies.extend(device.cookie());
    }
    let client = Client::with(layer);
    client.set_cookie(Some(cookies.join("; ")));
    client
        .request(async |session| {
            session.insert("n", 1).unwrap();
            assert!(matches!(session.save().await, Err(SessionError::Ambiguous)));
            assert_eq!(session.get::<u32>("n").unwrap(), Some(1));
        })
        .await;
}
