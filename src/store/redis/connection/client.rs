//! How to open a client of a server: user, password, TLS, socket options.

use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, RedisError};

use crate::store::redis::config::{Certificates, RedisStoreError};

/// Opens clients that differ only in their address.
#[derive(Clone)]
pub(crate) struct ClientTemplate(ConnectionInfo);

impl ClientTemplate {
    pub(crate) fn new(
        info: ConnectionInfo,
        certificates: Option<&Certificates>,
    ) -> Result<Self, RedisStoreError> {
        let client = match certificates {
            Some(certificates) => certificates.client(info)?,
            None => Client::open(info).map_err(config_error)?,
        };
        Ok(Self(client.get_connection_info().clone()))
    }

    /// A client of the server that the template was made for.
    pub(crate) fn client(&self) -> Result<Client, RedisStoreError> {
        Client::open(self.0.clone()).map_err(config_error)
    }

    /// The address of that server, for people to read.
    pub(crate) fn address(&self) -> String {
        self.0.addr().to_string()
    }

    /// The host and the port of that server, unless it listens on a Unix socket.
    pub(crate) fn host_and_port(&self) -> Option<(&str, u16)> {
        match self.0.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Some((host, *port))
            }
            _ => None,
        }
    }

    /// A client of another server.
    pub(crate) fn client_at(&self, host: &str, port: u16) -> Result<Client, RedisError> {
        let host = host.to_owned();
        let address = match self.0.addr() {
            ConnectionAddr::TcpTls {
                insecure,
                tls_params,
                ..
            } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host, port),
        };
        Client::open(self.0.clone().set_addr(address))
    }
}

fn config_error(error: RedisError) -> RedisStoreError {
    RedisStoreError::config(error.to_string())
}

/// The address of a client's server, for people to read.
pub(crate) fn address_of(client: &Client) -> String {
    client.get_connection_info().addr().to_string()
}

/// A connection without timeouts of its own: an attempt to connect has one deadline for all its steps, and so has a call.
pub(crate) fn without_timeouts() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
}
