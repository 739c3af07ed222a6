//! What the server's own settings mean for sessions, and that it is reported.

use super::*;
use crate::support::redis_server::RedisServer;
use tower_keycard::config::Weakness;

const DURABLE: [&str; 2] = ["--appendonly", "yes"];

async fn found(server: &RedisServer) -> Vec<&'static str> {
    let store = RedisStore::connect(server.url()).await.unwrap();
    ids(&store).await
}

async fn ids(store: &RedisStore) -> Vec<&'static str> {
    let found = store.check().await.unwrap();
    found.iter().map(Weakness::id).collect()
}

#[tokio::test]
async fn a_server_that_keeps_what_it_is_given_gives_no_cause_for_warnings() {
    let server = RedisServer::with(&DURABLE);
    assert!(found(&server).await.is_empty());
}

#[tokio::test]
async fn a_server_that_evicts_is_reported() {
    let server = RedisServer::with(&DURABLE);
    for (policy, expected) in [
        ("allkeys-lru", "keycard.R001"),
        ("allkeys-lfu", "keycard.R001"),
        ("allkeys-random", "keycard.R001"),
        ("volatile-lru", "keycard.R001"),
        ("volatile-lfu", "keycard.R001"),
        ("volatile-random", "keycard.R001"),
        ("volatile-ttl", "keycard.R002"),
    ] {
        server.cli(&["CONFIG", "SET", "maxmemory-policy", policy]);
        assert_eq!(found(&server).await, [expected], "{policy}");
    }
}

#[tokio::test]
async fn a_server_without_an_append_only_file_is_reported_whether_it_takes_snapshots_or_not() {
    let server = RedisServer::start();
    for snapshots in ["", "900 1"] {
        server.cli(&["CONFIG", "SET", "save", snapshots]);
        let store = RedisStore::connect_lazily(server.url()).unwrap();
        assert_eq!(ids(&store).await, ["keycard.R003"]);
    }
}

#[tokio::test]
async fn a_primary_that_writes_without_its_replicas_is_reported() {
    let primary = RedisServer::with(&DURABLE);
    let port = primary.port().to_string();
    let replica = RedisServer::with(&["--appendonly", "yes", "--replicaof", "127.0.0.1", &port]);
    support::eventually("a replica", async || {
        let info = primary.cli(&["INFO", "replication"]);
        info.contains("connected_slaves:1").then_some(())
    })
    .await;
    assert_eq!(found(&primary).await, ["keycard.R004"]);
    let error = RedisStore::connect(replica.url()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("is a replica"), "{error}");
    primary.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    assert!(found(&primary).await.is_empty());
}

#[cfg(feature = "redis-1")]
#[tokio::test]
async fn a_connection_of_the_applications_own_is_asked_too() {
    let server = RedisServer::start();
    let client = redis::Client::open(server.url()).unwrap();
    let connection = client.get_connection_manager().await.unwrap();
    let store = RedisStore::from_connection_manager(connection, "keycard:", LONG).unwrap();
    assert_eq!(ids(&store).await, ["keycard.R003"]);
}

#[test]
fn each_finding_says_what_it_means_for_sessions_and_what_to_do() {
    let server = RedisServer::with(&["--maxmemory-policy", "allkeys-lru"]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let found = runtime.block_on(async {
        let store = RedisStore::connect(server.url()).await.unwrap();
        store.check().await.unwrap()
    });
    let shown: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(shown.len(), 2);
    for (shown, words) in shown.iter().zip([
        ["`maxmemory-policy`", "logged out", "noeviction"],
        ["`appendonly`", "opens its session again", "appendfsync"],
    ]) {
        for word in words {
            assert!(shown.contains(word), "{shown}");
        }
    }
}
