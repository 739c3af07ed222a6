//! A primary that sentinels name, and its replicas.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::{Cmd, Value};
use tokio::time::{Instant, timeout_at};

use super::discovery::Sentinels;
use crate::store::redis::connection::Endpoint;
use crate::store::redis::sync::unpoisoned;
use crate::store::redis::topology::replica::{self, ReplicaHealth};
use crate::store::redis::topology::server::Server;

/// How long the list of replicas is used.
const LIST_LIFETIME: Duration = Duration::from_secs(5);

/// A primary that sentinels name, and its replicas.
pub(crate) struct SentinelPrimary {
    server: Server,
    sentinels: Arc<Sentinels>,
    connections: usize,
    connect_timeout: Duration,
    replicas: Mutex<ReplicaList>,
}

#[derive(Default)]
struct ReplicaList {
    replicas: Vec<Arc<Replica>>,
    refreshed: Option<Instant>,
}

struct Replica {
    server: Server,
    health: ReplicaHealth,
}

impl SentinelPrimary {
    pub(crate) fn new(
        sentinels: Sentinels,
        connections: usize,
        connect_timeout: Duration,
    ) -> Arc<Self> {
        let sentinels = Arc::new(sentinels);
        let endpoint: Arc<dyn Endpoint> = Arc::clone(&sentinels) as _;
        Arc::new(Self {
            server: Server::new(&endpoint, connections, connect_timeout),
            sentinels,
            connections,
            connect_timeout,
            replicas: Mutex::default(),
        })
    }

    pub(in crate::store::redis::topology) fn server(&self) -> &Server {
        &self.server
    }

    /// The answer of a replica, if one answers in time.
    pub(crate) async fn read_replica(
        self: &Arc<Self>,
        command: &Cmd,
        deadline: Instant,
    ) -> Option<Value> {
        let replicas = self.replicas();
        let replica = replica::choose(&replicas, |replica| &replica.health)?;
        let answer = replica.server.execute(command, None, deadline).await;
        replica.health.record(answer)
    }

    /// The known replicas. From time to time this also starts a refresh of the list, and does not wait for it.
    fn replicas(self: &Arc<Self>) -> Vec<Arc<Replica>> {
        let mut list = unpoisoned(self.replicas.lock());
        let is_due = list
            .refreshed
            .is_none_or(|refreshed| refreshed.elapsed() >= LIST_LIFETIME);
        let replicas = list.replicas.clone();
        if is_due {
            list.refreshed = Some(Instant::now());
            drop(list);
            tokio::spawn(Arc::clone(self).refresh());
        }
        replicas
    }

    async fn refresh(self: Arc<Self>) {
        let deadline = Instant::now() + self.connect_timeout;
        // If no sentinel answers, the known replicas stay.
        let Ok(Ok(clients)) = timeout_at(deadline, self.sentinels.replicas()).await else {
            return;
        };
        let mut list = unpoisoned(self.replicas.lock());
        let known = std::mem::take(&mut list.replicas);
        let replicas = clients.into_iter().map(|client| {
            let address = client.to_string();
            let known = known
                .iter()
                .find(|replica| replica.server.address() == address);
            known.cloned().unwrap_or_else(|| {
                let endpoint: Arc<dyn Endpoint> = Arc::new(client);
                Arc::new(Replica {
                    server: Server::new(&endpoint, self.connections, self.connect_timeout),
                    health: ReplicaHealth::default(),
                })
            })
        });
        list.replicas = replicas.collect();
    }
}
