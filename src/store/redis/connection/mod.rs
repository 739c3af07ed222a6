//! One connection to one server.

pub(crate) mod client;
pub(crate) mod connect;
pub(crate) mod endpoint;
pub(crate) mod handshake;
pub(crate) mod reconnect;
