//! Why there is no connection.

use std::fmt;

use redis::{ConnectionAddr, ErrorKind, RedisError};

use super::handshake::Mode;
use crate::store::redis::protocol::{kind_of, without_arguments};
use crate::store::{StoreError, StoreErrorKind};

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum ConnectError {
    /// The address did not answer, or what answered is not a Redis server.
    Unreachable { address: String, error: RedisError },
    /// The server answered with an error: a wrong password, too many clients.
    Refused {
        address: String,
        code: String,
        detail: String,
    },
    /// The server's certificate is not trusted, for this reason.
    Untrusted { address: String, why: String },
    /// There was no answer in time.
    TimedOut { address: String },
    /// The server is too old.
    TooOld { address: String, version: String },
    /// The server is of another kind than the URL is for.
    OtherKind {
        address: String,
        /// What it is.
        is: &'static str,
        /// The URL to use, without user and password.
        url: String,
    },
    /// The sentinels named this server as the primary, but it is a replica.
    NotPrimary { address: String },
    /// The sentinels know no service of this name, or no primary of it.
    UnknownPrimary { address: String },
}

impl ConnectError {
    pub(crate) fn new(address: &str, error: RedisError) -> Self {
        let address = address.to_owned();
        match error.code() {
            Some(code) => Self::Refused {
                code: code.to_owned(),
                detail: without_arguments(error.detail()),
                address,
            },
            None => Self::Unreachable { address, error },
        }
    }

    /// The server at an address is of this kind, and the URL is for another. The address of a client is known in its parts.
    pub(crate) fn other_kind(
        address: &str,
        parts: Option<&ConnectionAddr>,
        found: Option<Mode>,
    ) -> Self {
        let (scheme, host) = match parts {
            Some(ConnectionAddr::Tcp(host, port)) => ("redis", in_url(host, *port)),
            Some(ConnectionAddr::TcpTls { host, port, .. }) => ("rediss", in_url(host, *port)),
            _ => ("redis", "host:port".to_owned()),
        };
        let (is, url) = match found {
            None => ("no sentinel", format!("{scheme}://{host}")),
            Some(Mode::Standalone) => ("not part of a cluster", format!("{scheme}://{host}")),
            Some(Mode::Cluster) => ("a node of a cluster", format!("{scheme}+cluster://{host}")),
            Some(Mode::Sentinel) => ("a sentinel", format!("{scheme}+sentinel://{host}/service")),
        };
        let address = address.to_owned();
        Self::OtherKind { address, is, url }
    }

    /// Whether the server answered that it does not know the command.
    pub(crate) fn is_unknown_command(&self) -> bool {
        matches!(self, Self::Refused { detail, .. } if detail.starts_with("unknown command"))
    }

    /// Whether another attempt in a moment may succeed.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::NotPrimary { .. } | Self::UnknownPrimary { .. } | Self::Unreachable { .. } => {
                true
            }
            Self::Refused { .. }
            | Self::Untrusted { .. }
            | Self::TimedOut { .. }
            | Self::TooOld { .. }
            | Self::OtherKind { .. } => false,
        }
    }

    pub(crate) fn into_store_error(self) -> StoreError {
        let kind = match &self {
            Self::NotPrimary { .. } | Self::UnknownPrimary { .. } => StoreErrorKind::Unavailable,
            Self::TooOld { .. } | Self::OtherKind { .. } | Self::Untrusted { .. } => {
                StoreErrorKind::Refused
            }
            Self::TimedOut { .. } => StoreErrorKind::Unavailable,
            Self::Refused { code, detail, .. }
                if code == "ERR" && detail.starts_with("max number") =>
            {
                StoreErrorKind::Unavailable
            }
            Self::Refused { code, .. } => kind_of(code),
            Self::Unreachable { error, .. } => match error.kind() {
                ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig => {
                    StoreErrorKind::Refused
                }
                _ => StoreErrorKind::Unavailable,
            },
        };
        StoreError::caused_by(kind, self)
    }
}

/// A host and a port as they stand in a URL.
fn in_url(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { address, error } => {
                write!(f, "cannot connect to Redis at {address}: {error}")
            }
            Self::Refused {
                address,
                code,
                detail,
            } => write!(
                f,
                "Redis at {address} refuses the connection: {code} {detail}"
            ),
            Self::Untrusted { address, why } => {
                write!(
                    f,
                    "Redis at {address} shows a certificate that is not trusted: {why}"
                )
            }
            Self::TimedOut { address } => write!(f, "Redis at {address} does not answer"),
            Self::NotPrimary { address } => write!(f, "Redis at {address} is a replica"),
            Self::OtherKind { address, is, url } => {
                write!(f, "Redis at {address} is {is}; the URL for it is {url}")
            }
            Self::UnknownPrimary { address } => write!(f, "no sentinel knows {address}"),
            Self::TooOld { address, version } => write!(
                f,
                "Redis at {address} has version {version}; Redis 6.2 or newer, or Valkey, is needed"
            ),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable { error, .. } => Some(error),
            _ => None,
        }
    }
}
