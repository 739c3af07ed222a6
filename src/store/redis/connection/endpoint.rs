//! Where a connection leads.

use futures_util::future::{BoxFuture, FutureExt, ready};
use redis::{Client, Cmd, Value};

use super::client::address_of;
use super::error::ConnectError;

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
        address_of(self)
    }

    fn locate(&self) -> BoxFuture<'_, Result<Client, ConnectError>> {
        ready(Ok(self.clone())).boxed()
    }
}
