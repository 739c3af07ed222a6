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

    /// Asks once who the server is; an answer is needed before anything else is sent.
    async fn check(&self, deadline: Instant) -> Result<(), Failure> {
        if self.checked.load(Ordering::Relaxed) {
            return Ok(());
        }
        let address = || "the application's connection".to_owned();
        let mut connection = self.connection.clone();
        let hello = within(deadline, connection.send_packed_command(&version::hello()))
            .await
            .map_err(|failure| {
                let cause = match failure {
                    Failure::Lost(error) => NoConnection::from_error(&address(), error),
                    _ => NoConnection::TimedOut { address: address() },
                };
                // Whatever became of the question, the command itself was not sent.
                Failure::NotSent(cause.into_error())
            })?;
        let version = match &hello {
            // Only Redis before 6.0 does not know the command.
            Value::ServerError(_) => Err("nothing, and does not know HELLO".to_owned()),
            hello => version::check_hello(hello),
        };
        version.map_err(|version| {
            let address = address();
            Failure::NotSent(NoConnection::TooOld { address, version }.into_error())
        })?;
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
