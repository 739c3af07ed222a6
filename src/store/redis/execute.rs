//! How commands are executed: with a deadline, and sent a second time only where that is safe: where the server said that it
//! did nothing, or where they only read.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Pipeline, ServerErrorKind, Value};
use tokio::time::Instant;

use crate::clock::{Clock, Timestamp};
use crate::store::redis::config::WaitReplicas;
use crate::store::redis::protocol::command::{self, ScriptCall};
use crate::store::redis::protocol::{CallError, Key, reply, scripts};
use crate::store::redis::room::Rooms;
use crate::store::redis::topology::{Replication, Topology};
use crate::store::{Loaded, Record, RecordKey, StoreError, TOMBSTONE_LIFETIME};

/// The longest time that a replica may take to answer.
const REPLICA_TIMEOUT: Duration = Duration::from_millis(100);

/// How often a write makes room and is sent again. The server may be over its limit by more than one step of a scan frees, or
/// others may take the room.
const ROUNDS: u32 = 4;

/// How many keys one step of a scan looks at. The server answers nobody else meanwhile: for a millisecond or less.
const STEP: &[u8] = b"500";

/// Executes commands on the servers of a store.
pub(super) struct Executor {
    pub(super) prefix: Box<str>,
    pub(super) response_timeout: Duration,
    /// How many replicas logouts, rotations and revocations wait for.
    pub(super) wait_replicas: Option<WaitReplicas>,
    /// Whether replicas serve reads.
    pub(super) read_from_replicas: bool,
    pub(super) topology: Arc<Topology>,
    pub(super) rooms: Arc<Rooms>,
}

impl Executor {
    /// The system's time, which the servers' expiry follows. A manual clock of the application does not change it.
    pub(super) fn now(&self) -> Timestamp {
        Clock::system().now()
    }

    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.response_timeout
    }

    /// The replication of a call whose changes wait for replicas.
    pub(super) fn replication(&self) -> Option<Replication> {
        self.wait_replicas.map(Replication::new)
    }

    pub(super) fn record_key<'a>(&'a self, record: &'a RecordKey) -> Key<'a> {
        Key::Record {
            prefix: &self.prefix,
            record,
        }
    }

    pub(super) fn index_key<'a>(&'a self, namespace: &'a str, user: &'a str) -> Key<'a> {
        Key::Index {
            prefix: &self.prefix,
            namespace,
            user,
        }
    }

    /// Runs a script. If the server is too full for its write, makes room and runs it again.
    pub(super) async fn run(
        &self,
        script: ScriptCall<'_>,
        replication: Option<&Replication>,
        deadline: Instant,
    ) -> Result<Value, CallError> {
        let command = script.by_hash();
        let reply = self
            .topology
            .execute(&command, replication, deadline)
            .await?;
        self.run_again(&script, reply, replication, deadline).await
    }

    /// Sends a write of the record or the index under `key`. If the server is too full for it, makes room and sends it again.
    pub(super) async fn write(
        &self,
        key: Key<'_>,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<Value, CallError> {
        let reply = self.topology.execute(command, None, deadline).await?;
        match is_full(&reply) {
            true => Box::pin(self.write_again(key, command, reply, None, deadline)).await,
            false => Ok(reply),
        }
    }

    /// Runs a script on an index and then one on a record: in one round trip if one server has both keys, because it runs
    /// them in this order.
    pub(super) async fn run_both(
        &self,
        index: ScriptCall<'_>,
        record: ScriptCall<'_>,
        replication: Option<&Replication>,
        deadline: Instant,
    ) -> Result<[Value; 2], CallError> {
        if self.topology.is_sharded() {
            // If this process stops between the two, the session must not outlive its entry.
            let entry = self.run(index, replication, deadline).await?;
            return Ok([entry, self.run(record, replication, deadline).await?]);
        }
        let mut commands = Pipeline::with_capacity(2);
        for script in [&index, &record] {
            commands.add_command(script.by_hash());
        }
        let replies = self
            .topology
            .execute_all(&commands, replication, deadline)
            .await?;
        let Ok([first, second]) = <[Value; 2]>::try_from(replies) else {
            return Err(CallError::Unexpected("EVALSHA"));
        };
        Ok([
            self.run_again(&index, first, replication, deadline).await?,
            self.run_again(&record, second, replication, deadline)
                .await?,
        ])
    }

    /// Runs a script again if the server replied that it does not know it, or that it is full.
    async fn run_again(
        &self,
        script: &ScriptCall<'_>,
        reply: Value,
        replication: Option<&Replication>,
        deadline: Instant,
    ) -> Result<Value, CallError> {
        let reply = self
            .run_if_unknown(script, reply, replication, deadline)
            .await?;
        if !is_full(&reply) {
            return Ok(reply);
        }
        let command = script.by_hash();
        Box::pin(self.write_again(script.key, &command, reply, replication, deadline)).await
    }

    /// Sends the text of a script, if the server replied that it does not know the script.
    async fn run_if_unknown(
        &self,
        script: &ScriptCall<'_>,
        reply: Value,
        replication: Option<&Replication>,
        deadline: Instant,
    ) -> Result<Value, CallError> {
        match &reply {
            // The server did nothing, so the script can be sent again.
            Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript) => {
                let command = script.by_text();
                self.topology.execute(&command, replication, deadline).await
            }
            _ => Ok(reply),
        }
    }

    /// Makes room on the server that has `key`, which was too full for a write and did nothing, and sends the write again.
    async fn write_again(
        &self,
        key: Key<'_>,
        command: &Cmd,
        mut reply: Value,
        replication: Option<&Replication>,
        deadline: Instant,
    ) -> Result<Value, CallError> {
        let pattern = command::keys_of(&self.prefix);
        let step = |cursor: Vec<u8>| {
            let pattern = pattern.as_bytes();
            async move {
                let script = ScriptCall {
                    script: &scripts::EVICT,
                    key,
                    args: &[&cursor, pattern, STEP],
                    ttl: None,
                };
                let command = script.by_hash();
                let reply = self.topology.execute(&command, None, deadline).await?;
                let reply = self.run_if_unknown(&script, reply, None, deadline).await?;
                reply::evicted(reply)
            }
        };
        let server = self.topology.server_of(command, deadline).await?;
        let room = self.rooms.of(server);
        for _ in 0..ROUNDS {
            if !room.make(deadline, step).await {
                break;
            }
            reply = self
                .topology
                .execute(command, replication, deadline)
                .await?;
            if !is_full(&reply) {
                break;
            }
        }
        Ok(reply)
    }

    /// The answer to a command that only reads. It is sent once more if the connection breaks.
    pub(super) async fn read(&self, command: &Cmd, deadline: Instant) -> Result<Value, CallError> {
        match self.topology.execute(command, None, deadline).await {
            // Reading twice does no harm, and hides that a server was replaced.
            Err(CallError::Lost(_)) => self.topology.execute(command, None, deadline).await,
            reply => reply,
        }
    }

    /// The same for commands that are sent together.
    pub(super) async fn read_all(
        &self,
        commands: &Pipeline,
        deadline: Instant,
    ) -> Result<Vec<Value>, CallError> {
        match self.topology.execute_all(commands, None, deadline).await {
            Err(CallError::Lost(_)) => self.topology.execute_all(commands, None, deadline).await,
            replies => replies,
        }
    }

    pub(super) async fn load_from_primary(
        &self,
        key: &RecordKey,
        deadline: Instant,
    ) -> Result<Loaded, StoreError> {
        let command = command::load(self.record_key(key));
        let reply = self.read(&command, deadline).await;
        let loaded = reply.and_then(|reply| reply::loaded(reply, self.now()));
        loaded.map_err(CallError::for_read)
    }

    /// The record that a replica has, if one answers. `None` if the replica lacks it, because it may not have received
    /// it yet.
    pub(super) async fn load_from_replica(&self, key: &RecordKey) -> Option<Loaded> {
        let command = command::load(self.record_key(key));
        // The rest of the time is for the primary. The caller's own deadline may be shorter.
        let deadline = Instant::now() + REPLICA_TIMEOUT.min(self.response_timeout / 4);
        let reply = self.topology.read_replica(&command, deadline).await?;
        match reply::loaded(reply, self.now()) {
            Ok(Loaded::Record {
                record,
                remaining,
                unconfirmed,
                ..
            }) => Some(Loaded::Record {
                record,
                remaining,
                stale: true,
                unconfirmed,
            }),
            _ => None,
        }
    }

    /// The same for calls that go other ways.
    pub(super) fn over(&self, topology: Arc<Topology>) -> Self {
        Self {
            prefix: self.prefix.clone(),
            response_timeout: self.response_timeout,
            wait_replicas: self.wait_replicas,
            read_from_replicas: self.read_from_replicas,
            topology,
            rooms: self.rooms.clone(),
        }
    }

    /// Completes the deletion of a record from the reply to [`command::delete`]. If the server was too full for the
    /// tombstone, a script writes it in the place of the record.
    pub(super) async fn complete_delete(
        &self,
        key: Key<'_>,
        reply: Value,
        replication: Option<&Replication>,
        deadline: Instant,
    ) -> Result<(), CallError> {
        let reply = match &reply {
            reply if is_full(reply) => {
                let script = ScriptCall {
                    script: &scripts::TOMBSTONE,
                    key,
                    args: &[Record::TOMBSTONE],
                    ttl: Some(TOMBSTONE_LIFETIME),
                };
                self.run(script, replication, deadline).await?
            }
            _ => reply,
        };
        reply::deleted(reply)
    }
}

/// Whether a server refused a write because it is full. It did nothing.
fn is_full(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(error) if error.code() == "OOM")
}
