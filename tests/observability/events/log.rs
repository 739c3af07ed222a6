//! The same events as `tracing` events, in words that no stranger chooses.

use std::collections::BTreeMap;
use std::time::Duration;

use tower_keycard::store::StoreCall;
use tower_keycard::store::testing::fault::Fault;
use tower_keycard::{ClientFacts, MemoryStore, SessionLayer};

use super::witness::{look, site};
use crate::support::client::Client;
use crate::support::log::Log;

fn fields(event: &BTreeMap<String, String>, names: &[&str]) -> Vec<Option<String>> {
    names.iter().map(|name| event.get(*name).cloned()).collect()
}

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

#[tokio::test]
async fn an_event_is_logged_with_its_reason_session_user_and_client() {
    let log = Log::start();
    let site = site();
    let device = site.logged_in("alice").await;
    let [created] = &log.events("created")[..] else {
        panic!("one event");
    };
    let names = ["level", "reason", "user", "client"];
    let expected = some(&["INFO", "login", "\"alice\"", "\"a browser\""]);
    assert_eq!(fields(created, &names), expected);
    assert_eq!(created["session"].len(), 20);
    look(&device).await;
    assert_eq!(log.events("resumed")[0]["level"], "TRACE");
    site.faults.next(StoreCall::Delete, Fault::Refused);
    device.request(async |session| session.logout()).await;
    let [failed] = &log.events("store_failed")[..] else {
        panic!("one event");
    };
    let names = ["level", "reason", "call", "failure"];
    let expected = some(&["ERROR", "refused", "delete", "the session store refused"]);
    assert_eq!(fields(failed, &names), expected);
}

#[tokio::test]
async fn what_strangers_choose_begins_no_line_of_its_own() {
    let log = Log::start();
    let layer = SessionLayer::builder(MemoryStore::new())
        .client(|_| ClientFacts::new().with_description("Fire\"fox\u{202e}\n"))
        .build()
        .unwrap();
    let device = Client::with(layer);
    let login =
        device.request(async |session| session.login("a\nevent=\"created\"\u{1b}[2J\u{2028}"));
    login.await;
    let [created] = &log.events("created")[..] else {
        panic!("one event");
    };
    assert_eq!(
        created["user"],
        r#""a\nevent=\"created\"\u{1b}[2J\u{2028}""#
    );
    assert_eq!(created["client"], r#""Fire\"fox""#);
}

#[tokio::test]
async fn without_a_word_about_the_client_none_is_logged() {
    let log = Log::start();
    let device = Client::with(SessionLayer::new(MemoryStore::new()));
    device
        .request(async |session| session.set_expiry(Duration::from_secs(60)))
        .await;
    device
        .request(async |session| session.insert("cart", 1))
        .await;
    let created = &log.events("created")[0];
    assert!(!created.contains_key("user") && !created.contains_key("client"));
    assert_eq!(created["reason"], "write");
}

/// The client learns nothing from it, and without the log a developer would have to guess the mistake.
#[cfg(feature = "axum")]
#[tokio::test]
async fn a_mistake_of_the_application_is_logged_without_the_value() {
    use axum::response::IntoResponse;
    use tower_keycard::{Session, SessionError};

    let log = Log::start();
    let device = Client::with(SessionLayer::new(MemoryStore::new()));
    device
        .request(async |session| session.insert("cart", "s3cret"))
        .await;
    let handler = async |session: Session| {
        let mistake = session.get::<u32>("cart").unwrap_err();
        assert_eq!(mistake.into_response().status(), 500);
    };
    device.request(handler).await;
    let [reported] = &log.events("answered_500")[..] else {
        panic!("one event");
    };
    assert_eq!(reported["level"], "ERROR");
    assert!(reported["message"].contains("cart"), "{reported:?}");
    assert!(!format!("{reported:?}").contains("s3cret"));

    assert_eq!(SessionError::NotLoggedIn.into_response().status(), 401);
    assert_eq!(log.count("answered_500"), 1);
}
