//! A store over a client that the application has of a cluster or of sentinels.

use redis::sentinel::{SentinelClientBuilder, SentinelServerType};

use super::support::deployment::{self, Deployment};
use super::support::redis_sentinel::{PASSWORD, SENTINEL_PASSWORD, SERVICE, Sentinel};
use super::support::redis_server::RedisServer;
use super::*;

/// Every call of a store once.
async fn serves(store: &RedisStore) {
    let record = created(store, &key(1)).await;
    let next = sample_revision_of(&record, "{}");
    assert!(is_replaced(
        &store
            .replace(&key(1), record.revision(), &next, LONG)
            .await
            .unwrap()
    ));
    assert!(
        store
            .touch(&key(1), next.revision(), LONG, None)
            .await
            .unwrap()
    );
    loaded(store, &key(1)).await;
    store.delete(&key(1), None).await.unwrap();
    assert!(matches!(
        store.load(&key(1)).await.unwrap(),
        Loaded::Tombstone
    ));
    for number in 10..30 {
        let login = sample_login("alice", LONG);
        store.create(&key(number), &login, LONG).await.unwrap();
    }
    let listed = store.sessions_of("__Host-id", "alice").await.unwrap();
    assert_eq!(listed.len(), 20);
    let ended = store.delete_user("__Host-id", "alice", None).await.unwrap();
    assert_eq!(ended.len(), 20);
}

#[tokio::test]
async fn a_connection_to_a_cluster_serves_a_store_and_follows_what_moves() {
    let cluster = deployment::cluster();
    let nodes = cluster.nodes[..3].iter().map(RedisServer::url);
    let client = redis::cluster::ClusterClient::new(nodes).unwrap();
    let connection = client.get_async_connection().await.unwrap();
    let store = RedisStore::from_cluster_connection(connection, "keycard:own:", LONG).unwrap();
    serves(&store).await;

    // A slot whose keys are on their way: asked for here and there.
    created(&store, &key(50)).await;
    let name = format!("keycard:own:{}", key(50));
    let from = cluster.primary_of(&name);
    let to = (from + 1) % 3;
    let slot = cluster.nodes[from].cli(&["CLUSTER", "KEYSLOT", &name]);
    let (from_id, to_id) = (cluster.id(from), cluster.id(to));
    let (from, to) = (&cluster.nodes[from], &cluster.nodes[to]);
    to.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
    from.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);
    loaded(&store, &key(50)).await;
    let port = to.port().to_string();
    let moved = from.cli(&["MIGRATE", "127.0.0.1", &port, &name, "0", "5000"]);
    assert_eq!(moved, "OK");
    loaded(&store, &key(50)).await;
    store.delete(&key(50), None).await.unwrap();
}

#[tokio::test]
async fn a_client_of_sentinels_finds_the_primary_for_a_store() {
    let trio = deployment::sentinel();
    let address =
        |sentinel: &Sentinel| redis::ConnectionAddr::Tcp("127.0.0.1".to_owned(), sentinel.port());
    let addresses = trio.sentinels.iter().map(address);
    let client = SentinelClientBuilder::new(addresses, SERVICE, SentinelServerType::Master)
        .unwrap()
        .set_client_to_redis_password(PASSWORD)
        .set_client_to_sentinel_password(SENTINEL_PASSWORD)
        .build()
        .unwrap();
    let store = RedisStore::from_sentinel_client(client, "keycard:own:", LONG).unwrap();
    serves(&store).await;
    let kept = Deployment::everywhere(trio, &["EXISTS", &format!("keycard:own:{}", key(1))]);
    assert_eq!(kept, ["1"]);
}
