//! A write that owns its parts.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::record::Record;
use crate::store::index_moment::IndexMoment;
use crate::store::write::{EntryCount, IndexChange, IndexEntry, Write};

/// A [`Write`] that owns its record and its index entry. Use it for samples, and for calls that run later.
///
/// It dereferences to its record.
#[derive(Clone)]
pub struct OwnedWrite {
    record: Record,
    index: OwnedChange,
    keeps_expiry: bool,
    rotates: bool,
    unconfirmed: bool,
    entries: Arc<EntryCount>,
}

#[derive(Clone)]
enum OwnedChange {
    None,
    Bind {
        user: Box<str>,
        lifetime: Duration,
        login_age: Duration,
        after: Option<IndexMoment>,
    },
    Extend {
        user: Box<str>,
        lifetime: Duration,
    },
}

impl OwnedWrite {
    /// A copy of this write, without its time to live.
    #[must_use]
    pub fn of(write: &Write<'_>) -> Self {
        Self {
            record: write.record.clone(),
            index: match write.index {
                IndexChange::None => OwnedChange::None,
                IndexChange::Bind {
                    entry,
                    login_age,
                    after,
                } => OwnedChange::Bind {
                    user: entry.user.into(),
                    lifetime: entry.lifetime,
                    login_age,
                    after,
                },
                IndexChange::Extend(entry) => OwnedChange::Extend {
                    user: entry.user.into(),
                    lifetime: entry.lifetime,
                },
            },
            keeps_expiry: write.keeps_expiry,
            rotates: write.rotates,
            unconfirmed: write.unconfirmed,
            entries: Arc::default(),
        }
    }

    /// The write, with this time to live for the record.
    #[must_use]
    pub fn write(&self, ttl: Duration) -> Write<'_> {
        Write {
            index: match &self.index {
                OwnedChange::None => IndexChange::None,
                OwnedChange::Bind {
                    user,
                    lifetime,
                    login_age,
                    after,
                } => IndexChange::Bind {
                    entry: IndexEntry {
                        user,
                        lifetime: *lifetime,
                    },
                    login_age: *login_age,
                    after: *after,
                },
                OwnedChange::Extend { user, lifetime } => IndexChange::Extend(IndexEntry {
                    user,
                    lifetime: *lifetime,
                }),
            },
            keeps_expiry: self.keeps_expiry,
            rotates: self.rotates,
            unconfirmed: self.unconfirmed,
            entries: Some(&self.entries),
            ..Write::new(&self.record, ttl)
        }
    }

    /// Turns this write into that of a login that began `login_age` ago: it binds the session to the user of its record, by an
    /// entry that lives for `lifetime`.
    #[must_use]
    pub fn for_login(mut self, lifetime: Duration, login_age: Duration) -> Self {
        let user = self.record.user().unwrap_or_default().into();
        self.index = OwnedChange::Bind {
            user,
            lifetime,
            login_age,
            after: None,
        };
        self
    }

    /// Turns the write of a login into one that names the marker that is known to be older than the login.
    #[must_use]
    pub fn after(mut self, marker: IndexMoment) -> Self {
        if let OwnedChange::Bind { after, .. } = &mut self.index {
            *after = Some(marker);
        }
        self
    }

    /// Where the store notes how many entries the user's index has after this write.
    #[must_use]
    pub fn entries(&self) -> Arc<EntryCount> {
        self.entries.clone()
    }

    /// Turns this write into one that extends the entry of its record's user: the entry lives for `lifetime` from then on.
    #[must_use]
    pub fn extending_entry(mut self, lifetime: Duration) -> Self {
        let user = self.record.user().unwrap_or_default().into();
        self.index = OwnedChange::Extend { user, lifetime };
        self
    }

    /// Turns this write into one of a session whose token has not come back yet.
    #[must_use]
    pub fn unconfirmed(mut self) -> Self {
        self.unconfirmed = true;
        self
    }

    /// Turns this write into one that keeps the expiry of the record that it replaces.
    #[must_use]
    pub fn keeping_expiry(mut self) -> Self {
        self.keeps_expiry = true;
        self
    }
}

/// A write of a confirmed session that sets the expiry, changes nothing in the index and rotates nothing.
impl From<Record> for OwnedWrite {
    fn from(record: Record) -> Self {
        Self {
            record,
            index: OwnedChange::None,
            keeps_expiry: false,
            rotates: false,
            unconfirmed: false,
            entries: Arc::default(),
        }
    }
}

impl Deref for OwnedWrite {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

/// Prints what the [`Write`] prints, which hides the user.
impl fmt::Debug for OwnedWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedWrite")
            .field(&self.write(Duration::ZERO))
            .finish()
    }
}
