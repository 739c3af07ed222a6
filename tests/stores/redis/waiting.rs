//! Writes that replicas are waited for, where there are too few: what is refused or sent again must not get lost in that.

use super::*;
use crate::support::app::App;
use crate::support::redis_server::RedisServer;
use tower_keycard::store::testing::end_all;
use tower_keycard::store::{IndexEntry, StoreError};
use tower_keycard::{SessionConfig, SessionLayer};

/// A store whose replicas never are enough: there is none. Beside it one that waits for nobody.
async fn stores(server: &RedisServer) -> [RedisStore; 2] {
    let config = RedisConfig::new(server.url());
    let waits = config.clone().wait_replicas(1, Duration::from_millis(10));
    [
        RedisStore::connect(waits).await.unwrap(),
        RedisStore::connect(config).await.unwrap(),
    ]
}

async fn logged_in(store: &RedisStore, number: u32) -> OwnedWrite {
    let login = sample_login("alice", LONG);
    store
        .create(&key(number), &login.write(LONG))
        .await
        .unwrap();
    login
}

fn unreplicated<T>(result: Result<T, StoreError>) {
    let kind = result.err().map(|error| error.kind());
    assert_eq!(kind, Some(StoreErrorKind::Unreplicated));
}

async fn is_ended(store: &RedisStore, number: u32) {
    let loaded = store.load(&key(number)).await.unwrap();
    assert!(matches!(loaded, Loaded::Tombstone), "{number}: {loaded:?}");
}

#[tokio::test]
async fn on_a_full_server_a_logout_is_carried_out_before_it_is_complained_of() {
    let server = RedisServer::with(&["--maxmemory-policy", "noeviction"]);
    let [waits, store] = stores(&server).await;
    for number in 1..=3 {
        logged_in(&store, number).await;
    }
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    unreplicated(waits.delete(&key(1), Some("alice")).await);
    is_ended(&store, 1).await;
    unreplicated(end_all(&waits, "__Host-id", "alice", None).await);
    is_ended(&store, 2).await;
    is_ended(&store, 3).await;
}

#[tokio::test]
async fn a_rotation_whose_script_the_server_does_not_know_yet_is_carried_out_too() {
    let server = RedisServer::start();
    let [waits, store] = stores(&server).await;
    // Without an absolute limit, an entry lives on with every write: by another script, which the server does know.
    let endless = |store: &RedisStore| {
        let layer =
            SessionLayer::builder(store.clone()).config(SessionConfig::new().absolute(None));
        App::new(layer.build().unwrap())
    };
    let (waiting, app) = (endless(&waits), endless(&store));
    let token = app.logged_in("alice").await;
    let id = token[..20].parse().unwrap();
    let (key, user, lifetime) = (RecordKey::new("__Host-id", id), "alice", LONG);
    let (record, _) = loaded(&store, &key).await;
    let entry = Some(IndexEntry { user, lifetime });
    let touched = store.touch(&key, record.revision(), LONG, entry).await;
    assert!(touched.unwrap());
    assert_eq!(waiting.get("/rotate", Some(&token)).await.status, 503);
    assert_eq!(app.get("/read", Some(&token)).await.body, "nobody");
}
