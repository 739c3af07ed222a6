//! A connection that the application already has.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::ConnectionManager;
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, Pipeline, Value};
use tokio::time::Instant;

use crate::store::redis::connection::handshake;
use crate::store::redis::protocol::error::{Failure, NoConnection};
use crate::store::redis::topology::server::within;

/// It reconnects by itself, as far as it does.
pub(crate) struct Own {
    connection: Connection,
    /// Whether the server is known to be new enough.
    checked: AtomicBool,
}

pub(crate) enum Connection {
    /// To one server. It does not reconnect after a time-out, nor after a fail-over that left it with a replica.
    Manager(ConnectionManager),
    /// To a cluster.
    Cluster(ClusterConnection),
}

impl Own {
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            connection,
            checked: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_spread(&self) -> bool {
        match &self.connection {
            Connection::Manager(_) => false,
            Connection::Cluster(_) => true,
        }
    }

    pub(crate) async fn one(&self, command: &Cmd, deadline: Instant) -> Result<Value, Failure> {
        self.check(deadline).await?;
        let answer = self.ask(command, deadline).await;
        answer.map_err(|failure| self.not_sent(failure))
    }

    pub(crate) async fn all(
        &self,
        commands: &Pipeline,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        self.check(deadline).await?;
        match &self.connection {
            Connection::Manager(connection) => {
                let mut connection = connection.clone();
                let count = commands.len();
                let asked = connection.send_packed_commands(commands, 0, count);
                let answers = within(deadline, pin!(asked)).await;
                answers.map_err(|failure| self.not_sent(failure))
            }
            // It sends a pipeline to one node, and fails it as a whole while that node's slots move.
            Connection::Cluster(_) => {
                let asked = commands
                    .cmd_iter()
                    .map(|command| self.ask(command, deadline));
                futures_util::future::join_all(asked)
                    .await
                    .into_iter()
                    .collect()
            }
        }
    }

    async fn ask(&self, command: &Cmd, deadline: Instant) -> Result<Value, Failure> {
        match &self.connection {
            Connection::Manager(connection) => {
                let mut connection = connection.clone();
                within(deadline, pin!(connection.send_packed_command(command))).await
            }
            Connection::Cluster(connection) => {
                use redis::aio::ConnectionLike;

                let mut connection = connection.clone();
                let asked = async {
                    match connection.req_packed_command(command).await {
                        // It makes an error of an error reply, which here is an answer as any other.
                        Err(error) => redis::ServerError::try_from(error).map(Value::ServerError),
                        answer => answer,
                    }
                };
                within(deadline, pin!(asked)).await
            }
        }
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
        let reply = self.ask(&handshake::hello(), deadline).await;
        let reply = reply.map_err(unanswered)?;
        if matches!(reply, Value::ServerError(_)) {
            let reply = self.ask(&handshake::info(), deadline).await;
            let reply = reply.map_err(unanswered)?;
            let version = handshake::in_info(&reply).unwrap_or("that it does not know HELLO");
            return Err(too_old(version.to_owned()));
        }
        handshake::check_hello(&reply).map_err(too_old)?;
        self.checked.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// A refused connection is one that nothing was sent on; but a cluster's may have sent it on another one before.
    fn not_sent(&self, failure: Failure) -> Failure {
        match (failure, &self.connection) {
            (Failure::Lost(error), Connection::Manager(_)) if error.is_connection_refusal() => {
                let address = "the application's connection";
                Failure::NotSent(NoConnection::from_error(address, error).into_error())
            }
            (failure, _) => failure,
        }
    }
}
