//! The index of users: what its sorted sets contain, and in which order they are read and changed.

use std::sync::Arc;

use redis::{Pipeline, Value};
use tokio::time::Instant;

use super::execute::Executor;
use crate::store::redis::protocol::command::{self, ScriptCall};
use crate::store::redis::protocol::{CallError, Key, reply, scripts};
use crate::store::redis::topology::{Replication, confirmed};
use crate::store::{
    IndexChange, IndexEntry, Indexed, LOGIN_LIFETIME, Loaded, MARKER_LIFETIME, Owner, RecordKey,
    SessionId, StoreError, StoreErrorKind,
};

/// How many sessions are loaded in one round trip, which has the time of one call. A record has a few kilobytes, and may have
/// a megabyte.
const CHUNK: usize = 250;

/// How long an entry without a session is kept, because its login may be under way: as long as a tombstone refuses the write
/// of the record. In milliseconds.
const UNDER_WAY: &[u8] = b"60000";

/// The index of users in the servers of a store.
///
/// Reading or ending the sessions of a user takes one round trip for every 250 sessions. The response timeout limits each of
/// them.
pub(super) struct Index<'a>(pub(super) &'a Executor);

impl Index<'_> {
    /// Makes the entry of a write that binds its session to a user. After an error the record must not be written.
    pub(super) async fn bind(
        &self,
        key: &RecordKey,
        change: IndexChange<'_>,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let IndexChange::Bind { entry, login_age } = change else {
            return Ok(());
        };
        let id = key.id();
        let marker_life = LOGIN_LIFETIME.saturating_sub(login_age);
        let marker_life = marker_life.as_millis().to_string();
        let script = ScriptCall {
            script: &scripts::BIND,
            key: self.0.index_key(key.namespace(), entry.user),
            args: &[id.as_str().as_bytes(), UNDER_WAY, marker_life.as_bytes()],
            ttl: Some(entry.lifetime),
        };
        let replication = self.0.replication();
        let reply = self.0.run(script, replication.as_ref(), deadline).await;
        // Without an answer there may be an entry, which does no harm, but there is no record.
        match reply.and_then(reply::bound).map_err(CallError::for_read)? {
            true => confirmed(replication.as_ref()).map_err(CallError::for_read),
            false => Err(StoreError::new(StoreErrorKind::Revoked)),
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
        Ok((reply, reply::bound(entry)))
    }

    pub(super) async fn sessions_of(
        &self,
        namespace: &str,
        user: &str,
    ) -> Result<Vec<Indexed>, StoreError> {
        let index = self.0.index_key(namespace, user);
        let members = command::list_index(index);
        let ids = self.0.read(&members, self.0.deadline()).await;
        let ids = ids.and_then(reply::sessions);
        let ids = ids.map_err(CallError::for_read)?;

        let mut listed = Vec::with_capacity(ids.len());
        for keys in in_chunks(namespace, &ids) {
            let mut stale = Vec::new();
            let loaded = self.load_all(&keys).await?;
            for (key, loaded) in keys.into_iter().zip(loaded) {
                match (loaded.owner(user), loaded) {
                    (
                        Owner::TheUser,
                        Loaded::Record {
                            record, remaining, ..
                        },
                    ) => {
                        listed.push(Indexed::new(key, record, remaining));
                    }
                    (Owner::Unreadable, _) => {}
                    _ => stale.push(key.id()),
                }
            }
            if !stale.is_empty() {
                // If they cannot be removed now, the next call removes them.
                self.prune(index, &stale).await.ok();
            }
        }
        Ok(listed)
    }

    pub(super) async fn delete_user(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let index = self.0.index_key(namespace, user);
        let script = ScriptCall {
            script: &scripts::REVOKE,
            key: index,
            args: &[except.as_ref().map_or("", SessionId::as_str).as_bytes()],
            ttl: Some(MARKER_LIFETIME),
        };
        let replication = self.0.replication();
        let replication = replication.as_ref();
        let reply = self.0.run(script, replication, self.0.deadline()).await;
        let ids = reply.and_then(reply::sessions);
        let mut ids = ids.map_err(CallError::for_write)?;
        ids.retain(|id| except != Some(*id));

        let mut ended = Vec::new();
        for keys in in_chunks(namespace, &ids) {
            let owners = self.owners_of(&keys, user).await?;
            // Where there is no record yet, or one without a user yet, a tombstone refuses the login that is under way.
            let (mut to_delete, mut existing) = (Vec::new(), Vec::new());
            for (key, owner) in keys.iter().zip(owners) {
                if owner != Owner::AnotherUser {
                    to_delete.push(key);
                }
                if owner == Owner::TheUser {
                    existing.push(key.id());
                }
            }
            self.delete_all(&to_delete, replication).await?;
            ended.append(&mut existing);
            // A session that may come back must not lose its entry. An entry that stays leads to a tombstone.
            if confirmed(replication).is_ok() {
                let ids: Vec<_> = keys.iter().map(RecordKey::id).collect();
                let unbind = command::unbind(index, ids.iter());
                let deadline = self.0.deadline();
                let unbound = self.0.topology.execute(&unbind, None, deadline).await;
                unbound.ok();
            }
        }
        confirmed(replication).map_err(CallError::for_write)?;
        Ok(ended)
    }

    /// Loads some sessions in one round trip.
    async fn load_all(&self, keys: &[RecordKey]) -> Result<Vec<Loaded>, StoreError> {
        let commands = command::load_all(keys.iter().map(|key| self.0.record_key(key)));
        let replies = self.0.read_all(&commands, self.0.deadline()).await;
        replies
            .and_then(|replies| reply::all_loaded(replies, keys.len(), self.0.now()))
            .map_err(CallError::for_read)
    }

    /// The owners of some sessions, in one round trip and without the sessions' data.
    async fn owners_of(&self, keys: &[RecordKey], user: &str) -> Result<Vec<Owner>, StoreError> {
        let commands = command::load_owners(keys.iter().map(|key| self.0.record_key(key)));
        let replies = self.0.read_all(&commands, self.0.deadline()).await;
        replies
            .and_then(|replies| reply::owners(replies, keys.len(), user))
            .map_err(CallError::for_read)
    }

    /// Removes stale entries. The entry of a login that has begun meanwhile stays.
    async fn prune(&self, index: Key<'_>, stale: &[SessionId]) -> Result<Value, CallError> {
        let ids: Vec<_> = stale.iter().map(|id| id.as_str().as_bytes()).collect();
        let script = ScriptCall {
            script: &scripts::PRUNE,
            key: index,
            args: &ids,
            ttl: None,
        };
        self.0.run(script, None, self.0.deadline()).await
    }

    /// Deletes some sessions in one round trip.
    async fn delete_all(
        &self,
        keys: &[&RecordKey],
        replication: Option<&Replication>,
    ) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let deadline = self.0.deadline();
        let mut commands = Pipeline::with_capacity(keys.len());
        for key in keys {
            commands.add_command(command::delete(self.0.record_key(key)));
        }
        let replies = self
            .0
            .topology
            .execute_all(&commands, replication, deadline);
        let replies = replies.await.map_err(CallError::for_write)?;
        for (key, reply) in keys.iter().zip(replies) {
            let key = self.0.record_key(key);
            let deleted = self.0.complete_delete(key, reply, replication, deadline);
            deleted.await.map_err(CallError::for_write)?;
        }
        Ok(())
    }
}

/// The keys of sessions, in chunks of one round trip.
fn in_chunks(namespace: &str, ids: &[SessionId]) -> impl Iterator<Item = Vec<RecordKey>> {
    let namespace: Arc<str> = namespace.into();
    ids.chunks(CHUNK).map(move |ids| {
        let key = |id: &SessionId| RecordKey::new(namespace.clone(), *id);
        ids.iter().map(key).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::TOMBSTONE_LIFETIME;

    #[test]
    fn an_entry_without_a_record_is_kept_as_long_as_a_tombstone_stands() {
        assert_eq!(
            UNDER_WAY,
            TOMBSTONE_LIFETIME.as_millis().to_string().as_bytes()
        );
        // Otherwise bind.lua would take a valid marker for one that a wrong clock wrote.
        assert!(MARKER_LIFETIME < 2 * TOMBSTONE_LIFETIME);
    }
}
