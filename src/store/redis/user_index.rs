//! The index of users: which sorted set says what, and in which order it is asked and changed.

use std::sync::Arc;

use redis::{Pipeline, Value};
use tokio::time::Instant;

use crate::store::redis::RedisStore;
use crate::store::redis::execute::confirmed;
use crate::store::redis::protocol::command::{self, Key, Run};
use crate::store::redis::protocol::error::Failure;
use crate::store::redis::protocol::{reply, scripts};
use crate::store::redis::topology::replication::Waiting;
use crate::store::{
    Binding, Indexed, LOGIN_LIFETIME, Loaded, MARKER_LIFETIME, Owner, Record, RecordKey, SessionId,
    StoreError, StoreErrorKind, UserIndex, of_whom,
};

/// How many sessions are asked for in one round trip, which has the time of one call. Their records are a few kilobytes
/// each, and may be a megabyte.
const CHUNK: usize = 250;

/// For how long an entry that leads to no session is left alone, since its login may be under way: as long as a tombstone
/// would keep the record's write out. In milliseconds.
const UNDER_WAY: &[u8] = b"60000";

impl RedisStore {
    pub(super) fn index<'a>(&'a self, namespace: &'a str, user: &'a str) -> Key<'a> {
        Key::User {
            prefix: &self.0.prefix,
            namespace,
            user,
        }
    }

    /// Makes the entry of a record that binds its session to a user. An error means that the record is not to be written.
    pub(super) async fn bind(
        &self,
        key: &RecordKey,
        record: &Record,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let Some(binding) = record.binds() else {
            return Ok(());
        };
        let id = key.id();
        let marked = LOGIN_LIFETIME.saturating_sub(record.login_age());
        let marked = marked.as_millis().to_string();
        let script = Run {
            script: &scripts::BIND,
            key: self.index(key.namespace(), binding.user),
            args: &[id.as_str().as_bytes(), UNDER_WAY, marked.as_bytes()],
            ttl: Some(binding.life),
        };
        let wait = self.waiting();
        let reply = self.run(script, wait.as_ref(), deadline).await;
        // Without an answer there may be an entry, which does no harm, and there is no record.
        match reply.and_then(reply::bound).map_err(Failure::of_a_read)? {
            true => confirmed(wait.as_ref()).map_err(Failure::of_a_read),
            false => Err(StoreError::new(StoreErrorKind::Revoked)),
        }
    }

    /// Runs a script on a record, and if an entry has to live on with it, lets it. The entry comes first, as always.
    pub(super) async fn with_entry(
        &self,
        script: Run<'_>,
        key: &RecordKey,
        prolongs: Option<Binding<'_>>,
        wait: Option<&Waiting>,
        deadline: Instant,
    ) -> Result<(Value, Result<bool, Failure>), Failure> {
        let Some(entry) = prolongs else {
            return Ok((self.run(script, wait, deadline).await?, Ok(true)));
        };
        let id = key.id();
        let prolong = Run {
            script: &scripts::PROLONG,
            key: self.index(key.namespace(), entry.user),
            args: &[id.as_str().as_bytes()],
            ttl: Some(entry.life),
        };
        let [entry, reply] = self.run_both(prolong, script, wait, deadline).await?;
        Ok((reply, reply::bound(entry)))
    }

    /// Loads some sessions in one round trip.
    async fn load_all(&self, keys: &[RecordKey]) -> Result<Vec<Loaded>, StoreError> {
        let commands = command::load_all(keys.iter().map(|key| self.key(key)));
        let replies = self.read_all(&commands, self.deadline()).await;
        replies
            .and_then(|replies| reply::all_loaded(replies, keys.len(), self.now()))
            .map_err(Failure::of_a_read)
    }

    /// Whose some sessions are, in one round trip, and without their data.
    async fn owners_of(&self, keys: &[RecordKey], user: &str) -> Result<Vec<Owner>, StoreError> {
        let commands = command::owners(keys.iter().map(|key| self.key(key)));
        let replies = self.read_all(&commands, self.deadline()).await;
        replies
            .and_then(|replies| reply::owners(replies, keys.len(), user))
            .map_err(Failure::of_a_read)
    }

    /// Removes stale entries, if they still are: of a login that began meanwhile, the entry stays.
    async fn prune(&self, index: Key<'_>, stale: &[SessionId]) -> Result<Value, Failure> {
        let ids: Vec<_> = stale.iter().map(|id| id.as_str().as_bytes()).collect();
        let script = Run {
            script: &scripts::PRUNE,
            key: index,
            args: &ids,
            ttl: None,
        };
        self.run(script, None, self.deadline()).await
    }

    /// Deletes some sessions in one round trip.
    async fn delete_all(
        &self,
        keys: &[&RecordKey],
        wait: Option<&Waiting>,
    ) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let deadline = self.deadline();
        let mut commands = Pipeline::with_capacity(keys.len());
        for key in keys {
            commands.add_command(command::delete(self.key(key)));
        }
        let replies = self.0.backend.all(&commands, wait, deadline).await;
        for (key, reply) in keys.iter().zip(replies.map_err(Failure::of_a_write)?) {
            let buried = self.bury(self.key(key), reply, wait, deadline).await;
            buried.map_err(Failure::of_a_write)?;
        }
        Ok(())
    }
}

/// The keys of sessions, in the pieces in which they are asked for.
fn in_chunks(namespace: &str, ids: &[SessionId]) -> impl Iterator<Item = Vec<RecordKey>> {
    let namespace: Arc<str> = namespace.into();
    ids.chunks(CHUNK).map(move |ids| {
        let key = |id: &SessionId| RecordKey::new(namespace.clone(), *id);
        ids.iter().map(key).collect()
    })
}

/// A call takes as many round trips as there are pieces of 250 sessions, each bounded by the response timeout.
impl UserIndex for RedisStore {
    async fn sessions_of(&self, namespace: &str, user: &str) -> Result<Vec<Indexed>, StoreError> {
        let index = self.index(namespace, user);
        let members = command::members(index);
        let ids = self.read(&members, self.deadline()).await;
        let ids = ids.and_then(reply::sessions);
        let ids = ids.map_err(Failure::of_a_read)?;

        let mut listed = Vec::with_capacity(ids.len());
        for keys in in_chunks(namespace, &ids) {
            let mut stale = Vec::new();
            let loaded = self.load_all(&keys).await?;
            for (key, loaded) in keys.into_iter().zip(loaded) {
                match (of_whom(&loaded, user), loaded) {
                    (Owner::TheUser, Loaded::Record { record, remaining }) => {
                        listed.push(Indexed::new(key, record, remaining));
                    }
                    (Owner::Unreadable, _) => {}
                    _ => stale.push(key.id()),
                }
            }
            if !stale.is_empty() {
                // Those that cannot be removed now will be the next time.
                self.prune(index, &stale).await.ok();
            }
        }
        Ok(listed)
    }

    async fn delete_user(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let index = self.index(namespace, user);
        let script = Run {
            script: &scripts::REVOKE,
            key: index,
            args: &[except.as_ref().map_or("", SessionId::as_str).as_bytes()],
            ttl: Some(MARKER_LIFETIME),
        };
        let wait = self.waiting();
        let wait = wait.as_ref();
        let reply = self.run(script, wait, self.deadline()).await;
        let ids = reply.and_then(reply::sessions);
        let mut ids = ids.map_err(Failure::of_a_write)?;
        ids.retain(|id| except != Some(*id));

        let mut ended = Vec::new();
        for keys in in_chunks(namespace, &ids) {
            let owners = self.owners_of(&keys, user).await?;
            let owned = keys.iter().zip(owners);
            // Where there is no record (yet), or one of nobody (yet), a tombstone keeps the login out that is under way.
            let (mut mine, mut there) = (Vec::new(), Vec::new());
            for (key, owner) in owned {
                if owner != Owner::SomebodyElse {
                    mine.push(key);
                }
                if owner == Owner::TheUser {
                    there.push(key.id());
                }
            }
            self.delete_all(&mine, wait).await?;
            ended.append(&mut there);
            // A session that may come back must not lose its entry. One that stays leads to a tombstone.
            if confirmed(wait).is_ok() {
                let ids: Vec<_> = keys.iter().map(RecordKey::id).collect();
                let unbind = command::unbind(index, ids.iter());
                let unbound = self.0.backend.one(&unbind, None, self.deadline()).await;
                unbound.ok();
            }
        }
        confirmed(wait).map_err(Failure::of_a_write)?;
        Ok(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::TOMBSTONE_LIFETIME;

    #[test]
    fn an_entry_without_a_record_is_left_alone_for_as_long_as_a_tombstone_stands() {
        assert_eq!(
            UNDER_WAY,
            TOMBSTONE_LIFETIME.as_millis().to_string().as_bytes()
        );
        // So that bind.lua takes no marker for one of another clock.
        assert!(MARKER_LIFETIME < 2 * TOMBSTONE_LIFETIME);
    }
}
