//! A store over a client that the application has of a cluster or of sentinels.

use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};

use super::*;
use crate::contract::{passes_every_case, passes_every_case_of_the_index};
use crate::support::deployment::{self, Deployment};
use crate::support::redis_cluster::RedisCluster;
use crate::support::redis_sentinel::{
    PASSWORD, RedisSentinel, SENTINEL_PASSWORD, SERVICE, Sentinel,
};
use crate::support::redis_server::RedisServer;

async fn cluster_connection(cluster: &RedisCluster) -> ClusterConnection {
    let nodes = cluster.nodes[..3].iter().map(RedisServer::url);
    let client = ClusterClient::new(nodes).unwrap();
    client.get_async_connection().await.unwrap()
}

fn sentinel_client(trio: &RedisSentinel) -> SentinelClient {
    let address =
        |sentinel: &Sentinel| redis::ConnectionAddr::Tcp("127.0.0.1".to_owned(), sentinel.port());
    let addresses = trio.sentinels.iter().map(address);
    SentinelClientBuilder::new(addresses, SERVICE, SentinelServerType::Master)
        .unwrap()
        .set_client_to_redis_password(PASSWORD)
        .set_client_to_sentinel_password(SENTINEL_PASSWORD)
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_on_the_applications_connection_keeps_the_contract() {
    let server = deployment::server();
    let client = redis::Client::open(server.url()).unwrap();
    let connection = client.get_connection_manager().await.unwrap();
    let own = |store: RedisStore| {
        RedisStore::from_connection_manager(connection.clone(), store.prefix(), LONG).unwrap()
    };
    passes_every_case(server, own).await;
    passes_every_case_of_the_index(server, own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_on_the_applications_connection_to_a_cluster_keeps_the_contract() {
    let cluster = deployment::cluster();
    let connection = cluster_connection(cluster).await;
    let own = |store: RedisStore| {
        RedisStore::from_cluster_connection(connection.clone(), store.prefix(), LONG).unwrap()
    };
    passes_every_case(cluster, own).await;
    passes_every_case_of_the_index(cluster, own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_the_applications_client_of_sentinels_leads_keeps_the_contract() {
    let trio = deployment::sentinel();
    let own = |store: RedisStore| {
        RedisStore::from_sentinel_client(sentinel_client(trio), store.prefix(), LONG).unwrap()
    };
    passes_every_case(trio, own).await;
    passes_every_case_of_the_index(trio, own).await;
}

#[tokio::test]
async fn a_connection_to_a_cluster_serves_a_store_and_follows_what_moves() {
    // Its own, because a slot stays on its way.
    let cluster = RedisCluster::start();
    let connection = cluster_connection(&cluster).await;
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
    let client = sentinel_client(trio);
    let store = RedisStore::from_sentinel_client(client, "keycard:own:", LONG).unwrap();
    serves(&store).await;
    let kept = Deployment::everywhere(trio, &["EXISTS", &format!("keycard:own:{}", key(1))]);
    assert_eq!(kept, ["1"]);
}
