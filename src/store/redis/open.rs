//! How a store comes by its servers.

use std::sync::Arc;
#[cfg(feature = "redis-1")]
use std::time::Duration;

use tokio::time::Instant;

use super::{Inner, RedisConfig, RedisStore, RedisStoreError, config};
use crate::store::redis::topology::Backend;
#[cfg(feature = "redis-1")]
use crate::store::redis::topology::external;
#[cfg(feature = "redis-1")]
use crate::store::redis::topology::sentinel;

impl RedisStore {
    /// Connects to the server at a URL or of a [`RedisConfig`], and makes sure that it answers and is new enough.
    ///
    /// It takes no longer than the [connect timeout](RedisConfig::connect_timeout). Of what [`check`](RedisStore::check) finds
    /// in the server's settings it warns in the log.
    ///
    /// # Errors
    ///
    /// A configuration that cannot be used, a server that does not answer, refuses the password, or is too old. The error's
    /// text is for the operator; it does not contain the password.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with I/O and time.
    pub async fn connect(config: impl Into<RedisConfig>) -> Result<Self, RedisStoreError> {
        let config = config.into().check()?;
        let deadline = Instant::now() + config.connect_timeout;
        let store = Self::of(config)?;
        let connected = store.0.backend.connect(deadline).await;
        connected.map_err(|failure| RedisStoreError::connecting(failure.of_a_read()))?;
        store.warn(deadline).await;
        Ok(store)
    }

    /// The same without connecting: the first call will. For an application that starts before its Redis does.
    ///
    /// A server that then turns out to be too old, or refuses the password, refuses every call
    /// ([`Refused`](crate::store::StoreErrorKind::Refused)), until it has been put right.
    ///
    /// # Errors
    ///
    /// A configuration that cannot be used.
    pub fn lazy(config: impl Into<RedisConfig>) -> Result<Self, RedisStoreError> {
        Self::of(config.into().check()?)
    }

    fn of(mut config: config::Checked) -> Result<Self, RedisStoreError> {
        Ok(Self(Arc::new(Inner {
            prefix: std::mem::take(&mut config.prefix),
            response_timeout: config.response_timeout,
            wait: config.wait,
            replicas: config.replicas,
            backend: Backend::of(config)?,
        })))
    }

    /// A store over a connection that the application already has, of the `redis` crate's major version 1.
    ///
    /// Prefer [`connect`](RedisStore::connect), which takes better care: this connection is used as it was configured, and
    /// does not reconnect after time-outs. Give it at most one retry and delays below 250 ms, or calls go on failing for
    /// seconds after the server is back. Each call ends after `response_timeout` all the same. A connection that was made
    /// with a database number, or another user, keeps them.
    ///
    /// A plain `MultiplexedConnection` is not accepted: it never reconnects.
    ///
    /// # Errors
    ///
    /// An empty prefix, or a `response_timeout` of zero or of more than an hour.
    #[cfg(feature = "redis-1")]
    pub fn from_connection_manager(
        connection: redis::aio::ConnectionManager,
        prefix: impl Into<String>,
        response_timeout: Duration,
    ) -> Result<Self, RedisStoreError> {
        let own = external::Own::new(external::Connection::Manager(connection));
        Self::over(Backend::own(own), prefix.into(), response_timeout)
    }

    /// A store over a connection to a cluster that the application already has, of the `redis` crate's major version 1.
    ///
    /// Prefer [`connect`](RedisStore::connect), which takes better care: this connection is used as it was configured, and
    /// sends a command again where it does not know whether it arrived. Leave it at least two
    /// [retries](redis::cluster::ClusterClientBuilder::retries), which it takes to follow a slot that moves; and have it
    /// read from primaries. With many calls at once some may still be
    /// [refused](crate::store::StoreErrorKind::Unavailable) while a slot moves: it announces a command to the new server by another
    /// one, and a third may come between them. Each call ends after `response_timeout` all the same.
    ///
    /// # Errors
    ///
    /// An empty prefix, or a `response_timeout` of zero or of more than an hour.
    #[cfg(feature = "redis-1")]
    pub fn from_cluster_connection(
        connection: redis::cluster_async::ClusterConnection,
        prefix: impl Into<String>,
        response_timeout: Duration,
    ) -> Result<Self, RedisStoreError> {
        let own = external::Own::new(external::Connection::Cluster(connection));
        Self::over(Backend::own(own), prefix.into(), response_timeout)
    }

    /// A store over the primary that the application's client of sentinels finds, of the `redis` crate's major version 1.
    ///
    /// The client is asked for the primary whenever there is a connection to be made; the connections are the store's own,
    /// with the same care as those of [`connect`](RedisStore::connect). It has to be one for
    /// [`Master`](redis::sentinel::SentinelServerType::Master).
    ///
    /// # Errors
    ///
    /// An empty prefix, or a `response_timeout` of zero or of more than an hour.
    #[cfg(feature = "redis-1")]
    pub fn from_sentinel_client(
        client: redis::sentinel::SentinelClient,
        prefix: impl Into<String>,
        response_timeout: Duration,
    ) -> Result<Self, RedisStoreError> {
        let backend = Backend::watched(sentinel::Sentinels::of_the_application(client));
        Self::over(backend, prefix.into(), response_timeout)
    }

    #[cfg(feature = "redis-1")]
    fn over(
        backend: Backend,
        prefix: String,
        response_timeout: Duration,
    ) -> Result<Self, RedisStoreError> {
        config::check_timeout("response_timeout", response_timeout)?;
        Ok(Self(Arc::new(Inner {
            prefix: config::check_prefix(prefix)?,
            response_timeout,
            wait: None,
            replicas: false,
            backend,
        })))
    }
}
