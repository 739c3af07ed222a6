//! Why there is no connection.

use std::fmt;

use redis::{ErrorKind, RedisError};

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
    /// There was no answer in time.
    TimedOut { address: String },
    /// The server is too old.
    TooOld { address: String, version: String },
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

    /// Whether another attempt in a moment may succeed.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::NotPrimary { .. } | Self::UnknownPrimary { .. } | Self::Unreachable { .. } => {
                true
            }
            Self::Refused { .. } | Self::TimedOut { .. } | Self::TooOld { .. } => false,
        }
    }

    pub(crate) fn into_store_error(self) -> StoreError {
        let kind = match &self {
            Self::NotPrimary { .. } | Self::UnknownPrimary { .. } => StoreErrorKind::Unavailable,
            Self::TooOld { .. } => StoreErrorKind::Refused,
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
            Self::TimedOut { address } => write!(f, "Redis at {address} does not answer"),
            Self::NotPrimary { address } => write!(f, "Redis at {address} is a replica"),
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
