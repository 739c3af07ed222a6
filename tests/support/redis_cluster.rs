//! A Redis Cluster of a test's own: three primaries with a replica each, on free ports, gone when the test is.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::redis_server::{RedisServer, free_port};

/// How long a primary has to be silent before its replica takes over, in milliseconds.
pub(crate) const NODE_TIMEOUT: &str = "1000";

pub(crate) struct RedisCluster {
    /// The first three began as primaries.
    pub(crate) nodes: Vec<RedisServer>,
}

impl RedisCluster {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With more options for each server.
    pub(crate) fn with(args: &[&str]) -> Self {
        let nodes: Vec<_> = (0..6).map(|_| start_node(args)).collect();
        let cluster = Self { nodes };
        for (number, slots) in [(0, "0 5461"), (1, "5462 10922"), (2, "10923 16383")] {
            let node = &cluster.nodes[number];
            let epoch = (number + 1).to_string();
            assert_eq!(node.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]), "OK");
            let (first, last) = slots.split_once(' ').unwrap();
            let added = node.cli(&["CLUSTER", "ADDSLOTSRANGE", first, last]);
            assert_eq!(added, "OK", "Redis 7.0 or newer");
        }
        for node in &cluster.nodes {
            for other in &cluster.nodes {
                let port = other.port().to_string();
                let bus = bus_port(other).to_string();
                node.cli(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
            }
        }
        let all_known = |node: &RedisServer| node.cli(&["CLUSTER", "NODES"]).lines().count() == 6;
        wait("they all know each other", || {
            cluster.nodes.iter().all(all_known)
        });
        for (number, replica) in cluster.nodes[3..].iter().enumerate() {
            let id = cluster.id(number);
            wait("a replica has its primary", || {
                replica.cli(&["CLUSTER", "REPLICATE", &id]) == "OK"
            });
        }
        cluster.wait_until_healthy();
        cluster
    }

    /// The URL of a store on it.
    pub(crate) fn url(&self) -> String {
        let hosts = self.nodes[..3].iter();
        let hosts: Vec<_> = hosts
            .map(|node| format!("127.0.0.1:{}", node.port()))
            .collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// Waits until every slot is served, and every server that runs agrees on by whom, and its replicas are up to date.
    pub(crate) fn wait_until_healthy(&self) {
        wait("the cluster is healthy", || self.is_healthy());
    }

    pub(crate) fn is_healthy(&self) -> bool {
        let running = || self.nodes.iter().filter(|node| node.is_running());
        let ok = |node: &RedisServer| {
            let info = node.cli(&["CLUSTER", "INFO"]);
            let replication = node.cli(&["INFO", "replication"]);
            let up = !replication.contains("role:slave")
                || replication.contains("master_link_status:up");
            info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384") && up
        };
        let primaries: Vec<_> = running().map(primaries_as_seen_by).collect();
        primaries.windows(2).all(|pair| pair[0] == pair[1]) && running().all(ok)
    }

    /// The cluster's name for a node.
    pub(crate) fn id(&self, number: usize) -> String {
        self.nodes[number].cli(&["CLUSTER", "MYID"])
    }

    /// The numbers of those that are primaries now.
    pub(crate) fn primaries(&self) -> Vec<usize> {
        let is_primary = |number: &usize| {
            let node = &self.nodes[*number];
            node.is_running() && node.cli(&["ROLE"]).starts_with("master")
        };
        (0..self.nodes.len()).filter(is_primary).collect()
    }

    /// The number of the primary that has the slot of a key.
    pub(crate) fn primary_of(&self, key: &str) -> usize {
        let asked = self.nodes.iter().find(|node| node.is_running()).unwrap();
        let slot: u32 = asked.cli(&["CLUSTER", "KEYSLOT", key]).parse().unwrap();
        let owner = primaries_as_seen_by(asked).into_iter().find(|(_, ranges)| {
            let mut ranges = ranges.split(' ').filter_map(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                Some(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?)
            });
            ranges.any(|range| range.contains(&slot))
        });
        let (port, _) = owner.unwrap();
        let at = |node: &RedisServer| node.port() == port;
        self.nodes.iter().position(at).unwrap()
    }
}

/// The ports of the primaries, and their slots.
fn primaries_as_seen_by(node: &RedisServer) -> BTreeMap<u16, String> {
    let nodes = node.cli(&["CLUSTER", "NODES"]);
    let primary = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        let well = words[2].contains("master") && !words[2].contains("fail") && words.len() > 8;
        let (address, _bus) = words[1].split_once('@')?;
        let port = address.rsplit(':').next()?.parse().ok()?;
        well.then(|| (port, words[8..].join(" ")))
    };
    nodes.lines().filter_map(primary).collect()
}

fn start_node(args: &[&str]) -> RedisServer {
    let bus = free_port().to_string();
    let mut all = vec![
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &bus,
        "--cluster-node-timeout",
        NODE_TIMEOUT,
        // A replica that was cut off for long may take over all the same: there is no other.
        "--cluster-replica-validity-factor",
        "0",
        "--repl-diskless-sync-delay",
        "0",
    ];
    all.extend(args);
    RedisServer::with(&all)
}

fn bus_port(node: &RedisServer) -> u16 {
    let args = node.args();
    let at = args.iter().position(|arg| arg == "--cluster-port").unwrap();
    args[at + 1].parse().unwrap()
}

/// Asks again and again; panics after half a minute.
pub(crate) fn wait(what: &str, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
