//! The servers that answer commands: one, a cluster, or a primary and its replicas. What the commands mean is not known here.

mod cluster;
#[cfg(feature = "redis-1")]
mod external;
mod replica;
mod replication;
mod sentinel;
mod server;

use std::sync::Arc;

use redis::{Cmd, Pipeline, Value};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use self::cluster::Cluster;
#[cfg(feature = "redis-1")]
use self::external::External;
#[cfg(feature = "redis-1")]
pub(crate) use self::external::ExternalConnection;
pub(crate) use self::replication::{Replication, confirmed};
use self::sentinel::{SentinelPrimary, Sentinels};
use self::server::Server;
#[cfg(feature = "redis-1")]
use crate::store::redis::config::RedisConfig;
use crate::store::redis::config::{Url, ValidConfig};
use crate::store::redis::connection::handshake::Mode;
use crate::store::redis::connection::{Client, Endpoint, OfKind};
use crate::store::redis::protocol::CallError;
use crate::store::{StoreError, StoreErrorKind};

/// Where commands go, and how many of them may be in flight.
pub(crate) struct Topology {
    servers: Servers,
    calls: Semaphore,
}

/// Where commands go.
enum Servers {
    Standalone(Server),
    /// To the node that has the key.
    Cluster(Cluster),
    /// To the server that the sentinels name as the primary.
    Sentinel(Arc<SentinelPrimary>),
    /// To a connection that the application provides.
    #[cfg(feature = "redis-1")]
    External(External),
}

impl Topology {
    /// The servers of a configuration. Nothing is connected yet.
    pub(crate) fn new(config: ValidConfig) -> Self {
        let (connections, connect_timeout) = (config.connections, config.connect_timeout);
        let client = |info| Client::new(info, config.tls.clone());
        let servers = match config.url {
            Url::Server(info) => {
                let endpoint: Arc<dyn Endpoint> = Arc::new(OfKind {
                    client: client(info),
                    kind: Mode::Standalone,
                    setup: None,
                });
                Servers::Standalone(Server::new(&endpoint, connections, connect_timeout))
            }
            Url::Cluster(nodes) => {
                let seeds = nodes.into_iter().map(client).collect();
                Servers::Cluster(Cluster::new(seeds, connections, connect_timeout))
            }
            Url::Sentinels {
                sentinels,
                service,
                primary,
            } => {
                let sentinels = sentinels.into_iter().map(client).collect();
                let sentinels = Sentinels::new(sentinels, service, client(primary));
                let primary = SentinelPrimary::new(sentinels, connections, connect_timeout);
                Servers::Sentinel(primary)
            }
        };
        Self::with(servers, config.max_in_flight)
    }

    fn with(servers: Servers, max_in_flight: usize) -> Self {
        Self {
            servers,
            calls: Semaphore::new(max_in_flight),
        }
    }

    #[cfg(feature = "redis-1")]
    pub(crate) fn external(connection: ExternalConnection) -> Self {
        let servers = Servers::External(External::new(connection));
        Self::with(servers, RedisConfig::DEFAULT_MAX_IN_FLIGHT)
    }

    /// The primary that the application's client of sentinels names.
    #[cfg(feature = "redis-1")]
    pub(crate) fn sentinel_client(client: redis::sentinel::SentinelClient) -> Self {
        let primary = SentinelPrimary::new(
            Sentinels::from_client(client),
            RedisConfig::DEFAULT_CONNECTIONS,
            RedisConfig::DEFAULT_CONNECT_TIMEOUT,
        );
        Self::with(
            Servers::Sentinel(primary),
            RedisConfig::DEFAULT_MAX_IN_FLIGHT,
        )
    }

    /// Makes sure that a server answers.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<(), CallError> {
        match &self.servers {
            Servers::Standalone(server) => server.connect(deadline).await,
            Servers::Cluster(cluster) => cluster.connect(deadline).await,
            Servers::Sentinel(primary) => primary.server().connect(deadline).await,
            #[cfg(feature = "redis-1")]
            Servers::External(_) => Ok(()),
        }
    }

    /// The answer to one command. An error reply is a [`Value`] too.
    pub(crate) async fn execute(
        &self,
        command: &Cmd,
        replication: Option<&Replication>,
        deadline: Instant,
    ) -> Result<Value, CallError> {
        let _call = self.enter()?;
        match &self.servers {
            Servers::Standalone(server) => server.execute(command, replication, deadline).await,
            // Boxed, here and below, so that calls to one server stay small.
            Servers::Cluster(cluster) => {
                Box::pin(cluster.execute(command, replication, deadline)).await
            }
            Servers::Sentinel(primary) => {
                let server = primary.server();
                server.execute(command, replication, deadline).await
            }
            #[cfg(feature = "redis-1")]
            Servers::External(external) => external.execute(command, deadline).await,
        }
    }

    /// The answers to commands that are sent together. Each command concerns one key: its first argument, or the third one of
    /// a script. One server carries them out in order; several servers carry them out in any order.
    pub(crate) async fn execute_all(
        &self,
        commands: &Pipeline,
        replication: Option<&Replication>,
        deadline: Instant,
    ) -> Result<Vec<Value>, CallError> {
        let _call = self.enter()?;
        match &self.servers {
            Servers::Standalone(server) => {
                server.execute_all(commands, replication, deadline).await
            }
            Servers::Cluster(cluster) => {
                Box::pin(cluster.execute_all(commands, replication, deadline)).await
            }
            Servers::Sentinel(primary) => {
                let server = primary.server();
                server.execute_all(commands, replication, deadline).await
            }
            #[cfg(feature = "redis-1")]
            Servers::External(external) => external.execute_all(commands, deadline).await,
        }
    }

    /// The answer of every server that has keys, to a command that concerns none.
    pub(crate) async fn execute_everywhere(
        &self,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<Vec<Value>, CallError> {
        if let Servers::Cluster(cluster) = &self.servers {
            let _call = self.enter()?;
            return cluster.execute_everywhere(command, deadline).await;
        }
        Ok(vec![self.execute(command, None, deadline).await?])
    }

    /// The answer of a replica to a command that only reads, if one answers in time.
    pub(crate) async fn read_replica(&self, command: &Cmd, deadline: Instant) -> Option<Value> {
        let _call = self.enter().ok()?;
        match &self.servers {
            Servers::Standalone(_) => None,
            Servers::Cluster(cluster) => Box::pin(cluster.read_replica(command, deadline)).await,
            Servers::Sentinel(primary) => Box::pin(primary.read_replica(command, deadline)).await,
            #[cfg(feature = "redis-1")]
            Servers::External(_) => None,
        }
    }

    /// Whether two keys may be on two servers, which carry out their commands in any order.
    pub(crate) fn is_sharded(&self) -> bool {
        match &self.servers {
            Servers::Standalone(_) | Servers::Sentinel(_) => false,
            Servers::Cluster(_) => true,
            #[cfg(feature = "redis-1")]
            Servers::External(external) => external.is_sharded(),
        }
    }

    /// Where that is, for people to read.
    pub(crate) fn address(&self) -> &str {
        match &self.servers {
            Servers::Standalone(server) => server.address(),
            Servers::Cluster(cluster) => cluster.address(),
            Servers::Sentinel(primary) => primary.server().address(),
            #[cfg(feature = "redis-1")]
            Servers::External(_) => external::ADDRESS,
        }
    }

    /// A place among the calls in flight. If there are too many calls, this one fails at once, because it would time out.
    fn enter(&self) -> Result<SemaphorePermit<'_>, CallError> {
        self.calls.try_acquire().map_err(|_| {
            CallError::NotSent(StoreError::caused_by(
                StoreErrorKind::Unavailable,
                "too many calls are waiting for Redis: see max_in_flight",
            ))
        })
    }
}
