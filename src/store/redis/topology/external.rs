//! A connection that the application provides.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::{ConnectionLike, ConnectionManager};
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, Pipeline, Value};
use tokio::time::Instant;

use super::server::within;
use crate::store::redis::connection::ConnectError;
use crate::store::redis::connection::handshake::{self, Mode};
use crate::store::redis::protocol::CallError;

/// Where that is, for people to read.
pub(super) const ADDRESS: &str = "the application's connection";

/// A connection that the application provides. It reconnects by itself, with the limits of its kind.
pub(super) struct External {
    connection: ExternalConnection,
    /// Whether the server is known to be new enough.
    verified: AtomicBool,
}

pub(crate) enum ExternalConnection {
    /// To one server. It reconnects neither after a timeout nor after a fail-over that makes its server a replica.
    Manager(ConnectionManager),
    /// To a cluster.
    Cluster(ClusterConnection),
}

impl External {
    pub(super) fn new(connection: ExternalConnection) -> Self {
        Self {
            connection,
            verified: AtomicBool::new(false),
        }
    }

    pub(super) fn is_sharded(&self) -> bool {
        matches!(self.connection, ExternalConnection::Cluster(_))
    }

    pub(super) async fn execute(
        &self,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<Value, CallError> {
        self.verify(deadline).await?;
        let answer = self.send(command, deadline).await;
        answer.map_err(|error| self.recognize_refusal(error))
    }

    pub(super) async fn execute_all(
        &self,
        commands: &Pipeline,
        deadline: Instant,
    ) -> Result<Vec<Value>, CallError> {
        self.verify(deadline).await?;
        match &self.connection {
            ExternalConnection::Manager(connection) => {
                let mut connection = connection.clone();
                let count = commands.len();
                let sent = connection.send_packed_commands(commands, 0, count);
                let answers = within(deadline, pin!(sent)).await;
                answers.map_err(|error| self.recognize_refusal(error))
            }
            // It sends a pipeline to one node, and fails the whole pipeline while a slot of that node moves.
            ExternalConnection::Cluster(_) => {
                let sent = commands
                    .cmd_iter()
                    .map(|command| self.send(command, deadline));
                futures_util::future::join_all(sent)
                    .await
                    .into_iter()
                    .collect()
            }
        }
    }

    async fn send(&self, command: &Cmd, deadline: Instant) -> Result<Value, CallError> {
        match &self.connection {
            ExternalConnection::Manager(connection) => {
                let mut connection = connection.clone();
                within(deadline, pin!(connection.send_packed_command(command))).await
            }
            ExternalConnection::Cluster(connection) => {
                let mut connection = connection.clone();
                let sent = async {
                    match connection.req_packed_command(command).await {
                        // It turns an error reply into an error. Here an error reply is an answer.
                        Err(error) => redis::ServerError::try_from(error).map(Value::ServerError),
                        answer => answer,
                    }
                };
                within(deadline, pin!(sent)).await
            }
        }
    }

    /// Asks the server for its version, once, before the first command.
    async fn verify(&self, deadline: Instant) -> Result<(), CallError> {
        if self.verified.load(Ordering::Relaxed) {
            return Ok(());
        }
        let address = || ADDRESS.to_owned();
        // Whatever happened to this question, the command itself was not sent.
        let unanswered = |error| {
            let cause = match error {
                CallError::Lost(error) => ConnectError::new(ADDRESS, error),
                _ => ConnectError::TimedOut { address: address() },
            };
            CallError::NotSent(cause.into_store_error())
        };
        let too_old = |version| {
            let address = address();
            CallError::NotSent(ConnectError::TooOld { address, version }.into_store_error())
        };
        let reply = self.send(&handshake::hello(), deadline).await;
        let reply = reply.map_err(unanswered)?;
        if matches!(reply, Value::ServerError(_)) {
            let reply = self.send(&handshake::info(), deadline).await;
            let reply = reply.map_err(unanswered)?;
            let version = handshake::version_in(&reply).unwrap_or("unknown");
            return Err(too_old(version.to_owned()));
        }
        handshake::check_version(&reply).map_err(too_old)?;
        let wanted = match self.connection {
            ExternalConnection::Manager(_) => Mode::Standalone,
            ExternalConnection::Cluster(_) => Mode::Cluster,
        };
        if let Some(found) = handshake::mode(&reply).filter(|found| *found != wanted) {
            let cause = ConnectError::other_kind(ADDRESS, None, Some(found));
            return Err(CallError::NotSent(cause.into_store_error()));
        }
        self.verified.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// If a server refused the connection, nothing was sent on it. This is not known of a cluster's connection, which may
    /// have sent the command to another node before.
    fn recognize_refusal(&self, error: CallError) -> CallError {
        match (error, &self.connection) {
            (CallError::Lost(error), ExternalConnection::Manager(_))
                if error.is_connection_refusal() =>
            {
                CallError::NotSent(ConnectError::new(ADDRESS, error).into_store_error())
            }
            (error, _) => error,
        }
    }
}
