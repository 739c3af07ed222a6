//! The results of store calls.

use std::time::Duration;

use crate::record::{DecodeError, Record};

/// The result of [`SessionStore::load`](crate::store::SessionStore::load).
#[derive(Clone, Debug)]
pub enum Loaded {
    /// No record, or one that has expired.
    Absent,
    /// The session was deleted less than [`TOMBSTONE_LIFETIME`](crate::store::TOMBSTONE_LIFETIME) ago.
    Tombstone,
    /// A record.
    Record {
        /// The record.
        record: Record,
        /// How long the store will still keep it, as exactly as the store knows. Use it to see when a touch is due. It is no
        /// test for expiry: an expired record is [`Absent`](Self::Absent).
        remaining: Duration,
        /// Whether the record may have been changed or deleted since, because a replica returned it. See
        /// [`load_latest`](crate::store::SessionStore::load_latest).
        stale: bool,
        /// Whether the session is still [unconfirmed](crate::store::Write::unconfirmed). A store that never evicts a session
        /// need not keep this, and says `false`.
        unconfirmed: bool,
    },
    /// Bytes that this version cannot read as a record. The store leaves them as they are.
    Unreadable(DecodeError),
}

/// The result of [`SessionStore::create`](crate::store::SessionStore::create).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// The record was inserted.
    Created,
    /// A record, a tombstone or unreadable bytes were present. The store left them as they were.
    Exists,
}

/// The result of [`SessionStore::replace`](crate::store::SessionStore::replace).
#[derive(Clone, Debug)]
pub enum Replaced {
    /// The new record is stored, or was stored and has been replaced since.
    Replaced,
    /// The record was not at the expected revision. This is stored now.
    Conflict(Loaded),
}

/// The owner of the session that an entry in a user's index leads to, seen from that user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The user whose index it is.
    TheUser,
    /// Another user. This session will never be the user's.
    AnotherUser,
    /// Nobody: the session is gone, is not stored yet, or belongs to no user yet.
    Nobody,
    /// Unknown: the record cannot be read, perhaps because a newer version wrote it.
    Unreadable,
}

impl Owner {
    /// The owner of a record that names the user `found`, seen from the index of `user`.
    #[must_use]
    pub fn new(found: Option<&str>, user: &str) -> Self {
        match found {
            None => Self::Nobody,
            Some(found) if found == user => Self::TheUser,
            Some(_) => Self::AnotherUser,
        }
    }
}

impl Loaded {
    /// The owner of this session, seen from the index of `user`.
    #[must_use]
    pub fn owner(&self, user: &str) -> Owner {
        match self {
            Self::Absent | Self::Tombstone => Owner::Nobody,
            Self::Unreadable(_) => Owner::Unreadable,
            Self::Record { record, .. } => Owner::new(record.user(), user),
        }
    }
}
