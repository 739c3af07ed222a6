//! Where sessions are kept: the store contract, and the stores of this crate.
//!
//! A store keeps [`Record`]s under [`RecordKey`]s. It knows nothing of HTTP, cookies, users' data or merging. It has five
//! calls. In the stores of this crate each call is one round trip, with two exceptions: the write of a login and the deletion
//! of a user's session take two, and on a Redis cluster so does a call that extends an entry of the [user index](UserIndex).
//!
//! # The contract
//!
//! Every store guarantees these six points, under any load and after any failure. The suite in `store::testing::conformance`
//! (feature `testing`) checks them for the stores of this crate. Run it on your own store from its `tests/` directory.
//!
//! 1. [`replace`](SessionStore::replace) and [`touch`](SessionStore::touch) never create. No call, early or late, ever
//!    resurrects a deleted session.
//! 2. [`replace`](SessionStore::replace) is atomic. If two writers replace the same revision, exactly one wins, and the other
//!    gets the winner's record. A replace has succeeded, and changes nothing more, if the stored record already has the new
//!    revision or [remembers it](Record::includes) as one of its few predecessors: a client library may send a call twice.
//! 3. [`create`](SessionStore::create) never overwrites. A tombstone counts as present.
//! 4. An expired record is never returned, even if it is still stored.
//! 5. Times are relative. A store is given a time to live, never the current time. A store cuts a time to live that is longer
//!    than it supports, to 400 days or more. A time to live of zero never means "for ever". A replace that
//!    [keeps the expiry](Write::keeps_expiry) leaves it where the last write or touch has set it.
//! 6. Every call ends by itself. If the outcome of a call is unknown, the call fails with
//!    [`StoreErrorKind::OutcomeUnknown`], not with [`StoreErrorKind::Unavailable`].
//!
//! # A full store
//!
//! Anybody can make sessions that nobody uses: every request without a cookie may create one. Until a request brings its token
//! back, or a user logs in on it, a session is [unconfirmed](Write::unconfirmed), and lives for
//! [an hour](crate::SessionConfig::unconfirmed_idle) at most. A store that has a limit on its size should use this, so that a
//! flood of such requests keeps nobody out:
//!
//! - A write for which there is no room makes room: the store removes expired records, then evicts unconfirmed sessions, the
//!   oldest first. An eviction leaves no tombstone. Only if there are none left it fails with [`StoreErrorKind::Full`].
//! - A confirmed session is never evicted, and so is no session of a [user](Record::user).
//! - Some of the room is kept for sessions with a user, where the store can count them.
//! - A touch confirms a session, and so does a write that does not say the opposite.
//!
//! The suite checks the last point. For the first two there is `full_store_suite`, which needs a small store.
//!
//! A store may also keep an index of its users' sessions, to list and to end them. [`UserIndex`] has the contract for that. A
//! store without an index ignores the users that its calls name.

mod any_store;
mod call;
mod error;
mod index_moment;
mod memory;
mod outcome;
mod record_key;
#[cfg(feature = "redis")]
pub mod redis;
mod session_store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod user_index;
mod write;

pub use self::any_store::AnyStore;
pub use self::call::StoreCall;
pub use self::error::{StoreError, StoreErrorKind};
pub use self::index_moment::{IndexMoment, MetMarker};
pub use self::memory::{MemoryStore, MemoryStoreBuilder};
pub use self::outcome::{Created, Loaded, Owner, Replaced};
pub use self::record_key::RecordKey;
#[cfg(feature = "redis")]
pub use self::redis::{RedisConfig, RedisStore, RedisStoreError};
pub use self::session_store::{SessionStore, TOMBSTONE_LIFETIME};
pub(crate) use self::user_index::no_index;
pub use self::user_index::{
    DeletedPage, IndexCursor, IndexPage, Indexed, LOGIN_LIFETIME, MARKER_LIFETIME, Marker, PIECE,
    REVOCATION_LIFETIME, UserIndex, UserIndexRef,
};
pub use self::write::{EntryCount, IndexChange, IndexEntry, Write};
pub use crate::record::{DecodeError, Record, RecordHeader, Revision, SessionId};
