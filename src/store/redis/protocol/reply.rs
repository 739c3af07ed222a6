//! What the server's replies mean.

use redis::Value;

use crate::clock::Timestamp;
use crate::record::{DecodeError, Record};
use crate::store::redis::protocol::error::Failure;
use crate::store::redis::protocol::value;
use crate::store::{Created, Loaded, Owner, Replaced, SessionId};

/// `GET`'s reply, as the command or a script answers it.
pub(crate) fn loaded(reply: Value, now: Timestamp) -> Result<Loaded, Failure> {
    match reply {
        Value::BulkString(bytes) => Ok(value::decode(bytes, now)),
        Value::Nil => Ok(Loaded::Absent),
        Value::ServerError(error) if error.code() == "WRONGTYPE" => {
            Ok(Loaded::Unreadable(DecodeError::ForeignType))
        }
        Value::ServerError(error) => Err(Failure::said(&error)),
        _ => Err(Failure::Unexpected("GET")),
    }
}

/// The replies of a pipeline that loads so many records.
pub(crate) fn all_loaded(
    replies: Vec<Value>,
    count: usize,
    now: Timestamp,
) -> Result<Vec<Loaded>, Failure> {
    if replies.len() != count {
        return Err(Failure::Unexpected("GET"));
    }
    replies
        .into_iter()
        .map(|reply| loaded(reply, now))
        .collect()
}

/// Whose sessions these are, seen from the index of a user: the replies of a pipeline that asks for so many owners.
pub(crate) fn owners(replies: Vec<Value>, count: usize, user: &str) -> Result<Vec<Owner>, Failure> {
    if replies.len() != count {
        return Err(Failure::Unexpected("GETRANGE"));
    }
    let owner = |reply| match reply {
        Value::BulkString(start) if start.is_empty() || start == Record::TOMBSTONE => {
            Ok(Owner::Nobody)
        }
        Value::BulkString(start) => Ok(match value::decode_owner(start) {
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
pub(crate) fn sessions(reply: Value) -> Result<Vec<SessionId>, Failure> {
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
pub(crate) fn bound(reply: Value) -> Result<bool, Failure> {
    touched(reply)
}

pub(crate) fn created(reply: Value) -> Result<Created, Failure> {
    match reply {
        Value::Okay => Ok(Created::Created),
        Value::Nil => Ok(Created::Exists),
        Value::ServerError(error) => Err(Failure::said(&error)),
        _ => Err(Failure::Unexpected("SET")),
    }
}

pub(crate) fn replaced(reply: Value, now: Timestamp) -> Result<Replaced, Failure> {
    match reply {
        Value::Okay => Ok(Replaced::Replaced),
        found => loaded(found, now).map(Replaced::Conflict),
    }
}

pub(crate) fn touched(reply: Value) -> Result<bool, Failure> {
    match reply {
        Value::Int(moved) => Ok(moved == 1),
        Value::ServerError(error) => Err(Failure::said(&error)),
        _ => Err(Failure::Unexpected("EVALSHA")),
    }
}

pub(crate) fn deleted(reply: Value) -> Result<(), Failure> {
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
        let kept = value::encode(&record, std::time::Duration::from_secs(1), NOW);
        let found = conflict(Value::BulkString(kept));
        assert!(matches!(found, Loaded::Record { .. }));
    }

    #[test]
    fn replies_of_an_unknown_shape_are_failures_and_never_sessions() {
        assert!(loaded(Value::Okay, NOW).is_err());
        assert!(loaded(Value::Array(vec![]), NOW).is_err());
        assert!(all_loaded(vec![Value::Nil], 2, NOW).is_err());
        assert!(created(Value::Int(1)).is_err());
        assert!(replaced(Value::Int(1), NOW).is_err());
        assert!(touched(Value::Okay).is_err());
        assert!(deleted(Value::Nil).is_err());
    }
}
