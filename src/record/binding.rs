//! What a write means for the index of its session's user. It is said of the write alone, and never kept.

use std::fmt;
use std::time::Duration;

use super::Record;
use crate::clock::Timestamp;

/// How far apart the clocks of the application's servers may be. The absolute limit is a time of theirs, so that one whose
/// clock is behind may keep a session for a little longer than the one that indexed it expected.
pub(crate) const CLOCK_DIFFERENCE: Duration = Duration::from_secs(60);

/// A session's entry in the index of a user: whose it is, and for how long it is to stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Binding<'a> {
    /// The user's id: any text of 1 to 255 bytes.
    pub user: &'a str,
    /// How long the session can live at most, as far as is known now: the entry must not end before that.
    pub life: Duration,
}

impl fmt::Debug for Binding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding")
            .field("user", &"[hidden]")
            .field("life", &self.life)
            .finish()
    }
}

/// What a store with a [`UserIndex`](crate::store::UserIndex) has to do beside writing a record.
#[derive(Clone, Copy, Debug)]
pub(super) enum IndexWrite {
    Bind { life: Duration, age: Duration },
    Prolong(Duration),
}

impl Record {
    /// The user that this very write binds the session to, by a login: the entry in the index comes first.
    ///
    /// It belongs to the write, not to the record: it is not encoded, and what a store loads binds nothing.
    #[must_use]
    pub fn binds(&self) -> Option<Binding<'_>> {
        match *self.write.as_deref()? {
            IndexWrite::Bind { life, .. } => self.user().map(|user| Binding { user, life }),
            _ => None,
        }
    }

    /// How long ago the login began that this very write carries out, by the clock of the server that it began on; zero for
    /// any other write. It tells a login that was under way when all sessions of its user were
    /// [ended](crate::store::UserIndex::delete_user) from one that began afterwards.
    #[must_use]
    pub fn login_age(&self) -> Duration {
        match self.write.as_deref() {
            Some(IndexWrite::Bind { age, .. }) => *age,
            _ => Duration::ZERO,
        }
    }

    /// The entry that has to live on with this write. There is one only where no absolute limit has said at the login
    /// already how long that may be.
    #[must_use]
    pub fn prolongs(&self) -> Option<Binding<'_>> {
        match *self.write.as_deref()? {
            IndexWrite::Prolong(life) => self.user().map(|user| Binding { user, life }),
            _ => None,
        }
    }

    /// This record as it is handed to a store, which is to keep it for `ttl`. If it is being bound to its user, `login` says
    /// how long ago the login began.
    pub(crate) fn for_index(
        mut self,
        login: Option<Duration>,
        ttl: Duration,
        now: Timestamp,
    ) -> Self {
        let deadline = self.header().deadline;
        let left = deadline.map_or(ttl, |deadline| deadline.since(now));
        let life = left.saturating_add(CLOCK_DIFFERENCE);
        let write = match (login, deadline) {
            (Some(age), _) => Some(IndexWrite::Bind { life, age }),
            (None, None) if self.user().is_some() => Some(IndexWrite::Prolong(life)),
            (None, _) => None,
        };
        self.write = write.map(Box::new);
        self
    }

    /// The entry that has to live on when this record, as it was loaded, is kept for another `ttl`.
    pub(crate) fn prolonged_by(&self, ttl: Duration) -> Option<Binding<'_>> {
        let life = ttl.saturating_add(CLOCK_DIFFERENCE);
        let endless = self.header().deadline.is_none();
        let user = self.user().filter(|_| endless)?;
        Some(Binding { user, life })
    }

    /// A write that binds, for a suite that knows no configuration.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn binding(mut self, life: Duration, age: Duration) -> Self {
        self.write = Some(Box::new(IndexWrite::Bind { life, age }));
        self
    }

    /// A write that prolongs, for a suite that knows no configuration.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn prolonging(mut self, life: Duration) -> Self {
        self.write = Some(Box::new(IndexWrite::Prolong(life)));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Data;
    use crate::record::{Header, Revision};
    use crate::token::VerifierHash;

    const HOUR: Duration = Duration::from_secs(3_600);
    const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn record(user: Option<&str>, deadline: Option<Timestamp>) -> Record {
        let mut header = Header::new(Revision([1; 8]), VerifierHash([0; 32]), START);
        header.user = user.map(Into::into);
        header.deadline = deadline;
        Record::new(header, Data::empty())
    }

    #[test]
    fn an_entry_lives_as_long_as_the_absolute_limit_lets_its_session_live() {
        let record = record(Some("alice"), Some(START.plus(24 * HOUR)));
        let login = record.clone().for_index(Some(HOUR), HOUR, START);
        let binding = login.binds().unwrap();
        assert_eq!(binding.user, "alice");
        assert_eq!(binding.life, 24 * HOUR + CLOCK_DIFFERENCE);
        assert_eq!(login.login_age(), HOUR);
        assert!(login.prolongs().is_none());
        // No later write has anything to add.
        let write = record.clone().for_index(None, HOUR, START);
        assert!(write.binds().is_none() && write.prolongs().is_none());
        assert!(write.login_age().is_zero());
        assert!(record.prolonged_by(HOUR).is_none());
    }

    #[test]
    fn an_entry_is_printed_without_its_user() {
        let entry = Binding {
            user: "alice",
            life: HOUR,
        };
        let printed = r#"Binding { user: "[hidden]", life: 3600s }"#;
        assert_eq!(format!("{entry:?}"), printed);
    }

    #[test]
    fn without_an_absolute_limit_every_write_and_touch_prolongs_the_entry() {
        let record = record(Some("alice"), None);
        let login = record.clone().for_index(Some(HOUR), HOUR, START);
        assert_eq!(login.binds().unwrap().life, HOUR + CLOCK_DIFFERENCE);
        let write = record.clone().for_index(None, HOUR, START);
        assert!(write.binds().is_none());
        assert_eq!(write.prolongs().unwrap().life, HOUR + CLOCK_DIFFERENCE);
        assert_eq!(record.prolonged_by(HOUR), write.prolongs());
    }

    #[test]
    fn a_session_of_nobody_is_in_no_index() {
        let record = record(None, None);
        for login in [None, Some(HOUR)] {
            let write = record.clone().for_index(login, HOUR, START);
            assert!(write.binds().is_none() && write.prolongs().is_none());
        }
        assert!(record.prolonged_by(HOUR).is_none());
    }

    #[test]
    fn what_a_write_means_for_the_index_is_not_kept() {
        let login = record(Some("alice"), None).for_index(Some(HOUR), HOUR, START);
        assert!(Record::from(login.content().clone()).binds().is_none());
        assert!(Record::decode(login.encode()).unwrap().binds().is_none());
        let printed = format!("{:?}", login.binds());
        assert!(!printed.contains("alice"), "{printed}");
    }
}
