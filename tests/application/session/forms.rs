//! The token for forms.

use http::StatusCode;
use http::header::SET_COOKIE;
use tokio::sync::Barrier;
use tower_keycard::{MemoryStore, Session, SessionError, SessionLayer};

use crate::support::client::Desk;

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
async fn page(desk: &Desk) -> String {
    let mut token = String::new();
    desk.visit(async |session| token = form(&session)).await;
    token
}

async fn refuses(desk: &Desk, token: &str) -> bool {
    let mut refused = true;
    desk.visit(async |session| refused = is_refused(&session, token))
        .await;
    refused
}

#[tokio::test]
async fn every_form_of_a_session_is_taken_and_no_two_look_alike() {
    let desk = Desk::new();
    let (one, other) = (page(&desk).await, page(&desk).await);
    assert_ne!(one, other);
    assert_eq!(one.len(), 64);
    for token in [&one, &other, &one] {
        assert!(!refuses(&desk, token).await);
    }
}

#[tokio::test]
async fn only_a_token_of_this_very_session_is_taken() {
    let (desk, other) = (Desk::new(), Desk::new());
    let (own, foreign) = (page(&desk).await, page(&other).await);
    assert!(refuses(&desk, &foreign).await);
    assert!(refuses(&Desk::new(), &own).await, "without a session");
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
        assert!(refuses(&desk, &wrong).await, "{wrong}");
    }
    assert!(!refuses(&desk, &own).await);
}

#[tokio::test]
async fn a_login_makes_it_new_and_other_rotations_leave_it() {
    let desk = Desk::new();
    let anonymous = page(&desk).await;
    desk.visit(async |session| {
        session.login("alice").unwrap();
        assert!(is_refused(&session, &anonymous));
    })
    .await;
    assert!(refuses(&desk, &anonymous).await);

    let token = page(&desk).await;
    desk.visit(async |session| session.reauthenticate()).await;
    desk.visit(async |session| session.cycle_id()).await;
    desk.visit(async |session| session.clear()).await;
    assert!(!refuses(&desk, &token).await);
    desk.visit(async |session| session.login_keeping("alice", &["_keycard.csrf"]))
        .await;
    assert!(refuses(&desk, &token).await);

    let token = page(&desk).await;
    desk.visit(async |session| session.logout()).await;
    assert!(refuses(&desk, &token).await);
}

#[tokio::test]
async fn a_form_made_in_the_login_request_itself_is_good_after_it() {
    let desk = Desk::new();
    let mut token = String::new();
    desk.visit(async |session| {
        session.login("alice").unwrap();
        token = form(&session);
    })
    .await;
    assert!(!refuses(&desk, &token).await);
}

#[tokio::test]
async fn forms_rendered_at_the_same_time_all_work() {
    let desk = Desk::new();
    desk.visit(async |session| session.login("alice")).await;
    let both_loaded = Barrier::new(2);
    let page = || async {
        let mut token = String::new();
        let response = desk
            .visit(async |session| {
                both_loaded.wait().await;
                token = form(&session);
            })
            .await;
        assert_eq!(response.status(), StatusCode::OK);
        token
    };
    let (one, other) = tokio::join!(page(), page());
    assert!(!refuses(&desk, &one).await);
    assert!(!refuses(&desk, &other).await);
}

#[tokio::test]
async fn a_form_begins_a_session_and_only_the_first_is_a_write() {
    let store = MemoryStore::new();
    let desk = Desk::with(SessionLayer::new(store.clone()));
    desk.visit(async |session| assert!(is_refused(&session, "")))
        .await;
    assert!(store.is_empty(), "checking begins none");
    let response = desk.visit(async |session| form(&session).clear()).await;
    assert!(response.headers().contains_key(SET_COOKIE));
    assert_eq!(store.len(), 1);

    let faults = tower_keycard::store::fault::FaultStore::new(store);
    let calls = faults.faults();
    let again = Desk::with(SessionLayer::new(faults));
    again.set_cookie(desk.cookie());
    page(&again).await;
    assert_eq!(calls.all_calls(), 1, "to load it, and no more");
}

#[tokio::test]
async fn without_randomness_there_is_no_token() {
    let layer = SessionLayer::builder(MemoryStore::new()).random(|_| false);
    let desk = Desk::with(layer.build().unwrap());
    desk.visit(async |session| {
        let error = session.csrf_token().unwrap_err();
        assert!(matches!(error, SessionError::NoRandomness));
    })
    .await;
}
