//! Where a connection leads.

use futures_util::future::{BoxFuture, FutureExt, ready};
use redis::{Cmd, Value};

use super::client::Client;
use super::error::ConnectError;
use super::handshake::{self, Mode};

/// The other end of a connection. It is located again for each connection.
pub(crate) trait Endpoint: Send + Sync {
    /// Where that is, for people to read.
    fn address(&self) -> String;

    /// The server to connect to now.
    fn locate(&self) -> BoxFuture<'_, Result<Client, ConnectError>>;

    /// Refuses a server that is not what it was taken for, by its answer to `HELLO`.
    fn verify(&self, _hello: &Value) -> Result<(), ConnectError> {
        Ok(())
    }

    /// A command that prepares each connection, if one is needed.
    fn setup(&self) -> Option<Cmd> {
        None
    }
}

/// This server, whether it is a primary or a replica.
impl Endpoint for Client {
    fn address(&self) -> String {
        self.to_string()
    }

    fn locate(&self) -> BoxFuture<'_, Result<Client, ConnectError>> {
        ready(Ok(self.clone())).boxed()
    }
}

/// This server, if it is of this kind.
pub(crate) struct OfKind {
    pub(crate) client: Client,
    pub(crate) kind: Mode,
    /// A command that prepares each connection, if one is needed.
    pub(crate) setup: Option<Cmd>,
}

impl Endpoint for OfKind {
    fn address(&self) -> String {
        self.client.to_string()
    }

    fn locate(&self) -> BoxFuture<'_, Result<Client, ConnectError>> {
        self.client.locate()
    }

    fn verify(&self, hello: &Value) -> Result<(), ConnectError> {
        match handshake::mode(hello) {
            Some(found) if found != self.kind => {
                let (name, address) = (self.address(), self.client.addr());
                Err(ConnectError::other_kind(&name, Some(address), Some(found)))
            }
            // Perhaps it is a proxy.
            _ => Ok(()),
        }
    }

    fn setup(&self) -> Option<Cmd> {
        self.setup.clone()
    }
}
