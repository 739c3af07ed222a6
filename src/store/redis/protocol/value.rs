//! The stored value of a session: its record, which also contains the time at which it expires.
//!
//! So one `GET` returns both the record and its remaining life.
//!
//! The server alone decides when a record ends, by its own clock and the expiry that every write sets. The time in the value
//! only tells when the next touch is due and when the session was last used. Like all times in a record, it is by the clocks
//! of the application's servers:
//!
//! - If two of these clocks differ, touches come too early or too late by that difference. The slack of touches limits this,
//!   and if the difference is larger, a touch is due at once.
//! - If a clock that was wrong wrote the time, a touch is due, and corrects it.
//! - If the expiry of a key was removed, the next touch restores it. Without a touch the key stays.
//!
//! The highest bit of the time, which no time needs before the year 6429, says that the session is unconfirmed. A touch and
//! every write set the time anew, so each of them confirms the session without one more command.

use std::ops::Range;
use std::time::Duration;

use super::command::ttl_millis;
use crate::clock::Timestamp;
use crate::store::{DecodeError, Loaded, Record, RecordHeader, Write};

/// Milliseconds since the Unix epoch, most significant byte first. The highest bit says that the session is unconfirmed.
pub(crate) type ExpiresAt = [u8; Record::NOTE_LEN];

const NOTE: Range<usize> = Record::NOTE_OFFSET..Record::NOTE_OFFSET + Record::NOTE_LEN;

/// The bit of the note's first byte that says that the session is unconfirmed.
const UNCONFIRMED: u8 = 0x80;

/// The end of a life that begins now.
pub(crate) fn expires_at(ttl: Duration, now: Timestamp) -> ExpiresAt {
    let expires_at = now.plus(Duration::from_millis(ttl_millis(ttl)));
    let [_, _, bytes @ ..] = expires_at.as_millis().to_be_bytes();
    bytes
}

/// The value of a record that is written now.
pub(crate) fn encode(write: &Write<'_>, now: Timestamp) -> Vec<u8> {
    let mut bytes = write.record.encode();
    let mut note = expires_at(write.ttl, now);
    if write.unconfirmed {
        note[0] |= UNCONFIRMED;
    }
    bytes[NOTE].copy_from_slice(&note);
    bytes
}

pub(crate) fn decode(mut bytes: Vec<u8>, now: Timestamp) -> Loaded {
    if bytes == Record::TOMBSTONE {
        return Loaded::Tombstone;
    }
    let (expires_at, unconfirmed) = bytes.get_mut(NOTE).map(take_note).unwrap_or_default();
    match Record::decode(bytes) {
        Ok(record) => Loaded::Record {
            record,
            remaining: Timestamp::from_millis(expires_at).since(now),
            stale: false,
            unconfirmed,
        },
        Err(error) => Loaded::Unreadable(error),
    }
}

/// The header of a record and what remains of its life, from the [first bytes](RecordHeader::MAX_LEN) of its value.
pub(super) fn decode_header(
    mut start: Vec<u8>,
    now: Timestamp,
) -> Result<(RecordHeader, Duration), DecodeError> {
    let (expires_at, _) = start.get_mut(NOTE).map(take_note).unwrap_or_default();
    let header = RecordHeader::decode(&start)?;
    Ok((header, Timestamp::from_millis(expires_at).since(now)))
}

/// When the record ends, and whether its session is unconfirmed. Restores the zeros that a record has in place of the note.
fn take_note(note: &mut [u8]) -> (u64, bool) {
    let unconfirmed = note[0] & UNCONFIRMED != 0;
    note[0] &= !UNCONFIRMED;
    let expires_at = note.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    note.fill(0);
    (expires_at, unconfirmed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::conformance::sample_record;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_record_comes_back_with_what_remains_of_its_life() {
        let record = sample_record(r#"{"n":1}"#);
        let remaining = |ttl, now| match decode(encode(&record.write(ttl), NOW), now) {
            Loaded::Record {
                record: read,
                remaining,
                ..
            } => {
                assert_eq!(read.encode(), record.encode());
                remaining
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(remaining(MINUTE, NOW), MINUTE);
        assert_eq!(remaining(MINUTE, NOW.plus(MINUTE / 4)), MINUTE * 3 / 4);
        // The server decides whether the record has ended.
        assert_eq!(remaining(MINUTE, NOW.plus(2 * MINUTE)), Duration::ZERO);
        // The clock of the reader may be behind.
        let before = Timestamp::from_millis(NOW.as_millis() - 60_000);
        assert_eq!(remaining(MINUTE, before), 2 * MINUTE);
        assert_eq!(
            remaining(Duration::MAX, NOW),
            Duration::from_millis(ttl_millis(Duration::MAX))
        );
    }

    #[test]
    fn a_value_too_short_for_its_expiry_is_unreadable_unless_it_is_a_tombstone() {
        for len in 0..64 {
            let loaded = decode(vec![1; len], NOW);
            assert!(matches!(loaded, Loaded::Unreadable(_)));
        }
        let tombstone = decode(Record::TOMBSTONE.to_vec(), NOW);
        assert!(matches!(tombstone, Loaded::Tombstone));
    }

    #[test]
    fn the_expiry_makes_a_value_no_longer_than_its_record() {
        let record = sample_record("{}");
        let value = encode(&record.write(MINUTE), NOW);
        assert_eq!(value.len(), record.encode().len());
    }

    #[test]
    fn a_value_says_whether_its_session_is_unconfirmed_until_a_touch_writes_its_expiry_anew() {
        let read = |value| match decode(value, NOW) {
            Loaded::Record {
                remaining,
                unconfirmed,
                ..
            } => (remaining, unconfirmed),
            other => panic!("{other:?}"),
        };
        let new = sample_record("{}").unconfirmed();
        let mut value = encode(&new.write(MINUTE), NOW);
        assert_eq!(read(value.clone()), (MINUTE, true));
        assert!(decode_header(value.clone(), NOW).is_ok());
        value[NOTE].copy_from_slice(&expires_at(Duration::MAX, NOW));
        let (remaining, unconfirmed) = read(value);
        assert!(remaining > MINUTE && !unconfirmed);
    }
}
