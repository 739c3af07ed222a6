//! The token for forms.

use http::StatusCode;
use http::header::SET_COOKIE;
use tokio::sync::Barrier;
use tower_keycard::{MemoryStore, Session, SessionError, SessionLayer};

use crate::support::client::Client;

fn form(session: &Session) -> String {
    session.csrf_token().unwrap().to_string()
}

fn is_refused(session: &Session, token: &str) -> bool {
    match session.verify_csrf(token) {
        Ok(()) => false,
        Err(SessionError::InvalidCsrfToken) => true,
        Err(error) => panic!("{error}"),
    }
}

/// The token of a page with a form.
async fn page(client: &Client) -> String {
    let mut token = String::new();
    client.request(async |session| token = form(&session)).await;
    token
}

async fn refuses(client: &Client, token: &str) -> bool {
    let mut refused = true;
    client
        .request(async |session| refused = is_refused(&session, token))
        .await;
    refused
}

#[tokio::test]
async fn every_form_of_a_session_is_taken_and_no_two_look_alike() {
    let client = Client::new();
    let (one, other) = (page(&client).await, page(&client).await);
    assert_ne!(one, other);
    assert_eq!(one.len(), 64);
    for token in [&one, &other, &one] {
        assert!(!refuses(&client, token).await);
    }
}

#[tokio::test]
async fn only_a_token_of_this_very_session_is_taken() {
    let (client, other) = (Client::new(), Client::new());
    let (own, foreign) = (page(&client).await, page(&other).await);
    assert!(refuses(&client, &foreign).await);
    assert!(refuses(&Client::new(), &own).await, "without a session");
    let flipped = |at: usize| {
        let mut bytes = own.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    for wrong in [
        String::new(),
        "A".repeat(64),
        own[..63].to_owned(),
        own.clone() + "A",
        own[32..].to_owned() + &own[..32] + "A",
        flipped(0),
        flipped(31),
        flipped(32),
        flipped(63),
        "ü".repeat(32),
    ] {
        assert!(refuses(&client, &wrong).await, "{wrong}");
    }
    assert!(!refuses(&client, &own).await);
}

#[tokio::test]
async fn a_login_makes_it_new_and_other_rotations_leave_it() {
    let client = Client::new();
    let anonymous = page(&client).await;
    client
        .request(async |session| {
            session.login("alice").unwrap();
            assert!(is_refused(&session, &anonymous));
        })
        .await;
    assert!(refuses(&client, &anonymous).await);

    let token = page(&client).await;
    client
        .request(async |session| session.reauthenticate())
        .await;
    client.request(async |session| session.rotate_token()).await;
    client.request(async |session| session.clear()).await;
    assert!(!refuses(&client, &token).await);
    client
        .request(async |session| session.login_keeping("alice", &["_keycard.csrf"]))
        .await;
    assert!(refuses(&client, &token).await);

    let token = page(&client).await;
    client.request(async |session| session.logout()).await;
    assert!(refuses(&client, &token).await);
}

#[tokio::test]
async fn a_form_made_in_the_login_request_itself_is_good_after_it() {
    let client = Client::new();
    let mut token = String::new();
    client
        .request(async |session| {
            session.login("alice").unwrap();
            token = form(&session);
        })
        .await;
    assert!(!refuses(&client, &token).await);
}

#[tokio::test]
async fn forms_rendered_at_the_same_time_all_work() {
    let client = Client::new();
    client.request(async |session| session.login("alice")).await;
    let both_loaded = Barrier::new(2);
    let page = || async {
        let mut token = String::new();
        let response = client
            .request(async |session| {
                both_loaded.wait().await;
                token = form(&session);
            })
            .await;
        assert_eq!(response.status(), StatusCode::OK);
        token
    };
    let (one, other) = tokio::join!(page(), page());
    assert!(!refuses(&client, &one).await);
    assert!(!refuses(&client, &other).await);
}

#[tokio::test]
async fn a_form_begins_a_session_and_only_the_first_is_a_write() {
    let store = MemoryStore::new();
    let client = Client::with(SessionLayer::new(store.clone()));
    client
        .request(async |session| assert!(is_refused(&session, "")))
        .await;
    assert!(store.is_empty(), "checking begins none");
    let response = client.request(async |session| form(&session).clear()).await;
    assert!(response.headers().contains_key(SET_COOKIE));
    assert_eq!(store.len(), 1);

    let faults = tower_keycard::store::testing::fault::FaultStore::new(store);
    let calls = faults.faults();
    let again = Client::with(SessionLayer::new(faults));
    again.set_cookie(client.cookie());
    page(&again).await;
    assert_eq!(calls.all_calls(), 2, "to load it, and to confirm it");
    page(&again).await;
    assert_eq!(calls.all_calls(), 3, "to load it, and no more");
}

#[tokio::test]
async fn without_randomness_there_is_no_token() {
    let layer = SessionLayer::builder(MemoryStore::new()).random(|_| false);
    let client = Client::with(layer.build().unwrap());
    client
        .request(async |session| {
            let error = session.csrf_token().unwrap_err();
            assert!(matches!(error, SessionError::NoRandomness));
        })
        .await;
}
