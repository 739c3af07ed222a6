//! What answers a command: how it gets to a server and back, and nothing of what it says.
//!
//! A cluster, or a primary found by sentinels, is another kind of backend: it answers the same two questions.

use redis::{Cmd, Pipeline, RedisError, Value};
use tokio::time::{Instant, timeout_at};

use super::failure::Failure;
use super::link::{Lease, Link};
#[cfg(feature = "redis-1")]
use super::manager::Manager;

/// Where the commands go.
pub(super) enum Backend {
    /// One server, and our own connection to it.
    Standalone(Link),
    /// A connection that the application has brought along.
    #[cfg(feature = "redis-1")]
    Manager(Manager),
}

impl Backend {
    /// The answer to one command. An error reply is a [`Value`], as any other.
    pub(super) async fn one(&self, command: &Cmd, deadline: Instant) -> Result<Value, Failure> {
        match self {
            Self::Standalone(link) => {
                let mut lease = link.lease(deadline).await.map_err(Failure::NotSent)?;
                let asked = lease.connection().send_packed_command(command);
                let answer = within(deadline, asked).await;
                settle(&mut lease, answer.as_ref().map(Some));
                answer
            }
            #[cfg(feature = "redis-1")]
            Self::Manager(manager) => manager.one(command, deadline).await,
        }
    }

    /// The answers to commands that are sent together, and need not be carried out together. Each is about one key, which is
    /// its first argument, or the third of a script.
    pub(super) async fn all(
        &self,
        commands: &Pipeline,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        match self {
            Self::Standalone(link) => {
                let mut lease = link.lease(deadline).await.map_err(Failure::NotSent)?;
                let asked = lease
                    .connection()
                    .send_packed_commands(commands, 0, commands.len());
                let answers = within(deadline, asked).await;
                settle(&mut lease, answers.as_ref().map(|answers| answers.first()));
                answers
            }
            #[cfg(feature = "redis-1")]
            Self::Manager(manager) => manager.all(commands, deadline).await,
        }
    }

    /// Where that is, for people to read.
    pub(super) fn address(&self) -> &str {
        match self {
            Self::Standalone(link) => link.address(),
            #[cfg(feature = "redis-1")]
            Self::Manager(_) => "a connection of the application's",
        }
    }
}

/// What a call waits for, up to its deadline.
pub(super) async fn within<T>(
    deadline: Instant,
    answer: impl Future<Output = Result<T, RedisError>>,
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
