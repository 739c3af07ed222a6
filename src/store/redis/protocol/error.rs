//! Why a call has no usable answer, and what that means for the caller.

use std::fmt;

use redis::{RedisError, ServerError};

use crate::store::{StoreError, StoreErrorKind};

/// Why a call has no usable answer. Its text contains no key, no value and no password.
#[derive(Debug)]
pub(crate) enum CallError {
    /// There was no connection: nothing was sent, and nothing will be.
    NotSent(StoreError),
    /// The connection broke after the call had taken it.
    Lost(RedisError),
    /// There was no answer before the deadline.
    TimedOut,
    /// The server answered with an error. It does that before it changes anything.
    ErrorReply { code: String, detail: String },
    /// The server's answer to this command has a form that it never has.
    Unexpected(&'static str),
    /// The server made and acknowledged the change, but too few replicas had it in time.
    Unreplicated { had: i64, wanted: u32 },
}

impl CallError {
    pub(crate) fn reply(error: &ServerError) -> Self {
        Self::ErrorReply {
            code: error.code().to_owned(),
            detail: without_arguments(error.details()),
        }
    }

    /// The store's error for a call that changes something.
    pub(crate) fn for_write(self) -> StoreError {
        self.into_store_error(StoreErrorKind::OutcomeUnknown)
    }

    /// The store's error for a call that only reads.
    pub(crate) fn for_read(self) -> StoreError {
        self.into_store_error(StoreErrorKind::Unavailable)
    }

    /// The store's error for a call of two changes, of which this one failed and the other one was made.
    pub(crate) fn for_partial_write(self) -> StoreError {
        StoreError::caused_by(StoreErrorKind::OutcomeUnknown, self)
    }

    fn into_store_error(self, unanswered: StoreErrorKind) -> StoreError {
        let kind = match &self {
            Self::NotSent(error) => return error.clone(),
            Self::ErrorReply { code, .. } => kind_of(code),
            Self::Lost(_) | Self::TimedOut | Self::Unexpected(_) => unanswered,
            Self::Unreplicated { .. } => StoreErrorKind::Unreplicated,
        };
        StoreError::caused_by(kind, self)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(error) => error.fmt(f),
            Self::Lost(_) => f.write_str("the connection to Redis broke"),
            Self::TimedOut => f.write_str("no answer from Redis within the response timeout"),
            Self::ErrorReply { code, detail } => write!(f, "Redis answered {code} {detail}"),
            Self::Unexpected(command) => {
                write!(f, "Redis gave an unexpected answer to {command}")
            }
            Self::Unreplicated { had, wanted } => {
                write!(f, "{had} of {wanted} replicas had the change in time")
            }
        }
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotSent(error) => error.source(),
            Self::Lost(error) => Some(error),
            Self::TimedOut
            | Self::ErrorReply { .. }
            | Self::Unexpected(_)
            | Self::Unreplicated { .. } => None,
        }
    }
}

/// What an error reply means. Each of them means that nothing was changed: the server checks before it runs a command, and
/// in the scripts every command that may be refused comes before the first change.
///
/// See the [list of them](https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors).
pub(crate) fn kind_of(code: &str) -> StoreErrorKind {
    match code {
        "OOM" => StoreErrorKind::Full,
        // These pass without help: starting up, a long script, a fail-over, a slot that moves, a full disk.
        "LOADING" | "BUSY" | "MASTERDOWN" | "CLUSTERDOWN" | "ASK" | "TRYAGAIN" | "NOREPLICAS"
        | "MISCONF" => StoreErrorKind::Unavailable,
        // An operator has to correct the others: NOAUTH, WRONGPASS, NOPERM, READONLY, MOVED, an unknown command.
        _ => StoreErrorKind::Refused,
    }
}

/// Whether a server that answers a command with this error carries out no other one either, not even a read: it starts up, runs
/// a long script, or lost its primary or its cluster. That passes without help.
pub(crate) fn serves_nothing(code: &str) -> bool {
    matches!(code, "LOADING" | "BUSY" | "MASTERDOWN" | "CLUSTERDOWN")
}

/// The text of an error reply without the client's arguments. The reply to an unknown command repeats them, and they may be a
/// password, a key or a record.
pub(crate) fn without_arguments(detail: Option<&str>) -> String {
    let detail = detail.unwrap_or_default();
    let end = detail.find(", with args").unwrap_or(detail.len());
    detail[..end].to_owned()
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
            let error = CallError::ErrorReply {
                code: code.into(),
                detail: String::new(),
            };
            assert_eq!(error.for_write().kind(), kind, "{code}");
        }
    }

    #[test]
    fn no_answer_is_unknown_for_a_write_and_unavailable_for_a_read() {
        assert_eq!(
            CallError::TimedOut.for_write().kind(),
            StoreErrorKind::OutcomeUnknown
        );
        assert_eq!(
            CallError::TimedOut.for_read().kind(),
            StoreErrorKind::Unavailable
        );
    }
}
