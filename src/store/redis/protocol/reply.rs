//! What the server's replies mean.

use redis::Value;

use super::error::CallError;
use super::value;
use crate::clock::Timestamp;
use crate::store::{Created, DecodeError, Loaded, Owner, Record, Replaced, SessionId};

/// The reply of `GET`, from the command or from a script.
pub(crate) fn loaded(reply: Value, now: Timestamp) -> Result<Loaded, CallError> {
    match reply {
        Value::BulkString(bytes) => Ok(value::decode(bytes, now)),
        Value::Nil => Ok(Loaded::Absent),
        Value::ServerError(error) if error.code() == "WRONGTYPE" => {
            Ok(Loaded::Unreadable(DecodeError::ForeignType))
        }
        Value::ServerError(error) => Err(CallError::reply(&error)),
        _ => Err(CallError::Unexpected("GET")),
    }
}

/// The replies to a pipeline that loads `count` records.
pub(crate) fn all_loaded(
    replies: Vec<Value>,
    count: usize,
    now: Timestamp,
) -> Result<Vec<Loaded>, CallError> {
    if replies.len() != count {
        return Err(CallError::Unexpected("GET"));
    }
    replies
        .into_iter()
        .map(|reply| loaded(reply, now))
        .collect()
}

/// The owners of sessions in the index of `user`: the replies to a pipeline that asks for `count` owners.
pub(crate) fn owners(
    replies: Vec<Value>,
    count: usize,
    user: &str,
) -> Result<Vec<Owner>, CallError> {
    if replies.len() != count {
        return Err(CallError::Unexpected("GETRANGE"));
    }
    let owner = |reply| match reply {
        Value::BulkString(start) if start.is_empty() || start == Record::TOMBSTONE => {
            Ok(Owner::Nobody)
        }
        Value::BulkString(start) => Ok(match value::decode_user(start) {
            Ok(found) => Owner::new(found.as_deref(), user),
            Err(_) => Owner::Unreadable,
        }),
        Value::ServerError(error) if error.code() == "WRONGTYPE" => Ok(Owner::Unreadable),
        Value::ServerError(error) => Err(CallError::reply(&error)),
        _ => Err(CallError::Unexpected("GETRANGE")),
    };
    replies.into_iter().map(owner).collect()
}

/// The sessions among the members of an index.
pub(crate) fn sessions(reply: Value) -> Result<Vec<SessionId>, CallError> {
    let members = match reply {
        Value::Array(members) => members,
        Value::ServerError(error) => return Err(CallError::reply(&error)),
        _ => return Err(CallError::Unexpected("ZRANGE")),
    };
    let session = |member| match member {
        Value::BulkString(bytes) => std::str::from_utf8(&bytes).ok()?.parse().ok(),
        _ => None,
    };
    Ok(members.into_iter().filter_map(session).collect())
}

/// Whether the session is in the index now.
pub(crate) fn bound(reply: Value) -> Result<bool, CallError> {
    touched(reply)
}

pub(crate) fn created(reply: Value) -> Result<Created, CallError> {
    match reply {
        Value::Okay => Ok(Created::Created),
        Value::Nil => Ok(Created::Exists),
        Value::ServerError(error) => Err(CallError::reply(&error)),
        _ => Err(CallError::Unexpected("SET")),
    }
}

pub(crate) fn replaced(reply: Value, now: Timestamp) -> Result<Replaced, CallError> {
    match reply {
        Value::Okay => Ok(Replaced::Replaced),
        found => loaded(found, now).map(Replaced::Conflict),
    }
}

pub(crate) fn touched(reply: Value) -> Result<bool, CallError> {
    match reply {
        Value::Int(moved) => Ok(moved == 1),
        Value::ServerError(error) => Err(CallError::reply(&error)),
        _ => Err(CallError::Unexpected("EVALSHA")),
    }
}

pub(crate) fn deleted(reply: Value) -> Result<(), CallError> {
    match reply {
        Value::Okay => Ok(()),
        Value::ServerError(error) => Err(CallError::reply(&error)),
        _ => Err(CallError::Unexpected("SET")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::conformance::sample_record;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    #[test]
    fn what_is_there_instead_is_a_conflict_whatever_it_is() {
        let conflict = |reply| match replaced(reply, NOW).unwrap() {
            Replaced::Conflict(found) => found,
            other => panic!("{other:?}"),
        };
        assert!(matches!(conflict(Value::Nil), Loaded::Absent));
        let tombstone = Value::BulkString(Record::TOMBSTONE.to_vec());
        assert!(matches!(conflict(tombstone), Loaded::Tombstone));
        let record = sample_record("{}");
        let value = value::encode(&record.write(std::time::Duration::from_secs(1)), NOW);
        let found = conflict(Value::BulkString(value));
        assert!(matches!(found, Loaded::Record { .. }));
    }

    #[test]
    fn replies_of_an_unknown_shape_are_errors_and_never_sessions() {
        assert!(loaded(Value::Okay, NOW).is_err());
        assert!(loaded(Value::Array(vec![]), NOW).is_err());
        assert!(all_loaded(vec![Value::Nil], 2, NOW).is_err());
        assert!(created(Value::Int(1)).is_err());
        assert!(replaced(Value::Int(1), NOW).is_err());
        assert!(touched(Value::Okay).is_err());
        assert!(deleted(Value::Nil).is_err());
    }
}
