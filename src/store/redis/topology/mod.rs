//! What answers a command: how it gets to a server and back, and nothing of what it says.

pub(crate) mod cluster;
#[cfg(feature = "redis-1")]
pub(crate) mod external;
pub(crate) mod replica;
pub(crate) mod replication;
pub(crate) mod sentinel;
pub(crate) mod server;

use std::sync::Arc;

use redis::{Cmd, Pipeline, Value};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

#[cfg(feature = "redis-1")]
use crate::store::redis::config::RedisConfig;
use crate::store::redis::config::{Checked, Route};
use crate::store::redis::connection::endpoint::Target;
use crate::store::redis::connection::reconnect::Link;
use crate::store::redis::protocol::error::{Failure, RedisStoreError};
use crate::store::redis::topology::cluster::Cluster;
#[cfg(feature = "redis-1")]
use crate::store::redis::topology::external::Own;
use crate::store::redis::topology::replication::Waiting;
use crate::store::redis::topology::sentinel::{Sentinels, Watched};
use crate::store::redis::topology::server::Node;
use crate::store::{StoreError, StoreErrorKind};

/// Where the commands go, and how many of them may be under way.
pub(crate) struct Backend {
    topology: Topology,
    calls: Semaphore,
}

/// Where the commands go.
enum Topology {
    /// One server.
    Server(Node),
    /// The server that has the key.
    Cluster(Cluster),
    /// The server that is the primary just now.
    Watched(Arc<Watched>),
    /// A connection that the application has brought along.
    #[cfg(feature = "redis-1")]
    Own(Own),
}

impl Backend {
    fn new(topology: Topology, max_in_flight: usize) -> Self {
        Self {
            topology,
            calls: Semaphore::new(max_in_flight),
        }
    }

    /// What a configuration leads to. Nothing is connected yet.
    pub(crate) fn of(checked: Checked) -> Result<Self, RedisStoreError> {
        let (connections, connect_timeout) = (checked.connections, checked.connect_timeout);
        let topology = match checked.route {
            Route::Server(server) => {
                let client = server.client()?;
                let target = || Target::Server(client.clone());
                let link = |target| Link::new(target, connect_timeout);
                Topology::Server(Node::new(connections, target, link))
            }
            Route::Cluster(seeds) => {
                Topology::Cluster(Cluster::new(seeds, connections, connect_timeout))
            }
            Route::Sentinels {
                sentinels,
                service,
                primary,
            } => {
                let sentinels = Sentinels::new(sentinels, service, primary)?;
                Topology::Watched(Watched::new(sentinels, connections, connect_timeout))
            }
        };
        Ok(Self::new(topology, checked.max_in_flight))
    }

    #[cfg(feature = "redis-1")]
    pub(crate) fn own(own: Own) -> Self {
        Self::new(Topology::Own(own), RedisConfig::DEFAULT_MAX_IN_FLIGHT)
    }

    /// The primary that the application's sentinels name.
    #[cfg(feature = "redis-1")]
    pub(crate) fn watched(sentinels: Sentinels) -> Self {
        let (connections, timeout) = (
            RedisConfig::DEFAULT_CONNECTIONS,
            RedisConfig::DEFAULT_CONNECT_TIMEOUT,
        );
        let watched = Watched::new(sentinels, connections, timeout);
        Self::new(
            Topology::Watched(watched),
            RedisConfig::DEFAULT_MAX_IN_FLIGHT,
        )
    }

    /// Makes sure that there is somebody to answer.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<(), Failure> {
        match &self.topology {
            Topology::Server(node) => node.connect(deadline).await,
            Topology::Cluster(cluster) => cluster.connect(deadline).await,
            Topology::Watched(watched) => watched.primary.connect(deadline).await,
            #[cfg(feature = "redis-1")]
            Topology::Own(_) => Ok(()),
        }
    }

    /// The answer to one command. An error reply is a [`Value`], as any other.
    pub(crate) async fn one(
        &self,
        command: &Cmd,
        wait: Option<&Waiting>,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let _call = self.enter()?;
        match &self.topology {
            Topology::Server(node) => node.one(command, wait, deadline).await,
            Topology::Cluster(cluster) => cluster.one(command, wait, deadline).await,
            Topology::Watched(watched) => watched.primary.one(command, wait, deadline).await,
            #[cfg(feature = "redis-1")]
            Topology::Own(own) => own.one(command, deadline).await,
        }
    }

    /// The answers to commands that are sent together, and need not be carried out together. Each is about one key, which is
    /// its first argument, or the third of a script. Where there are several servers, they are carried out in any order.
    pub(crate) async fn all(
        &self,
        commands: &Pipeline,
        wait: Option<&Waiting>,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        let _call = self.enter()?;
        match &self.topology {
            Topology::Server(node) => node.all(commands, wait, deadline).await,
            Topology::Cluster(cluster) => cluster.all(commands, wait, deadline).await,
            Topology::Watched(watched) => watched.primary.all(commands, wait, deadline).await,
            #[cfg(feature = "redis-1")]
            Topology::Own(own) => own.all(commands, deadline).await,
        }
    }

    /// What every server that has keys answers to a command about none.
    pub(crate) async fn everywhere(
        &self,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        if let Topology::Cluster(cluster) = &self.topology {
            let _call = self.enter()?;
            return cluster.everywhere(command, deadline).await;
        }
        Ok(vec![self.one(command, None, deadline).await?])
    }

    /// What a replica answers to a command that only reads, if one does in time.
    pub(crate) async fn read_replica(&self, command: &Cmd, deadline: Instant) -> Option<Value> {
        let _call = self.enter().ok()?;
        match &self.topology {
            Topology::Server(_) => None,
            Topology::Cluster(cluster) => cluster.read_replica(command, deadline).await,
            Topology::Watched(watched) => watched.read_replica(command, deadline).await,
            #[cfg(feature = "redis-1")]
            Topology::Own(_) => None,
        }
    }

    /// Whether commands that are sent together may be carried out in any order.
    pub(crate) fn is_spread(&self) -> bool {
        match &self.topology {
            Topology::Server(_) => false,
            Topology::Cluster(_) => true,
            Topology::Watched(_) => false,
            #[cfg(feature = "redis-1")]
            Topology::Own(own) => own.is_spread(),
        }
    }

    /// Where that is, for people to read.
    pub(crate) fn address(&self) -> &str {
        match &self.topology {
            Topology::Server(node) => node.address(),
            Topology::Cluster(cluster) => cluster.address(),
            Topology::Watched(watched) => watched.primary.address(),
            #[cfg(feature = "redis-1")]
            Topology::Own(_) => "a connection of the application's",
        }
    }

    /// A place among the calls under way, or a refusal: who came now would wait longer than anybody has patience.
    fn enter(&self) -> Result<SemaphorePermit<'_>, Failure> {
        self.calls.try_acquire().map_err(|_| {
            Failure::NotSent(StoreError::caused_by(
                StoreErrorKind::Unavailable,
                "too many calls are waiting for Redis: see max_in_flight",
            ))
        })
    }
}
