//! The known nodes of a cluster.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::slots::Address;
use crate::store::redis::connection::handshake::Mode;
use crate::store::redis::connection::{Client, Endpoint, OfKind};
use crate::store::redis::sync::unpoisoned;
use crate::store::redis::topology::replica::ReplicaHealth;
use crate::store::redis::topology::server::Server;

/// How many of the known nodes are asked before those of the URL, which may be the same nodes under other names.
const ASKED_FIRST: usize = 2;

/// A node of the cluster.
pub(super) struct Node {
    pub(super) address: Address,
    pub(super) server: Server,
    /// The connections on which it serves reads while it is a replica.
    pub(super) as_replica: Server,
    pub(super) health: ReplicaHealth,
}

/// The known nodes, and how to reach others.
pub(super) struct Nodes {
    /// The nodes of the URL.
    seeds: Vec<Client>,
    connections: usize,
    connect_timeout: Duration,
    known: Mutex<HashMap<Address, Arc<Node>>>,
}

impl Nodes {
    pub(super) fn new(seeds: Vec<Client>, connections: usize, connect_timeout: Duration) -> Self {
        Self {
            seeds,
            connections,
            connect_timeout,
            known: Mutex::default(),
        }
    }

    /// The address of the cluster, for people to read.
    pub(super) fn address(&self) -> String {
        let addresses: Vec<_> = self.seeds.iter().map(Client::to_string).collect();
        format!("the cluster of {}", addresses.join(", "))
    }

    /// The node at this address, which becomes known.
    pub(super) fn at(&self, address: &Address) -> Arc<Node> {
        let mut known = self.known();
        if let Some(node) = known.get(address) {
            return Arc::clone(node);
        }
        // All nodes of a cluster have the same user and password.
        let client = self.seeds[0].at(&address.host, address.port);
        let server = |setup| {
            let (client, kind) = (client.clone(), Mode::Cluster);
            let endpoint: Arc<dyn Endpoint> = Arc::new(OfKind {
                client,
                kind,
                setup,
            });
            Server::new(&endpoint, self.connections, self.connect_timeout)
        };
        let node = Arc::new(Node {
            address: address.clone(),
            server: server(None),
            // A replica serves reads only on a connection that says so.
            as_replica: server(Some(redis::cmd("READONLY"))),
            health: ReplicaHealth::default(),
        });
        known.insert(address.clone(), Arc::clone(&node));
        node
    }

    /// The nodes to ask about the cluster, in this order: the known ones, of which another one is the first each `turn`. Those
    /// of the URL come in between, in case all others are gone.
    pub(super) fn in_order_to_ask(&self, turn: usize) -> Vec<Arc<Node>> {
        let mut nodes: Vec<_> = self.known().values().cloned().collect();
        nodes.sort_unstable_by(|one, other| one.address.cmp(&other.address));
        let count = nodes.len().max(1);
        nodes.rotate_left(turn % count);
        let rest = nodes.split_off(ASKED_FIRST.min(nodes.len()));
        for seed in &self.seeds {
            if let Some((host, port)) = seed.host_and_port() {
                let host = host.to_owned();
                let address = Address { host, port };
                let is_listed = |node: &Arc<Node>| node.address == address;
                if !nodes.iter().chain(&rest).any(is_listed) {
                    nodes.push(self.at(&address));
                }
            }
        }
        nodes.extend(rest);
        nodes
    }

    /// Forgets the other nodes and their connections. Those of the URL become known again when they are asked.
    pub(super) fn retain(&self, keep: impl Fn(&Arc<Node>) -> bool) {
        self.known().retain(|_, node| keep(node));
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Address, Arc<Node>>> {
        unpoisoned(self.known.lock())
    }
}

#[cfg(test)]
mod tests {
    use redis::IntoConnectionInfo;

    use super::*;

    fn nodes(seeds: &[&str]) -> Nodes {
        let seed = |url: &&str| {
            let info = url.into_connection_info().unwrap();
            Client::new(info, None)
        };
        let seeds = seeds.iter().map(seed).collect();
        Nodes::new(seeds, 1, Duration::from_secs(1))
    }

    fn address(port: u16) -> Address {
        let host = "10.0.0.1".to_owned();
        Address { host, port }
    }

    fn ports(nodes: &Nodes, turn: usize) -> Vec<u16> {
        let asked = nodes.in_order_to_ask(turn);
        asked.iter().map(|node| node.address.port).collect()
    }

    #[test]
    fn the_nodes_of_the_url_are_asked_first_only_while_no_other_is_known() {
        let nodes = nodes(&["redis://one:1", "redis://two:2", "redis://10.0.0.1:6"]);
        let mut first: Vec<_> = ports(&nodes, 0);
        first.sort_unstable();
        assert_eq!(first, [1, 2, 6]);
        nodes.retain(|_| false);
        for port in 5..9 {
            nodes.at(&address(port));
        }
        assert_eq!(ports(&nodes, 0), [5, 6, 1, 2, 7, 8]);
        nodes.retain(|node| node.address.host == "10.0.0.1");
        assert_eq!(ports(&nodes, 3), [8, 5, 1, 2, 6, 7]);
    }

    #[test]
    fn a_node_stays_the_same_until_it_is_forgotten() {
        let nodes = nodes(&["redis://one:1"]);
        let node = nodes.at(&address(5));
        let is_same = || Arc::ptr_eq(&node, &nodes.at(&address(5)));
        assert!(is_same());
        nodes.retain(|shown| Arc::ptr_eq(shown, &node));
        assert!(is_same());
        nodes.retain(|_| false);
        assert!(!is_same());
    }
}
