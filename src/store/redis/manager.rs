//! A connection that the application already has.

use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::ConnectionManager;
use redis::{Cmd, Pipeline, Value};
use tokio::time::Instant;

use super::backend::within;
use super::failure::{Failure, NoConnection};
use super::version;

/// It reconnects by itself, though not after a time-out and not after a fail-over that left it with a replica.
pub(super) struct Manager {
    connection: ConnectionManager,
    /// Whether the server is known to be new enough.
    checked: AtomicBool,
}

impl Manager {
    pub(super) fn new(connection: ConnectionManager) -> Self {
        Self {
            connection,
            checked: AtomicBool::new(false),
        }
    }

    pub(super) async fn one(&self, command: &Cmd, deadline: Instant) -> Result<Value, Failure> {
        self.check(deadline).await?;
        let mut connection = self.connection.clone();
        within(deadline, connection.send_packed_command(command))
            .await
            .map_err(not_sent)
    }

    pub(super) async fn all(
        &self,
        commands: &Pipeline,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        self.check(deadline).await?;
        let mut connection = self.connection.clone();
        let count = commands.len();
        within(
            deadline,
            connection.send_packed_commands(commands, 0, count),
        )
        .await
        .map_err(not_sent)
    }

    /// Asks who the server is, once, before anything else is sent to it.
    async fn check(&self, deadline: Instant) -> Result<(), Failure> {
        if self.checked.load(Ordering::Relaxed) {
            return Ok(());
        }
        let address = || "the application's connection".to_owned();
        // Whatever became of the question, the command itself was not sent.
        let unanswered = |failure| {
            let cause = match failure {
                Failure::Lost(error) => NoConnection::from_error(&address(), error),
                _ => NoConnection::TimedOut { address: address() },
            };
            Failure::NotSent(cause.into_error())
        };
        let too_old = |version| {
            let address = address();
            Failure::NotSent(NoConnection::TooOld { address, version }.into_error())
        };
        let mut connection = self.connection.clone();
        let hello = version::hello();
        let reply = within(deadline, connection.send_packed_command(&hello)).await;
        let reply = reply.map_err(unanswered)?;
        if matches!(reply, Value::ServerError(_)) {
            let info = version::info();
            let reply = within(deadline, connection.send_packed_command(&info)).await;
            let reply = reply.map_err(unanswered)?;
            let version = version::in_info(&reply).unwrap_or("that it does not know HELLO");
            return Err(too_old(version.to_owned()));
        }
        version::check_hello(&reply).map_err(too_old)?;
        self.checked.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// A refused connection is one that nothing was sent on.
fn not_sent(failure: Failure) -> Failure {
    match failure {
        Failure::Lost(error) if error.is_connection_refusal() => {
            let address = "the application's connection";
            Failure::NotSent(NoConnection::from_error(address, error).into_error())
        }
        failure => failure,
    }
}
