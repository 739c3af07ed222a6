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
//! Redis 6.2 or newer, or any Valkey. The store refuses an older server with an error that says so. RESP3 and users with
//! restricted rights came with Redis 6.0, and 6.2 is the oldest release line that this store supports. It works
//! with one server, or with a name that follows the primary of a replicated one: after a fail-over the store reconnects. It also
//! works with:
//!
//! - a [cluster](https://redis.io/docs/latest/operate/oss_and_stack/management/scaling/):
//!   `redis+cluster://host1,host2,host3`. Some of its nodes are enough; the store learns the others from them. Every command
//!   concerns one key, so no two keys need to be in the same slot. A slot may move at any time: the node that had it says so
//!   before it does anything, and the command goes to the new node;
//! - the primary that [sentinels](https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/) name:
//!   `redis+sentinel://host1,host2,host3/service`. The store asks them for each new connection, and the server that they name
//!   must be a primary.
//!
//! The URL says which of these it is. The store refuses a server of another kind than the URL is for, and the error has the URL
//! for it: with the URL of one server, most keys would be on nodes of the cluster that it does not know.
//!
//! Everything below applies to all of these. The last two work over TLS as `rediss+cluster://` and `rediss+sentinel://`.
//!
//! Set [`maxmemory-policy`](https://redis.io/docs/latest/develop/reference/eviction/) to `noeviction` or to `volatile-ttl`.
//! With `noeviction` a full server refuses writes. The store then deletes
//! [unconfirmed sessions](crate::SessionConfig::unconfirmed_idle) and repeats the write; if there are none, it fails with
//! [`StoreErrorKind::Full`](super::StoreErrorKind::Full). With
//! `volatile-ttl` it evicts what expires soonest: tombstones, then unconfirmed sessions, then the sessions that were not used
//! for longest, and the list of a user's sessions last. With another policy it may evict that list first, and ending all sessions of a user then misses
//! some. `appendonly` preserves what was written over a restart. [`RedisStore::check`] checks both, and the page
//! [Running it in production](crate::documentation::production) has the rest.
//!
//! # What is stored, and what it costs
//!
//! Each session has one key, `<prefix><namespace>:<session id>`. Its value is a string with an expiry: the record, which
//! contains the time of its expiry in the [note](crate::store::Record::NOTE_OFFSET) that a record has for its store. Each user with
//! sessions has one key, `<prefix><namespace>:user=<user id>`. Its value is a sorted set of sessions, scored by the time when
//! their entries end. A call is one round trip, except where the table says otherwise, and
//! every command concerns one key. The time in a record is by the clock
//! of the application's server. It tells when the next touch is due and when the session was last used. Redis alone decides
//! whether the session still exists.
//!
//! | call | commands |
//! |---|---|
//! | [`load`](SessionStore::load) | [`GET`](https://redis.io/docs/latest/commands/get/) |
//! | [`create`](SessionStore::create) | [`SET`](https://redis.io/docs/latest/commands/set/) `… NX PX` |
//! | [`replace`](SessionStore::replace) | [`EVALSHA`](https://redis.io/docs/latest/commands/evalsha/): [`GETRANGE`](https://redis.io/docs/latest/commands/getrange/), then `SET … PX`, or `GET` on a conflict; to keep the expiry, `GETRANGE` once more, then `SET … KEEPTTL` |
//! | [`touch`](SessionStore::touch) | `EVALSHA`: `GETRANGE`, then [`PEXPIRE`](https://redis.io/docs/latest/commands/pexpire/) and [`SETRANGE`](https://redis.io/docs/latest/commands/setrange/) |
//! | [`delete`](SessionStore::delete) | `SET … PX 60000` of a tombstone; then, if there is a user, [`ZREM`](https://redis.io/docs/latest/commands/zrem/) of the entry |
//!
//! A login takes one more round trip, before the record is written. Without an absolute limit, each write and each touch of a
//! user's session sends one more command, which extends the life of the entry:
//!
//! | for the index of a user | commands |
//! |---|---|
//! | a login, before its `create` or `replace` | `EVALSHA`: [`TIME`](https://redis.io/docs/latest/commands/time/), [`ZMSCORE`](https://redis.io/docs/latest/commands/zmscore/), [`ZADD`](https://redis.io/docs/latest/commands/zadd/), then `ZREMRANGEBYSCORE`, `ZRANGE`, [`PEXPIREAT`](https://redis.io/docs/latest/commands/pexpireat/), [`ZCARD`](https://redis.io/docs/latest/commands/zcard/) |
//! | `replace`, `touch` without an absolute limit | along with them, `EVALSHA`: `TIME`, `ZREMRANGEBYSCORE`, `ZADD`, `ZRANGE`, `PEXPIREAT` |
//! | a piece of [`sessions_of`](super::UserIndex::sessions_of) | [`ZRANGE`](https://redis.io/docs/latest/commands/zrange/) of 250 members; `ZMSCORE`, and `GETRANGE` of each record's header; if entries are stale `EVALSHA`: `TIME`, `ZMSCORE`, `ZREM` |
//! | [`revoke_user`](super::UserIndex::revoke_user) | `EVALSHA`: `TIME`, `ZREMRANGEBYSCORE`, `ZADD`, `ZRANGE`, `PEXPIREAT` |
//! | a piece of [`delete_sessions_of`](super::UserIndex::delete_sessions_of) | `ZRANGE` of 250 members; `ZMSCORE`, and `GETRANGE` of each record's header; `SET` of each tombstone; `ZREM` |
//!
//! The pieces have a connection of their own, which the first of them opens, and at most four of them are read at a time. So
//! a user with many sessions, whoever lists or ends them, is not in the way of other users' requests.
//!
//! Every login removes expired entries, so that an index has no more entries than the user has logged in within the absolute
//! limit.
//!
//! If a full server refuses a write (`OOM`), a script of one step of a [`SCAN`](https://redis.io/docs/latest/commands/scan/) looks
//! at some 500 keys of the store on that server, and deletes ([`DEL`](https://redis.io/docs/latest/commands/del/)) the older
//! half of the unconfirmed sessions among them. More steps follow until one finds some, at most until all keys were looked at
//! or the response timeout is over; then the write is sent again. One call of the process scans a server at a time, and
//! after a scan that found nothing none begins for a second.
//!
//! If a full server refuses a tombstone, a script writes it in the place of the record: no user stays logged in because the
//! server is full. A user's logout takes two round trips: the entry is removed once the tombstone is confirmed, because a session
//! that goes on must not lose its entry. In a cluster the index of a user is usually on another node than the sessions. So a
//! write or a touch of a user's session without an absolute limit takes two round trips there: the entry is extended first.
//!
//! If a server does not know a script yet, the store sends it the text with
//! [`EVAL`](https://redis.io/docs/latest/commands/eval/). That is one more round trip, once after each restart of the server.
//!
//! # The checks of the first connection
//!
//! Before a store serves its first call, it makes sure that the servers can keep sessions, as [`connect`](RedisStore::connect)
//! says. It does so once, in one round trip. A server that it meets later, after a fail-over or in a cluster that has grown, is
//! not checked for rights: a call that it refuses fails, and the others go on.
//!
//! # A user with no more rights than needed
//!
//! [One line](crate::documentation::production#a-user-with-no-more-rights-than-needed) creates one. It needs these commands,
//! and the keys that begin with the store's prefix.
//!
//! # When the server is away
//!
//! No call takes longer than [`response_timeout`](RedisConfig::response_timeout), whatever it waits for, connecting
//! included. All calls share one connection to each server, or the [configured](RedisConfig::connections) number, and one
//! attempt to make a new one:
//!
//! - there is no server, or a server that is being connected to does not answer:
//!   [`Unavailable`](super::StoreErrorKind::Unavailable). Nothing was sent;
//! - after a change was sent, the connection breaks or the answer does not come in time:
//!   [`OutcomeUnknown`](super::StoreErrorKind::OutcomeUnknown). The store never sends a change a second time, unless the server
//!   said that it did not know the script. It sends a load once more, on a new connection;
//! - the server answers with an error: nothing was changed, and the error's [kind](super::StoreErrorKind) says whether the
//!   problem passes by itself.
//!
//! A connection that may be half open is replaced: a call got no answer in time, or was given up after 100 ms, and nothing arrived
//! from the server since it began. A caller that is less patient than the others does not make them reconnect.
//!
//! While there is no server, calls start a new attempt every 50 to 100 ms, at random; the first call after the server's
//! return finds it. In a cluster the slot map is refreshed at the same pace. More concurrent calls than
//! [`max_in_flight`](RedisConfig::max_in_flight) fail at once.
//!
//! A store never has more than [`connections`](RedisConfig::connections) connections to a server, one for the pieces of lists
//! and revocations, and as many again for
//! [`wait_replicas`](RedisConfig::wait_replicas) and, to a replica, for
//! [`read_from_replicas`](RedisConfig::read_from_replicas). Connections that were replaced are not counted while the last
//! calls on them end.
//!
//! # Known limits
//!
//! Replication is asynchronous: a fail-over can undo an acknowledged change, including a logout.
//! [`wait_replicas`](RedisConfig::wait_replicas) reduces this risk for logouts, rotations and revocations, and
//! [`min-replicas-to-write`](https://redis.io/docs/latest/operate/oss_and_stack/management/replication/) for all changes.
//! An index entry is replicated like any other change, so that one of the two can be undone without the other: a session whose
//! entry was lost goes on, and is in no list until its user logs in on it again.

// Files and folders import in one direction only:
//
//     mod → user_index → execute → topology → connection → health, room → protocol → config, sync
//
// config      what the operator decides: URL, timeouts, certificates; validated here
// protocol    commands, scripts, replies, the stored value; no I/O
// connection  one connection to one server: how it is made, shared and replaced
// health      what the server's settings mean for sessions
// room        what a full server gives up, and when it is asked to
// topology    the checks of the first connection; which server answers: one, a cluster's nodes, or the primary that sentinels name; replicas
//
// They import only public names of the crate, as an outside store does: tests/outside_store.rs compiles them outside of it.

mod config;
mod connection;
mod execute;
mod health;
mod protocol;
mod room;
mod sync;
mod topology;
mod user_index;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use self::config::ValidConfig;
pub use self::config::{RedisConfig, RedisStoreError};
use self::execute::Executor;
use self::protocol::command::{self, ScriptCall};
use self::protocol::{CallError, reply, scripts, value};
#[cfg(feature = "redis-1")]
use self::topology::ExternalConnection;
use self::topology::{Topology, confirmed};
use self::user_index::{Index, Pieces};
use crate::config::Weakness;
use crate::store::{
    Created, DeletedPage, IndexChange, IndexCursor, IndexEntry, IndexPage, Loaded, Marker,
    RecordKey, Replaced, Revision, SessionId, SessionStore, StoreError, UserIndex, UserIndexRef,
    Write,
};

/// Keeps sessions in Redis or Valkey. Clones are the same store, and share its connections.
///
/// The [module's documentation](self) says what the store requires of the server, and what happens while the server is away.
#[derive(Clone)]
pub struct RedisStore(Arc<Executor>, Arc<Pieces>);

/// How to make a store.
impl RedisStore {
    /// Connects to the server at a URL or of a [`RedisConfig`], and makes sure that it can keep sessions: it answers, is new
    /// enough, and of the kind that the URL is for; one server is a primary; and its user may run every command of the store on
    /// keys with the prefix. The store runs each once, on a key that does not exist, so that it changes nothing. In a cluster it
    /// checks every primary that answers.
    ///
    /// It takes no longer than the [connect timeout](RedisConfig::connect_timeout). It logs a warning for each weakness that
    /// [`check`](RedisStore::check) finds in the server's settings.
    ///
    /// # Errors
    ///
    /// The configuration cannot be used, or the server does not answer or is still loading its data, refuses the password, is too
    /// old, of another kind than the URL is for, or a replica, or its user lacks rights: the error names each. The text of the
    /// error is for the operator. It does not contain the password.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with I/O and time.
    pub async fn connect(config: impl Into<RedisConfig>) -> Result<Self, RedisStoreError> {
        let config = config.into().validate()?;
        let deadline = Instant::now() + config.connect_timeout;
        let store = Self::new(config);
        let connected = store.0.topology.connect(deadline).await;
        connected.map_err(|error| RedisStoreError::connecting(error.for_read()))?;
        Ok(store)
    }

    /// The same without a server: the first call connects. It is for an application that starts before its Redis does, and
    /// for one that must start although Redis is away.
    ///
    /// The first connection is checked as [`connect`](RedisStore::connect) does, and the warnings are logged then. Until the
    /// checks have passed, every call fails: with [`Unavailable`](crate::store::StoreErrorKind::Unavailable) while there is no
    /// server, or one that is loading its data, and requests that need a session get 503; with
    /// [`Refused`](crate::store::StoreErrorKind::Refused) if the server cannot keep sessions. Calls try again at the pace of a [reconnection](self#when-the-server-is-away), one at a time.
    ///
    /// ```
    /// use tower_keycard::SessionLayer;
    /// use tower_keycard::store::RedisStore;
    ///
    /// let store = RedisStore::connect_lazily("redis://127.0.0.1:6379")?;
    /// let layer = SessionLayer::new(store);
    /// # Ok::<(), tower_keycard::store::RedisStoreError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The configuration cannot be used.
    pub fn connect_lazily(config: impl Into<RedisConfig>) -> Result<Self, RedisStoreError> {
        Ok(Self::new(config.into().validate()?))
    }

    fn new(config: ValidConfig) -> Self {
        let topology = Topology::new(&config);
        // Pieces of lists are large, and must not be in the way of other calls.
        let aside = topology.aside(&config);
        let executor = Executor {
            topology: Arc::new(topology),
            prefix: config.prefix.clone(),
            response_timeout: config.response_timeout,
            wait_replicas: config.wait_replicas,
            read_from_replicas: config.read_from_replicas,
            rooms: Arc::default(),
        };
        let pieces = Pieces::new(executor.over(Arc::new(aside)));
        Self(Arc::new(executor), Arc::new(pieces))
    }

    /// A store over a connection that the application already has, of the `redis` crate's major version 1.
    ///
    /// Prefer [`connect`](RedisStore::connect), whose connections recover better. This connection is used as it was configured,
    /// and does not reconnect after timeouts. Allow it at most one retry and delays below 250 ms, or calls continue to fail
    /// for seconds after the server is back. Each call still ends after `response_timeout`. A connection that was made with a
    /// database number, or another user, keeps them.
    ///
    /// A plain `MultiplexedConnection` is not accepted, because it never reconnects.
    ///
    /// # Errors
    ///
    /// The prefix is empty, or `response_timeout` is zero or more than an hour.
    #[cfg(feature = "redis-1")]
    pub fn from_connection_manager(
        connection: redis::aio::ConnectionManager,
        prefix: impl Into<String>,
        response_timeout: Duration,
    ) -> Result<Self, RedisStoreError> {
        let prefix = prefix.into();
        let topology = Topology::external(ExternalConnection::Manager(connection), &prefix);
        Self::over(topology, prefix, response_timeout)
    }

    /// A store over a connection to a cluster that the application already has, of the `redis` crate's major version 1.
    ///
    /// Prefer [`connect`](RedisStore::connect), whose connections recover better. This connection is used as it was configured,
    /// and sends a command again even if it does not know whether the command arrived. Allow it at least two
    /// [retries](redis::cluster::ClusterClientBuilder::retries), which it needs to follow a slot that moves, and let it read
    /// from primaries. With many calls at once some may still be [refused](crate::store::StoreErrorKind::Unavailable) while a
    /// slot moves: this connection announces a command to the new node with another command, and a third one may come between
    /// the two. Each call still ends after `response_timeout`.
    ///
    /// # Errors
    ///
    /// The prefix is empty, or `response_timeout` is zero or more than an hour.
    #[cfg(feature = "redis-1")]
    pub fn from_cluster_connection(
        connection: redis::cluster_async::ClusterConnection,
        prefix: impl Into<String>,
        response_timeout: Duration,
    ) -> Result<Self, RedisStoreError> {
        let prefix = prefix.into();
        let topology = Topology::external(ExternalConnection::Cluster(connection), &prefix);
        Self::over(topology, prefix, response_timeout)
    }

    /// A store over the primary that the application's client of sentinels finds, of the `redis` crate's major version 1.
    ///
    /// The store asks the client for the primary for each new connection. The connections are the store's own, and recover as
    /// well as those of [`connect`](RedisStore::connect). The client must be one for
    /// [`Master`](redis::sentinel::SentinelServerType::Master).
    ///
    /// # Errors
    ///
    /// The prefix is empty, or `response_timeout` is zero or more than an hour.
    #[cfg(feature = "redis-1")]
    pub fn from_sentinel_client(
        client: redis::sentinel::SentinelClient,
        prefix: impl Into<String>,
        response_timeout: Duration,
    ) -> Result<Self, RedisStoreError> {
        let prefix = prefix.into();
        let topology = Topology::sentinel_client(client, &prefix);
        Self::over(topology, prefix, response_timeout)
    }

    #[cfg(feature = "redis-1")]
    fn over(
        topology: Topology,
        prefix: String,
        response_timeout: Duration,
    ) -> Result<Self, RedisStoreError> {
        config::validate_timeout("response_timeout", response_timeout)?;
        let topology = Arc::new(topology);
        let executor = Executor {
            prefix: config::validate_prefix(prefix)?,
            response_timeout,
            wait_replicas: None,
            read_from_replicas: false,
            topology: topology.clone(),
            rooms: Arc::default(),
        };
        let pieces = Pieces::new(executor.over(topology));
        Ok(Self(Arc::new(executor), Arc::new(pieces)))
    }
}

impl RedisStore {
    /// Asks the server, with one [`INFO`](https://redis.io/docs/latest/commands/info/), which of its settings put sessions at
    /// risk: whether it evicts keys, whether it keeps an append-only file, and whether it accepts writes that no replica would
    /// have after a fail-over. In a cluster it asks every primary.
    ///
    /// [`connect`](RedisStore::connect) asks too, and logs a warning for each weakness (target `tower_keycard`, event
    /// `weak_setting`). This method is for a store that was made [lazily](RedisStore::connect_lazily), for a health page, or for an
    /// application that must not start with a weak setting:
    ///
    /// ```no_run
    /// # use tower_keycard::store::{RedisStore, StoreError};
    /// # async fn run(store: RedisStore) -> Result<(), StoreError> {
    /// for weakness in store.check().await? {
    ///     assert_ne!(weakness.option(), "maxmemory-policy", "{weakness}");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// | id | setting | what it means |
    /// |---|---|---|
    /// | `keycard.R001` | `maxmemory-policy` | evicts any key |
    /// | `keycard.R002` | `maxmemory-policy` | `volatile-ttl`: evicts what would expire soonest |
    /// | `keycard.R003` | `appendonly` | no append-only file |
    /// | `keycard.R004` | `min-replicas-to-write` | there are replicas, and it is not set |
    ///
    /// A setting that a server does not report is no weakness.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or the user may not run `INFO`
    /// ([`Refused`](crate::store::StoreErrorKind::Refused)). The store works without that command.
    pub async fn check(&self) -> Result<Vec<Weakness>, StoreError> {
        let (info, deadline) = (health::info(), self.0.deadline());
        let answers = self.0.topology.execute_everywhere(&info, deadline);
        let found = answers
            .await
            .and_then(|answers| health::weaknesses(&answers));
        found.map_err(CallError::for_read)
    }

    fn index(&self) -> Index<'_> {
        Index(&self.0)
    }
}

impl SessionStore for RedisStore {
    fn prefix(&self) -> &str {
        &self.0.prefix
    }

    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        let deadline = self.0.deadline();
        if self.0.read_from_replicas
            && let Some(loaded) = self.0.load_from_replica(key).await
        {
            return Ok(loaded);
        }
        self.0.load_from_primary(key, deadline).await
    }

    async fn load_latest(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        self.0.load_from_primary(key, self.0.deadline()).await
    }

    async fn create(&self, key: &RecordKey, write: &Write<'_>) -> Result<Created, StoreError> {
        let deadline = self.0.deadline();
        self.index().bind(key, write, deadline).await?;
        let value = value::encode(write, self.0.now());
        let record_key = self.0.record_key(key);
        let command = command::create(record_key, &value, write.ttl);
        let reply = self.0.write(record_key, &command, deadline).await;
        reply.and_then(reply::created).map_err(CallError::for_write)
    }

    async fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        write: &Write<'_>,
    ) -> Result<Replaced, StoreError> {
        let deadline = self.0.deadline();
        let index = self.index();
        index.bind(key, write, deadline).await?;
        let value = value::encode(write, self.0.now());
        let script = ScriptCall {
            script: &scripts::REPLACE,
            key: self.0.record_key(key),
            args: &[expected.as_bytes(), &value],
            ttl: (!write.keeps_expiry).then_some(write.ttl),
        };
        let replication = self.0.replication().filter(|_| write.rotates);
        let replication = replication.as_ref();
        let extends = match write.index {
            IndexChange::Extend(entry) => Some(entry),
            IndexChange::None | IndexChange::Bind { .. } => None,
        };
        let reply = index.run_with_entry(script, key, extends, replication, deadline);
        let (reply, entry) = reply.await.map_err(CallError::for_write)?;
        let replaced = reply::replaced(reply, self.0.now()).map_err(CallError::for_write)?;
        entry.map_err(CallError::for_partial_write)?;
        // A conflict changed nothing, so there is nothing to wait for.
        if matches!(replaced, Replaced::Replaced) {
            confirmed(replication).map_err(CallError::for_write)?;
        }
        Ok(replaced)
    }

    async fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        ttl: Duration,
        extends: Option<IndexEntry<'_>>,
    ) -> Result<bool, StoreError> {
        let (index, deadline) = (self.index(), self.0.deadline());
        let script = ScriptCall {
            script: &scripts::TOUCH,
            key: self.0.record_key(key),
            args: &[expected.as_bytes(), &value::expires_at(ttl, self.0.now())],
            ttl: Some(ttl),
        };
        let reply = index.run_with_entry(script, key, extends, None, deadline);
        let (reply, entry) = reply.await.map_err(CallError::for_write)?;
        let touched = reply::touched(reply).map_err(CallError::for_write)?;
        entry.map_err(CallError::for_partial_write)?;
        Ok(touched)
    }

    async fn delete(&self, key: &RecordKey, user: Option<&str>) -> Result<(), StoreError> {
        let topology = &self.0.topology;
        let (deadline, replication) = (self.0.deadline(), self.0.replication());
        let replication = replication.as_ref();
        let record_key = self.0.record_key(key);
        let delete = command::delete(record_key);
        let reply = topology.execute(&delete, replication, deadline).await;
        let reply = reply.map_err(CallError::for_write)?;
        let deleted = self
            .0
            .complete_delete(record_key, reply, replication, deadline);
        let deleted = deleted.await.and_then(|()| confirmed(replication));
        deleted.map_err(CallError::for_write)?;
        if let Some(user) = user {
            // The entry is removed only now, because a session that goes on, or may come back, must not lose it. An entry that
            // stays does no harm.
            let index = self.0.index_key(key.namespace(), user);
            let unbind = command::unbind(index, std::iter::once(&key.id()));
            topology.execute(&unbind, None, deadline).await.ok();
        }
        Ok(())
    }

    fn user_index(&self) -> Option<UserIndexRef<'_>> {
        Some(UserIndexRef::new(self))
    }

    /// Those that the server evicts by itself are not counted.
    fn evicted(&self) -> u64 {
        self.0.rooms.evicted()
    }
}

/// The response timeout limits each piece, including its wait for a place among a few pieces at a time.
impl UserIndex for RedisStore {
    async fn sessions_of(
        &self,
        namespace: &str,
        user: &str,
        after: Option<&IndexCursor>,
    ) -> Result<IndexPage, StoreError> {
        self.1.sessions_of(namespace, user, after).await
    }

    async fn revoke_user(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> Result<Marker, StoreError> {
        self.index().revoke(namespace, user, except).await
    }

    async fn delete_sessions_of(
        &self,
        namespace: &str,
        user: &str,
        marker: &Marker,
        after: Option<&IndexCursor>,
    ) -> Result<DeletedPage, StoreError> {
        self.1.delete(namespace, user, marker, after).await
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.0.prefix)
            .field("address", &self.0.topology.address())
            .finish_non_exhaustive()
    }
}
