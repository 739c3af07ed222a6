//! That each primary of a cluster is asked for its settings, and the one that sentinels name.

use tower_keycard::config::Weakness;
use tower_keycard::store::StoreErrorKind;

use super::*;
use crate::support::deployment::Deployment;
use crate::support::redis_cluster::RedisCluster;
use crate::support::redis_sentinel::RedisSentinel;
use crate::support::redis_server::RedisServer;

async fn found(deployment: &impl Deployment) -> Vec<&'static str> {
    let store = RedisStore::connect(deployment.config()).await.unwrap();
    let found = store.check().await.unwrap();
    found.iter().map(Weakness::id).collect()
}

async fn one_that_evicts_is_found(deployment: &impl Deployment) {
    for (setting, value) in [("appendonly", "yes"), ("min-replicas-to-write", "1")] {
        deployment.everywhere(&["CONFIG", "SET", setting, value]);
    }
    assert!(found(deployment).await.is_empty());
    for primary in deployment.primaries() {
        primary.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
        assert_eq!(found(deployment).await, ["keycard.R001"]);
        primary.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    }
    deployment.everywhere(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    assert_eq!(found(deployment).await, ["keycard.R004"]);
}

#[tokio::test]
async fn each_primary_of_a_cluster_is_asked() {
    one_that_evicts_is_found(&RedisCluster::start()).await;
}

#[tokio::test]
async fn the_primary_that_sentinels_name_is_asked() {
    one_that_evicts_is_found(&RedisSentinel::start()).await;
}

/// A right that one server does not grant is missed by the first call, and no longer when it is granted.
async fn a_missing_right_is_found_at(deployment: &impl Deployment, server: &RedisServer) {
    let config = deployment.config();
    server.cli(&["ACL", "SETUSER", "keycard", "-zmscore"]);
    let error = RedisStore::connect(config.clone()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("+zmscore"), "{error}");
    let lazy = RedisStore::connect_lazily(config).unwrap();
    let error = lazy.load(&key(1)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused, "{error:?}");
    server.cli(&["ACL", "SETUSER", "keycard", "+zmscore"]);
    support::eventually("the store serves", async || lazy.load(&key(1)).await.ok()).await;
}

#[tokio::test]
async fn each_primary_of_a_cluster_must_grant_what_the_store_needs() {
    let cluster = RedisCluster::start();
    for primary in Deployment::primaries(&cluster) {
        a_missing_right_is_found_at(&cluster, primary).await;
    }
}

#[tokio::test]
async fn the_primary_that_sentinels_name_must_grant_what_the_store_needs() {
    let trio = RedisSentinel::start();
    a_missing_right_is_found_at(&trio, Deployment::primaries(&trio)[0]).await;
}
