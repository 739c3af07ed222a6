//! The index of users: the contract of a store that can list a user's sessions and end them.
//!
//! A record names the user it belongs to. The index answers the opposite question: which sessions a user has. A store may keep
//! the two in different places, and may be unable to change both at once. So everything follows from an order and a check:
//!
//! - **The entry comes first.** A write that [binds](super::IndexChange::Bind) a session to a user, as a login does, has its
//!   entry acknowledged before the record is written. Whatever gets lost in between, a session that is bound to a user is in
//!   the index. An entry may lead to nothing: the index holds too many entries, never too few.
//! - **The record decides.** An entry is only a hint where to look. A session is listed if its record is present and belongs to
//!   the user.
//!
//! A login makes the entry, and a logout removes it along with the record. A session without an absolute limit
//! [extends](super::IndexChange::Extend) its entry as it goes on. No other write concerns the index, and no read does.
//!
//! # No login slips through
//!
//! A user who ends all sessions also wants to end those that an attacker is opening at this moment with a stolen password.
//! [`delete_user`](UserIndex::delete_user) first leaves a *marker* in the index, and then reads the entries. A login in
//! progress writes its entry before its record. So there are two cases. The entry was written
//!
//! - *after the marker*: the write is refused with [`StoreErrorKind::Revoked`](super::StoreErrorKind::Revoked), and no record
//!   is written;
//! - *before the marker*: the entry is among those that `delete_user` reads. If the record has been written, it is deleted. If
//!   it has not, because the session does not exist yet or belongs to nobody yet, `delete_user` still puts a tombstone in its
//!   place. The write of the login then meets the tombstone and fails, because nothing overwrites a tombstone. The commit falls
//!   back to a new session, and the entry of that session meets the marker.
//!
//! A login *began* when the application called [`Session::login`](crate::Session::login), a moment after it had checked the
//! password. It may be committed much later: a handler may send a mail first, or the store may be slow. So a login is not
//! refused because it arrives soon after the marker, but because it began before the marker. Each write of a login says
//! [how old the login is](super::IndexChange::Bind::login_age). The login is refused if it began before the marker was left, or
//! less than [`REVOCATION_LIFETIME`] after that. Those seconds cover what is not measured: how long the check of the password
//! took, and how long the write was on its way. Expressed in elapsed times, a login is refused if
//!
//! > time since the marker was left < [`REVOCATION_LIFETIME`] + [`login_age`](super::IndexChange::Bind::login_age)
//!
//! The layer itself refuses a login that is older than [`LOGIN_LIFETIME`]. So a marker that lasts for [`MARKER_LIFETIME`]
//! refuses every login that it has to.
//!
//! The session that `delete_user` keeps may log in (and so rotate) all the while: a user who changes the password and ends all
//! other sessions stays logged in.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use super::error::{StoreError, StoreErrorKind};
use super::record_key::RecordKey;
use crate::record::{Record, SessionId};

/// For how long nobody can log in as a user after all sessions of that user were ended: 5 seconds.
///
/// A login may rely on a password that was checked shortly before, and a write may be on its way for as long as a call may
/// take.
pub const REVOCATION_LIFETIME: Duration = Duration::from_secs(5);

/// How old a login may be when it is committed, if the store keeps an index: 60 seconds.
///
/// If your handler takes longer between [`Session::login`](crate::Session::login) and its response, let it
/// [save](crate::Session::save) the session first.
pub const LOGIN_LIFETIME: Duration = Duration::from_secs(60);

/// For how long a store remembers that all sessions of a user were ended: 65 seconds.
pub const MARKER_LIFETIME: Duration = REVOCATION_LIFETIME.saturating_add(LOGIN_LIFETIME);

/// A session that the index found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Indexed {
    /// The name of its record.
    pub key: RecordKey,
    /// Its record, which belongs to the user that was asked for.
    pub record: Record,
    /// How long the store will still keep the record.
    pub remaining: Duration,
}

impl Indexed {
    /// The session of this key, as it was loaded.
    #[must_use]
    pub fn new(key: RecordKey, record: Record, remaining: Duration) -> Self {
        Self {
            key,
            record,
            remaining,
        }
    }
}

/// A [`SessionStore`](super::SessionStore) that can list a user's sessions and end them.
///
/// Implement it if users should see where they are logged in, or end their other sessions. In addition to the contract of every
/// store:
///
/// 1. A [`create`](super::SessionStore::create) or [`replace`](super::SessionStore::replace) with
///    [`IndexChange::Bind`](super::IndexChange::Bind) makes the entry first, and writes the record once the entry is there. It
///    writes nothing, and fails with [`StoreErrorKind::Revoked`], if [`delete_user`](UserIndex::delete_user) has left a marker
///    and less time has passed since then than [`REVOCATION_LIFETIME`] and
///    [the login's age](super::IndexChange::Bind::login_age) together. The session that `delete_user` kept is exempt.
/// 2. An entry lives at least as long as its [lifetime](super::IndexEntry::lifetime) says, and as long as its session. If a
///    [write](super::IndexChange::Extend) or a [touch](super::SessionStore::touch) extends it, it lives on with the record.
/// 3. [`delete`](super::SessionStore::delete) removes the entry with the record.
/// 4. [`user_index`](super::SessionStore::user_index) returns `Some`.
///
/// A user's id is any text of 1 to 255 bytes. No two users, and no two namespaces, may ever share an index. The suite is
/// `store::testing::conformance::index_suite` (feature `testing`).
pub trait UserIndex: Send + Sync + 'static {
    /// The live sessions of a user in a layer's namespace, in no particular order. Each record is checked: sessions that belong
    /// to another user, or to nobody, are not listed.
    ///
    /// Entries that lead to nothing any more are removed on the way. The entry of a login in progress is never removed.
    ///
    /// # Errors
    ///
    /// If the store fails. There is no partial list.
    fn sessions_of(
        &self,
        namespace: &str,
        user: &str,
    ) -> impl Future<Output = Result<Vec<Indexed>, StoreError>> + Send;

    /// Ends all sessions of a user in a layer's namespace, including logins in progress, but keeps the session `except`. Returns
    /// the sessions whose record belonged to the user, in no particular order. Each of them leaves a tombstone.
    ///
    /// Except on the session that is kept, nobody can log in as this user for [`REVOCATION_LIFETIME`] from now, nor complete a
    /// login that began before that. If you do both, log in first, and then end the other sessions.
    ///
    /// # Errors
    ///
    /// If the store fails. Some sessions may have been ended, and others not. Repeating the call does no harm.
    fn delete_user(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> impl Future<Output = Result<Vec<SessionId>, StoreError>> + Send;
}

type BoxedResult<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// [`UserIndex`] with boxed futures.
trait BoxedIndex: Send + Sync {
    fn sessions_of<'a>(
        &'a self,
        namespace: &'a str,
        user: &'a str,
    ) -> BoxedResult<'a, Vec<Indexed>>;
    fn delete_user<'a>(
        &'a self,
        namespace: &'a str,
        user: &'a str,
        except: Option<SessionId>,
    ) -> BoxedResult<'a, Vec<SessionId>>;
}

impl<S: UserIndex> BoxedIndex for S {
    fn sessions_of<'a>(
        &'a self,
        namespace: &'a str,
        user: &'a str,
    ) -> BoxedResult<'a, Vec<Indexed>> {
        Box::pin(UserIndex::sessions_of(self, namespace, user))
    }

    fn delete_user<'a>(
        &'a self,
        namespace: &'a str,
        user: &'a str,
        except: Option<SessionId>,
    ) -> BoxedResult<'a, Vec<SessionId>> {
        Box::pin(UserIndex::delete_user(self, namespace, user, except))
    }
}

/// The [`UserIndex`] of a store whose type is not known.
///
/// [`SessionStore::user_index`](super::SessionStore::user_index) returns it.
#[derive(Clone, Copy)]
pub struct UserIndexRef<'a>(&'a dyn BoxedIndex);

impl<'a> UserIndexRef<'a> {
    /// The index that this store keeps.
    pub fn new(store: &'a impl UserIndex) -> Self {
        Self(store)
    }

    /// The live sessions of a user: see [`UserIndex::sessions_of`].
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn sessions_of(
        &self,
        namespace: &str,
        user: &str,
    ) -> Result<Vec<Indexed>, StoreError> {
        self.0.sessions_of(namespace, user).await
    }

    /// Ends all sessions of a user except one, and returns which: see [`UserIndex::delete_user`].
    ///
    /// # Errors
    ///
    /// If the store fails. Some sessions may have been ended, and others not.
    pub async fn delete_user(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.0.delete_user(namespace, user, except).await
    }
}

impl fmt::Debug for UserIndexRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UserIndexRef").finish_non_exhaustive()
    }
}

/// The error of a store without an index.
pub(crate) fn no_index() -> StoreError {
    StoreError::caused_by(
        StoreErrorKind::Refused,
        "this store keeps no index of users",
    )
}
