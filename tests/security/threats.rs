//! The threats of `docs/security.md`, where no row of the table says it all.

use axum::http::StatusCode;
use serde_json::Value;
use tower_http::csrf::CsrfLayer;
use tower_keycard::config::SameSite;
use tower_keycard::store::testing::fault::Fault;
use tower_keycard::store::{AnyStore, StoreCall};
use tower_keycard::{MemoryStore, SessionConfig};

use crate::app::{App, COOKIE_NAME, on_every_store, redis};
use crate::leaks::dump::ask;
use crate::support::redis_server::RedisServer;

#[tokio::test]
async fn threat_fixation_a_token_from_before_the_login_is_dead_after_it() {
    on_every_store(async |store| {
        let app = App::new(store);
        let mut attacker = app.browser();
        attacker.does("/write/planted").await;
        let planted = attacker.token();
        let mut victim = app.with_token(planted.clone());
        victim.does("/login/alice").await;
        for path in ["/write/x", "/add"] {
            let reply = app.with_token(planted.clone()).post(path).await;
            assert_eq!(
                (reply.status, reply.set_cookie()),
                (StatusCode::CONFLICT, None)
            );
        }
        let seen = attacker.session().await;
        assert_eq!(
            (&seen["exists"], &seen["user"], &seen["cart"]),
            (&false.into(), &Value::Null, &Value::Null)
        );
        assert_eq!(victim.session().await["user"], "alice");
    })
    .await;
}

#[tokio::test]
async fn threat_fixation_a_save_without_an_answer_does_not_show_what_a_login_made_of_the_session() {
    let app = App::in_memory();
    let mut attacker = app.browser();
    attacker.does("/write/planted").await;
    let mut victim = app.with_token(attacker.token());
    // The attacker's write arrives, its answer does not; before it looks, the victim logs in.
    app.faults.next(StoreCall::Replace, Fault::LostReply);
    app.faults.next(StoreCall::Load, Fault::Pass);
    app.faults.next(StoreCall::Load, Fault::Hold);
    let save = tokio::spawn(async move { attacker.post("/save-and-read").await });
    app.faults.until_waiting(1).await;
    victim.does("/login/alice").await;
    victim.does("/write/alices").await;
    app.faults.release().await;
    let reply = save.await.unwrap();
    assert!(!reply.body.contains("alice"), "{reply:?}");
    assert_eq!(reply.set_cookie(), None);
    assert_eq!(victim.session().await["cart"], "alices");
}

#[tokio::test]
async fn threat_a_switch_of_users_leaves_nothing_to_the_next() {
    on_every_store(async |store| {
        let app = App::new(store);
        let mut browser = app.browser();
        browser.does("/login/alice").await;
        browser.does("/write/alices").await;
        let alices = browser.token();
        browser.does("/login/bob").await;
        let session = browser.session().await;
        assert_eq!(
            (&session["user"], &session["cart"]),
            (&"bob".into(), &Value::Null)
        );
        assert_ne!(browser.token()[..20], alices[..20]);
        assert_eq!(app.with_token(alices).session().await["exists"], false);
    })
    .await;
}

#[tokio::test]
async fn threat_cookie_tossing_gives_nobody_the_session_of_another() {
    let app = App::in_memory();
    let mut victim = app.browser();
    victim.does("/login/alice").await;
    let mut attacker = app.browser();
    attacker.does("/login/mallory").await;
    for order in [[&victim, &attacker], [&attacker, &victim]] {
        let cookie = order
            .map(|browser| format!("{COOKIE_NAME}={}", browser.token()))
            .join("; ");
        let send = async |method, path| {
            app.send(method, path, &[("cookie", cookie.as_bytes())])
                .await
        };
        let read = send("GET", "/read").await;
        assert_eq!(
            (read.json()["user"].clone(), read.set_cookie()),
            (Value::Null, None)
        );
        let reply = send("POST", "/write/x").await;
        assert_eq!(
            (reply.status, reply.set_cookie()),
            (StatusCode::BAD_REQUEST, None)
        );
    }
    assert_eq!(victim.session().await["user"], "alice");
    // The victim's login ends what was planted.
    let cookies = [&victim, &attacker].map(|one| format!("{COOKIE_NAME}={}", one.token()));
    let (old, cookies) = (victim.token(), cookies.join("; "));
    let cookies = [("cookie", cookies.as_bytes())];
    let login = app.send("POST", "/login/alice", &cookies).await;
    let token = login.token().expect("a token");
    for dead in [attacker.token(), old] {
        assert_eq!(app.with_token(dead).session().await["exists"], false);
    }
    let cookies = format!("{COOKIE_NAME}={}; {COOKIE_NAME}={token}", attacker.token());
    let cookies = [("cookie", cookies.as_bytes())];
    let read = app.send("GET", "/read", &cookies).await;
    assert_eq!(read.json()["user"], "alice");
}

#[tokio::test]
async fn threat_a_planted_token_that_opens_nothing_locks_nobody_out() {
    on_every_store(async |store| {
        let app = App::new(store);
        let mut victim = app.browser();
        victim.does("/login/alice").await;
        for planted in [&["A"][..], &["A", "B", "C"]] {
            let planted = planted.iter().map(|letter| letter.repeat(44));
            let tokens = planted.chain([victim.token()]);
            let pairs: Vec<_> = tokens
                .map(|token| format!("{COOKIE_NAME}={token}"))
                .collect();
            let cookies = pairs.join("; ");
            let headers = [("cookie", cookies.as_bytes())];
            let read = app.send("GET", "/read", &headers).await;
            assert_eq!(read.json()["user"], "alice");
            let login = app.send("POST", "/login/alice", &headers).await;
            assert_eq!(login.status, StatusCode::OK);
            victim = app.with_token(login.token().expect("a token"));
        }
    })
    .await;
}

#[tokio::test]
async fn threat_a_forged_request_does_not_overwrite_the_browsers_cookie() {
    let store = MemoryStore::new();
    let app = App::new(AnyStore::new(store.clone()));
    // The browser held its Lax cookie back, and would take the one that the answer sets.
    let reply = app
        .send("POST", "/write/x", &[("sec-fetch-site", b"cross-site")])
        .await;
    assert_eq!((reply.status, reply.set_cookie()), (StatusCode::OK, None));
    assert!(store.is_empty());

    // A Strict one it holds back from a link as well.
    let strict = SessionConfig::new().same_site(SameSite::Strict);
    let strict = App::configured(AnyStore::new(store.clone()), strict);
    for (site, stored) in [("cross-site", 0), ("same-origin", 1)] {
        let reply = strict
            .send("GET", "/visit", &[("sec-fetch-site", site.as_bytes())])
            .await;
        assert_eq!(
            (reply.set_cookie().is_some(), store.len()),
            (stored == 1, stored),
            "{site}"
        );
    }
}

#[tokio::test]
async fn threat_login_csrf_is_kept_out_by_the_csrf_layer() {
    let app = App::in_memory().around(|router| router.layer(CsrfLayer::new()));
    let headers: [(&str, &[u8]); 2] =
        [("sec-fetch-site", b"cross-site"), ("host", b"shop.example")];
    let reply = app.send("POST", "/login/mallory", &headers).await;
    assert_eq!(
        (reply.status, reply.set_cookie()),
        (StatusCode::FORBIDDEN, None)
    );
    assert_eq!(app.faults.all_calls(), 0);
}

#[tokio::test]
async fn threat_store_write_access_can_bind_a_session_to_a_user_but_not_open_one() {
    let server = RedisServer::start();
    let app = App::new(redis(&server).await);
    let mut victim = app.browser();
    victim.does("/login/alice").await;
    let mut attacker = app.browser();
    attacker.does("/login/mallory").await;
    let key =
        |browser: &crate::app::Browser| format!("keycard:{COOKIE_NAME}:{}", &browser.token()[..20]);
    // The victim's record under the attacker's key: the hash covers the selector.
    let record: Vec<u8> = ask(&server, &["GET", &key(&victim)]);
    let _: String = ask(&server, &[&b"SET"[..], key(&attacker).as_bytes(), &record]);
    assert_eq!(attacker.clone().session().await["exists"], false);
    // The attacker's own hash in it: this is the honest limit, and needs encryption at rest.
    let mut attacker = app.browser();
    attacker.does("/login/mallory").await;
    let own: Vec<u8> = ask(&server, &["GET", &key(&attacker)]);
    let spliced = [&record[..25], &own[25..57], &record[57..]].concat();
    let _: String = ask(&server, &[&b"SET"[..], key(&attacker).as_bytes(), &spliced]);
    assert_eq!(attacker.session().await["user"], "alice");
}

#[tokio::test]
async fn threat_an_anonymous_flood_stores_nothing_for_clients_who_only_read() {
    let store = MemoryStore::new();
    let app = App::new(AnyStore::new(store.clone()));
    for _ in 0..1_000 {
        app.browser().get("/read").await;
    }
    assert_eq!((app.faults.all_calls(), store.len()), (0, 0));
}

#[tokio::test]
async fn threat_a_stolen_token_dies_with_every_rotation_and_logout() {
    on_every_store(async |store| {
        let app = App::new(store);
        for path in ["/login/alice", "/reauthenticate", "/rotate", "/logout"] {
            let mut victim = app.browser();
            victim.does("/login/alice").await;
            let mut thief = app.with_token(victim.token());
            assert_eq!(
                thief.session().await["user"],
                "alice",
                "while it is good, it is good"
            );
            victim.does(path).await;
            assert_eq!(thief.session().await["user"], Value::Null, "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn threat_the_holder_of_a_pre_login_token_can_end_the_session_for_a_minute_and_not_use_it() {
    let app = App::in_memory();
    let mut attacker = app.browser();
    attacker.does("/write/planted").await;
    let mut victim = app.with_token(attacker.token());
    victim.does("/login/alice").await;
    let reply = attacker.clone().post("/logout").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(app.faults.calls(StoreCall::Delete), 1);
    assert_eq!(victim.session().await["exists"], false);
}
