//! One connection to one server: how it is made, shared and replaced.

mod client;
mod connect;
mod endpoint;
mod error;
pub(crate) mod handshake;
mod reconnect;
mod signs;
mod stream;

pub(crate) use self::client::Client;
pub(crate) use self::connect::open;
pub(crate) use self::endpoint::{Endpoint, OfKind};
pub(crate) use self::error::ConnectError;
pub(crate) use self::reconnect::{Lease, Reconnect};
