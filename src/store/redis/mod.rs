//! Sessions in Redis or Valkey.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use tower_keycard::store::RedisStore;
//!
//! let store = RedisStore::connect("redis://127.0.0.1:6379").await?;
//! # Ok(()) }
//! ```
//!
//! # The server
//!
//! Redis 6.2 or newer, or any Valkey; an older one is refused with an error that says so. RESP3 and users with restricted
//! rights came with Redis 6.0, and 6.2 is the oldest release line that this store is meant for. One server, or the primary
//! of a replicated one behind a name that follows it: after a fail-over the store connects anew.
//!
//! Set [`maxmemory-policy`](https://redis.io/docs/latest/develop/reference/eviction/) to `noeviction` (a full server then
//! refuses new sessions, which is [`StoreErrorKind::Full`](super::StoreErrorKind::Full)) or to `volatile-ttl` (it gives up
//! those that expire soonest). With another policy tombstones may go first, and a logout may be forgotten within its minute.
//!
//! # What is kept, and what it costs
//!
//! One key per session, `<prefix><namespace>:<session id>`, a string with an expiry. Every call is one round trip:
//!
//! | call | commands |
//! |---|---|
//! | [`load`](SessionStore::load) | [`GET`](https://redis.io/docs/latest/commands/get/), [`PTTL`](https://redis.io/docs/latest/commands/pttl/) |
//! | [`create`](SessionStore::create) | [`SET`](https://redis.io/docs/latest/commands/set/) `… NX PX` |
//! | [`replace`](SessionStore::replace) | [`EVALSHA`](https://redis.io/docs/latest/commands/evalsha/): `GETRANGE`, then `SET … PX`, or `GET` and `PTTL` on a conflict |
//! | [`touch`](SessionStore::touch) | `EVALSHA`: `GETRANGE`, then [`PEXPIRE`](https://redis.io/docs/latest/commands/pexpire/) |
//! | [`delete`](SessionStore::delete) | `SET … PX 60000` of a tombstone |
//!
//! Where a full server refuses a tombstone, a script puts it in the record's place: nobody stays logged in for want of room.
//! A server that does not know a script yet is sent its text by [`EVAL`](https://redis.io/docs/latest/commands/eval/), which
//! is one round trip more, once after each of its restarts.
//!
//! # A user with no more rights than needed
//!
//! The key pattern is the store's prefix; add `+select` if the URL names a database. See
//! [`ACL SETUSER`](https://redis.io/docs/latest/commands/acl-setuser/).
//!
//! ```text
//! ACL SETUSER keycard on >password resetkeys ~keycard:* resetchannels -@all +get +getrange +pttl +set +pexpire +eval +evalsha
//! ```
//!
//! # When the server is away
//!
//! No call takes longer than [`response_timeout`](RedisConfig::response_timeout), whatever it has to wait for, connecting
//! included. All calls share one connection, and one attempt to make a new one:
//!
//! - no server, or no answer from one that is being connected to:
//!   [`Unavailable`](super::StoreErrorKind::Unavailable). Nothing was sent;
//! - a connection that breaks, or an answer that does not come in time, after a change was sent:
//!   [`OutcomeUnknown`](super::StoreErrorKind::OutcomeUnknown). No change is ever sent a second time, except when the server
//!   said that it did not know the script. A load is sent once more on a new connection;
//! - an error reply: nothing was changed, and the error's [kind](super::StoreErrorKind) says whether it passes by itself.
//!
//! While there is no server, a new attempt is made every 50 ms at most, as calls ask for it; the first call after its return
//! finds it.
//!
//! # Known limits
//!
//! Replication is asynchronous: a fail-over can undo an acknowledged change, a logout among them.
//! [`min-replicas-to-write`](https://redis.io/docs/latest/operate/oss_and_stack/management/replication/) narrows it.

mod backend;
mod command;
mod config;
mod failure;
mod link;
#[cfg(feature = "redis-1")]
mod manager;
mod reply;
mod scripts;
mod version;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::{ServerErrorKind, Value};
use tokio::time::Instant;

use self::backend::Backend;
use self::command::{Key, Run};
pub use self::config::RedisConfig;
use self::failure::Failure;
pub use self::failure::RedisStoreError;
use self::link::Link;
use super::{
    Created, Loaded, Record, RecordKey, Replaced, Revision, SessionStore, StoreError,
    TOMBSTONE_LIFETIME,
};

/// Keeps sessions in Redis or Valkey. Clones are the same store, and share its connection.
///
/// The [module's documentation](self) says what it asks of the server, and what happens while that is away.
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    prefix: Box<str>,
    response_timeout: Duration,
    backend: Backend,
}

impl RedisStore {
    /// Connects to the server at a URL or of a [`RedisConfig`], and makes sure that it answers and is new enough.
    ///
    /// It takes no longer than the [connect timeout](RedisConfig::connect_timeout).
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
        let link = Link::new(config.client, config.address, config.connect_timeout);
        link.lease(deadline)
            .await
            .map_err(RedisStoreError::connecting)?;
        Ok(Self::new(
            config.prefix,
            config.response_timeout,
            Backend::Standalone(link),
        ))
    }

    /// The same without connecting: the first call will. For an application that starts before its Redis does.
    ///
    /// A server that then turns out to be too old, or refuses the password, refuses every call
    /// ([`Refused`](super::StoreErrorKind::Refused)), until it has been put right.
    ///
    /// # Errors
    ///
    /// A configuration that cannot be used.
    pub fn lazy(config: impl Into<RedisConfig>) -> Result<Self, RedisStoreError> {
        let config = config.into().check()?;
        let link = Link::new(config.client, config.address, config.connect_timeout);
        Ok(Self::new(
            config.prefix,
            config.response_timeout,
            Backend::Standalone(link),
        ))
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
        config::check_timeout("response_timeout", response_timeout)?;
        Ok(Self::new(
            config::check_prefix(prefix.into())?,
            response_timeout,
            Backend::Manager(manager::Manager::new(connection)),
        ))
    }

    fn new(prefix: Box<str>, response_timeout: Duration, backend: Backend) -> Self {
        Self(Arc::new(Inner {
            prefix,
            response_timeout,
            backend,
        }))
    }

    fn key<'a>(&'a self, record: &'a RecordKey) -> Key<'a> {
        Key {
            prefix: &self.0.prefix,
            record,
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.0.response_timeout
    }

    async fn run(&self, script: Run<'_>, deadline: Instant) -> Result<Value, Failure> {
        let backend = &self.0.backend;
        let reply = backend.one(&script.by_hash(), deadline).await?;
        match &reply {
            // It did nothing, so it can be asked again.
            Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript) => {
                backend.one(&script.by_text(), deadline).await
            }
            _ => Ok(reply),
        }
    }
}

impl SessionStore for RedisStore {
    fn prefix(&self) -> &str {
        &self.0.prefix
    }

    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        let (backend, deadline) = (&self.0.backend, self.deadline());
        let commands = command::load(self.key(key));
        let mut replies = backend.all(&commands, deadline).await;
        if let Err(Failure::Lost(_)) = replies {
            // Reading twice does no harm, and a server that was replaced goes unnoticed.
            replies = backend.all(&commands, deadline).await;
        }
        replies.and_then(reply::both).map_err(Failure::of_a_read)
    }

    async fn create(
        &self,
        key: &RecordKey,
        record: &Record,
        ttl: Duration,
    ) -> Result<Created, StoreError> {
        let command = command::create(self.key(key), record, ttl);
        let reply = self.0.backend.one(&command, self.deadline()).await;
        reply.and_then(reply::created).map_err(Failure::of_a_write)
    }

    async fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Replaced, StoreError> {
        let record = record.encode();
        let script = Run {
            script: &scripts::REPLACE,
            key: self.key(key),
            args: &[expected.as_bytes(), &record],
            ttl,
        };
        let reply = self.run(script, self.deadline()).await;
        reply.and_then(reply::replaced).map_err(Failure::of_a_write)
    }

    async fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        let script = Run {
            script: &scripts::TOUCH,
            key: self.key(key),
            args: &[expected.as_bytes()],
            ttl,
        };
        let reply = self.run(script, self.deadline()).await;
        reply.and_then(reply::touched).map_err(Failure::of_a_write)
    }

    async fn delete(&self, key: &RecordKey) -> Result<(), StoreError> {
        let (key, deadline) = (self.key(key), self.deadline());
        let mut reply = self.0.backend.one(&command::delete(key), deadline).await;
        if matches!(&reply, Ok(Value::ServerError(error)) if error.code() == "OOM") {
            let script = Run {
                script: &scripts::BURY,
                key,
                args: &[Record::TOMBSTONE],
                ttl: TOMBSTONE_LIFETIME,
            };
            reply = self.run(script, deadline).await;
        }
        reply.and_then(reply::deleted).map_err(Failure::of_a_write)
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.0.prefix)
            .field("address", &self.0.backend.address())
            .finish_non_exhaustive()
    }
}
