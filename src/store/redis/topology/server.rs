//! One server, and the connections to it.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::{Cmd, Pipeline, RedisError, Value};
use tokio::time::{Instant, timeout_at};

use super::replication::Replication;
use crate::store::redis::connection::{Endpoint, Lease, Reconnect};
use crate::store::redis::protocol::CallError;

/// The connections to one server.
pub(super) struct Server {
    address: Box<str>,
    shared: Pool,
    /// For writes that wait for replicas. No connection is opened before the first of them.
    waiting: Pool,
}

impl Server {
    /// A server with `connections` shared connections, and as many for writes that wait. Nothing is connected yet.
    pub(super) fn new(
        endpoint: &Arc<dyn Endpoint>,
        connections: usize,
        connect_timeout: Duration,
    ) -> Self {
        let pool = || Pool::new(endpoint, connections, connect_timeout);
        Self {
            address: endpoint.address().into(),
            shared: pool(),
            waiting: pool(),
        }
    }

    /// Where it is, for people to read.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The answer to one command. An error reply is a [`Value`] too.
    pub(super) async fn execute(
        &self,
        command: &Cmd,
        replication: Option<&Replication>,
        deadline: Instant,
    ) -> Result<Value, CallError> {
        if replication.is_some() {
            let mut commands = Pipeline::with_capacity(2);
            commands.add_command(command.clone());
            let mut answers = self.execute_all(&commands, replication, deadline).await?;
            return answers.pop().ok_or(CallError::Unexpected("WAIT"));
        }
        let mut lease = self.lease(None, deadline).await?;
        let sent = lease.connection().send_packed_command(command);
        let answer = within(deadline, pin!(sent)).await;
        release(&mut lease, answer.as_ref().map(Some));
        answer
    }

    /// The answers to commands that are sent together.
    pub(super) async fn execute_all(
        &self,
        commands: &Pipeline,
        replication: Option<&Replication>,
        deadline: Instant,
    ) -> Result<Vec<Value>, CallError> {
        let mut lease = self.lease(replication, deadline).await?;
        let answers = match replication {
            None => send(&mut lease, commands, deadline).await,
            Some(replication) => {
                let mut commands = commands.clone();
                commands.add_command(replication.command());
                send(&mut lease, &commands, deadline).await
            }
        };
        release(&mut lease, answers.as_ref().map(|answers| answers.first()));
        let mut answers = answers?;
        if let Some(replication) = replication {
            let confirmation = answers.pop().ok_or(CallError::Unexpected("WAIT"))?;
            replication.record(&answers, &confirmation)?;
        }
        Ok(answers)
    }

    async fn lease(
        &self,
        replication: Option<&Replication>,
        deadline: Instant,
    ) -> Result<Lease<'_>, CallError> {
        let pool = match replication {
            None => &self.shared,
            Some(_) => &self.waiting,
        };
        let lease = pool.next().lease(deadline).await;
        lease.map_err(CallError::NotSent)
    }
}

/// Some connections, which take turns.
struct Pool {
    connections: Box<[Reconnect]>,
    turn: AtomicUsize,
}

impl Pool {
    fn new(endpoint: &Arc<dyn Endpoint>, size: usize, connect_timeout: Duration) -> Self {
        let connection = |_| Reconnect::new(Arc::clone(endpoint), connect_timeout);
        Self {
            connections: (0..size).map(connection).collect(),
            turn: AtomicUsize::new(0),
        }
    }

    fn next(&self) -> &Reconnect {
        match &*self.connections {
            [only] => only,
            several => &several[self.turn.fetch_add(1, Ordering::Relaxed) % several.len()],
        }
    }
}

async fn send(
    lease: &mut Lease<'_>,
    commands: &Pipeline,
    deadline: Instant,
) -> Result<Vec<Value>, CallError> {
    let sent = lease
        .connection()
        .send_packed_commands(commands, 0, commands.len());
    within(deadline, pin!(sent)).await
}

/// The answer to a call, if it comes before the deadline. The caller pins the future, because a future that is moved into
/// another one takes its space twice, and that of a command is large.
pub(super) async fn within<T>(
    deadline: Instant,
    answer: Pin<&mut impl Future<Output = Result<T, RedisError>>>,
) -> Result<T, CallError> {
    match timeout_at(deadline, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(CallError::Lost(error)),
        Err(_) => Err(CallError::TimedOut),
    }
}

/// Keeps the connection or discards it, depending on the result of the call.
fn release(lease: &mut Lease<'_>, answer: Result<Option<&Value>, &CallError>) {
    match answer {
        Err(CallError::TimedOut) => lease.unanswered(),
        Err(_) => lease.broke(),
        Ok(Some(Value::ServerError(error))) if error.code() == "READONLY" => lease.read_only(),
        Ok(_) => lease.answered(),
    }
}
