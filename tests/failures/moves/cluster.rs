//! A cluster whose slots, primaries and connections move under load.

use super::*;
use crate::support::redis_cluster::{RedisCluster, wait};
use crate::support::redis_server::RedisServer;

fn config(cluster: &RedisCluster) -> RedisConfig {
    RedisConfig::new(cluster.url())
}

/// How often a node answered with this error.
fn errors(cluster: &RedisCluster, code: &str) -> u64 {
    let count = |node: &RedisServer| {
        let statistics = node.cli(&["INFO", "errorstats"]);
        let prefix = format!("errorstat_{code}:count=");
        let line = statistics
            .lines()
            .find_map(|line| line.strip_prefix(&prefix));
        line.map_or(0, |count| count.trim().parse::<u64>().unwrap())
    };
    cluster.nodes.iter().map(count).sum()
}

/// Moves a slot with its keys, one by one and not in a hurry.
fn move_slot(
    cluster: &RedisCluster,
    slot: &str,
    from: usize,
    to: usize,
    mut meanwhile: impl FnMut(),
) {
    let (from_id, to_id) = (cluster.id(from), cluster.id(to));
    let (source, target) = (&cluster.nodes[from], &cluster.nodes[to]);
    let ok =
        |node: &RedisServer, command: &[&str]| assert_eq!(node.cli(command), "OK", "{command:?}");
    ok(target, &["CLUSTER", "SETSLOT", slot, "IMPORTING", &from_id]);
    ok(source, &["CLUSTER", "SETSLOT", slot, "MIGRATING", &to_id]);
    let port = target.port().to_string();
    loop {
        meanwhile();
        let keys = source.cli(&["CLUSTER", "GETKEYSINSLOT", slot, "1"]);
        let Some(key) = keys.lines().next() else {
            break;
        };
        let moved = source.cli(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]);
        // It may have expired, or been moved by a write.
        assert!(matches!(&*moved, "OK" | "NOKEY"), "{moved}");
        meanwhile();
    }
    ok(target, &["CLUSTER", "SETSLOT", slot, "NODE", &to_id]);
    ok(source, &["CLUSTER", "SETSLOT", slot, "NODE", &to_id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_that_move_under_load_cost_nothing_but_a_detour() {
    let _alone = alone().await;
    let cluster = RedisCluster::start();
    let app = app(config(&cluster)).await;
    let clients = Clients::start(app.clone()).await;
    // Sessions that nobody ends while their slots move.
    let mut tokens = Vec::new();
    for number in 0..12 {
        tokens.push(app.logged_in(&format!("moving-{number}")).await);
    }
    for token in &tokens {
        let key = support::cookie::key(token);
        let slot = cluster.nodes[0].cli(&["CLUSTER", "KEYSLOT", &key]);
        let from = cluster.primary_of(&key);
        let to = (from + 1) % 3;
        let handle = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| {
            move_slot(&cluster, &slot, from, to, || {
                let answer = handle.block_on(app.get("/write", Some(token)));
                assert_eq!(answer.status, 200, "{answer:?}");
            });
        });
        let count = app.get("/count", Some(token)).await;
        assert!(count.body.parse::<u32>().unwrap() >= 3, "{count:?}");
    }
    cluster.wait_until_healthy();
    recovered(&clients, Instant::now()).await;
    let count = clients.stop().await;
    nothing_undone(&count);
    assert!(errors(&cluster, "MOVED") > 0 && errors(&cluster, "ASK") > 0);
    // Which is the answer to commands about several keys.
    assert_eq!(errors(&cluster, "TRYAGAIN"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_dies_is_replaced_and_then_comes_back_as_a_replica() {
    let _alone = alone().await;
    let mut cluster = RedisCluster::start();
    let clients = Clients::start(app(config(&cluster)).await).await;
    cluster.nodes[0].kill();
    let healthy = when_healthy("a replica takes over", || {
        cluster.primaries().len() == 3 && cluster.is_healthy()
    });
    recovered(&clients, healthy.await).await;
    cluster.nodes[0].restart();
    let healthy = when_healthy("it is back", || cluster.is_healthy());
    recovered(&clients, healthy.await).await;
    let count = clients.stop().await;
    assert!(count.unavailable > 0, "it was noticed: {count:?}");
    println!("a primary was killed: {count:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_stands_still_for_a_moment_undoes_nothing() {
    let _alone = alone().await;
    let cluster = RedisCluster::start();
    let clients = Clients::start(app(config(&cluster)).await).await;
    for node in 0..3 {
        cluster.nodes[node].pause();
        // As long as it takes to be noticed by clients, and not by the cluster.
        let before = clients.so_far().unavailable;
        let paused = Instant::now();
        while clients.so_far().unavailable == before
            && paused.elapsed() < Duration::from_millis(700)
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        cluster.nodes[node].resume();
        let healthy = when_healthy("it goes on", || cluster.is_healthy());
        recovered(&clients, healthy.await).await;
    }
    let promoted = cluster.primaries() != [0, 1, 2];
    let count = clients.stop().await;
    // A machine that is busy with other things may have made it a longer moment.
    if !promoted {
        nothing_undone(&count);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_stands_still_until_it_is_replaced_serves_nobody_when_it_goes_on() {
    let _alone = alone().await;
    let cluster = RedisCluster::start();
    let clients = Clients::start(app(config(&cluster)).await).await;
    cluster.nodes[1].pause();
    let healthy = when_healthy("a replica takes over", || {
        cluster.primaries().len() == 3 && cluster.is_healthy()
    });
    recovered(&clients, healthy.await).await;
    cluster.nodes[1].resume();
    wait("it is a replica now", || {
        cluster.nodes[1].cli(&["ROLE"]).starts_with("slave")
    });
    let healthy = when_healthy("it follows", || cluster.is_healthy());
    recovered(&clients, healthy.await).await;
    let count = clients.stop().await;
    assert!(count.unavailable > 0, "it was noticed: {count:?}");
    println!("a primary was stopped: {count:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_all_killed_are_made_anew_and_nothing_is_undone() {
    let _alone = alone().await;
    let cluster = RedisCluster::start();
    let clients = Clients::start(app(config(&cluster)).await).await;
    for _ in 0..10 {
        for node in &cluster.nodes {
            node.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
        }
        recovered(&clients, Instant::now()).await;
    }
    nothing_undone(&clients.stop().await);
}
