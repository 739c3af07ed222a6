//! What a connection leads to, which is asked anew for each connection.

use std::borrow::Cow;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{Client, Value};

use crate::store::redis::connection::handshake;
use crate::store::redis::protocol::error::NoConnection;
use crate::store::redis::topology::sentinel::Sentinels;

/// The other end of a connection.
pub(crate) enum Target {
    /// This server, whatever it is.
    Server(Client),
    /// This node of a cluster, which serves reads though it is a replica.
    ClusterReplica(Client),
    /// Whichever server is the primary, as sentinels say.
    Primary(Arc<Sentinels>),
}

impl Target {
    /// Where that is, for people to read.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Server(client) => address(client),
            Self::ClusterReplica(client) => address(client),
            Self::Primary(sentinels) => sentinels.address().to_owned(),
        }
    }

    /// Where that is now.
    pub(crate) async fn find(&self) -> Result<Cow<'_, Client>, NoConnection> {
        match self {
            Self::Server(client) => Ok(Cow::Borrowed(client)),
            Self::ClusterReplica(client) => Ok(Cow::Borrowed(client)),
            Self::Primary(sentinels) => sentinels.primary().await.map(Cow::Owned),
        }
    }

    /// Makes sure that it is what it was taken for, by what it answered to `HELLO`, and makes the connection ready.
    pub(crate) async fn prepare(
        &self,
        connection: &mut MultiplexedConnection,
        hello: &Value,
    ) -> Result<(), NoConnection> {
        handshake::check_hello(hello).map_err(|version| NoConnection::TooOld {
            address: self.address(),
            version,
        })?;
        match self {
            Self::Server(_) => {
                let _ = connection;
                Ok(())
            }
            Self::ClusterReplica(_) => {
                let readonly = redis::cmd("READONLY");
                let answer = connection.send_packed_command(&readonly).await;
                let answer = answer.and_then(Value::extract_error);
                match answer {
                    Ok(_) => Ok(()),
                    Err(error) => Err(NoConnection::from_error(&self.address(), error)),
                }
            }
            // Sentinels can be behind: whoever was the primary a moment ago may have become a replica.
            Self::Primary(_) if handshake::is_replica(hello) => Err(NoConnection::NotPrimary {
                address: self.address(),
            }),
            Self::Primary(_) => Ok(()),
        }
    }
}

fn address(client: &Client) -> String {
    client.get_connection_info().addr().to_string()
}
