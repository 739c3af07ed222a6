//! What reaches Redis, as the server itself reports it.

use tower_keycard::RedisStore;

use super::harness::{DAY, HOUR, Log, Place, Redis, STRANGER};
use crate::support::redis_server::{Monitor, RedisServer};

/// A place on Redis, and the names of the commands that its keys were in since the last time.
async fn watched() -> (Place, impl FnMut() -> String) {
    let store = Redis::open().await;
    let prefix = store.prefix().to_owned();
    let place = Place::new(store);
    let mut monitor: Monitor = Redis::server().monitor();
    let commands = move || {
        let commands = monitor.commands().into_iter();
        let ours = commands.filter(|words| words.iter().any(|word| word.starts_with(&prefix)));
        // What a script runs is part of the script.
        let sent = ours.filter(|words| words[0] != "lua");
        sent.map(|words| words[0].to_uppercase())
            .collect::<Vec<_>>()
            .join(" ")
    };
    (place, commands)
}

#[tokio::test]
async fn s01_an_untouched_request_without_a_cookie_sends_redis_nothing() {
    let (place, mut commands) = watched().await;
    place.open().await.get("/untouched").await.ok();
    place.open().await.get("/read").await.ok();
    assert_eq!(commands(), "");
}

#[tokio::test]
async fn s04_an_untouched_request_with_a_token_sends_redis_nothing() {
    let (place, mut commands) = watched().await;
    let browser = place.open().await;
    browser.get("/insert:a:1").await.ok();
    assert_eq!(commands(), "SET");
    browser.get("/untouched").await.ok();
    browser
        .twin()
        .with_token(STRANGER)
        .get("/untouched")
        .await
        .ok();
    assert_eq!(commands(), "");
}

#[tokio::test]
async fn s05_a_read_is_no_write_to_redis() {
    let (place, mut commands) = watched().await;
    let browser = place.open().await;
    browser.begin("/insert:a:1").await;
    commands();
    browser.get("/get:a").await.ok();
    assert_eq!(commands(), "GET");
    place.pass(HOUR);
    commands();
    browser.get("/get:a").await.ok();
    // The server may not know the script yet.
    assert_eq!(commands().replace("EVALSHA EVAL", "EVALSHA"), "GET EVALSHA");
    place.keeps_for(browser.selector().unwrap(), DAY).await;
}

#[tokio::test]
async fn s08_a_malformed_value_sends_redis_nothing() {
    let (place, mut commands) = watched().await;
    let browser = place.open().await.with_token("malformed");
    browser.get("/get:a").await.ok();
    assert_eq!(commands(), "");
}

#[tokio::test]
async fn s36_a_logout_leaves_a_tombstone_in_redis() {
    let (place, mut commands) = watched().await;
    let browser = place.open().await;
    browser.get("/insert:a:1").await.ok();
    commands();
    browser.get("/logout").await.ok();
    assert_eq!(commands(), "GET SET");
}

#[tokio::test]
async fn connecting_warns_of_a_server_that_puts_sessions_at_risk() {
    let server = RedisServer::with(&["--maxmemory-policy", "allkeys-lru"]);
    let log = Log::start();
    RedisStore::connect(server.url()).await.unwrap();
    let warnings = log.events("weak_setting");
    let ids: Vec<_> = warnings.iter().map(|event| &event["id"][..]).collect();
    assert_eq!(ids, ["keycard.R001", "keycard.R003"]);
    assert_eq!(warnings[0]["level"], "WARN");
    assert!(warnings[0]["message"].contains("logged out without a word"));

    server.cli(&["ACL", "SETUSER", "default", "-info"]);
    RedisStore::connect(server.url()).await.unwrap();
    assert_eq!(log.count("weak_setting"), 2);
    assert_eq!(log.count("unchecked_settings"), 1);
}
