//! How long a call takes at most, with several servers that do not answer.

use tokio::time::Instant;
use tower_keycard::store::RedisConfig;

use super::*;
use crate::support::redis_cluster::RedisCluster;
use crate::support::redis_server::RedisServer;

#[tokio::test]
async fn a_load_that_no_replica_and_no_primary_answers_has_one_deadline() {
    let cluster = RedisCluster::start();
    let config = RedisConfig::new(cluster.url()).read_from_replicas(true);
    let store = RedisStore::connect(config).await.unwrap();
    created(&store, &key(1)).await;
    let asked = |replica: &RedisServer| {
        let statistics = replica.cli(&["INFO", "commandstats"]);
        statistics.contains("cmdstat_get:")
    };
    let read = async || {
        loaded(&store, &key(1)).await;
        cluster.nodes[3..].iter().any(asked).then_some(())
    };
    support::eventually("a replica is asked", read).await;
    cluster.nodes.iter().for_each(RedisServer::pause);
    // From here on, time passes only when there is nothing to do but wait.
    tokio::time::pause();
    let start = Instant::now();
    store.load(&key(1)).await.unwrap_err();
    let taken = start.elapsed();
    let limit = RedisConfig::DEFAULT_RESPONSE_TIMEOUT;
    assert!(
        taken >= limit && taken < limit + Duration::from_millis(10),
        "{taken:?}"
    );
}
