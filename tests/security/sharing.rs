//! R20 to R24: what many share, namely stores, memory and connections.

use std::sync::Arc;

use serde_json::Value;
use tower_keycard::SessionConfig;
use tower_keycard::store::testing::conformance::{sample_key, sample_record};
use tower_keycard::store::{AnyStore, Loaded, Record, RedisStore, SessionStore, StoreCall};

use crate::app::{App, COOKIE_NAME, on_every_store, redis};
use crate::leaks::dump::{Dump, ask};
use crate::support::redis_server::RedisServer;

const HOUR: std::time::Duration = std::time::Duration::from_secs(3_600);

#[tokio::test]
async fn r20_a_token_of_one_namespace_opens_nothing_in_another() {
    on_every_store(async |store| {
        let shop = App::configured(store.clone(), SessionConfig::new().namespace("shop"));
        let admin = App::configured(store, SessionConfig::new().namespace("admin"));
        let mut browser = shop.browser();
        browser.does("/login/alice").await;
        let mut pasted = admin.with_token(browser.token());
        assert_eq!(pasted.session().await["exists"], false);
        admin.with_token(browser.token()).does("/logout").await;
        assert_eq!(browser.session().await["user"], "alice");
    })
    .await;
}

#[tokio::test]
async fn r20_a_record_copied_under_another_prefix_or_namespace_opens_nothing_there() {
    let server = RedisServer::start();
    let store = async |prefix: &str| {
        let config = server.patiently().prefix(prefix);
        AnyStore::new(RedisStore::connect(config).await.unwrap())
    };
    let app = App::configured(store("a:").await, SessionConfig::new().namespace("n"));
    let mut browser = app.browser();
    browser.does("/login/alice").await;
    let token = browser.token();
    let id = &token[..20];
    for (prefix, namespace) in [("b:", "n"), ("a:", "m"), ("a", "n"), ("a:n", "n")] {
        let (from, to) = (format!("a:n:{id}"), format!("{prefix}{namespace}:{id}"));
        assert_eq!(server.cli(&["COPY", &from, &to]), "1");
        let other = App::configured(
            store(prefix).await,
            SessionConfig::new().namespace(namespace),
        );
        assert_eq!(
            other.with_token(token.clone()).session().await["exists"],
            false
        );
    }
    // The same prefix and namespace are the same application.
    let twin = App::configured(store("a:").await, SessionConfig::new().namespace("n"));
    assert_eq!(twin.with_token(token).session().await["user"], "alice");
}

#[tokio::test]
async fn r21_whatever_stands_in_the_store_is_no_session_no_panic_and_stays() {
    let server = RedisServer::start();
    let app = App::new(redis(&server).await);
    let mut browser = app.browser();
    browser.does("/login/alice").await;
    let token = browser.token();
    let key = format!("keycard:{COOKIE_NAME}:{}", &token[..20]);
    let good: Vec<u8> = ask(&server, &["GET", &key]);
    let nested = [
        &good[..good.len() - 2],
        b"{\"a\":",
        "[".repeat(100_000).as_bytes(),
    ]
    .concat();
    for bad in [
        &b"text of another program"[..],
        b"\x01",
        &good[..good.len() - 1],
        &[&good[..], b"}"].concat(),
        &[&good[..63], b"\xff", &good[64..]].concat(),
        &[&good[..], " ".repeat(Record::MAX_LEN).as_bytes()].concat(),
        &nested,
        &[&good[..good.len() - 2], b"[]"].concat(),
    ] {
        let set = [&b"SET"[..], key.as_bytes(), bad];
        let _: String = ask(&server, &set);
        assert_eq!(
            app.with_token(token.clone()).session().await["exists"],
            false
        );
        let mut writer = app.with_token(token.clone());
        writer.does("/write/x").await;
        assert_ne!(
            writer.token()[..20],
            token[..20],
            "a new session, elsewhere"
        );
        let kept: Vec<u8> = ask(&server, &["GET", &key]);
        assert_eq!(kept, bad);
    }
    let _: i64 = ask(&server, &["DEL", &key]);
    let _: i64 = ask(&server, &["RPUSH", &key, "a list"]);
    assert_eq!(
        app.with_token(token.clone()).session().await["exists"],
        false
    );
    // What a later version wrote is left alone, and so is the browser's cookie.
    let _: i64 = ask(&server, &["DEL", &key]);
    let later = [b"\x0f", &good[1..]].concat();
    let _: String = ask(&server, &[&b"SET"[..], key.as_bytes(), &later]);
    let reply = app.with_token(token).get("/read").await;
    assert_eq!(
        (reply.json()["exists"].clone(), reply.set_cookie()),
        (false.into(), None)
    );
}

#[tokio::test]
async fn r22_a_made_up_token_costs_one_read_four_at_most_and_a_malformed_one_nothing() {
    let server = RedisServer::start();
    let app = App::new(redis(&server).await);
    let mut monitor = server.monitor();
    for number in 0..50 {
        let mut browser = app.with_token(format!("{number:A>44}"));
        assert_eq!(browser.session().await["exists"], false);
        let commands: Vec<_> = monitor
            .commands()
            .iter()
            .map(|words| words[0].clone())
            .collect();
        assert_eq!(commands, ["GET"]);
        for malformed in ["", "A", &"A".repeat(43), &"=".repeat(44)] {
            app.with_token(malformed.to_owned()).session().await;
        }
        assert_eq!(monitor.commands().len(), 0);
    }
    for (tokens, reads) in [(2, 2), (4, 4), (5, 0), (900, 0)] {
        let pairs = (0..tokens).map(|number| format!("__Host-id={number:A>44}"));
        let cookies = pairs.collect::<Vec<_>>().join("; ");
        let headers = [("cookie", cookies.as_bytes())];
        let reply = app.send("GET", "/read", &headers).await;
        assert_eq!(reply.json()["exists"], false);
        assert_eq!(monitor.commands().len(), reads, "{tokens} tokens");
    }
    assert_eq!(app.faults.all_calls(), app.faults.calls(StoreCall::Load));
    assert_eq!(server.cli(&["DBSIZE"]), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r24_a_call_that_was_given_up_never_hands_its_answer_to_another() {
    let server = RedisServer::start();
    let store = Arc::new(redis(&server).await);
    let mut sessions = Vec::new();
    for number in 0..20 {
        let (key, record) = (sample_key(), sample_record(&format!("{{\"n\":{number}}}")));
        store.create(&key, &record.write(HOUR)).await.unwrap();
        sessions.push((key, record));
    }
    let mut given_up = 0;
    let mut waiting = Vec::new();
    for round in 0..4_000_usize {
        let (key, record) = sessions[round % sessions.len()].clone();
        let store = store.clone();
        let load = tokio::spawn(async move {
            match store.load(&key).await.unwrap() {
                Loaded::Record { record: found, .. } => assert_eq!(found.json(), record.json()),
                other => panic!("{other:?}"),
            }
        });
        if round % 3 == 0 {
            tokio::task::yield_now().await;
            load.abort();
        }
        waiting.push(load);
    }
    for load in waiting {
        match load.await {
            Ok(()) => {}
            Err(error) => {
                assert!(error.is_cancelled(), "{error}");
                given_up += 1;
            }
        }
    }
    assert!(given_up > 0);
    let dump = Dump::take(&server);
    assert_eq!(dump.values().count(), sessions.len());
    let app = App::new((*store).clone());
    assert_eq!(app.browser().session().await["user"], Value::Null);
}
