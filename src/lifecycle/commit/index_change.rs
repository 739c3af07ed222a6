//! What a write or a touch changes in the user index.

use std::time::Duration;

use crate::clock::{CLOCK_DIFFERENCE, Timestamp};
use crate::record::Record;
use crate::store::{IndexChange, IndexEntry, IndexMoment};

/// The change that a write of this record makes. If it carries out the login that binds the session to its user, `login` says
/// how long ago that began, and after which marker.
pub(super) fn index_change(
    record: &Record,
    login: Option<(Duration, Option<IndexMoment>)>,
    ttl: Duration,
    now: Timestamp,
) -> IndexChange<'_> {
    let Some(user) = record.user() else {
        return IndexChange::None;
    };
    let deadline = record.header().deadline;
    let left = deadline.map_or(ttl, |deadline| deadline.since(now));
    let lifetime = left.saturating_add(CLOCK_DIFFERENCE);
    let entry = IndexEntry { user, lifetime };
    match (login, deadline) {
        (Some((login_age, after)), _) => IndexChange::Bind {
            entry,
            login_age,
            after,
        },
        (None, None) => IndexChange::Extend(entry),
        // The login has set the lifetime of the entry.
        (None, Some(_)) => IndexChange::None,
    }
}

/// The entry whose lifetime must be extended if the store keeps this loaded record for another `ttl`.
pub(super) fn extended_entry(record: &Record, ttl: Duration) -> Option<IndexEntry<'_>> {
    let endless = record.header().deadline.is_none();
    let user = record.user().filter(|_| endless)?;
    let lifetime = ttl.saturating_add(CLOCK_DIFFERENCE);
    Some(IndexEntry { user, lifetime })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Data, Header, Revision, VerifierHash};

    const HOUR: Duration = Duration::from_secs(3_600);
    const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn record(user: Option<&str>, deadline: Option<Timestamp>) -> Record {
        let mut header = Header::new(Revision([1; 8]), VerifierHash([0; 32]), START);
        header.user = user.map(Into::into);
        header.deadline = deadline;
        Record::new(header, Data::empty())
    }

    fn entry(lifetime: Duration) -> IndexEntry<'static> {
        let user = "alice";
        IndexEntry { user, lifetime }
    }

    #[test]
    fn an_entry_lives_as_long_as_the_absolute_limit_lets_its_session_live() {
        let record = record(Some("alice"), Some(START.plus(24 * HOUR)));
        let marker = Some(IndexMoment(7));
        let login = index_change(&record, Some((HOUR, marker)), HOUR, START);
        let bound = IndexChange::Bind {
            entry: entry(24 * HOUR + CLOCK_DIFFERENCE),
            login_age: HOUR,
            after: marker,
        };
        assert_eq!(login, bound);
        // Later writes leave the index as it is.
        let write = index_change(&record, None, HOUR, START);
        assert_eq!(write, IndexChange::None);
        assert!(extended_entry(&record, HOUR).is_none());
    }

    #[test]
    fn without_an_absolute_limit_every_write_and_touch_extends_the_entry() {
        let record = record(Some("alice"), None);
        let entry = entry(HOUR + CLOCK_DIFFERENCE);
        let (login_age, after) = (HOUR, None);
        let login = index_change(&record, Some((login_age, after)), HOUR, START);
        let bound = IndexChange::Bind {
            entry,
            login_age,
            after,
        };
        assert_eq!(login, bound);
        let write = index_change(&record, None, HOUR, START);
        assert_eq!(write, IndexChange::Extend(entry));
        assert_eq!(extended_entry(&record, HOUR), Some(entry));
    }

    #[test]
    fn a_session_without_a_user_is_in_no_index() {
        let record = record(None, None);
        for login in [None, Some((HOUR, None))] {
            let write = index_change(&record, login, HOUR, START);
            assert_eq!(write, IndexChange::None);
        }
        assert!(extended_entry(&record, HOUR).is_none());
    }
}
