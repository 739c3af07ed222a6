//! What the server's replies mean.

use std::time::Duration;

use redis::Value;

use super::error::CallError;
use super::value;
use crate::clock::Timestamp;
use crate::store::{
    Created, DecodeError, IndexMoment, Loaded, Owner, Record, RecordHeader, Replaced,
};

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

/// What is in the place of each record of an index: the headers of those that are there, and the time that they have left.
pub(crate) enum Headed {
    Nothing,
    Header(Box<RecordHeader>, Duration),
    Unreadable,
}

impl Headed {
    /// Whose session it is, seen from the index of `user`.
    pub(crate) fn owner(&self, user: &str) -> Owner {
        match self {
            Self::Nothing => Owner::Nobody,
            Self::Header(header, _) => Owner::new(header.user(), user),
            Self::Unreadable => Owner::Unreadable,
        }
    }
}

/// The replies to [`load_headers`](super::command::load_headers) of `count` sessions: the scores of their marks, and what is
/// in their places.
pub(crate) fn headers(
    replies: Vec<Value>,
    count: usize,
    now: Timestamp,
) -> Result<Vec<(Option<f64>, Headed)>, CallError> {
    let mut replies = replies.into_iter();
    let marks = match replies.next() {
        Some(Value::Array(marks)) => marks,
        Some(Value::ServerError(error)) => return Err(CallError::reply(&error)),
        _ => return Err(CallError::Unexpected("ZMSCORE")),
    };
    if marks.len() != count || replies.len() != count {
        return Err(CallError::Unexpected("GETRANGE"));
    }
    let headed = |(mark, reply)| {
        let headed = match reply {
            Value::BulkString(start) if start.is_empty() || start == Record::TOMBSTONE => {
                Headed::Nothing
            }
            Value::BulkString(start) => match value::decode_header(start, now) {
                Ok((header, remaining)) => Headed::Header(Box::new(header), remaining),
                Err(_) => Headed::Unreadable,
            },
            Value::ServerError(error) if error.code() == "WRONGTYPE" => Headed::Unreadable,
            Value::ServerError(error) => return Err(CallError::reply(&error)),
            _ => return Err(CallError::Unexpected("GETRANGE")),
        };
        Ok((score(&mark), headed))
    };
    marks.into_iter().zip(replies).map(headed).collect()
}

fn score(reply: &Value) -> Option<f64> {
    match reply {
        Value::Double(score) => Some(*score),
        Value::BulkString(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}

/// Members of an index, and their scores. The server pairs them in the newer protocol only.
pub(crate) fn members(reply: Value) -> Result<Vec<(Vec<u8>, f64)>, CallError> {
    let unexpected = || CallError::Unexpected("ZRANGE");
    let mut flat = Vec::new();
    match reply {
        Value::Array(members) => {
            for member in members {
                match member {
                    Value::Array(pair) => flat.extend(pair),
                    member => flat.push(member),
                }
            }
        }
        Value::ServerError(error) => return Err(CallError::reply(&error)),
        _ => return Err(unexpected()),
    }
    let mut members = Vec::with_capacity(flat.len() / 2);
    let mut flat = flat.into_iter();
    while let Some(member) = flat.next() {
        match (member, flat.next().as_ref().and_then(score)) {
            (Value::BulkString(name), Some(score)) => members.push((name, score)),
            _ => return Err(unexpected()),
        }
    }
    Ok(members)
}

/// What became of the entry of a login.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// It was made. The index has so many members.
    Made(usize),
    /// There is a marker, which was left at this moment and so many microseconds ago.
    Refused(IndexMoment, Duration),
}

pub(crate) fn bound(reply: Value) -> Result<Bound, CallError> {
    let number = |value: &Value| match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    match &reply {
        Value::ServerError(error) => Err(CallError::reply(error)),
        Value::Int(members) => Ok(Bound::Made(usize::try_from(*members).unwrap_or(usize::MAX))),
        Value::Array(marker) => match marker[..] {
            [ref left, ref age] => match (number(left), number(age)) {
                (Some(left), Some(age)) => {
                    let age = Duration::from_micros(age);
                    Ok(Bound::Refused(IndexMoment(left), age))
                }
                _ => Err(CallError::Unexpected("EVALSHA")),
            },
            _ => Err(CallError::Unexpected("EVALSHA")),
        },
        _ => Err(CallError::Unexpected("EVALSHA")),
    }
}

/// When a marker was left.
pub(crate) fn marked(reply: Value) -> Result<IndexMoment, CallError> {
    match reply {
        Value::Int(left) => u64::try_from(left)
            .map(IndexMoment)
            .map_err(|_| CallError::Unexpected("EVALSHA")),
        Value::ServerError(error) => Err(CallError::reply(&error)),
        _ => Err(CallError::Unexpected("EVALSHA")),
    }
}

/// One step of a scan: where it continues, and how many sessions were deleted.
pub(crate) struct Step {
    pub(crate) cursor: Vec<u8>,
    pub(crate) evicted: u64,
}

pub(crate) fn evicted(reply: Value) -> Result<Step, CallError> {
    let parts = match reply {
        Value::Array(parts) => parts,
        Value::ServerError(error) => return Err(CallError::reply(&error)),
        _ => return Err(CallError::Unexpected("EVALSHA")),
    };
    match <[Value; 2]>::try_from(parts) {
        Ok([Value::BulkString(cursor), Value::Int(evicted)]) => Ok(Step {
            cursor,
            evicted: evicted.try_into().unwrap_or_default(),
        }),
        _ => Err(CallError::Unexpected("EVALSHA")),
    }
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
        let value = value::encode(&record.write(Duration::from_secs(1)), NOW);
        let found = conflict(Value::BulkString(value));
        assert!(matches!(found, Loaded::Record { .. }));
    }

    #[test]
    fn members_are_read_from_both_protocols() {
        let name = || Value::BulkString(b"a".to_vec());
        let old = vec![name(), Value::BulkString(b"1.5".to_vec())];
        let new = vec![Value::Array(vec![name(), Value::Double(1.5)])];
        for reply in [old, new] {
            let read = members(Value::Array(reply)).unwrap();
            assert_eq!(read, [(b"a".to_vec(), 1.5)]);
        }
    }

    #[test]
    fn replies_of_an_unknown_shape_are_errors_and_never_sessions() {
        assert!(loaded(Value::Okay, NOW).is_err());
        assert!(loaded(Value::Array(vec![]), NOW).is_err());
        assert!(headers(vec![Value::Nil], 2, NOW).is_err());
        assert!(headers(vec![Value::Array(vec![]), Value::Nil], 1, NOW).is_err());
        assert!(members(Value::Array(vec![Value::Okay])).is_err());
        assert!(bound(Value::Array(vec![Value::Int(1)])).is_err());
        assert!(marked(Value::Okay).is_err());
        assert!(created(Value::Int(1)).is_err());
        assert!(replaced(Value::Int(1), NOW).is_err());
        assert!(touched(Value::Okay).is_err());
        assert!(deleted(Value::Nil).is_err());
        assert!(evicted(Value::Nil).is_err());
        assert!(evicted(Value::Array(vec![Value::Int(0), Value::Int(0)])).is_err());
    }
}
