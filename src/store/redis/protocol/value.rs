//! What is kept of a session: its record, in which the time stands until which it is kept.
//!
//! So one `GET` answers both what the record is and how long it remains.
//!
//! The server alone decides when a record ends, by its own clock and the expiry that goes with every write. The time says no
//! more than when the next touch is due and when a session was last used. It is the application servers' clocks', as all
//! times in a record are: between clocks that differ, touches come so much too early or too late (by no more than the slack
//! that touches have anyway; beyond it one is due at once), and a time that a clock wrote while it was wrong is corrected by
//! the next touch, which is due then. So is a key whose expiry somebody took away: not before, and not if nobody comes.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::record::{DecodeError, Record};
use crate::store::Loaded;
use crate::store::redis::protocol::command::millis;

/// Milliseconds since the Unix epoch, the most significant byte first.
pub(crate) type Until = [u8; Record::ROOM_LEN];

const ROOM: Range<usize> = Record::ROOM_OFFSET..Record::ROOM_OFFSET + Record::ROOM_LEN;

/// The end of a life that begins now.
pub(crate) fn until(ttl: Duration, now: Timestamp) -> Until {
    let until = now.plus(Duration::from_millis(millis(ttl)));
    let [_, _, until @ ..] = until.as_millis().to_be_bytes();
    until
}

/// What is to be kept of a record that lives for so long from now.
pub(crate) fn encode(record: &Record, ttl: Duration, now: Timestamp) -> Vec<u8> {
    let mut bytes = record.encode();
    bytes[ROOM].copy_from_slice(&until(ttl, now));
    bytes
}

/// Reads what is kept.
pub(crate) fn decode(mut bytes: Vec<u8>, now: Timestamp) -> Loaded {
    if bytes == Record::TOMBSTONE {
        return Loaded::Tombstone;
    }
    let until = bytes.get_mut(ROOM).map(take_until).unwrap_or_default();
    match Record::decode(bytes) {
        Ok(record) => Loaded::Record {
            record,
            remaining: Timestamp::from_millis(until).since(now),
        },
        Err(error) => Loaded::Unreadable(error),
    }
}

/// The user that a record belongs to, from the [first bytes](Record::OWNER_LEN) of what is kept.
pub(crate) fn decode_owner(mut start: Vec<u8>) -> Result<Option<Arc<str>>, DecodeError> {
    start.get_mut(ROOM).map(take_until);
    Record::decode_owner(&start)
}

/// Leaves the room as a record has it.
fn take_until(room: &mut [u8]) -> u64 {
    let until = room.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    room.fill(0);
    until
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::sample_record;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_record_comes_back_with_what_remains_of_its_life() {
        let record = sample_record(r#"{"n":1}"#);
        let remaining = |ttl, now| match decode(encode(&record, ttl, NOW), now) {
            Loaded::Record {
                record: read,
                remaining,
            } => {
                assert_eq!(read.encode(), record.encode());
                remaining
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(remaining(MINUTE, NOW), MINUTE);
        assert_eq!(remaining(MINUTE, NOW.plus(MINUTE / 4)), MINUTE * 3 / 4);
        // Whether it has ended is for the server to say.
        assert_eq!(remaining(MINUTE, NOW.plus(2 * MINUTE)), Duration::ZERO);
        // The clock of whoever reads may be behind.
        assert_eq!(remaining(MINUTE, NOW.minus(MINUTE)), 2 * MINUTE);
        assert_eq!(
            remaining(Duration::MAX, NOW),
            Duration::from_millis(millis(Duration::MAX))
        );
    }

    #[test]
    fn what_is_too_short_to_say_until_when_is_unreadable_unless_it_is_a_tombstone() {
        for len in 0..64 {
            let loaded = decode(vec![1; len], NOW);
            assert!(matches!(loaded, Loaded::Unreadable(_)));
        }
        let tombstone = decode(Record::TOMBSTONE.to_vec(), NOW);
        assert!(matches!(tombstone, Loaded::Tombstone));
    }

    #[test]
    fn a_record_is_no_longer_for_saying_until_when() {
        let record = sample_record("{}");
        assert_eq!(encode(&record, MINUTE, NOW).len(), record.encode().len());
    }
}
