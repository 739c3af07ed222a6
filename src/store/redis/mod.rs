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
//! - a [cluster](https://redis.io/docs/latest/operate/oss_and_stack/management/scaling/):
//!   `redis+cluster://host1,host2,host3`. Some of its nodes are enough; the others are learnt from them. No command concerns
//!   two keys, so that no two keys need share a slot. A slot may move at any time: whoever had it says so before it does
//!   anything, and the command goes on to the new place;
//! - the primary that [sentinels](https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/) name:
//!   `redis+sentinel://host1,host2,host3/service`. They are asked for each new connection, and whoever they
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
//! One key per session, `<prefix><namespace>:<session id>`, a string with an expiry, which is the record with, in the
//! [room](Record::ROOM_OFFSET) that it leaves for that, the time until which it is kept; and one per user who has sessions,
//! `<prefix><namespace>:user=<user id>`, a sorted set of sessions by the time when their entries end. Every call is one round
//! trip, and no command concerns more than one key. The time in a record is by the clock of the application's server, and
//! says when the next touch is due and when the session was last used; whether it is still there, Redis alone decides.
//!
//! | call | commands |
//! |---|---|
//! | [`load`](SessionStore::load) | [`GET`](https://redis.io/docs/latest/commands/get/) |
//! | [`create`](SessionStore::create) | [`SET`](https://redis.io/docs/latest/commands/set/) `… NX PX` |
//! | [`replace`](SessionStore::replace) | [`EVALSHA`](https://redis.io/docs/latest/commands/evalsha/): [`GETRANGE`](https://redis.io/docs/latest/commands/getrange/), then `SET … PX`, or `GET` on a conflict |
//! | [`touch`](SessionStore::touch) | `EVALSHA`: `GETRANGE`, then [`PEXPIRE`](https://redis.io/docs/latest/commands/pexpire/) and [`SETRANGE`](https://redis.io/docs/latest/commands/setrange/) |
//! | [`delete`](SessionStore::delete) | `SET … PX 60000` of a tombstone, and [`ZREM`](https://redis.io/docs/latest/commands/zrem/) of the user's entry |
//!
//! A login is one round trip more, before the record is written. Where there is no absolute limit, writes and touches of a
//! user's session are accompanied by one command more, which lets the entry live on:
//!
//! | for the index of a user | commands |
//! |---|---|
//! | a login, before its `create` or `replace` | `EVALSHA`: [`TIME`](https://redis.io/docs/latest/commands/time/), [`ZMSCORE`](https://redis.io/docs/latest/commands/zmscore/), [`ZADD`](https://redis.io/docs/latest/commands/zadd/), then `ZREMRANGEBYSCORE`, `ZRANGE`, [`PEXPIREAT`](https://redis.io/docs/latest/commands/pexpireat/) |
//! | `replace`, `touch` without an absolute limit | along with them, `EVALSHA`: `TIME`, `ZREMRANGEBYSCORE`, `ZADD`, `ZRANGE`, `PEXPIREAT` |
//! | [`sessions_of`](super::UserIndex::sessions_of) | [`ZRANGE`](https://redis.io/docs/latest/commands/zrange/); for 250 sessions at a time `GET` of each, and where entries are stale `EVALSHA`: `TIME`, `ZMSCORE`, `ZREM` |
//! | [`delete_user`](super::UserIndex::delete_user) | `EVALSHA`: `TIME`, `ZREMRANGEBYSCORE`, `ZADD`, `ZRANGE`, `PEXPIREAT`, `ZRANGE`; for 250 sessions at a time `GETRANGE` of each one's first 332 bytes, `SET` of each tombstone, `ZREM` |
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

mod config;
mod connection;
mod execute;
mod health;
mod open;
mod protocol;
mod topology;
mod user_index;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::{Pipeline, Value};

pub use self::config::RedisConfig;
pub use self::protocol::error::RedisStoreError;
use self::protocol::{command, reply, scripts, value};
use super::{
    Binding, Created, Loaded, Record, RecordKey, Replaced, Revision, SessionStore, StoreError,
    UserIndexRef,
};
use crate::clock::{Clock, Timestamp};
use crate::store::redis::execute::confirmed;
use crate::store::redis::protocol::command::{Key, Run};
use crate::store::redis::protocol::error::Failure;
use crate::store::redis::topology::Backend;
use crate::store::redis::topology::replication::Wait;

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
    /// By the clock that the servers' expiry runs by, and not one that an application moves.
    fn now(&self) -> Timestamp {
        Clock::system().now()
    }

    fn key<'a>(&'a self, record: &'a RecordKey) -> Key<'a> {
        Key::Record {
            prefix: &self.0.prefix,
            record,
        }
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
        let kept = value::encode(record, ttl, self.now());
        let command = command::create(self.key(key), &kept, ttl);
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
        let kept = value::encode(record, ttl, self.now());
        let script = Run {
            script: &scripts::REPLACE,
            key: self.key(key),
            args: &[expected.as_bytes(), &kept],
            ttl: Some(ttl),
        };
        let wait = self.waiting().filter(|_| record.rotates());
        let reply = self.with_entry(script, key, record.prolongs(), wait.as_ref(), deadline);
        let (reply, entry) = reply.await.map_err(Failure::of_a_write)?;
        let replaced = reply::replaced(reply, self.now()).map_err(Failure::of_a_write)?;
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
            args: &[expected.as_bytes(), &value::until(ttl, self.now())],
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

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.0.prefix)
            .field("address", &self.0.backend.address())
            .finish_non_exhaustive()
    }
}
