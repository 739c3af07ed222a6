//! The index of users: what its sorted sets contain, and in which order they are read and changed.

use std::sync::Arc;
use std::time::Duration;

use redis::{Pipeline, Value};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::execute::Executor;
use crate::store::redis::protocol::command::{self, ScriptCall};
use crate::store::redis::protocol::reply::{Bound, Headed};
use crate::store::redis::protocol::{CallError, Key, reply, scripts};
use crate::store::redis::topology::{Replication, confirmed};
use crate::store::{
    DeletedPage, IndexChange, IndexCursor, IndexEntry, IndexMoment, IndexPage, Indexed,
    LOGIN_LIFETIME, MARKER_LIFETIME, Marker, Owner, PIECE, RecordKey, SessionId, StoreError,
    StoreErrorKind, TOMBSTONE_LIFETIME, Write,
};

/// How long an entry without a session is kept, because its login may be under way: as long as a tombstone refuses the write
/// of the record.
const UNDER_WAY: Duration = TOMBSTONE_LIFETIME;

/// How many pieces of lists are read at the same time. Each may have 200 kilobytes.
const LISTS: usize = 4;

fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}

/// The index of users in the servers of a store: the calls that concern one entry, or the marker.
pub(super) struct Index<'a>(pub(super) &'a Executor);

impl Index<'_> {
    /// Makes the entry of a write that binds its session to a user. After an error the record must not be written.
    pub(super) async fn bind(
        &self,
        key: &RecordKey,
        write: &Write<'_>,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let IndexChange::Bind {
            entry,
            login_age,
            after,
        } = write.index
        else {
            return Ok(());
        };
        let id = key.id();
        let marker_left = millis(LOGIN_LIFETIME.saturating_sub(login_age));
        let (under_way, marker_life) = (millis(UNDER_WAY), millis(MARKER_LIFETIME));
        let after = after.map_or_else(String::new, |IndexMoment(left)| left.to_string());
        let script = ScriptCall {
            script: &scripts::BIND,
            key: self.0.index_key(key.namespace(), entry.user),
            args: &[
                id.as_str().as_bytes(),
                under_way.as_bytes(),
                marker_left.as_bytes(),
                marker_life.as_bytes(),
                after.as_bytes(),
            ],
            ttl: Some(entry.lifetime),
        };
        let replication = self.0.replication();
        let reply = self.0.run(script, replication.as_ref(), deadline).await;
        // Without an answer there may be an entry, which does no harm, but there is no record.
        match reply.and_then(reply::bound).map_err(CallError::for_read)? {
            Bound::Made(members) => {
                if let Some(entries) = write.entries {
                    entries.set(members);
                }
                confirmed(replication.as_ref()).map_err(CallError::for_read)
            }
            Bound::Refused(left, age) => Err(StoreError::revoked(left, age)),
        }
    }

    /// Runs a script on a record, and extends the entry that must live on with the record, if there is one. The entry comes
    /// first, as always.
    pub(super) async fn run_with_entry(
        &self,
        script: ScriptCall<'_>,
        key: &RecordKey,
        entry: Option<IndexEntry<'_>>,
        replication: Option<&Replication>,
        deadline: Instant,
    ) -> Result<(Value, Result<bool, CallError>), CallError> {
        let Some(entry) = entry else {
            return Ok((self.0.run(script, replication, deadline).await?, Ok(true)));
        };
        let id = key.id();
        let extend = ScriptCall {
            script: &scripts::EXTEND,
            key: self.0.index_key(key.namespace(), entry.user),
            args: &[id.as_str().as_bytes()],
            ttl: Some(entry.lifetime),
        };
        let replies = self.0.run_both(extend, script, replication, deadline);
        let [entry, reply] = replies.await?;
        Ok((reply, reply::touched(entry)))
    }

    /// Leaves the marker that refuses logins which began before it.
    pub(super) async fn revoke(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> Result<Marker, StoreError> {
        let script = ScriptCall {
            script: &scripts::REVOKE,
            key: self.0.index_key(namespace, user),
            args: &[except.as_ref().map_or("", SessionId::as_str).as_bytes()],
            ttl: Some(MARKER_LIFETIME),
        };
        let replication = self.0.replication();
        let replication = replication.as_ref();
        let reply = self.0.run(script, replication, self.0.deadline()).await;
        let left = reply.and_then(reply::marked);
        Ok(Marker {
            left: left.map_err(CallError::for_write)?,
            except,
            replicated: confirmed(replication).is_ok(),
        })
    }
}

/// The calls that concern a piece of an index. They have a connection of their own, because they are large.
///
/// A few lists are read at a time. A revocation waits for none of them: nobody can keep a user from ending their sessions by
/// listing their own.
pub(super) struct Pieces {
    executor: Executor,
    lists: Semaphore,
}

/// A piece of an index: some of its members.
struct Piece {
    ids: Vec<SessionId>,
    next: Option<IndexCursor>,
}

impl Pieces {
    pub(super) fn new(executor: Executor) -> Self {
        Self {
            executor,
            lists: Semaphore::new(LISTS),
        }
    }

    pub(super) async fn sessions_of(
        &self,
        namespace: &str,
        user: &str,
        after: Option<&IndexCursor>,
    ) -> Result<IndexPage, StoreError> {
        let deadline = self.executor.deadline();
        let _place = self.enter(deadline).await?;
        let index = self.executor.index_key(namespace, user);
        let piece = self.piece(index, after, deadline).await?;
        let keys = keys(namespace, &piece.ids);
        let found = self.headers(index, &piece.ids, &keys, deadline).await?;
        let (mut sessions, mut stale) = (Vec::with_capacity(keys.len()), Vec::new());
        for (key, (bound, headed)) in keys.into_iter().zip(found) {
            match (headed.owner(user), headed) {
                (Owner::TheUser, Headed::Header(header, remaining)) => {
                    sessions.push(Indexed::new(key, *header, remaining, bound));
                }
                (Owner::Unreadable, _) => {}
                _ => stale.push(key.id()),
            }
        }
        if !stale.is_empty() {
            // If they cannot be removed now, the next call removes them.
            self.prune(index, &stale, deadline).await.ok();
        }
        let next = piece.next;
        Ok(IndexPage { sessions, next })
    }

    pub(super) async fn delete(
        &self,
        namespace: &str,
        user: &str,
        marker: &Marker,
        after: Option<&IndexCursor>,
    ) -> Result<DeletedPage, StoreError> {
        let deadline = self.executor.deadline();
        let index = self.executor.index_key(namespace, user);
        let mut piece = self.piece(index, after, deadline).await?;
        piece.ids.retain(|id| marker.except != Some(*id));
        let keys = keys(namespace, &piece.ids);
        let found = self.headers(index, &piece.ids, &keys, deadline).await?;
        // Where there is no record yet, or one without a user yet, a tombstone refuses the login that is under way.
        let (mut done, mut to_delete, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        for (key, (bound, headed)) in keys.iter().zip(found) {
            if bound > marker.left {
                continue;
            }
            done.push(key.id());
            let owner = headed.owner(user);
            if owner != Owner::AnotherUser {
                to_delete.push(key);
            }
            if owner == Owner::TheUser {
                ended.push(key.id());
            }
        }
        let replication = self.executor.replication();
        let replication = replication.as_ref();
        self.delete_all(&to_delete, replication, deadline).await?;
        let replicated = confirmed(replication).is_ok();
        // A session that may come back must not lose its entry. An entry that stays leads to a tombstone.
        if replicated && !done.is_empty() {
            let unbind = command::unbind(index, done.iter());
            let unbound = self.executor.topology.execute(&unbind, None, deadline);
            unbound.await.ok();
        }
        Ok(DeletedPage {
            ended,
            next: piece.next,
            replicated,
        })
    }

    /// A place among the few lists that are read at the same time.
    async fn enter(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, StoreError> {
        match timeout_at(deadline, self.lists.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(StoreError::caused_by(
                StoreErrorKind::Unavailable,
                "too many lists of sessions are waiting for Redis",
            )),
        }
    }

    /// Reads some members of an index, in the order in which they end, and finds the sessions among them. A cursor has the score and the name of the last member.
    async fn piece(
        &self,
        index: Key<'_>,
        after: Option<&IndexCursor>,
        deadline: Instant,
    ) -> Result<Piece, StoreError> {
        let last = after.and_then(|cursor| {
            let (score, name) = cursor.as_str().split_once(' ')?;
            Some((score.parse::<f64>().ok()?, name.as_bytes()))
        });
        let mut skip = 0;
        loop {
            let command = command::index_members(index, last.map(|(score, _)| score), skip);
            let reply = self.executor.read(&command, deadline).await;
            let members = reply.and_then(reply::members);
            let members = members.map_err(CallError::for_read)?;
            let is_full = members.len() == PIECE;
            let is_after = |(name, score): &&(Vec<u8>, f64)| {
                last.is_none_or(|last| (*score, &name[..]) > last)
            };
            let rest: Vec<_> = members.iter().filter(is_after).collect();
            if rest.is_empty() && is_full {
                // As many members end in the same moment.
                skip += PIECE;
                continue;
            }
            let next = rest.last().filter(|_| is_full).map(|(name, score)| {
                IndexCursor::new(format!("{score} {}", String::from_utf8_lossy(name)))
            });
            let id = |(name, _): &&(Vec<u8>, f64)| std::str::from_utf8(name).ok()?.parse().ok();
            let ids = rest.iter().filter_map(id).collect();
            return Ok(Piece { ids, next });
        }
    }

    /// The headers of some sessions, and when each was bound, in one round trip and without the sessions' data.
    async fn headers(
        &self,
        index: Key<'_>,
        ids: &[SessionId],
        keys: &[RecordKey],
        deadline: Instant,
    ) -> Result<Vec<(IndexMoment, Headed)>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let record_keys = keys.iter().map(|key| self.executor.record_key(key));
        let commands = command::load_headers(index, ids, record_keys);
        let replies = self.executor.read_all(&commands, deadline).await;
        let found =
            replies.and_then(|replies| reply::headers(replies, keys.len(), self.executor.now()));
        let found = found.map_err(CallError::for_read)?;
        let bound = |(mark, headed): (Option<f64>, Headed)| (moment(mark), headed);
        Ok(found.into_iter().map(bound).collect())
    }

    /// Removes stale entries. The entry of a login that has begun meanwhile stays.
    async fn prune(
        &self,
        index: Key<'_>,
        stale: &[SessionId],
        deadline: Instant,
    ) -> Result<Value, CallError> {
        let ids: Vec<_> = stale.iter().map(|id| id.as_str().as_bytes()).collect();
        let script = ScriptCall {
            script: &scripts::PRUNE,
            key: index,
            args: &ids,
            ttl: None,
        };
        self.executor.run(script, None, deadline).await
    }

    /// Deletes some sessions in one round trip.
    async fn delete_all(
        &self,
        keys: &[&RecordKey],
        replication: Option<&Replication>,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut commands = Pipeline::with_capacity(keys.len());
        for key in keys {
            commands.add_command(command::delete(self.executor.record_key(key)));
        }
        let topology = &self.executor.topology;
        let replies = topology.execute_all(&commands, replication, deadline);
        let replies = replies.await.map_err(CallError::for_write)?;
        for (key, reply) in keys.iter().zip(replies) {
            let key = self.executor.record_key(key);
            let deleted = self
                .executor
                .complete_delete(key, reply, replication, deadline);
            deleted.await.map_err(CallError::for_write)?;
        }
        Ok(())
    }
}

/// When an entry was made, which its mark tells. Zero if the mark is gone.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a time in microseconds"
)]
fn moment(mark: Option<f64>) -> IndexMoment {
    let life = UNDER_WAY.as_secs_f64() * 1_000.0;
    mark.map_or_else(IndexMoment::default, |ends| {
        IndexMoment(((ends - life) * 1_000.0).round() as u64)
    })
}

/// The keys of sessions.
fn keys(namespace: &str, ids: &[SessionId]) -> Vec<RecordKey> {
    let namespace: Arc<str> = namespace.into();
    let key = |id: &SessionId| RecordKey::new(namespace.clone(), *id);
    ids.iter().map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_that_is_valid_is_not_taken_for_one_that_a_wrong_clock_wrote() {
        assert!(MARKER_LIFETIME < 2 * UNDER_WAY);
    }
}
