//! What went wrong, and what that means for what the call was to do.

use std::fmt;

use redis::{ErrorKind, RedisError, ServerError};

use crate::store::{StoreError, StoreErrorKind};

/// Why a call has no answer that it can use. No text of it holds a key, a value or a password.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There was no connection to send it on: nothing was sent, and nothing will be.
    NotSent(StoreError),
    /// The connection broke after it was taken.
    Lost(RedisError),
    /// No answer within the deadline.
    TimedOut,
    /// The server answered with an error, which it does before it changes anything.
    Said { code: String, detail: String },
    /// The server answered this command with something that it never answers.
    Unexpected(&'static str),
    /// The change was made, and answered so, and fewer replicas than wanted had it in time.
    Unreplicated { had: i64, wanted: u32 },
}

impl Failure {
    pub(crate) fn said(error: &ServerError) -> Self {
        Self::Said {
            code: error.code().to_owned(),
            detail: without_arguments(error.details()),
        }
    }

    /// What to tell the caller, who wanted to change something.
    pub(crate) fn of_a_write(self) -> StoreError {
        self.into_error(StoreErrorKind::OutcomeUnknown)
    }

    /// What to tell the caller, who wanted to look only.
    pub(crate) fn of_a_read(self) -> StoreError {
        self.into_error(StoreErrorKind::Unavailable)
    }

    /// What to tell a caller who is not told of a change that was made: another one, made together with it, was not.
    pub(crate) fn of_a_half(self) -> StoreError {
        StoreError::caused_by(StoreErrorKind::OutcomeUnknown, self)
    }

    fn into_error(self, unanswered: StoreErrorKind) -> StoreError {
        let kind = match &self {
            Self::NotSent(error) => return error.clone(),
            Self::Said { code, .. } => kind_of(code),
            Self::Lost(_) | Self::TimedOut | Self::Unexpected(_) => unanswered,
            Self::Unreplicated { .. } => StoreErrorKind::Unreplicated,
        };
        StoreError::caused_by(kind, self)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(error) => error.fmt(f),
            Self::Lost(_) => f.write_str("the connection to Redis broke"),
            Self::TimedOut => f.write_str("no answer from Redis within the response timeout"),
            Self::Said { code, detail } => write!(f, "Redis answered {code} {detail}"),
            Self::Unexpected(command) => {
                write!(f, "Redis answered {command} with something unknown")
            }
            Self::Unreplicated { had, wanted } => {
                write!(f, "{had} of {wanted} replicas had the change in time")
            }
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotSent(error) => error.source(),
            Self::Lost(error) => Some(error),
            Self::TimedOut
            | Self::Said { .. }
            | Self::Unexpected(_)
            | Self::Unreplicated { .. } => None,
        }
    }
}

/// What an error reply means. All of them say that nothing was changed: the server checks before it runs a command, and
/// in the scripts whatever may be refused comes before anything is changed.
///
/// See the [list of them](https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors).
fn kind_of(code: &str) -> StoreErrorKind {
    match code {
        "OOM" => StoreErrorKind::Full,
        // What passes by itself: starting up, a long script, a fail-over, a slot on its way, a disk that is full.
        "LOADING" | "BUSY" | "MASTERDOWN" | "CLUSTERDOWN" | "ASK" | "TRYAGAIN" | "NOREPLICAS"
        | "MISCONF" => StoreErrorKind::Unavailable,
        // What somebody has to put right: NOAUTH, WRONGPASS, NOPERM, READONLY, MOVED, an unknown command.
        _ => StoreErrorKind::Refused,
    }
}

/// An error reply's text, as far as it is about the server. An unknown command is answered with its arguments: that may be
/// a password, a key, a record.
fn without_arguments(detail: Option<&str>) -> String {
    let detail = detail.unwrap_or_default();
    let end = detail.find(", with args").unwrap_or(detail.len());
    detail[..end].to_owned()
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum NoConnection {
    /// The address did not answer, or not as a Redis server does.
    Unreachable { address: String, error: RedisError },
    /// The server answered with an error: a wrong password, too many clients.
    Said {
        address: String,
        code: String,
        detail: String,
    },
    /// Nobody answered in time.
    TimedOut { address: String },
    /// The server answered, and is too old.
    TooOld { address: String, version: String },
    /// The server that was said to be the primary is a replica.
    NotPrimary { address: String },
    /// The sentinels know no server of this name, or none that is the primary.
    Unknown { address: String },
}

impl NoConnection {
    pub(crate) fn from_error(address: &str, error: RedisError) -> Self {
        let address = address.to_owned();
        match error.code() {
            Some(code) => Self::Said {
                code: code.to_owned(),
                detail: without_arguments(error.detail()),
                address,
            },
            None => Self::Unreachable { address, error },
        }
    }

    /// Whether another try in a moment may find a server.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::NotPrimary { .. } | Self::Unknown { .. } => true,
            Self::Unreachable { .. } => true,
            Self::Said { .. } | Self::TimedOut { .. } | Self::TooOld { .. } => false,
        }
    }

    pub(crate) fn into_error(self) -> StoreError {
        let kind = match &self {
            Self::NotPrimary { .. } | Self::Unknown { .. } => StoreErrorKind::Unavailable,
            Self::TooOld { .. } => StoreErrorKind::Refused,
            Self::TimedOut { .. } => StoreErrorKind::Unavailable,
            Self::Said { code, detail, .. }
                if code == "ERR" && detail.starts_with("max number") =>
            {
                StoreErrorKind::Unavailable
            }
            Self::Said { code, .. } => kind_of(code),
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

impl fmt::Display for NoConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { address, error } => {
                write!(f, "cannot connect to Redis at {address}: {error}")
            }
            Self::Said {
                address,
                code,
                detail,
            } => write!(
                f,
                "Redis at {address} refuses the connection: {code} {detail}"
            ),
            Self::TimedOut { address } => write!(f, "Redis at {address} does not answer"),
            Self::NotPrimary { address } => write!(f, "Redis at {address} is a replica"),
            Self::Unknown { address } => write!(f, "there is no answer to who is {address}"),
            Self::TooOld { address, version } => write!(
                f,
                "Redis at {address}: needs Redis 6.2 or newer, or Valkey; this server says {version}"
            ),
        }
    }
}

impl std::error::Error for NoConnection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// Why there is no [`RedisStore`](crate::store::RedisStore). What it says is for the operator, and names no password.
#[derive(Clone)]
pub struct RedisStoreError(StoreError);

impl RedisStoreError {
    pub(crate) fn config(problem: impl Into<String>) -> Self {
        let problem: Box<dyn std::error::Error + Send + Sync> = problem.into().into();
        Self(StoreError::caused_by(StoreErrorKind::Refused, problem))
    }

    pub(crate) fn connecting(error: StoreError) -> Self {
        Self(error)
    }

    /// Whether it is worth trying again: [`Unavailable`](StoreErrorKind::Unavailable) if the server could not be reached,
    /// [`Refused`](StoreErrorKind::Refused) if the configuration, the password or the server's version is wrong.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.0.kind()
    }
}

impl From<RedisStoreError> for StoreError {
    fn from(error: RedisStoreError) -> Self {
        error.0
    }
}

impl fmt::Display for RedisStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::error::Error::source(&self.0) {
            Some(cause) => fmt::Display::fmt(cause, f),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl fmt::Debug for RedisStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `main` prints its error so: it may as well be readable.
        write!(f, "RedisStoreError({self})")
    }
}

impl std::error::Error for RedisStoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0).and_then(std::error::Error::source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_of_an_unknown_command_are_not_repeated() {
        let detail = "unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'u' 'secret' ";
        assert_eq!(without_arguments(Some(detail)), "unknown command 'HELLO'");
        assert_eq!(without_arguments(None), "");
    }

    #[test]
    fn error_replies_say_that_nothing_was_changed() {
        for (code, kind) in [
            ("OOM", StoreErrorKind::Full),
            ("LOADING", StoreErrorKind::Unavailable),
            ("BUSY", StoreErrorKind::Unavailable),
            ("CLUSTERDOWN", StoreErrorKind::Unavailable),
            ("MISCONF", StoreErrorKind::Unavailable),
            ("NOAUTH", StoreErrorKind::Refused),
            ("NOPERM", StoreErrorKind::Refused),
            ("READONLY", StoreErrorKind::Refused),
            ("ASK", StoreErrorKind::Unavailable),
            ("MOVED", StoreErrorKind::Refused),
            ("ERR", StoreErrorKind::Refused),
        ] {
            let failure = Failure::Said {
                code: code.into(),
                detail: String::new(),
            };
            assert_eq!(failure.of_a_write().kind(), kind, "{code}");
        }
    }

    #[test]
    fn no_answer_is_unknown_for_a_write_and_unavailable_for_a_read() {
        assert_eq!(
            Failure::TimedOut.of_a_write().kind(),
            StoreErrorKind::OutcomeUnknown
        );
        assert_eq!(
            Failure::TimedOut.of_a_read().kind(),
            StoreErrorKind::Unavailable
        );
    }
}
