//! How servers are asked: within a deadline, and what is sent a second time.

use std::time::Duration;

use redis::{Cmd, Pipeline, ServerErrorKind, Value};
use tokio::time::Instant;

use crate::store::redis::RedisStore;
use crate::store::redis::protocol::command::{self, Key, Run};
use crate::store::redis::protocol::error::Failure;
use crate::store::redis::protocol::{reply, scripts};
use crate::store::redis::topology::replication::Waiting;
use crate::store::{Loaded, Record, RecordKey, StoreError, TOMBSTONE_LIFETIME};

/// How long a replica has to answer, at most.
const REPLICA_PATIENCE: Duration = Duration::from_millis(100);

impl RedisStore {
    /// What a call has to learn whose changes are to be waited for.
    pub(super) fn waiting(&self) -> Option<Waiting> {
        self.0.wait.map(Waiting::new)
    }

    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.0.response_timeout
    }

    pub(super) async fn run(
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
    pub(super) async fn run_both(
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

    /// The answer to a command that only reads, which is sent once more if the connection breaks.
    pub(super) async fn read(&self, command: &Cmd, deadline: Instant) -> Result<Value, Failure> {
        match self.0.backend.one(command, None, deadline).await {
            // Reading twice does no harm, and a server that was replaced goes unnoticed.
            Err(Failure::Lost(_)) => self.0.backend.one(command, None, deadline).await,
            reply => reply,
        }
    }

    /// The same for commands that are sent together.
    pub(super) async fn read_all(
        &self,
        commands: &Pipeline,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        match self.0.backend.all(commands, None, deadline).await {
            Err(Failure::Lost(_)) => self.0.backend.all(commands, None, deadline).await,
            replies => replies,
        }
    }

    pub(super) async fn load_from_primary(
        &self,
        key: &RecordKey,
        deadline: Instant,
    ) -> Result<Loaded, StoreError> {
        let reply = self.read(&command::load(self.key(key)), deadline).await;
        let loaded = reply.and_then(|reply| reply::loaded(reply, self.now()));
        loaded.map_err(Failure::of_a_read)
    }

    /// The record that a replica has, if it is well. What it has not got it may not have got *yet*.
    pub(super) async fn load_from_replica(&self, key: &RecordKey) -> Option<Loaded> {
        let command = command::load(self.key(key));
        // The rest of the time, which the caller may have less of, is for the primary.
        let deadline = Instant::now() + REPLICA_PATIENCE.min(self.0.response_timeout / 4);
        let reply = self.0.backend.read_replica(&command, deadline).await?;
        match reply::loaded(reply, self.now()) {
            Ok(Loaded::Record { record, remaining }) => Some(Loaded::Record {
                record: record.possibly_stale(),
                remaining,
            }),
            _ => None,
        }
    }

    /// Puts a tombstone over a record, if a full server has just refused to.
    pub(super) async fn bury(
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

/// Whether all that a call changed has reached as many replicas as it had to wait for.
pub(super) fn confirmed(wait: Option<&Waiting>) -> Result<(), Failure> {
    wait.map_or(Ok(()), Waiting::confirmed)
}
