//! One connection to one server: how it is made, shared and replaced.

mod client;
mod connect;
mod endpoint;
mod error;
pub(crate) mod handshake;
mod reconnect;

pub(crate) use self::client::{ClientTemplate, address_of, without_timeouts};
pub(crate) use self::endpoint::{Endpoint, OfKind};
pub(crate) use self::error::{ConnectError, is_unknown_command};
pub(crate) use self::reconnect::{Lease, Reconnect};
