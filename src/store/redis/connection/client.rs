//! How to reach a server: address, user, password, TLS, socket options.

use std::fmt;

use redis::{ConnectionAddr, ConnectionInfo, RedisConnectionInfo};

use crate::store::redis::config::Tls;

/// How to reach one server.
#[derive(Clone)]
pub(crate) struct Client {
    pub(super) info: ConnectionInfo,
    /// How to encrypt the connections. None if they are not encrypted, or if the application's own client encrypts them: its
    /// certificates are in the `info`, where only that client can read them.
    pub(super) tls: Option<Tls>,
}

impl Client {
    pub(crate) fn new(info: ConnectionInfo, tls: Option<Tls>) -> Self {
        Self { info, tls }
    }

    pub(crate) fn addr(&self) -> &ConnectionAddr {
        self.info.addr()
    }

    /// The host and the port of the server, unless it listens on a Unix socket.
    pub(crate) fn host_and_port(&self) -> Option<(&str, u16)> {
        match self.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Some((host, *port))
            }
            _ => None,
        }
    }

    /// How to reach another server, which differs only in its address.
    pub(crate) fn at(&self, host: &str, port: u16) -> Self {
        let host = host.to_owned();
        let address = match self.addr() {
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
        Self {
            info: self.info.clone().set_addr(address),
            tls: self.tls.clone(),
        }
    }

    /// The same with other settings.
    pub(super) fn with(
        &self,
        set: impl FnOnce(RedisConnectionInfo) -> RedisConnectionInfo,
    ) -> Self {
        let settings = set(self.info.redis_settings().clone());
        Self {
            info: self.info.clone().set_redis_settings(settings),
            tls: self.tls.clone(),
        }
    }
}

/// Where it is, for people to read.
impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.addr().fmt(f)
    }
}
