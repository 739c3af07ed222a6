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
//! of a replicated one behind a name that follows it: after a fail-over the store connects anew. Or:
//!
//! - a [cluster](https://redis.io/docs/latest/operate/oss_and_stack/management/scaling/) (feature `redis-cluster`):
//!   `redis+cluster://host1,host2,host3`. Some of its nodes are enough; the others are learnt from them. No command concerns
//!   two keys, so that no two keys need share a slot. A slot may move at any time: whoever had it says so before it does
//!   anything, and the command goes on to the new place;
//! - the primary that [sentinels](https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/) name (feature
//!   `redis-sentinel`): `redis+sentinel://host1,host2,host3/service`. They are asked for each new connection, and whoever they
//!   name has to be a primary.
//!
//! Both with all that follows, and with TLS as `rediss+cluster://` and `rediss+sentinel://`.
//!
//! Set [`maxmemory-policy`](https://redis.io/docs/latest/develop/reference/eviction/) to `noeviction` (a full server then
//! refuses new sessions, which is [`StoreErrorKind::Full`](super::StoreErrorKind::Full)) or to `volatile-ttl` (it gives up
//! what expires soonest: tombstones, then the sessions that were not used for longest, and the list of a user's sessions
//! last). With another policy that list may go first, and ending all sessions of a user then misses some. `appendonly` keeps
//! what was written over a restart. [`RedisStore::check`] asks for both, and the page
//! [Running it in production](crate::documentation::production) has the rest.
//!
//! # What is kept, and what it costs
//!
//! One key per session, `<prefix><namespace>:<session id>`, a string with an expiry; and one per user who has sessions,
//! `<prefix><namespace>:user=<user id>`, a sorted set of sessions by the time when their entries end. Every call is one round
//! trip, and no command concerns more than one key:
//!
//! | call | commands |
//! |---|---|
//! | [`load`](SessionStore::load) | [`GET`](https://redis.io/docs/latest/commands/get/), [`PTTL`](https://redis.io/docs/latest/commands/pttl/) |
//! | [`create`](SessionStore::create) | [`SET`](https://redis.io/docs/latest/commands/set/) `… NX PX` |
//! | [`replace`](SessionStore::replace) | [`EVALSHA`](https://redis.io/docs/latest/commands/evalsha/): `GETRANGE`, then `SET … PX`, or `GET` and `PTTL` on a conflict |
//! | [`touch`](SessionStore::touch) | `EVALSHA`: `GETRANGE`, then [`PEXPIRE`](https://redis.io/docs/latest/commands/pexpire/) |
//! | [`delete`](SessionStore::delete) | `SET … PX 60000` of a tombstone, and [`ZREM`](https://redis.io/docs/latest/commands/zrem/) of the user's entry |
//!
//! A login is one round trip more, before the record is written. Where there is no absolute limit, writes and touches of a
//! user's session are accompanied by one command more, which lets the entry live on:
//!
//! | for the index of a user | commands |
//! |---|---|
//! | a login, before its `create` or `replace` | `EVALSHA`: [`TIME`](https://redis.io/docs/latest/commands/time/), [`ZMSCORE`](https://redis.io/docs/latest/commands/zmscore/), [`ZADD`](https://redis.io/docs/latest/commands/zadd/), then `ZREMRANGEBYSCORE`, `ZRANGE`, [`PEXPIREAT`](https://redis.io/docs/latest/commands/pexpireat/) |
//! | `replace`, `touch` without an absolute limit | along with them, `EVALSHA`: `TIME`, `ZREMRANGEBYSCORE`, `ZADD`, `ZRANGE`, `PEXPIREAT` |
//! | [`sessions_of`](super::UserIndex::sessions_of) | [`ZRANGE`](https://redis.io/docs/latest/commands/zrange/); for 250 sessions at a time `GET` and `PTTL` of each, and where entries are stale `EVALSHA`: `TIME`, `ZMSCORE`, `ZREM` |
//! | [`delete_user`](super::UserIndex::delete_user) | `EVALSHA`: `TIME`, `ZREMRANGEBYSCORE`, `ZADD`, `ZRANGE`, `PEXPIREAT`, `ZRANGE`; for 250 sessions at a time [`GETRANGE`](https://redis.io/docs/latest/commands/getrange/) of each one's first 332 bytes, `SET` of each tombstone, `ZREM` |
//!
//! Expired entries are removed with every login, so that an index holds no more of them than the user has logged in within
//! the absolute limit.
//!
//! Where a full server refuses a tombstone, a script puts it in the record's place: nobody stays logged in for want of room.
//! In a cluster a user's index is mostly on another server than the sessions. Then the entry is written first and removed
//! last, in a round trip of its own, so that the index lists too many and never too few: a user's logout is two round trips
//! there, and so is a write or a touch of a user's session where there is no absolute limit.
//!
//! A server that does not know a script yet is sent its text by [`EVAL`](https://redis.io/docs/latest/commands/eval/), which
//! is one round trip more, once after each of its restarts.
//!
//! # A user with no more rights than needed
//!
//! [One line](crate::documentation::production#a-user-with-no-more-rights-than-needed) makes it: these commands, and the
//! keys that begin with the store's prefix.
//!
//! # When the server is away
//!
//! No call takes longer than [`response_timeout`](RedisConfig::response_timeout), whatever it has to wait for, connecting
//! included. All calls share one connection to each server, or as many as are
//! [configured](RedisConfig::connections), and one attempt to make a new one:
//!
//! - no server, or no answer from one that is being connected to:
//!   [`Unavailable`](super::StoreErrorKind::Unavailable). Nothing was sent;
//! - a connection that breaks, or an answer that does not come in time, after a change was sent:
//!   [`OutcomeUnknown`](super::StoreErrorKind::OutcomeUnknown). No change is ever sent a second time, except when the server
//!   said that it did not know the script. A load is sent once more on a new connection;
//! - an error reply: nothing was changed, and the error's [kind](super::StoreErrorKind) says whether it passes by itself.
//!
//! While there is no server, a new attempt is made every 50 to 100 ms, at random, as calls ask for it; the first call after
//! its return finds it. In a cluster the map of the slots is asked for anew at the same pace. More calls than
//! [`max_in_flight`](RedisConfig::max_in_flight) at the same time are refused at once.
//!
//! A server never has more than [`connections`](RedisConfig::connections) of a store's, and as many again with each of
//! [`wait_replicas`](RedisConfig::wait_replicas) and, on a replica, [`read_from_replicas`](RedisConfig::read_from_replicas);
//! but for those that nobody uses any more while the last calls on them end.
//!
//! # Known limits
//!
//! Replication is asynchronous: a fail-over can undo an acknowledged change, a logout among them.
//! [`wait_replicas`](RedisConfig::wait_replicas) narrows it for what must not come back, and
//! [`min-replicas-to-write`](https://redis.io/docs/latest/operate/oss_and_stack/management/replication/) for all.
//! An entry of an index is replicated as any other change, so that the two can be undone one without the other: a session
//! whose entry was lost goes on, and is in no list until its user logs in on it again.

mod address;
mod backend;
mod check;
#[cfg(feature = "redis-cluster")]
mod cluster;
mod command;
mod config;
mod dial;
mod failure;
mod index;
mod link;
mod node;
#[cfg(feature = "redis-1")]
mod own;
#[cfg(any(feature = "redis-cluster", feature = "redis-sentinel"))]
mod replica;
mod reply;
mod scripts;
#[cfg(feature = "redis-sentinel")]
mod sentinel;
mod target;
mod version;
mod wait;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::{Pipeline, ServerErrorKind, Value};
use tokio::time::Instant;

use self::backend::Backend;
use self::command::{Key, Run};
pub use self::config::RedisConfig;
use self::failure::Failure;
pub use self::failure::RedisStoreError;
use self::wait::{Wait, Waiting};
use super::{
    Binding, Created, Loaded, Record, RecordKey, Replaced, Revision, SessionStore, StoreError,
    TOMBSTONE_LIFETIME, UserIndexRef,
};

/// How long a replica has to answer, at most.
const REPLICA_PATIENCE: Duration = Duration::from_millis(100);

/// Keeps sessions in Redis or Valkey. Clones are the same store, and share its connection.
///
/// The [module's documentation](self) says what it asks of the server, and what happens while that is away.
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    prefix: Box<str>,
    response_timeout: Duration,
    /// Whom logouts, rotations and revocations wait for.
    wait: Option<Wait>,
    /// Whether replicas serve reads.
    replicas: bool,
    backend: Backend,
}

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
    /// ([`Refused`](super::StoreErrorKind::Refused)), until it has been put right.
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
        let own = own::Own::new(own::Connection::Manager(connection));
        Self::over(Backend::own(own), prefix.into(), response_timeout)
    }

    /// A store over a connection to a cluster that the application already has, of the `redis` crate's major version 1.
    ///
    /// Prefer [`connect`](RedisStore::connect), which takes better care: this connection is used as it was configured, and
    /// sends a command again where it does not know whether it arrived. Leave it at least two
    /// [retries](redis::cluster::ClusterClientBuilder::retries), which it takes to follow a slot that moves; and have it
    /// read from primaries. With many calls at once some may still be
    /// [refused](super::StoreErrorKind::Unavailable) while a slot moves: it announces a command to the new server by another
    /// one, and a third may come between them. Each call ends after `response_timeout` all the same.
    ///
    /// # Errors
    ///
    /// An empty prefix, or a `response_timeout` of zero or of more than an hour.
    #[cfg(all(feature = "redis-1", feature = "redis-cluster"))]
    pub fn from_cluster_connection(
        connection: redis::cluster_async::ClusterConnection,
        prefix: impl Into<String>,
        response_timeout: Duration,
    ) -> Result<Self, RedisStoreError> {
        let own = own::Own::new(own::Connection::Cluster(connection));
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
    #[cfg(all(feature = "redis-1", feature = "redis-sentinel"))]
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

    fn key<'a>(&'a self, record: &'a RecordKey) -> Key<'a> {
        Key::Record {
            prefix: &self.0.prefix,
            record,
        }
    }

    /// What a call has to learn whose changes are to be waited for.
    fn waiting(&self) -> Option<Waiting> {
        self.0.wait.map(Waiting::new)
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.0.response_timeout
    }

    async fn run(
        &self,
        script: Run<'_>,
        wait: Option<&Waiting>,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let command = script.by_hash();
        let reply = self.0.backend.one(&command, wait, deadline).await?;
        self.run_again(&script, reply, wait, deadline).await
    }

    /// A script on an index and then one on a record: in one round trip where one server has both, and where that one carries
    /// them out in this order.
    async fn run_both(
        &self,
        index: Run<'_>,
        record: Run<'_>,
        wait: Option<&Waiting>,
        deadline: Instant,
    ) -> Result<[Value; 2], Failure> {
        if self.0.backend.is_spread() {
            // If nothing more is heard of this process, a session must not outlive its entry.
            let entry = self.run(index, wait, deadline).await?;
            return Ok([entry, self.run(record, wait, deadline).await?]);
        }
        let mut commands = Pipeline::with_capacity(2);
        for script in [&index, &record] {
            commands.add_command(script.by_hash());
        }
        let replies = self.0.backend.all(&commands, wait, deadline).await?;
        let Ok([first, second]) = <[Value; 2]>::try_from(replies) else {
            return Err(Failure::Unexpected("EVALSHA"));
        };
        Ok([
            self.run_again(&index, first, wait, deadline).await?,
            self.run_again(&record, second, wait, deadline).await?,
        ])
    }

    /// The answer to a script, which the server may not have known.
    async fn run_again(
        &self,
        script: &Run<'_>,
        reply: Value,
        wait: Option<&Waiting>,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        match &reply {
            // It did nothing, so it can be asked again.
            Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript) => {
                let command = script.by_text();
                self.0.backend.one(&command, wait, deadline).await
            }
            _ => Ok(reply),
        }
    }

    /// The answers to commands that only read, which are sent once more if the connection breaks.
    async fn read(&self, commands: &Pipeline, deadline: Instant) -> Result<Vec<Value>, Failure> {
        match self.0.backend.all(commands, None, deadline).await {
            // Reading twice does no harm, and a server that was replaced goes unnoticed.
            Err(Failure::Lost(_)) => self.0.backend.all(commands, None, deadline).await,
            replies => replies,
        }
    }

    async fn load_from_primary(
        &self,
        key: &RecordKey,
        deadline: Instant,
    ) -> Result<Loaded, StoreError> {
        let commands = command::load(std::iter::once(self.key(key)));
        let replies = self.read(&commands, deadline).await;
        replies.and_then(reply::both).map_err(Failure::of_a_read)
    }

    /// The record that a replica has, if it is well. What it has not got it may not have got *yet*.
    async fn load_from_replica(&self, key: &RecordKey) -> Option<Loaded> {
        let commands = command::load(std::iter::once(self.key(key)));
        // The rest of the time, which the caller may have less of, is for the primary.
        let deadline = Instant::now() + REPLICA_PATIENCE.min(self.0.response_timeout / 4);
        let replies = self.0.backend.read_replica(&commands, deadline).await?;
        match reply::both(replies) {
            Ok(Loaded::Record { record, remaining }) => Some(Loaded::Record {
                record: record.possibly_stale(),
                remaining,
            }),
            _ => None,
        }
    }

    /// Puts a tombstone over a record, if a full server has just refused to.
    async fn bury(
        &self,
        key: Key<'_>,
        reply: Value,
        wait: Option<&Waiting>,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let reply = match &reply {
            Value::ServerError(error) if error.code() == "OOM" => {
                let script = Run {
                    script: &scripts::BURY,
                    key,
                    args: &[Record::TOMBSTONE],
                    ttl: Some(TOMBSTONE_LIFETIME),
                };
                self.run(script, wait, deadline).await?
            }
            _ => reply,
        };
        reply::deleted(reply)
    }
}

impl SessionStore for RedisStore {
    fn prefix(&self) -> &str {
        &self.0.prefix
    }

    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        let deadline = self.deadline();
        if self.0.replicas
            && let Some(loaded) = self.load_from_replica(key).await
        {
            return Ok(loaded);
        }
        self.load_from_primary(key, deadline).await
    }

    async fn load_latest(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        self.load_from_primary(key, self.deadline()).await
    }

    async fn create(
        &self,
        key: &RecordKey,
        record: &Record,
        ttl: Duration,
    ) -> Result<Created, StoreError> {
        let deadline = self.deadline();
        self.bind(key, record, deadline).await?;
        let command = command::create(self.key(key), record, ttl);
        let reply = self.0.backend.one(&command, None, deadline).await;
        reply.and_then(reply::created).map_err(Failure::of_a_write)
    }

    async fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Replaced, StoreError> {
        let deadline = self.deadline();
        self.bind(key, record, deadline).await?;
        let bytes = record.encode();
        let script = Run {
            script: &scripts::REPLACE,
            key: self.key(key),
            args: &[expected.as_bytes(), &bytes],
            ttl: Some(ttl),
        };
        let wait = self.waiting().filter(|_| record.rotates());
        let reply = self.with_entry(script, key, record.prolongs(), wait.as_ref(), deadline);
        let (reply, entry) = reply.await.map_err(Failure::of_a_write)?;
        let replaced = reply::replaced(reply).map_err(Failure::of_a_write)?;
        entry.map_err(Failure::of_a_half)?;
        // A conflict changed nothing that could be undone.
        if matches!(replaced, Replaced::Replaced) {
            confirmed(wait.as_ref()).map_err(Failure::of_a_write)?;
        }
        Ok(replaced)
    }

    async fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        ttl: Duration,
        prolongs: Option<Binding<'_>>,
    ) -> Result<bool, StoreError> {
        let script = Run {
            script: &scripts::TOUCH,
            key: self.key(key),
            args: &[expected.as_bytes()],
            ttl: Some(ttl),
        };
        let reply = self.with_entry(script, key, prolongs, None, self.deadline());
        let (reply, entry) = reply.await.map_err(Failure::of_a_write)?;
        let touched = reply::touched(reply).map_err(Failure::of_a_write)?;
        entry.map_err(Failure::of_a_half)?;
        Ok(touched)
    }

    async fn delete(&self, key: &RecordKey, user: Option<&str>) -> Result<(), StoreError> {
        let (at, deadline, wait) = (self.key(key), self.deadline(), self.waiting());
        let wait = wait.as_ref();
        let delete = command::delete(at);
        let unbind = user.map(|user| {
            let index = self.index(key.namespace(), user);
            command::unbind(index, std::iter::once(&key.id()))
        });
        let backend = &self.0.backend;
        let (reply, unbind) = match unbind {
            Some(unbind) if !backend.is_spread() => {
                let mut commands = Pipeline::with_capacity(2);
                commands.add_command(delete);
                commands.add_command(unbind);
                let replies = backend.all(&commands, wait, deadline).await;
                // What became of the entry does not matter.
                let first = |replies: Vec<Value>| replies.into_iter().next();
                let reply =
                    replies.and_then(|replies| first(replies).ok_or(Failure::Unexpected("SET")));
                (reply, None)
            }
            unbind => (backend.one(&delete, wait, deadline).await, unbind),
        };
        let buried = match reply {
            Ok(reply) => self.bury(at, reply, wait, deadline).await,
            Err(failure) => Err(failure),
        };
        let buried = buried.and_then(|()| confirmed(wait));
        buried.map_err(Failure::of_a_write)?;
        if let Some(unbind) = unbind {
            // On another server, so only now: a session that goes on, or may come back, must not lose its entry. One that
            // stays does no harm.
            backend.one(&unbind, None, deadline).await.ok();
        }
        Ok(())
    }

    fn user_index(&self) -> Option<UserIndexRef<'_>> {
        Some(UserIndexRef::new(self))
    }
}

/// Whether all that a call changed has reached as many replicas as it had to wait for.
fn confirmed(wait: Option<&Waiting>) -> Result<(), Failure> {
    wait.map_or(Ok(()), Waiting::confirmed)
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.0.prefix)
            .field("address", &self.0.backend.address())
            .finish_non_exhaustive()
    }
}
