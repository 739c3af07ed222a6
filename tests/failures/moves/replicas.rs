//! Replicas that are waited for, that are read from, and that lag.

use super::*;
use crate::support::cookie::Cookie;
use crate::support::eventually;
use crate::support::redis_cluster::{RedisCluster, wait};
use crate::support::redis_sentinel::RedisSentinel;
use crate::support::redis_server::RedisServer;

/// Stops the replicas, or lets them go on.
fn replicas(cluster: &RedisCluster, command: fn(&RedisServer)) {
    cluster.nodes[3..].iter().for_each(command);
}

/// How often a server executed a command.
fn calls(server: &RedisServer, command: &str) -> u64 {
    let statistics = server.cli(&["INFO", "commandstats"]);
    let prefix = format!("cmdstat_{command}:calls=");
    let line = statistics
        .lines()
        .find_map(|line| line.strip_prefix(&prefix));
    let count = line.and_then(|line| line.split(',').next());
    count.map_or(0, |count| count.parse().unwrap())
}

/// How often the replicas did.
fn executed(cluster: &RedisCluster, command: &str) -> u64 {
    let replicas = cluster.nodes[3..].iter();
    replicas.map(|replica| calls(replica, command)).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_a_token_waits_for_replicas_and_is_not_acknowledged_without_them() {
    let _alone = alone().await;
    let cluster = RedisCluster::start();
    let patient = RedisConfig::new(cluster.url()).wait_replicas(1, Duration::from_millis(250));
    let app = app(patient).await;
    let (reader, leaver) = (app.logged_in("reader").await, app.logged_in("leaver").await);
    let rotating = app.logged_in("rotating").await;
    let answer = app.get("/rotate", Some(&rotating)).await;
    assert_eq!(answer.status, 200);
    let rotating = answer.token().to_owned();
    replicas(&cluster, RedisServer::pause);
    assert_eq!(app.get("/read", Some(&reader)).await.status, 200);
    assert_eq!(app.get("/write", Some(&reader)).await.status, 200);
    for (path, token) in [("/rotate", &rotating), ("/logout", &leaver)] {
        let answer = app.get(path, Some(token)).await;
        assert_eq!(answer.status, 503, "{path}");
        assert_eq!(answer.cookie, Cookie::Untouched);
    }
    assert_eq!(app.get("/login/late", None).await.status, 503);
    // Nothing else was held up by those who wait.
    assert_eq!(app.get("/read", Some(&reader)).await.status, 200);
    replicas(&cluster, RedisServer::resume);
    cluster.wait_until_healthy();
    let out = async || (app.get("/logout", Some(&reader)).await.status == 200).then_some(());
    eventually("logouts are acknowledged again", out).await;
    // It was carried out where it was asked for, and that has lasted.
    assert_eq!(app.get("/read", Some(&leaver)).await.body, "nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_serve_reads_and_nothing_is_decided_by_what_they_lack() {
    let _alone = alone().await;
    let cluster = RedisCluster::start();
    let config = || RedisConfig::new(cluster.url());
    let (primary, app) = (
        app(config()).await,
        app(config().read_from_replicas(true)).await,
    );
    let token = app.logged_in("alice").await;
    let leaver = app.logged_in("leaver").await;
    for token in [&token, &leaver] {
        let name = support::cookie::key(token);
        wait("a replica has it", || {
            cluster.nodes[3..].iter().any(|node| has(node, &name))
        });
    }
    let read = async || {
        assert_eq!(app.get("/read", Some(&token)).await.body, "alice");
        (executed(&cluster, "get") >= 10).then_some(())
    };
    eventually("replicas are asked", read).await;

    // From now on the replicas hear of nothing. What they have not got, or have otherwise, the primary is asked for.
    cut_off(&cluster);
    let rotated = app.get("/rotate", Some(&token)).await.token().to_owned();
    assert_eq!(app.get("/read", Some(&rotated)).await.body, "alice");
    let new = app.logged_in("new").await;
    let answer = app.get("/read", Some(&new)).await;
    assert_eq!((&*answer.body, answer.cookie), ("new", Cookie::Untouched));
    // What is written is on top of what is there, whatever a replica says.
    for count in 1..=3 {
        assert_eq!(app.get("/write", Some(&rotated)).await.status, 200);
        let written = primary.get("/count", Some(&rotated)).await;
        assert_eq!(written.body, count.to_string());
    }
    // What staleness means for a logout: it can be read on. But it is no session that anything can be done with.
    assert_eq!(app.get("/logout", Some(&leaver)).await.status, 200);
    let stale = async || (app.get("/read", Some(&leaver)).await.body == "leaver").then_some(());
    eventually("a replica answers, and does not know", stale).await;
    assert_eq!(primary.get("/read", Some(&leaver)).await.body, "nobody");
    assert_eq!(app.post("/write", Some(&leaver)).await.status, 409);
    // A replica that is configured to knows that it is stale, and then the primary is asked.
    for node in &cluster.nodes[3..] {
        node.cli(&["CONFIG", "SET", "replica-serve-stale-data", "no"]);
    }
    assert_eq!(app.get("/read", Some(&leaver)).await.body, "nobody");
    assert_eq!(app.get("/read", Some(&rotated)).await.body, "alice");

    reconnect(&cluster);
    cluster.wait_until_healthy();
    let before = executed(&cluster, "get");
    let read = async || {
        assert_eq!(app.get("/read", Some(&rotated)).await.body, "alice");
        (executed(&cluster, "get") > before).then_some(())
    };
    eventually("replicas are asked again", read).await;

    // One that stands still is no reason for a 503.
    replicas(&cluster, RedisServer::pause);
    for _ in 0..5 {
        assert_eq!(app.get("/read", Some(&rotated)).await.body, "alice");
    }
    replicas(&cluster, RedisServer::resume);
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_sentinels_know_serve_reads() {
    let _alone = alone().await;
    let trio = RedisSentinel::start();
    let app = app(trio.config().read_from_replicas(true)).await;
    let token = app.logged_in("alice").await;
    let name = support::cookie::key(&token);
    wait("replicas have it", || {
        trio.servers[1..].iter().all(|server| has(server, &name))
    });
    let gets = || {
        trio.servers[1..]
            .iter()
            .map(|one| calls(one, "get"))
            .sum::<u64>()
    };
    let before = gets();
    let read = async || {
        assert_eq!(app.get("/read", Some(&token)).await.body, "alice");
        (gets() >= before + 10).then_some(())
    };
    eventually("replicas are asked", read).await;
    assert_eq!(app.get("/logout", Some(&token)).await.status, 200);
    let gone = async || (app.get("/read", Some(&token)).await.body == "nobody").then_some(());
    eventually("replicas have heard of the logout", gone).await;
}

#[tokio::test]
async fn without_replicas_to_read_from_or_with_too_short_a_time_to_wait_a_store_is_refused() {
    let refused = |config: RedisConfig| {
        let store = RedisStore::connect_lazily(config);
        store.unwrap_err().to_string()
    };
    let one = RedisConfig::new("redis://127.0.0.1");
    assert!(refused(one.clone().read_from_replicas(true)).contains("sentinels"));
    let wait = |time| refused(one.clone().wait_replicas(1, time));
    assert!(wait(Duration::from_millis(500)).contains("response_timeout"));
    assert!(wait(Duration::ZERO).contains("millisecond"));
    assert!(refused(one.clone().connections(0)).contains("connections"));
    assert!(refused(one.clone().connections(65)).contains("connections"));
    assert!(refused(one.max_in_flight(0)).contains("max_in_flight"));
}

fn has(server: &RedisServer, key: &str) -> bool {
    // A replica answers for its slots on a connection that asks for it, which redis-cli takes from its input.
    server
        .cli_lines(&["READONLY", &format!("EXISTS {key}")])
        .ends_with('1')
}

/// Lets the replicas follow their primaries no more, while all go on answering.
fn cut_off(cluster: &RedisCluster) {
    for replica in &cluster.nodes[3..] {
        replica.cli(&[
            "CONFIG",
            "SET",
            "masteruser",
            "nobody",
            "masterauth",
            "wrong",
        ]);
    }
    for primary in &cluster.nodes[..3] {
        primary.cli(&["CLIENT", "KILL", "TYPE", "replica"]);
    }
    let down = |replica: &RedisServer| {
        let replication = replica.cli(&["INFO", "replication"]);
        replication.contains("master_link_status:down")
    };
    wait("replicas are cut off", || {
        cluster.nodes[3..].iter().all(down)
    });
}

fn reconnect(cluster: &RedisCluster) {
    for replica in &cluster.nodes[3..] {
        replica.cli(&["CONFIG", "SET", "masteruser", "", "masterauth", ""]);
    }
}
