//! How to reach a server, whichever it is: user, password, TLS, and how its connection behaves.

use std::time::Duration;

use redis::ConnectionAddr;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{Client, ConnectionInfo};

use crate::store::redis::protocol::error::RedisStoreError;

/// Opens clients that differ in nothing but the address.
#[derive(Clone)]
pub(crate) struct Dialer(ConnectionInfo);

impl Dialer {
    /// One that goes by `info`, and by these certificates if it is about TLS.
    pub(crate) fn new(
        info: ConnectionInfo,
        certificates: Option<&Certificates>,
    ) -> Result<Self, RedisStoreError> {
        let client = match certificates {
            Some(certificates) => certificates.client(info)?,
            None => Client::open(info).map_err(client_error)?,
        };
        Ok(Self(client.get_connection_info().clone()))
    }

    /// The server that the connection's information was about.
    pub(crate) fn client(&self) -> Result<Client, RedisStoreError> {
        Client::open(self.0.clone()).map_err(client_error)
    }

    /// Where that is, for people to read.
    pub(crate) fn address(&self) -> String {
        self.0.addr().to_string()
    }

    /// The host and the port of that server, which is not one behind a Unix socket.
    pub(crate) fn place(&self) -> Option<(&str, u16)> {
        match self.0.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Some((host, *port))
            }
            _ => None,
        }
    }

    /// The same for another server.
    pub(crate) fn to(&self, host: &str, port: u16) -> Result<Client, redis::RedisError> {
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

fn client_error(error: redis::RedisError) -> RedisStoreError {
    RedisStoreError::config(error.to_string())
}

/// Nothing waits for a full segment; a peer that is gone is noticed also by a connection that nobody uses just now.
pub(crate) fn tcp_settings(response_timeout: Duration) -> TcpSettings {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(15))
        .with_interval(Duration::from_secs(5));
    let settings = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive);
    // What was sent and is not even acknowledged after twice the time an answer may take is lost.
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let settings = settings.set_user_timeout((2 * response_timeout).max(Duration::from_secs(1)));
    #[cfg(not(any(target_os = "android", target_os = "fuchsia", target_os = "linux")))]
    let _ = response_timeout;
    settings
}

#[cfg(feature = "redis-tls")]
pub(crate) use self::tls::{Certificates, provide_cryptography};

#[cfg(feature = "redis-tls")]
mod tls {
    use std::fmt;
    use std::path::Path;

    use redis::{Client, ClientTlsConfig, ConnectionInfo, TlsCertificates};

    use super::RedisStoreError;

    /// Whom to trust, and how to show who is asking.
    pub(crate) struct Certificates(TlsCertificates);

    const BEGIN_CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

    impl Certificates {
        /// Reads the files: that of the authorities, and the client's certificate and key.
        pub(crate) fn read(
            authorities: Option<&Path>,
            own: Option<(&Path, &Path)>,
        ) -> Result<Self, RedisStoreError> {
            let root_cert = authorities
                .map(|path| read(path, "tls_ca_file", BEGIN_CERTIFICATE, "certificate"))
                .transpose()?;
            let client_tls = own.map(|(certificate, key)| {
                Ok::<_, RedisStoreError>(ClientTlsConfig {
                    client_cert: read(
                        certificate,
                        "tls_client_cert_file",
                        BEGIN_CERTIFICATE,
                        "certificate",
                    )?,
                    client_key: read(
                        key,
                        "tls_client_key_file",
                        b"PRIVATE KEY-----",
                        "private key",
                    )?,
                })
            });
            Ok(Self(TlsCertificates {
                client_tls: client_tls.transpose()?,
                root_cert,
            }))
        }

        pub(crate) fn client(&self, info: ConnectionInfo) -> Result<Client, RedisStoreError> {
            let refused = |error: &dyn fmt::Display| {
                RedisStoreError::config(format!("the certificates or the key for TLS: {error}"))
            };
            Client::build_with_tls(info, self.0.clone()).map_err(|error| refused(&error))
        }
    }

    /// A PEM file with what it is for.
    fn read(
        path: &Path,
        field: &str,
        begins: &[u8],
        what: &str,
    ) -> Result<Vec<u8>, RedisStoreError> {
        let problem = |error: &dyn fmt::Display| {
            RedisStoreError::config(format!("{field} {}: {error}", path.display()))
        };
        let bytes = std::fs::read(path).map_err(|error| problem(&error))?;
        if !bytes.windows(begins.len()).any(|window| window == begins) {
            return Err(problem(&format!("there is no PEM {what} in it")));
        }
        Ok(bytes)
    }

    /// The redis crate asks rustls for the process's provider, and rustls panics where there is none, or more than one to
    /// choose from. One that the application installed stays.
    pub(crate) fn provide_cryptography() {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // An error means that another thread was first.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
    }
}

#[cfg(not(feature = "redis-tls"))]
pub(crate) use self::no_tls::{Certificates, provide_cryptography};

#[cfg(not(feature = "redis-tls"))]
mod no_tls {
    use std::path::Path;

    use redis::{Client, ConnectionInfo};

    use super::RedisStoreError;

    /// There are none without TLS.
    pub(crate) enum Certificates {}

    impl Certificates {
        pub(crate) fn read(
            _: Option<&Path>,
            _: Option<(&Path, &Path)>,
        ) -> Result<Self, RedisStoreError> {
            Err(RedisStoreError::config(
                "certificates need the feature `redis-tls` of tower-keycard",
            ))
        }

        pub(crate) fn client(&self, _: ConnectionInfo) -> Result<Client, RedisStoreError> {
            match *self {}
        }
    }

    pub(crate) fn provide_cryptography() {}
}
