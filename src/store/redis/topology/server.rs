//! One server, and the connections to it.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};

use redis::{Cmd, Pipeline, RedisError, Value};
use tokio::time::{Instant, timeout_at};

use crate::store::redis::connection::endpoint::Target;
use crate::store::redis::connection::reconnect::{Lease, Link};
use crate::store::redis::protocol::error::Failure;
use crate::store::redis::topology::replication::Waiting;

/// The connections to one server.
pub(crate) struct Node {
    address: Box<str>,
    shared: Pool,
    /// For writes that replicas are waited for. None is opened before there is such a write.
    waiting: Pool,
}

impl Node {
    /// A server by as many connections as `link` is to be called for, and as many again for writes that wait.
    pub(crate) fn new(
        connections: usize,
        target: impl Fn() -> Target,
        link: impl Fn(Target) -> Link,
    ) -> Self {
        let pool = || Pool::new(connections, || link(target()));
        let (shared, waiting) = (pool(), pool());
        Self {
            address: shared.links[0].address().into(),
            shared,
            waiting,
        }
    }

    /// Where it is, for people to read.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Makes sure that there is a connection.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<(), Failure> {
        let lease = self.shared.link().lease(deadline).await;
        lease.map_err(Failure::NotSent)?.answered();
        Ok(())
    }

    /// The answer to one command. An error reply is a [`Value`], as any other.
    pub(crate) async fn one(
        &self,
        command: &Cmd,
        wait: Option<&Waiting>,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        if wait.is_some() {
            let mut commands = Pipeline::with_capacity(2);
            commands.add_command(command.clone());
            let mut answers = self.all(&commands, wait, deadline).await?;
            return answers.pop().ok_or(Failure::Unexpected("WAIT"));
        }
        let mut lease = self.lease(None, deadline).await?;
        let asked = lease.connection().send_packed_command(command);
        let answer = within(deadline, pin!(asked)).await;
        settle(&mut lease, answer.as_ref().map(Some));
        answer
    }

    /// The answers to commands that are sent together.
    pub(crate) async fn all(
        &self,
        commands: &Pipeline,
        wait: Option<&Waiting>,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        let mut lease = self.lease(wait, deadline).await?;
        let answers = match wait {
            None => send(&mut lease, commands, deadline).await,
            Some(wait) => {
                let mut commands = commands.clone();
                commands.add_command(wait.command());
                send(&mut lease, &commands, deadline).await
            }
        };
        settle(&mut lease, answers.as_ref().map(|answers| answers.first()));
        let mut answers = answers?;
        if let Some(wait) = wait {
            let confirmation = answers.pop().ok_or(Failure::Unexpected("WAIT"))?;
            wait.note(&answers, &confirmation)?;
        }
        Ok(answers)
    }

    async fn lease(&self, wait: Option<&Waiting>, deadline: Instant) -> Result<Lease<'_>, Failure> {
        let pool = match wait {
            None => &self.shared,
            Some(_) => &self.waiting,
        };
        pool.link().lease(deadline).await.map_err(Failure::NotSent)
    }
}

/// Some connections, which take turns.
struct Pool {
    links: Box<[Link]>,
    turn: AtomicUsize,
}

impl Pool {
    fn new(size: usize, link: impl Fn() -> Link) -> Self {
        Self {
            links: (0..size).map(|_| link()).collect(),
            turn: AtomicUsize::new(0),
        }
    }

    fn link(&self) -> &Link {
        match &*self.links {
            [only] => only,
            links => &links[self.turn.fetch_add(1, Ordering::Relaxed) % links.len()],
        }
    }
}

async fn send(
    lease: &mut Lease<'_>,
    commands: &Pipeline,
    deadline: Instant,
) -> Result<Vec<Value>, Failure> {
    let asked = lease
        .connection()
        .send_packed_commands(commands, 0, commands.len());
    within(deadline, pin!(asked)).await
}

/// What a call waits for, up to its deadline. Pinned by the caller: a future that moves into another one takes up its place
/// twice, and that of a command is large.
pub(crate) async fn within<T>(
    deadline: Instant,
    answer: Pin<&mut impl Future<Output = Result<T, RedisError>>>,
) -> Result<T, Failure> {
    match timeout_at(deadline, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Failure::Lost(error)),
        Err(_) => Err(Failure::TimedOut),
    }
}

/// Keeps the connection or lets it go, by what came of the call.
fn settle(lease: &mut Lease<'_>, answer: Result<Option<&Value>, &Failure>) {
    match answer {
        Err(_) => lease.failed(),
        Ok(Some(Value::ServerError(error))) if error.code() == "READONLY" => lease.read_only(),
        Ok(_) => lease.answered(),
    }
}
