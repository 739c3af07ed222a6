//! The contract that every store keeps.

use std::time::Duration;

use super::error::StoreError;
use super::outcome::{Created, Loaded, Replaced};
use super::record_key::RecordKey;
use super::user_index::UserIndexRef;
use super::write::{IndexEntry, Write};
use crate::record::Revision;

/// How long a tombstone takes the place of a deleted record: 60 seconds.
pub const TOMBSTONE_LIFETIME: Duration = Duration::from_secs(60);

/// A store of session records: in memory, in Redis, or wherever an application wants them.
///
/// Implement it to keep sessions in a place that this crate has no store for. The [module's documentation](crate::store) states
/// the contract. Write the methods as `async fn`. `examples/custom_store.rs` is a whole store in under 80 lines.
///
/// # Errors
///
/// Every call may fail with a [`StoreError`]. Its [kind](crate::store::StoreErrorKind) says what became of the change.
pub trait SessionStore: Send + Sync + 'static {
    /// The text in front of every key, such as `"keycard:"`. It separates this store's records from those of other
    /// applications on the same server.
    ///
    /// The verifier hash covers the prefix, so a record that is copied under another prefix opens nothing there. The prefix
    /// must not change while the store lives.
    fn prefix(&self) -> &str;

    /// Returns the record (or its tombstone), and how long the store will still keep it. One round trip; nothing is written.
    fn load(&self, key: &RecordKey) -> impl Future<Output = Result<Loaded, StoreError>> + Send;

    /// Like [`load`](SessionStore::load), but the result is never stale. The default calls `load`.
    ///
    /// Override it if `load` may read from a replica. In that case `load` sets `stale` in the [`Loaded::Record`] that a replica
    /// returned. The layer calls `load_latest` before it refuses a token because of a stale record, and wherever a change
    /// depends on the result.
    fn load_latest(
        &self,
        key: &RecordKey,
    ) -> impl Future<Output = Result<Loaded, StoreError>> + Send {
        self.load(key)
    }

    /// Inserts a record if none is present. A tombstone counts as present, an expired record does not.
    fn create(
        &self,
        key: &RecordKey,
        write: &Write<'_>,
    ) -> impl Future<Output = Result<Created, StoreError>> + Send;

    /// Replaces a record that is still at the `expected` revision. On a conflict, returns what is stored now.
    fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        write: &Write<'_>,
    ) -> impl Future<Output = Result<Replaced, StoreError>> + Send;

    /// Sets the time to live of a record that is still at the `expected` revision, and returns whether it was. A record that
    /// merely [includes](crate::store::Record::includes) the expected revision is left alone.
    ///
    /// The session is [confirmed](Write::unconfirmed) from then on.
    ///
    /// `extends` is the entry in the [`UserIndex`](crate::store::UserIndex) that must live on with the record, if any.
    fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        ttl: Duration,
        extends: Option<IndexEntry<'_>>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Removes the record, present or not, and leaves a tombstone for [`TOMBSTONE_LIFETIME`], however short the record's
    /// own lifetime was. A full store may omit the tombstone, but only if there was no record.
    ///
    /// `user` is the user the session belongs to, if the caller knows it: a [`UserIndex`](crate::store::UserIndex) then removes
    /// the entry too. An entry that remains does no harm, so a failure to remove it never makes a deletion fail.
    fn delete(
        &self,
        key: &RecordKey,
        user: Option<&str>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The index of this store's users: `Some(UserIndexRef::new(self))` if the store implements
    /// [`UserIndex`](crate::store::UserIndex). The default is `None`.
    ///
    /// The layer does not know the store's type. It finds the index through this method.
    fn user_index(&self) -> Option<UserIndexRef<'_>> {
        None
    }

    /// How many unconfirmed sessions this process has evicted so far, because [the store was full](crate::store#a-full-store).
    /// The default is 0, for a store that evicts none, or whose server does it unasked.
    ///
    /// The layer reports the difference, in an event and in the metrics.
    fn evicted(&self) -> u64 {
        0
    }
}
