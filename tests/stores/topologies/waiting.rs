//! Writes on several servers that replicas are waited for, where there are too few.

use tower_keycard::store::StoreErrorKind;
use tower_keycard::store::testing::end_all;

use super::*;
use crate::support::redis_cluster::RedisCluster;
use crate::support::redis_server::RedisServer;

#[tokio::test]
async fn all_sessions_of_a_user_are_ended_though_one_of_them_moves_and_too_few_replicas_hear_of_it()
{
    let cluster = RedisCluster::start();
    let config = || tower_keycard::store::RedisConfig::new(cluster.url());
    // Each primary has one replica.
    let waits = config().wait_replicas(2, Duration::from_millis(10));
    let waits = RedisStore::connect(waits).await.unwrap();
    let store = RedisStore::connect(config()).await.unwrap();
    let login = sample_login("alice", LONG);
    for number in 1..=20 {
        store
            .create(&key(number), &login.write(LONG))
            .await
            .unwrap();
    }
    // One goes elsewhere, among others that stay.
    let name = format!("keycard:{}", key(1));
    let [from, to] = moving(&cluster, &name);
    let port = to.port().to_string();
    let moved = from.cli(&["MIGRATE", "127.0.0.1", &port, &name, "0", "5000"]);
    assert_eq!(moved, "OK");

    let ended = end_all(&waits, "__Host-id", "alice", None).await;
    assert_eq!(ended.unwrap_err().kind(), StoreErrorKind::Unreplicated);
    for number in 1..=20 {
        let loaded = store.load(&key(number)).await.unwrap();
        assert!(matches!(loaded, Loaded::Tombstone), "{number}: {loaded:?}");
    }
}

/// Begins to move the slot of a key, and says from where to where.
fn moving<'a>(cluster: &'a RedisCluster, name: &str) -> [&'a RedisServer; 2] {
    let from = cluster.primary_of(name);
    let to = (from + 1) % 3;
    let slot = cluster.nodes[from].cli(&["CLUSTER", "KEYSLOT", name]);
    let (from_id, to_id) = (cluster.id(from), cluster.id(to));
    let (from, to) = (&cluster.nodes[from], &cluster.nodes[to]);
    to.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
    from.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);
    [from, to]
}
