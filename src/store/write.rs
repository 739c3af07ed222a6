//! One write of a record: the record, and what else the store has to know.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::index_moment::IndexMoment;
use crate::record::Record;

/// One write of a record: what [`create`](crate::store::SessionStore::create) and
/// [`replace`](crate::store::SessionStore::replace) are given.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The record to keep.
    pub record: &'a Record,
    /// How long to keep it, unless the write [keeps the expiry](Write::keeps_expiry).
    pub ttl: Duration,
    /// Whether a replaced record keeps the expiry that it has in the store, whatever `ttl` says: the request is no activity,
    /// and a touch may have moved the expiry since the request loaded the record. `ttl` is then what the request knows of it.
    /// [`create`](crate::store::SessionStore::create) ignores it.
    pub keeps_expiry: bool,
    /// What the write changes in the [index of users](crate::store::UserIndex). A store without an index ignores it.
    pub index: IndexChange<'a>,
    /// Whether the write invalidates the previous token, as a login does. A store may take more care over such a write, for
    /// instance by waiting for its replicas.
    pub rotates: bool,
    /// Whether the session is unconfirmed: no user is logged in on it, and no request has brought its token back yet. A full
    /// store [evicts such sessions first](crate::store#a-full-store). A touch, and every other write, confirms the session.
    pub unconfirmed: bool,
    /// Where the store notes how many entries the index of the user has after a write that
    /// [binds](IndexChange::Bind) its session. A store that cannot tell leaves it alone.
    pub entries: Option<&'a EntryCount>,
}

/// How many entries the index of a user has: at least as many as the user has sessions. Unknown until a store notes it.
#[derive(Debug, Default)]
pub struct EntryCount(
    /// One more than the number, or 0 if it is unknown.
    AtomicUsize,
);

impl EntryCount {
    /// Notes the number.
    pub fn set(&self, entries: usize) {
        self.0.store(entries.saturating_add(1), Ordering::Relaxed);
    }

    /// Notes the number that another one says, if it is known there.
    pub fn copy_from(&self, other: &Self) {
        self.0
            .store(other.0.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// The number, if it is known.
    #[must_use]
    pub fn get(&self) -> Option<usize> {
        self.0.load(Ordering::Relaxed).checked_sub(1)
    }
}

impl Clone for EntryCount {
    fn clone(&self) -> Self {
        Self(AtomicUsize::new(self.0.load(Ordering::Relaxed)))
    }
}

/// What a write changes in the [index of users](crate::store::UserIndex).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IndexChange<'a> {
    /// Nothing.
    #[default]
    None,
    /// A login binds the session to its user. The store writes the entry before the record.
    Bind {
        /// The entry.
        entry: IndexEntry<'a>,
        /// How long ago the request of the login arrived, as the server that it arrived at has measured. It distinguishes a login
        /// that was in progress when all sessions of its user were [ended](crate::store::UserIndex::revoke_user) from one that
        /// began afterwards.
        login_age: Duration,
        /// The marker that was certainly left before the login began, if the store has refused the login because of one. This
        /// marker does not refuse it again.
        after: Option<IndexMoment>,
    },
    /// The entry must live on with the record. This happens only if the session has no absolute limit: otherwise the login has
    /// already fixed how long the entry lives.
    Extend(IndexEntry<'a>),
}

/// A session's entry in the index of a user.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IndexEntry<'a> {
    /// The user's id: any text of 1 to 255 bytes.
    pub user: &'a str,
    /// How long the session can live at most, as far as is known now. The entry must not end earlier.
    pub lifetime: Duration,
}

impl<'a> Write<'a> {
    /// A write of a confirmed session that sets the expiry, changes nothing in the index and rotates nothing.
    #[must_use]
    pub const fn new(record: &'a Record, ttl: Duration) -> Self {
        Self {
            record,
            ttl,
            keeps_expiry: false,
            index: IndexChange::None,
            rotates: false,
            unconfirmed: false,
            entries: None,
        }
    }
}

impl fmt::Debug for IndexEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexEntry")
            .field("user", &"[hidden]")
            .field("lifetime", &self.lifetime)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_printed_without_its_user() {
        let entry = IndexEntry {
            user: "alice",
            lifetime: Duration::from_secs(3_600),
        };
        let printed = r#"IndexEntry { user: "[hidden]", lifetime: 3600s }"#;
        assert_eq!(format!("{entry:?}"), printed);
        let login = IndexChange::Bind {
            entry,
            login_age: Duration::ZERO,
            after: None,
        };
        assert!(!format!("{login:?}").contains("alice"));
        let owned = crate::store::testing::conformance::sample_login("alice", Duration::ZERO);
        assert!(!format!("{owned:?}").contains("alice"));
    }
}
