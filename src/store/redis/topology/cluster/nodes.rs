//! The servers of a cluster, as far as anybody has named them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::RedisError;

use super::slots::Place;
use crate::store::redis::connection::client::Dialer;
use crate::store::redis::connection::endpoint::Target;
use crate::store::redis::connection::reconnect::Link;
use crate::store::redis::topology::replica::Health;
use crate::store::redis::topology::server::Node;

/// How many of the known servers are asked before those of the URL, which may be the same by other names.
const TRUST: usize = 2;

/// A server of the cluster.
pub(crate) struct Server {
    pub(crate) place: Place,
    pub(crate) node: Node,
    /// The connections on which it serves reads while it is a replica.
    pub(crate) as_replica: Node,
    pub(crate) health: Health,
}

/// The servers that are known, and how to reach one that was not.
pub(crate) struct Servers {
    /// Those of the URL.
    seeds: Vec<Dialer>,
    connections: usize,
    connect_timeout: Duration,
    known: Mutex<HashMap<Place, Arc<Server>>>,
}

impl Servers {
    pub(crate) fn new(seeds: Vec<Dialer>, connections: usize, connect_timeout: Duration) -> Self {
        Self {
            seeds,
            connections,
            connect_timeout,
            known: Mutex::default(),
        }
    }

    /// What they are together, for people to read.
    pub(crate) fn address(&self) -> String {
        let addresses: Vec<_> = self.seeds.iter().map(Dialer::address).collect();
        format!("the cluster of {}", addresses.join(", "))
    }

    /// The server at this place, known or not.
    pub(crate) fn at(&self, place: &Place) -> Result<Arc<Server>, RedisError> {
        let mut known = self.known();
        if let Some(server) = known.get(place) {
            return Ok(Arc::clone(server));
        }
        // All of a cluster's servers want the same user.
        let client = self.seeds[0].to(&place.host, place.port)?;
        let link = |target| Link::new(target, self.connect_timeout);
        let server = Arc::new(Server {
            place: place.clone(),
            node: Node::new(self.connections, || Target::Server(client.clone()), link),
            as_replica: Node::new(
                self.connections,
                || Target::ClusterReplica(client.clone()),
                link,
            ),
            health: Health::default(),
        });
        known.insert(place.clone(), Arc::clone(&server));
        Ok(server)
    }

    /// Whom to ask about the cluster, in this order: everybody who is known, each as the first in turn. Those of the URL come
    /// in between, should all the others be gone.
    pub(crate) fn to_ask(&self, turn: usize) -> Result<Vec<Arc<Server>>, RedisError> {
        let mut servers: Vec<_> = self.known().values().cloned().collect();
        servers.sort_by(|one, other| {
            let of = |server: &'_ Server| (server.place.host.clone(), server.place.port);
            of(one).cmp(&of(other))
        });
        let count = servers.len().max(1);
        servers.rotate_left(turn % count);
        let rest = servers.split_off(TRUST.min(servers.len()));
        let is_new = |known: &[Arc<Server>], place: &Place| {
            let mut known = known.iter().chain(&rest);
            known.all(|server| server.place != *place)
        };
        for seed in &self.seeds {
            if let Some((host, port)) = seed.place() {
                let host = host.to_owned();
                let place = Place { host, port };
                if is_new(&servers, &place) {
                    servers.push(self.at(&place)?);
                }
            }
        }
        servers.extend(rest);
        Ok(servers)
    }

    /// Lets go of the servers that have left, and of their connections. Those of the URL come back when they are asked.
    pub(crate) fn forget_all_but(&self, is_shown: impl Fn(&Arc<Server>) -> bool) {
        self.known().retain(|_, server| is_shown(server));
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Place, Arc<Server>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use redis::IntoConnectionInfo;

    use super::*;

    fn servers(seeds: &[&str]) -> Servers {
        let seed = |url: &&str| {
            let info = url.into_connection_info().unwrap();
            Dialer::new(info, None).unwrap()
        };
        let seeds = seeds.iter().map(seed).collect();
        Servers::new(seeds, 1, Duration::from_secs(1))
    }

    fn place(port: u16) -> Place {
        let host = "10.0.0.1".to_owned();
        Place { host, port }
    }

    fn ports(servers: &Servers, turn: usize) -> Vec<u16> {
        let asked = servers.to_ask(turn).unwrap();
        asked.iter().map(|server| server.place.port).collect()
    }

    #[test]
    fn the_urls_servers_are_asked_first_only_while_nobody_else_is_known() {
        let servers = servers(&["redis://one:1", "redis://two:2", "redis://10.0.0.1:6"]);
        let mut first: Vec<_> = ports(&servers, 0);
        first.sort_unstable();
        assert_eq!(first, [1, 2, 6]);
        servers.forget_all_but(|_| false);
        for port in 5..9 {
            servers.at(&place(port)).unwrap();
        }
        assert_eq!(ports(&servers, 0), [5, 6, 1, 2, 7, 8]);
        servers.forget_all_but(|server| server.place.host == "10.0.0.1");
        assert_eq!(ports(&servers, 3), [8, 5, 1, 2, 6, 7]);
    }

    #[test]
    fn a_server_stays_the_same_until_it_is_forgotten() {
        let servers = servers(&["redis://one:1"]);
        let server = servers.at(&place(5)).unwrap();
        let is_same = || Arc::ptr_eq(&server, &servers.at(&place(5)).unwrap());
        assert!(is_same());
        servers.forget_all_but(|shown| Arc::ptr_eq(shown, &server));
        assert!(is_same());
        servers.forget_all_but(|_| false);
        assert!(!is_same());
    }
}
