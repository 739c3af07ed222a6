//! R1, R2, R14, R15, R19, R26: what a token is, and what opens a session.

use std::collections::HashSet;

use axum::http::StatusCode;
use tower_keycard::MemoryStore;
use tower_keycard::store::{AnyStore, StoreCall};

use crate::app::{App, on_every_store, redis};
use crate::leaks::dump::Dump;
use crate::support::redis_server::RedisServer;

#[tokio::test]
async fn r01_every_token_is_new_and_has_144_secret_bits() {
    let app = App::in_memory();
    let (mut selectors, mut verifiers) = (HashSet::new(), HashSet::new());
    let mut characters = vec![HashSet::new(); 44];
    for _ in 0..2_000 {
        let mut browser = app.browser();
        browser.does("/write/x").await;
        let token = browser.token();
        assert_eq!(token.len(), 44);
        for (seen, character) in characters.iter_mut().zip(token.chars()) {
            seen.insert(character);
        }
        assert!(selectors.insert(token[..20].to_owned()));
        assert!(verifiers.insert(token[20..].to_owned()));
    }
    // 24 characters of 6 bits each: all 64 values turn up at every place.
    assert!(characters.iter().all(|seen| seen.len() == 64));
}

#[tokio::test]
async fn r01_a_random_generator_that_fails_is_an_error_and_no_weak_token() {
    let store = MemoryStore::new();
    let app = App::with(AnyStore::new(store.clone()), |layer| {
        layer.random(|bytes| {
            bytes.fill(0);
            false
        })
    });
    for path in ["/write/x", "/login/alice"] {
        let reply = app.browser().post(path).await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(reply.set_cookie(), None);
    }
    assert!(store.is_empty());
}

#[tokio::test]
async fn r02_login_reauthentication_and_cycling_give_a_new_token_and_kill_the_old() {
    on_every_store(async |store| {
        let app = App::new(store);
        let mut browser = app.browser();
        browser.does("/write/apples").await;
        for path in ["/login/alice", "/login/alice", "/reauthenticate", "/rotate"] {
            let before = browser.token();
            browser.does(path).await;
            assert_ne!(browser.token()[20..], before[20..], "{path}");
            assert_eq!(browser.token()[..20], before[..20], "the public id stays");
            let old = app.with_token(before).session().await;
            assert_eq!(old["exists"], false, "{path}");
            assert_eq!(old["user"], serde_json::Value::Null);
        }
        let session = browser.session().await;
        assert_eq!(
            (&session["user"], &session["cart"]),
            (&"alice".into(), &"apples".into())
        );
    })
    .await;
}

#[tokio::test]
async fn r14_a_clients_id_is_never_adopted() {
    on_every_store(async |store| {
        let app = App::new(store);
        for made_up in ["A".repeat(44), "-_".repeat(22)] {
            for path in ["/write/x", "/login/alice"] {
                let mut browser = app.with_token(made_up.clone());
                browser.does(path).await;
                assert_ne!(browser.token()[..20], made_up[..20]);
                assert_ne!(browser.token()[20..], made_up[20..]);
                assert_eq!(
                    app.with_token(made_up.clone()).session().await["exists"],
                    false
                );
            }
        }
        // Nor is half of a token that the server did issue.
        let mut browser = app.browser();
        browser.does("/login/alice").await;
        let forged = format!("{}{}", &browser.token()[..20], "A".repeat(24));
        let mut forger = app.with_token(forged.clone());
        forger.does("/write/x").await;
        assert_ne!(forger.token()[..20], forged[..20]);
        assert_eq!(browser.session().await["cart"], serde_json::Value::Null);
    })
    .await;
}

#[tokio::test]
async fn r15_the_cookie_holds_nothing_but_the_token() {
    let app = App::in_memory();
    let mut browser = app.browser();
    let before = browser.does("/write/apples").await;
    let after = browser.does("/login/alice").await;
    let rest = |line: &str| line.split_once(';').unwrap().1.to_owned();
    assert_eq!(
        rest(before.set_cookie().unwrap()),
        rest(after.set_cookie().unwrap())
    );
    assert!(!after.set_cookie().unwrap().contains("alice"));
}

#[tokio::test]
async fn r19_what_the_store_holds_opens_nothing() {
    let server = RedisServer::start();
    let app = App::new(redis(&server).await);
    let mut browser = app.browser();
    browser.does("/write/apples").await;
    browser.does("/login/alice").await;
    let token = browser.token();

    let dump = Dump::take(&server);
    assert!(
        dump.contains(&token.as_bytes()[..20]),
        "the search finds what is there"
    );
    // The thief sends whatever is as long as a verifier, under every id.
    let mut tried = 0;
    for bytes in dump.values() {
        for window in bytes.windows(18) {
            let verifier = base64url(window);
            assert_eq!(
                app.with_token(token[..20].to_owned() + &verifier)
                    .session()
                    .await["exists"],
                false
            );
            tried += 1;
        }
        for window in bytes.windows(24).filter(|window| window.is_ascii()) {
            let text = String::from_utf8_lossy(window);
            assert_ne!(text, token[20..]);
        }
    }
    assert!(tried > 50);
    assert_eq!(browser.session().await["user"], "alice");
}

fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks_exact(3) {
        let bits = three
            .iter()
            .fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        for shift in [18, 12, 6, 0] {
            text.push(char::from(ALPHABET[bits >> shift & 63]));
        }
    }
    text
}

#[tokio::test]
async fn r26_a_check_that_fails_is_no_session() {
    on_every_store(async |store| {
        let app = App::new(store);
        let mut browser = app.browser();
        browser.does("/login/alice").await;
        let token = browser.token();
        // Each character of the verifier counts, in each of its places.
        for place in 20..44 {
            let other = if &token[place..=place] == "A" {
                "B"
            } else {
                "A"
            };
            let mut forged = token.clone();
            forged.replace_range(place..=place, other);
            let mut forger = app.with_token(forged);
            let session = forger.session().await;
            assert_eq!(
                (&session["exists"], &session["user"]),
                (&false.into(), &serde_json::Value::Null)
            );
        }
        assert_eq!(app.faults.calls(StoreCall::Delete), 0);
        assert_eq!(browser.session().await["user"], "alice");
    })
    .await;
}

#[test]
fn r26_there_are_no_default_keys_and_no_empty_namespace() {
    let layer = |namespace: &str| {
        let config = tower_keycard::SessionConfig::new().namespace(namespace);
        let layer = tower_keycard::SessionLayer::builder(MemoryStore::new());
        layer.config(config).build()
    };
    assert!(layer("").is_err());
    assert!(layer("shop").is_ok());
    assert!(
        tower_keycard::store::RedisStore::connect_lazily(
            tower_keycard::store::RedisConfig::new("redis://localhost").prefix("")
        )
        .is_err()
    );
}
