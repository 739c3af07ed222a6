//! R3, R4, R7, R8: when a session begins, and when it ends.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::Value;
use tower_keycard::session::Timestamp;
use tower_keycard::store::testing::conformance::sample_revision_of;
use tower_keycard::store::testing::fault::Fault;
use tower_keycard::store::{AnyStore, Loaded, RecordKey, Replaced, SessionStore, StoreCall};
use tower_keycard::{Clock, MemoryStore, SessionConfig};

use crate::app::{App, COOKIE_NAME, on_every_store};

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn r03_the_server_ends_an_idle_session_and_an_old_one() {
    let clock = Clock::manual(START);
    let store = MemoryStore::builder().clock(clock.clone()).build();
    let app = App::with(AnyStore::new(store), |layer| {
        layer.config(SessionConfig::strict()).clock(clock.clone())
    });
    let mut idle = app.browser();
    idle.does("/login/alice").await;
    clock.advance(30 * MINUTE);
    assert_eq!(
        idle.session().await["exists"],
        false,
        "30 minutes without a request"
    );

    let mut busy = app.browser();
    busy.does("/login/alice").await;
    for _ in 0..31 {
        clock.advance(15 * MINUTE);
        assert_eq!(busy.session().await["user"], "alice");
    }
    clock.advance(15 * MINUTE);
    assert_eq!(
        busy.session().await["exists"],
        false,
        "8 hours after the login"
    );
}

#[tokio::test]
async fn r03_the_absolute_limit_holds_whatever_the_store_still_keeps() {
    on_every_store(async |store| {
        let clock = Clock::manual(START);
        let app = App::with(store, |layer| {
            let config = SessionConfig::new().idle(12 * HOUR).absolute(HOUR);
            layer.config(config).clock(clock.clone())
        });
        let mut browser = app.browser();
        browser.does("/login/alice").await;
        clock.advance(HOUR - MINUTE);
        assert_eq!(browser.session().await["user"], "alice");
        let kept = browser.token();
        clock.advance(MINUTE);
        assert_eq!(browser.session().await["exists"], false);
        assert_eq!(app.with_token(kept).session().await["exists"], false);
    })
    .await;
}

#[tokio::test]
async fn r04_a_terminated_session_stays_terminated() {
    on_every_store(async |store| {
        let app = App::new(store.clone());
        let mut browser = app.browser();
        browser.does("/login/alice").await;
        let token = browser.token();
        let key = RecordKey::new(COOKIE_NAME, token[..20].parse().unwrap());
        let Loaded::Record { record, .. } = store.load(&key).await.unwrap() else {
            panic!("a record");
        };
        assert!(browser.does("/logout").await.removes_the_cookie());

        for (path, status) in [
            ("/write/x", StatusCode::CONFLICT),
            ("/add", StatusCode::CONFLICT),
            ("/rotate", StatusCode::OK),
            ("/logout", StatusCode::OK),
            ("/login/mallory", StatusCode::OK),
        ] {
            let mut thief = app.with_token(token.clone());
            assert_eq!(thief.session().await["user"], Value::Null);
            let reply = thief.post(path).await;
            assert_eq!(reply.status, status, "{path}");
            assert_ne!(reply.token().unwrap_or_default().get(..20), token.get(..20));
            assert_eq!(
                app.with_token(token.clone()).session().await["exists"],
                false
            );
        }
        // A write that was on its way when the session ended.
        let late = sample_revision_of(&record, "{}");
        let replaced = store
            .replace(&key, record.revision(), &late.write(HOUR))
            .await
            .unwrap();
        assert!(matches!(replaced, Replaced::Conflict(_)));
        assert!(
            !store
                .touch(&key, record.revision(), HOUR, None)
                .await
                .unwrap()
        );
        assert!(matches!(store.load(&key).await.unwrap(), Loaded::Tombstone));
    })
    .await;
}

#[tokio::test]
async fn r04_no_write_brings_a_session_back_after_its_tombstone_is_gone() {
    let clock = Clock::manual(START);
    let store = MemoryStore::builder().clock(clock.clone()).build();
    let app = App::with(AnyStore::new(store.clone()), |layer| {
        layer.clock(clock.clone())
    });
    let mut browser = app.browser();
    browser.does("/login/alice").await;
    let token = browser.token();

    // A write that waits for the store for longer than the tombstone lives.
    app.faults.next(StoreCall::Replace, Fault::Hold);
    let mut slow = app.with_token(token.clone());
    let slow = tokio::spawn(async move { slow.post("/write/x").await });
    app.faults.until_waiting(1).await;
    browser.does("/logout").await;
    clock.advance(2 * MINUTE);
    app.faults.release().await;
    assert_eq!(slow.await.unwrap().status, StatusCode::CONFLICT);
    assert!(store.is_empty());
    assert_eq!(app.with_token(token).session().await["exists"], false);
}

#[tokio::test]
async fn r04_logout_is_carried_out_even_if_its_handler_fails_panics_or_is_dropped() {
    on_every_store(async |store| {
        let app = App::new(store);
        for path in ["/logout-and-fail", "/logout-and-panic"] {
            let mut browser = app.browser();
            browser.does("/login/alice").await;
            let token = browser.token();
            let deleted = app.faults.calls(StoreCall::Delete);
            let ended = tokio::spawn(async move { browser.post(path).await.status }).await;
            assert!(ended.is_err() || ended.is_ok_and(|status| status.is_server_error()));
            while app.faults.calls(StoreCall::Delete) == deleted {
                tokio::task::yield_now().await;
            }
            let mut thief = app.with_token(token);
            while thief.clone().session().await["exists"] == true {
                tokio::task::yield_now().await;
            }
            assert_eq!(thief.session().await["user"], Value::Null, "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn r07_the_time_of_the_last_authentication_is_kept_and_only_another_moves_it() {
    on_every_store(async |store| {
        let clock = Clock::manual(START);
        let app = App::with(store, |layer| layer.clock(clock.clone()));
        let mut browser = app.browser();
        browser.does("/write/x").await;
        assert_eq!(browser.session().await["authenticated"], Value::Null);
        let mut expected = Value::Null;
        for (path, authenticates) in [
            ("/login/alice", true),
            ("/write/y", false),
            ("/rotate", false),
            ("/reauthenticate", true),
            ("/add", false),
        ] {
            clock.advance(MINUTE);
            browser.does(path).await;
            if authenticates {
                expected = clock.now().as_millis().into();
            }
            assert_eq!(browser.session().await["authenticated"], expected, "{path}");
        }
        // Without a login there is nothing to re-authenticate.
        let reply = app.browser().post("/reauthenticate").await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    })
    .await;
}

#[tokio::test]
async fn r07_a_sensitive_action_asks_for_a_recent_authentication() {
    on_every_store(async |store| {
        let clock = Clock::manual(START);
        let app = App::with(store, |layer| layer.clock(clock.clone()));
        let mut browser = app.browser();
        let nobody = browser.post("/sensitive").await;
        assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
        browser.does("/login/alice").await;
        browser.does("/sensitive").await;
        clock.advance(5 * MINUTE);
        let stale = browser.post("/sensitive").await;
        assert_eq!(stale.status, StatusCode::FORBIDDEN);
        assert_eq!(stale.json()["error"], "reauthentication_required");
        browser.does("/reauthenticate").await;
        browser.does("/sensitive").await;
    })
    .await;
}

#[tokio::test]
async fn r08_only_a_write_begins_a_session() {
    let store = MemoryStore::new();
    let app = App::new(AnyStore::new(store.clone()));
    for path in ["/untouched", "/read"] {
        let reply = app.browser().get(path).await;
        assert_eq!(reply.set_cookie(), None);
    }
    for path in ["/rotate", "/logout", "/fail", "/logout-and-fail"] {
        assert_eq!(app.browser().post(path).await.set_cookie(), None, "{path}");
    }
    assert!(store.is_empty());
    assert_eq!(app.faults.all_calls(), 0);
    app.browser().does("/write/x").await;
    assert_eq!(store.len(), 1);
}
