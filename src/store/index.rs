//! Whose sessions there are: the contract of a store that can list a user's sessions, and end them.
//!
//! A record says which user it belongs to; the index says it the other way round. The two are kept in different places,
//! which no store here changes together, so everything follows from an order and a check:
//!
//! - **The entry comes first.** A write that [binds](Record::binds) a session to a user, as a login does, has its entry
//!   acknowledged before the record is written. Whatever gets lost in between, a session that is bound is in the index. An
//!   entry may be there for nothing: the index holds too many, never too few.
//! - **The record decides.** An entry is a hint where to look. A session is listed if its record is there and belongs to the
//!   user.
//!
//! No read, no write but a login's and no rotation concerns the index; a logout removes the entry along with the record.
//!
//! # Why no login slips through
//!
//! A user who ends all sessions wants those gone that are being opened at this moment with a stolen password.
//! [`delete_user`](UserIndex::delete_user) first leaves a *marker*, and then asks who is in the index. So of a login under
//! way, the entry came
//!
//! - *after the marker*: it is refused with [`StoreErrorKind::Revoked`](super::StoreErrorKind::Revoked), and no record is
//!   written;
//! - *before the marker*: it is among those that are asked for. If its record has been written, that is deleted. If it has
//!   not, because the session does not exist yet or belongs to nobody yet, a tombstone is put there all the same. Then the
//!   write meets the tombstone, and fails: nothing overwrites one. The commit falls back to a session of its own, whose entry
//!   meets the marker.
//!
//! A login *began* when the application called [`Session::login`](crate::Session::login), a moment after it had checked the
//! password. It may be committed much later, by a handler that sends a mail first, or a store that is slow. So it is not
//! refused for arriving soon after the marker, but for having begun before it: each write says how
//! [old](Record::login_age) its login is. It is refused if it began before the marker was left, or less than
//! [`REVOCATION_LIFETIME`] after it. Those seconds are for what is not measured: how long the check of the password took, and
//! how long the write was on its way. As times that have passed:
//!
//! > time since the marker was left < [`REVOCATION_LIFETIME`] + [`Record::login_age`]
//!
//! A login that is older than [`LOGIN_LIFETIME`] is refused by the layer, so that a marker that stands for
//! [`MARKER_LIFETIME`] refuses all that it has to. The session that was to be kept may log in (and so rotate) all the while:
//! whoever changes a password and ends all other sessions is not thrown out.

use std::time::Duration;

use super::{Loaded, Record, RecordKey, SessionId, SessionStore, StoreError, StoreErrorKind};

/// For how long nobody can log in as a user whose sessions were all ended: a login may rest on a password that was checked
/// shortly before, and a write may be on its way for as long as a call may take.
pub const REVOCATION_LIFETIME: Duration = Duration::from_secs(5);

/// How old a login may be when it is committed, where the store keeps an index: a minute.
///
/// A handler that takes longer between [`Session::login`](crate::Session::login) and its response
/// [saves](crate::Session::save) the session first.
pub const LOGIN_LIFETIME: Duration = Duration::from_secs(60);

/// For how long a store remembers that all sessions of a user were ended.
pub const MARKER_LIFETIME: Duration = REVOCATION_LIFETIME.saturating_add(LOGIN_LIFETIME);

/// A session that the index found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Indexed {
    /// Where it is kept.
    pub key: RecordKey,
    /// What is kept of it: it belongs to the user who was asked for.
    pub record: Record,
    /// How long the store will still keep it.
    pub remaining: Duration,
}

impl Indexed {
    /// The session under this key, as it was loaded.
    #[must_use]
    pub fn new(key: RecordKey, record: Record, remaining: Duration) -> Self {
        Self {
            key,
            record,
            remaining,
        }
    }
}

/// A [`SessionStore`] that knows whose sessions it keeps.
///
/// What it does beside what every store does:
///
/// 1. [`create`](SessionStore::create) and [`replace`](SessionStore::replace) of a record that [binds](Record::binds) make
///    the entry first, and write the record once the entry is there. Where [`delete_user`](UserIndex::delete_user) has left
///    its marker since the login began, they write nothing, and fail with [`StoreErrorKind::Revoked`]: as long as less time
///    has passed since then than [`REVOCATION_LIFETIME`] and [the login's age](Record::login_age) together.
/// 2. An entry lives at least as long as the [binding](super::Binding) says, and as long as its session. Where a
///    [write](Record::prolongs) or a [touch](SessionStore::touch) prolongs it, it is to live on with the record.
/// 3. [`delete`](SessionStore::delete) removes the entry with the record.
/// 4. [`user_index`](SessionStore::user_index) answers `Some`.
///
/// A user's id is any text of 1 to 255 bytes: no two of them, and no two namespaces, may ever share an index. The suite is
/// `store::conformance::index_suite` (feature `testing`).
pub trait UserIndex: SessionStore {
    /// The live sessions of a user in a layer's namespace, in no particular order. Each record is looked at: those that
    /// belong to somebody else, or to nobody, are not listed.
    ///
    /// Entries that stand for nothing any more are removed on the way, but never that of a login under way.
    ///
    /// # Errors
    ///
    /// A store that fails. There is no partial list.
    fn sessions_of(
        &self,
        namespace: &str,
        user: &str,
    ) -> impl Future<Output = Result<Vec<Indexed>, StoreError>> + Send;

    /// Ends all sessions of a user in a layer's namespace but one, logins under way included, and says which there were: each
    /// whose record was the user's, in no particular order. Each leaves a tombstone.
    ///
    /// Nobody can log in as this user for [`REVOCATION_LIFETIME`] from now, nor carry out a login that began before that,
    /// except on the session that is kept. Log in first, then end the others.
    ///
    /// # Errors
    ///
    /// A store that fails: some sessions may have been ended, and others not. Doing it again does no harm.
    fn delete_user(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> impl Future<Output = Result<Vec<SessionId>, StoreError>> + Send;
}

/// Who has the session that an entry of a user leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The user whose index it is.
    TheUser,
    /// Somebody else: this session will never be the user's.
    SomebodyElse,
    /// It is gone, or not there yet, or belongs to nobody yet.
    Nobody,
    /// It is there, and cannot be read: a newer version wrote it, perhaps.
    Unreadable,
}

/// Whose session was loaded, seen from the index of a user.
pub(crate) fn of_whom(loaded: &Loaded, user: &str) -> Owner {
    match loaded {
        Loaded::Absent | Loaded::Tombstone => Owner::Nobody,
        Loaded::Unreadable(_) => Owner::Unreadable,
        Loaded::Record { record, .. } => match record.user() {
            None => Owner::Nobody,
            Some(owner) if owner == user => Owner::TheUser,
            Some(_) => Owner::SomebodyElse,
        },
    }
}

/// What a store without an index answers.
pub(crate) fn no_index() -> StoreError {
    StoreError::caused_by(
        StoreErrorKind::Refused,
        "this store keeps no index of users",
    )
}
