//! A primary that sentinels have found, and its replicas.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{Cmd, Value};
use tokio::time::{Instant, timeout_at};

use super::{Sentinels, address};
use crate::store::redis::connection::endpoint::Target;
use crate::store::redis::connection::reconnect::Link;
use crate::store::redis::topology::replica::{self, Health};
use crate::store::redis::topology::server::Node;

/// How long the list of replicas is used.
const LIST_LIFETIME: Duration = Duration::from_secs(5);

/// A primary that sentinels have found, and its replicas.
pub(crate) struct Watched {
    pub(crate) primary: Node,
    sentinels: Arc<Sentinels>,
    connections: usize,
    connect_timeout: Duration,
    replicas: Mutex<List>,
}

#[derive(Default)]
struct List {
    replicas: Vec<Arc<Replica>>,
    asked: Option<Instant>,
}

struct Replica {
    node: Node,
    health: Health,
}

impl Watched {
    pub(crate) fn new(
        sentinels: Sentinels,
        connections: usize,
        connect_timeout: Duration,
    ) -> Arc<Self> {
        let sentinels = Arc::new(sentinels);
        let target = || Target::Primary(Arc::clone(&sentinels));
        let link = |target| Link::new(target, connect_timeout);
        Arc::new(Self {
            primary: Node::new(connections, target, link),
            sentinels,
            connections,
            connect_timeout,
            replicas: Mutex::default(),
        })
    }

    /// What a replica answers in time.
    pub(crate) async fn read_replica(
        self: &Arc<Self>,
        command: &Cmd,
        deadline: Instant,
    ) -> Option<Value> {
        let replicas = self.list();
        let replica = replica::choose(&replicas, |replica| &replica.health)?;
        let answer = replica.node.one(command, None, deadline).await;
        replica.health.settle(answer)
    }

    /// The replicas that are known, and every now and then, beside it, a look at which there are.
    fn list(self: &Arc<Self>) -> Vec<Arc<Replica>> {
        let mut list = self.replicas.lock().unwrap_or_else(PoisonError::into_inner);
        let due = list
            .asked
            .is_none_or(|asked| asked.elapsed() >= LIST_LIFETIME);
        let replicas = list.replicas.clone();
        if due {
            list.asked = Some(Instant::now());
            drop(list);
            tokio::spawn(Arc::clone(self).look());
        }
        replicas
    }

    async fn look(self: Arc<Self>) {
        let deadline = Instant::now() + self.connect_timeout;
        // Those that are known stay, if nobody answers.
        let Ok(Ok(clients)) = timeout_at(deadline, self.sentinels.replicas()).await else {
            return;
        };
        let link = |target| Link::new(target, self.connect_timeout);
        let mut list = self.replicas.lock().unwrap_or_else(PoisonError::into_inner);
        let known = std::mem::take(&mut list.replicas);
        let replicas = clients.into_iter().map(|client| {
            let address = address(&client);
            let known = known
                .iter()
                .find(|replica| replica.node.address() == address);
            known.cloned().unwrap_or_else(|| {
                let target = || Target::Server(client.clone());
                Arc::new(Replica {
                    node: Node::new(self.connections, target, link),
                    health: Health::default(),
                })
            })
        });
        list.replicas = replicas.collect();
    }
}
