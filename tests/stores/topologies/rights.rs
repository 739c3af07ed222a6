//! That the documented user needs what is added for a cluster and for replicas, and with sentinels, and no more.

use std::error::Error;

use tower_keycard::store::RedisConfig;

use super::*;
use crate::support::deployment::Deployment;
use crate::support::redis_cluster::RedisCluster;
use crate::support::redis_sentinel::RedisSentinel;
use crate::support::redis_server::RedisServer;

const PATIENCE: Duration = Duration::from_secs(30);

/// Enough for an answer, and for finding out that there is none.
const IMPATIENCE: Duration = Duration::from_secs(1);

/// The rights in the points of the documentation's list that begin so.
fn documented(point: &str) -> Vec<&'static str> {
    let page = include_str!("../../../docs/production.md");
    let (_, rest) = page.split_once(&format!("\n- {point}")).unwrap();
    let point = rest.split("\n- ").next().unwrap();
    let quoted = point.split('`').skip(1).step_by(2);
    let rights: Vec<_> = quoted
        .filter(|text| text.starts_with('+'))
        .flat_map(|text| text.split(' '))
        .collect();
    assert!(!rights.is_empty(), "{point}");
    rights
}

/// Gives the user all these rights but one, and empties the log of what was denied.
fn grant(cli: impl Fn(&[&str]) -> String, rights: &[&str], but: Option<&str>) {
    let but = but.map(|right| right.replacen('+', "-", 1));
    let rights = rights.iter().copied().chain(but.as_deref());
    let set_user: Vec<_> = ["ACL", "SETUSER", "keycard"]
        .into_iter()
        .chain(rights)
        .collect();
    assert_eq!(cli(&set_user), "OK");
    cli(&["ACL", "LOG", "RESET"]);
}

/// What needs more than one server does: a key whose slot moves, replicas to wait for, and replicas to read from.
async fn more(config: RedisConfig, patience: Duration) -> Result<(), Box<dyn Error>> {
    let config = config
        .connect_timeout(patience)
        .response_timeout(patience)
        .wait_replicas(1, patience / 2)
        .read_from_replicas(true);
    let store = RedisStore::connect(config).await?;
    // All of them, whatever becomes of the first.
    let moving = store.load(&key(20)).await;
    let record = sample_record("{}");
    let created = store.create(&key(30), &record.write(LONG)).await;
    let loaded = store.load(&key(30)).await;
    store.delete(&key(30), None).await?;
    moving?;
    created?;
    loaded?;
    Ok(())
}

/// Waits until a server has denied this: on a busy machine not every attempt gets as far.
async fn is_missed(right: &str, config: &RedisConfig, denied: impl Fn() -> String) {
    support::eventually(&format!("a call misses {right}"), async || {
        let _ = more(config.clone(), IMPATIENCE).await;
        denied()
            .lines()
            .any(|line| line == &right[1..])
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_right_that_is_added_in_a_cluster_is_needed() {
    let cluster = RedisCluster::start();
    let config = cluster.config();
    let mut rights = documented("In a cluster");
    rights.extend(documented("With `wait_replicas`"));
    let grant_all = |but| {
        for node in &cluster.nodes {
            grant(|args| node.cli(args), &rights, but);
        }
    };
    let denied = || -> String { cluster.nodes.iter().map(RedisServer::denied).collect() };
    moves(&cluster, &format!("keycard:{}", key(20)));

    grant_all(None);
    more(config.clone(), PATIENCE).await.unwrap();
    assert_eq!(denied(), "", "nothing was denied");
    for right in &rights {
        grant_all(Some(right));
        is_missed(right, &config, denied).await;
    }
}

/// Lets the slot of a key move, so that the server that has it redirects every call for the key to another.
fn moves(cluster: &RedisCluster, name: &str) {
    let from = cluster.primary_of(name);
    let mut primaries = RedisCluster::primaries(cluster).into_iter();
    let to = primaries.find(|to| *to != from).unwrap();
    let slot = cluster.nodes[from].cli(&["CLUSTER", "KEYSLOT", name]);
    for (at, state, other) in [(to, "IMPORTING", from), (from, "MIGRATING", to)] {
        let set = ["CLUSTER", "SETSLOT", &slot, state, &cluster.id(other)];
        assert_eq!(cluster.nodes[at].cli(&set), "OK");
    }
}

#[tokio::test]
async fn each_right_of_the_user_at_the_sentinels_is_needed() {
    let trio = RedisSentinel::start();
    let config = Deployment::config(&trio)
        .sentinel_username("keycard")
        .sentinel_password("password");
    for server in &trio.servers {
        let rights = documented("With `wait_replicas`");
        grant(|args| server.cli(args), &rights, None);
    }
    let rights = documented("Behind sentinels");
    let user = ["on", ">password", "resetchannels", "-@all"];
    let all = [&user[..], &rights].concat();
    let grant_all = |but| {
        for sentinel in &trio.sentinels {
            grant(|args| sentinel.cli(args), &all, but);
        }
    };
    let denied = || -> String {
        let sentinels = trio.sentinels.iter().map(|one| one.cli(&["ACL", "LOG"]));
        let servers = trio.servers.iter().map(RedisServer::denied);
        sentinels.chain(servers).collect()
    };

    grant_all(None);
    more(config.clone(), PATIENCE).await.unwrap();
    assert_eq!(denied(), "", "nothing was denied");
    for right in &rights {
        grant_all(Some(right));
        is_missed(right, &config, denied).await;
    }
}
