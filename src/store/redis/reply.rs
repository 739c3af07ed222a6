//! What the server's replies mean.

use std::time::Duration;

use redis::Value;

use super::failure::Failure;
use crate::record::{DecodeError, Record};
use crate::store::{Created, Loaded, Owner, Replaced, SessionId};

/// `GET`'s and `PTTL`'s replies, from a pipeline or from a script.
pub(super) fn loaded(value: Value, remaining: Value) -> Result<Loaded, Failure> {
    let bytes = match value {
        Value::BulkString(bytes) => bytes,
        Value::Nil => return Ok(Loaded::Absent),
        Value::ServerError(error) if error.code() == "WRONGTYPE" => {
            return Ok(Loaded::Unreadable(DecodeError::ForeignType));
        }
        Value::ServerError(error) => return Err(Failure::said(&error)),
        _ => return Err(Failure::Unexpected("GET")),
    };
    let remaining = match remaining {
        // It expired, or was removed, after it was read.
        Value::Int(-2) => return Ok(Loaded::Absent),
        Value::Int(millis) => match u64::try_from(millis) {
            Ok(millis) => Duration::from_millis(millis),
            // Somebody took its expiry away: as if it were due now, so that the next touch puts it back.
            Err(_) => Duration::ZERO,
        },
        Value::ServerError(error) => return Err(Failure::said(&error)),
        _ => return Err(Failure::Unexpected("PTTL")),
    };
    if bytes == Record::TOMBSTONE {
        return Ok(Loaded::Tombstone);
    }
    Ok(match Record::decode(bytes) {
        Ok(record) => Loaded::Record { record, remaining },
        Err(error) => Loaded::Unreadable(error),
    })
}

/// The two replies of a pipeline that loads a record.
pub(super) fn both(replies: Vec<Value>) -> Result<Loaded, Failure> {
    match <[Value; 2]>::try_from(replies) {
        Ok([value, remaining]) => loaded(value, remaining),
        Err(_) => Err(Failure::Unexpected("GET")),
    }
}

/// The replies of a pipeline that loads so many records.
pub(super) fn all(replies: Vec<Value>, count: usize) -> Result<Vec<Loaded>, Failure> {
    if replies.len() != 2 * count {
        return Err(Failure::Unexpected("GET"));
    }
    let mut replies = replies.into_iter();
    let pairs = std::iter::from_fn(|| Some((replies.next()?, replies.next()?)));
    pairs
        .map(|(value, remaining)| loaded(value, remaining))
        .collect()
}

/// Whose sessions these are, seen from the index of a user: the replies of a pipeline that asks for so many owners.
pub(super) fn owners(replies: Vec<Value>, count: usize, user: &str) -> Result<Vec<Owner>, Failure> {
    if replies.len() != count {
        return Err(Failure::Unexpected("GETRANGE"));
    }
    let owner = |reply| match reply {
        Value::BulkString(start) if start.is_empty() || start == Record::TOMBSTONE => {
            Ok(Owner::Nobody)
        }
        Value::BulkString(start) => Ok(match Record::decode_owner(&start) {
            Ok(None) => Owner::Nobody,
            Ok(Some(owner)) if *owner == *user => Owner::TheUser,
            Ok(Some(_)) => Owner::SomebodyElse,
            Err(_) => Owner::Unreadable,
        }),
        Value::ServerError(error) if error.code() == "WRONGTYPE" => Ok(Owner::Unreadable),
        Value::ServerError(error) => Err(Failure::said(&error)),
        _ => Err(Failure::Unexpected("GETRANGE")),
    };
    replies.into_iter().map(owner).collect()
}

/// The sessions among the members of an index.
pub(super) fn sessions(reply: Value) -> Result<Vec<SessionId>, Failure> {
    let members = match reply {
        Value::Array(members) => members,
        Value::ServerError(error) => return Err(Failure::said(&error)),
        _ => return Err(Failure::Unexpected("ZRANGE")),
    };
    let session = |member| match member {
        Value::BulkString(bytes) => std::str::from_utf8(&bytes).ok()?.parse().ok(),
        _ => None,
    };
    Ok(members.into_iter().filter_map(session).collect())
}

/// Whether there is an entry now.
pub(super) fn bound(reply: Value) -> Result<bool, Failure> {
    touched(reply)
}

pub(super) fn created(reply: Value) -> Result<Created, Failure> {
    match reply {
        Value::Okay => Ok(Created::Created),
        Value::Nil => Ok(Created::Exists),
        Value::ServerError(error) => Err(Failure::said(&error)),
        _ => Err(Failure::Unexpected("SET")),
    }
}

pub(super) fn replaced(reply: Value) -> Result<Replaced, Failure> {
    match reply {
        Value::Okay => Ok(Replaced::Replaced),
        Value::Array(found) => both(found).map(Replaced::Conflict),
        Value::ServerError(error) => Err(Failure::said(&error)),
        _ => Err(Failure::Unexpected("EVALSHA")),
    }
}

pub(super) fn touched(reply: Value) -> Result<bool, Failure> {
    match reply {
        Value::Int(moved) => Ok(moved == 1),
        Value::ServerError(error) => Err(Failure::said(&error)),
        _ => Err(Failure::Unexpected("EVALSHA")),
    }
}

pub(super) fn deleted(reply: Value) -> Result<(), Failure> {
    match reply {
        Value::Okay => Ok(()),
        Value::ServerError(error) => Err(Failure::said(&error)),
        _ => Err(Failure::Unexpected("SET")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::sample_record;

    fn record() -> Value {
        Value::BulkString(sample_record("{}").encode())
    }

    #[test]
    fn a_record_that_expired_between_the_two_replies_is_absent() {
        let loaded = loaded(record(), Value::Int(-2)).unwrap();
        assert!(matches!(loaded, Loaded::Absent));
    }

    #[test]
    fn a_record_without_expiry_is_due_for_a_touch() {
        let Ok(Loaded::Record { remaining, .. }) = loaded(record(), Value::Int(-1)) else {
            panic!("a record");
        };
        assert_eq!(remaining, Duration::ZERO);
    }

    #[test]
    fn replies_of_an_unknown_shape_are_failures_and_never_sessions() {
        assert!(loaded(Value::Okay, Value::Int(1)).is_err());
        assert!(loaded(record(), Value::Nil).is_err());
        assert!(both(vec![record()]).is_err());
        assert!(created(Value::Int(1)).is_err());
        assert!(replaced(Value::Nil).is_err());
        assert!(touched(Value::Okay).is_err());
        assert!(deleted(Value::Nil).is_err());
    }
}
