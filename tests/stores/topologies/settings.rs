//! That each primary of a cluster is asked for its settings, and the one that sentinels name.

use tower_keycard::config::Weakness;

use super::*;
use crate::support::deployment::Deployment;
use crate::support::redis_cluster::RedisCluster;
use crate::support::redis_sentinel::RedisSentinel;

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
