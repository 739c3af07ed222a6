//! The servers that answer commands: one, a cluster, or a primary and its replicas. What the commands mean is not known here.

mod admission;
mod cluster;
#[cfg(feature = "redis-1")]
mod external;
mod replica;
mod replication;
mod sentinel;
mod server;

use std::sync::Arc;

use redis::{Cmd, ConnectionInfo, Pipeline, Value};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use self::admission::Admission;
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
use crate::store::redis::connection::{Client, ConnectError, Endpoint, OfKind};
use crate::store::redis::protocol::CallError;
use crate::store::{StoreError, StoreErrorKind};

/// Where commands go, and how many of them may be in flight.
pub(crate) struct Topology {
    servers: Servers,
    admission: Arc<Admission>,
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

impl Servers {
    /// The servers of a configuration, with so many connections to each.
    fn new(config: &ValidConfig, connections: usize) -> Self {
        let connect_timeout = config.connect_timeout;
        let client = |info: &ConnectionInfo| Client::new(info.clone(), config.tls.clone());
        match &config.url {
            Url::Server(info) => {
                let endpoint: Arc<dyn Endpoint> = Arc::new(OfKind {
                    client: client(info),
                    kind: Mode::Standalone,
                    setup: None,
                });
                Self::Standalone(Server::new(&endpoint, connections, connect_timeout))
            }
            Url::Cluster(nodes) => {
                let seeds = nodes.iter().map(client).collect();
                Self::Cluster(Cluster::new(seeds, connections, connect_timeout))
            }
            Url::Sentinels {
                sentinels,
                service,
                primary,
            } => {
                let sentinels = sentinels.iter().map(client).collect();
                let sentinels = Sentinels::new(sentinels, service.clone(), client(primary));
                let primary = SentinelPrimary::new(sentinels, connections, connect_timeout);
                Self::Sentinel(primary)
            }
        }
    }
}

impl Topology {
    /// The servers of a configuration. Nothing is connected yet.
    pub(crate) fn new(config: &ValidConfig) -> Self {
        let mut more = Vec::new();
        if config.wait_replicas.is_some() {
            more.push(replication::probe());
        }
        if matches!(config.url, Url::Cluster(_)) {
            more.push(cluster::probe());
        }
        let needs_primary = matches!(config.url, Url::Server(_));
        let admission = Admission::new(&config.prefix, &more, needs_primary);
        let servers = Servers::new(config, config.connections);
        Self::with(servers, admission.into(), config.max_in_flight)
    }

    /// The same servers with another connection to each, which is not in the way of the first ones. They are checked once.
    pub(crate) fn aside(&self, config: &ValidConfig) -> Self {
        let servers = Servers::new(config, 1);
        Self::with(servers, self.admission.clone(), config.max_in_flight)
    }

    fn with(servers: Servers, admission: Arc<Admission>, max_in_flight: usize) -> Self {
        Self {
            servers,
            admission,
            calls: Semaphore::new(max_in_flight),
        }
    }

    #[cfg(feature = "redis-1")]
    pub(crate) fn external(connection: ExternalConnection, prefix: &str) -> Self {
        let needs_primary = matches!(connection, ExternalConnection::Manager(_));
        let servers = Servers::External(External::new(connection));
        let admission = Admission::new(prefix, &[], needs_primary);
        Self::with(
            servers,
            admission.into(),
            RedisConfig::DEFAULT_MAX_IN_FLIGHT,
        )
    }

    /// The primary that the application's client of sentinels names.
    #[cfg(feature = "redis-1")]
    pub(crate) fn sentinel_client(client: redis::sentinel::SentinelClient, prefix: &str) -> Self {
        let primary = SentinelPrimary::new(
            Sentinels::from_client(client),
            RedisConfig::DEFAULT_CONNECTIONS,
            RedisConfig::DEFAULT_CONNECT_TIMEOUT,
        );
        Self::with(
            Servers::Sentinel(primary),
            Admission::new(prefix, &[], false).into(),
            RedisConfig::DEFAULT_MAX_IN_FLIGHT,
        )
    }

    /// Makes sure that the servers have passed the checks of the first connection.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<(), CallError> {
        let turn = timeout_at(deadline, self.admission.turn()).await;
        let turn = turn.map_err(|_| {
            let address = self.address().to_owned();
            CallError::NotSent(ConnectError::TimedOut { address }.into_store_error())
        })?;
        match turn? {
            Some(turn) => {
                let answers = self.ask_everyone(&turn.questions(), deadline).await?;
                turn.conclude(answers)
            }
            None => Ok(()),
        }
    }

    /// The answers of every server that has keys, and where it is.
    async fn ask_everyone(
        &self,
        questions: &Pipeline,
        deadline: Instant,
    ) -> Result<Vec<(String, Result<Vec<Value>, CallError>)>, CallError> {
        let answers = match &self.servers {
            Servers::Standalone(server) => server.execute_all(questions, None, deadline).await,
            Servers::Cluster(cluster) => return cluster.ask_everyone(questions, deadline).await,
            Servers::Sentinel(primary) => {
                let server = primary.server();
                server.execute_all(questions, None, deadline).await
            }
            #[cfg(feature = "redis-1")]
            Servers::External(external) => external.execute_all(questions, deadline).await,
        };
        // Nothing was written: it does not matter whether the questions arrived.
        let answers = answers.map_err(|error| CallError::NotSent(error.for_read()));
        Ok(vec![(self.address().to_owned(), answers)])
    }

    /// The answer to one command. An error reply is a [`Value`] too.
    pub(crate) async fn execute(
        &self,
        command: &Cmd,
        replication: Option<&Replication>,
        deadline: Instant,
    ) -> Result<Value, CallError> {
        let _call = self.enter(deadline).await?;
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
        let _call = self.enter(deadline).await?;
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
            let _call = self.enter(deadline).await?;
            return cluster.execute_everywhere(command, deadline).await;
        }
        Ok(vec![self.execute(command, None, deadline).await?])
    }

    /// The answer of a replica to a command that only reads, if one answers in time.
    pub(crate) async fn read_replica(&self, command: &Cmd, deadline: Instant) -> Option<Value> {
        // Before the checks of the first connection the primary is asked, which makes them.
        if !self.admission.has_passed() {
            return None;
        }
        let _call = self.place().ok()?;
        match &self.servers {
            Servers::Standalone(_) => None,
            Servers::Cluster(cluster) => Box::pin(cluster.read_replica(command, deadline)).await,
            Servers::Sentinel(primary) => Box::pin(primary.read_replica(command, deadline)).await,
            #[cfg(feature = "redis-1")]
            Servers::External(_) => None,
        }
    }

    /// A name for the server that a command goes to, which distinguishes it from the others.
    pub(crate) async fn server_of(
        &self,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<String, CallError> {
        match &self.servers {
            Servers::Cluster(cluster) => cluster.node_of(command, deadline).await,
            _ => Ok(self.address().to_owned()),
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

    /// A place among the calls in flight, on servers that have passed the checks of the first connection.
    async fn enter(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, CallError> {
        let place = self.place()?;
        if !self.admission.has_passed() {
            // Boxed, because it happens once.
            Box::pin(self.connect(deadline)).await?;
        }
        Ok(place)
    }

    /// A place among the calls in flight. If there are too many calls, this one fails at once, because it would time out.
    fn place(&self) -> Result<SemaphorePermit<'_>, CallError> {
        self.calls.try_acquire().map_err(|_| {
            CallError::NotSent(StoreError::caused_by(
                StoreErrorKind::Unavailable,
                "too many calls are waiting for Redis: see max_in_flight",
            ))
        })
    }
}
