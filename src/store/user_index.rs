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
//! # In pieces
//!
//! A user may have any number of sessions, so no call covers all of them. A list and a revocation go on piece by piece, each
//! piece with a cursor that the one before it returned. A piece is complete when its call returns: whoever gives up between two
//! pieces has done what was done.
//!
//! # No login slips through
//!
//! A user who ends all sessions also wants to end those that an attacker is opening at this moment with a stolen password.
//! [`revoke_user`](UserIndex::revoke_user) first leaves a *marker* in the index, and
//! [`delete_sessions_of`](UserIndex::delete_sessions_of) then reads the entries. A login in progress writes its entry before its
//! record. So there are two cases. The entry was written
//!
//! - *after the marker*: the write is refused with [`StoreErrorKind::Revoked`](super::StoreErrorKind::Revoked), and no record
//!   is written;
//! - *before the marker*: the entry is among those that `delete_sessions_of` reads. If the record has been written, it is
//!   deleted. If it has not, because the session does not exist yet or belongs to nobody yet, `delete_sessions_of` still puts a
//!   tombstone in its place. The write of the login then meets the tombstone and fails, because nothing overwrites a tombstone.
//!   The commit falls back to a new session, and the entry of that session meets the marker.
//!
//! A login began when its request arrived: nobody can have checked the password before that. Each write of a login says
//! [how long ago that was](super::IndexChange::Bind::login_age), but not how long the write was on its way. So the store refuses
//! a login if
//!
//! > time since the marker was left < [`REVOCATION_LIFETIME`] + [`login_age`](super::IndexChange::Bind::login_age)
//!
//! and its error says [which marker it met, and how long ago that was left](super::StoreError::marker). The layer compares this
//! with the time that has passed since the request arrived, measured when it has the answer. If the marker was left longer ago
//! than that, the login began after the revocation, however long the calls took. The layer then repeats the write, and names
//! [the marker that is older than the login](super::IndexChange::Bind::after). Only another, newer marker refuses it again. No
//! two machines compare their clocks.
//!
//! The layer itself refuses a login that is older than [`LOGIN_LIFETIME`]. So a marker that lasts for [`MARKER_LIFETIME`]
//! refuses every login that it has to.
//!
//! The session that a revocation keeps may log in (and so rotate) all the while: a user who changes the password and ends all
//! other sessions stays logged in. Sessions whose logins came after the marker are not ended either.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use super::error::{StoreError, StoreErrorKind};
use super::index_moment::IndexMoment;
use super::record_key::RecordKey;
use crate::record::{RecordHeader, SessionId};

/// For how long the write of a login may be on its way: 5 seconds.
///
/// After all sessions of a user were ended, a login that may have begun before that is refused for this long.
pub const REVOCATION_LIFETIME: Duration = Duration::from_secs(5);

/// How old the request of a login may be when the login is committed, if the store keeps an index: 60 seconds.
///
/// If your handler takes longer, let it [save](crate::Session::save) the session before that.
pub const LOGIN_LIFETIME: Duration = Duration::from_secs(60);

/// For how long a store remembers that all sessions of a user were ended: 65 seconds.
pub const MARKER_LIFETIME: Duration = REVOCATION_LIFETIME.saturating_add(LOGIN_LIFETIME);

/// How many sessions a piece of a list or of a revocation should have at most: 250.
pub const PIECE: usize = 250;

/// Where a list or a revocation goes on. Only the store that made it knows what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexCursor(Box<str>);

impl IndexCursor {
    /// A cursor that says this.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// What the cursor says.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A session that the index found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Indexed {
    /// The name of its record.
    pub key: RecordKey,
    /// The header of its record, which belongs to the user that was asked for.
    pub header: RecordHeader,
    /// How long the store will still keep the record.
    pub remaining: Duration,
    /// When the entry of the last login was made. A store may forget it after a minute: it is then zero, which is before every
    /// moment that it knows.
    pub bound: IndexMoment,
}

impl Indexed {
    /// The session of this key, as it is stored.
    #[must_use]
    pub fn new(
        key: RecordKey,
        header: RecordHeader,
        remaining: Duration,
        bound: IndexMoment,
    ) -> Self {
        Self {
            key,
            header,
            remaining,
            bound,
        }
    }
}

/// A piece of the list of a user's sessions.
#[derive(Clone, Debug)]
pub struct IndexPage {
    /// Some sessions. There may be none, although there are more.
    pub sessions: Vec<Indexed>,
    /// Where the next piece begins; `None` after the last one.
    pub next: Option<IndexCursor>,
}

/// A revocation: the marker that it left in the index of a user.
#[derive(Clone, Copy, Debug)]
pub struct Marker {
    /// When the marker was left. It identifies the marker among all of this user.
    pub left: IndexMoment,
    /// The session that goes on.
    pub except: Option<SessionId>,
    /// Whether as many replicas have the marker as the store waits for. A store without replicas says `true`.
    pub replicated: bool,
}

/// A piece of a revocation.
#[derive(Clone, Debug)]
pub struct DeletedPage {
    /// The sessions that were ended, and whose record belonged to the user.
    pub ended: Vec<SessionId>,
    /// Where the next piece begins; `None` after the last one.
    pub next: Option<IndexCursor>,
    /// Whether as many replicas know it as the store waits for. A store without replicas says `true`.
    pub replicated: bool,
}

/// A [`SessionStore`](super::SessionStore) that can list a user's sessions and end them.
///
/// Implement it if users should see where they are logged in, or end their other sessions. In addition to the contract of every
/// store:
///
/// 1. A [`create`](super::SessionStore::create) or [`replace`](super::SessionStore::replace) with
///    [`IndexChange::Bind`](super::IndexChange::Bind) makes the entry first, and writes the record once the entry is there. It
///    writes nothing, and fails with [`StoreError::revoked`](super::StoreError::revoked), if
///    [`revoke_user`](UserIndex::revoke_user) has left a marker and less time has passed since then than
///    [`REVOCATION_LIFETIME`] and [the login's age](super::IndexChange::Bind::login_age) together. Exempt are the session that
///    the marker names, and a login that is [known to have begun after](super::IndexChange::Bind::after) this very marker.
/// 2. An entry lives at least as long as its [lifetime](super::IndexEntry::lifetime) says, and as long as its session. If a
///    [write](super::IndexChange::Extend) or a [touch](super::SessionStore::touch) extends it, it lives on with the record.
/// 3. [`delete`](super::SessionStore::delete) removes the entry once the record is gone for certain.
/// 4. [`user_index`](super::SessionStore::user_index) returns `Some`.
///
/// A user's id is any text of 1 to 255 bytes. No two users, and no two namespaces, may ever share an index. The suite is
/// `store::testing::conformance::index_suite` (feature `testing`).
pub trait UserIndex: Send + Sync + 'static {
    /// A piece of the list of a user's live sessions in a layer's namespace: about [`PIECE`] of them, the first ones or those
    /// after a cursor, in an order of the store's own. No data is read. Each record is checked: sessions that belong to another
    /// user, or to nobody, are not listed.
    ///
    /// A session that is there all the while is in one of the pieces. If a login or a touch moves it meanwhile, it may be in
    /// two. Entries that lead to nothing any more are removed on the way. The entry of a login in progress is never removed.
    ///
    /// # Errors
    ///
    /// If the store fails.
    fn sessions_of(
        &self,
        namespace: &str,
        user: &str,
        after: Option<&IndexCursor>,
    ) -> impl Future<Output = Result<IndexPage, StoreError>> + Send;

    /// Leaves a marker in the index of a user in a layer's namespace. It refuses the logins that began before it, except one on
    /// the session `except`. It takes the place of an earlier marker. No session has ended yet.
    ///
    /// # Errors
    ///
    /// If the store fails.
    fn revoke_user(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> impl Future<Output = Result<Marker, StoreError>> + Send;

    /// Ends some of the sessions whose entries were made before the marker: about [`PIECE`] of them, the first ones or those
    /// after a cursor. Includes logins in progress, and leaves the session that the marker excepts. Each leaves a tombstone, and
    /// only then its entry is removed.
    ///
    /// It is called within [`TOMBSTONE_LIFETIME`](super::TOMBSTONE_LIFETIME) of [`revoke_user`](UserIndex::revoke_user), which
    /// returned the marker.
    ///
    /// # Errors
    ///
    /// If the store fails. Some sessions of this piece may have been ended, and others not. Repeating the call does no harm.
    fn delete_sessions_of(
        &self,
        namespace: &str,
        user: &str,
        marker: &Marker,
        after: Option<&IndexCursor>,
    ) -> impl Future<Output = Result<DeletedPage, StoreError>> + Send;
}

type BoxedResult<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// [`UserIndex`] with boxed futures.
trait BoxedIndex: Send + Sync {
    fn sessions_of<'a>(
        &'a self,
        namespace: &'a str,
        user: &'a str,
        after: Option<&'a IndexCursor>,
    ) -> BoxedResult<'a, IndexPage>;
    fn revoke_user<'a>(
        &'a self,
        namespace: &'a str,
        user: &'a str,
        except: Option<SessionId>,
    ) -> BoxedResult<'a, Marker>;
    fn delete_sessions_of<'a>(
        &'a self,
        namespace: &'a str,
        user: &'a str,
        marker: &'a Marker,
        after: Option<&'a IndexCursor>,
    ) -> BoxedResult<'a, DeletedPage>;
}

impl<S: UserIndex> BoxedIndex for S {
    fn sessions_of<'a>(
        &'a self,
        namespace: &'a str,
        user: &'a str,
        after: Option<&'a IndexCursor>,
    ) -> BoxedResult<'a, IndexPage> {
        Box::pin(UserIndex::sessions_of(self, namespace, user, after))
    }

    fn revoke_user<'a>(
        &'a self,
        namespace: &'a str,
        user: &'a str,
        except: Option<SessionId>,
    ) -> BoxedResult<'a, Marker> {
        Box::pin(UserIndex::revoke_user(self, namespace, user, except))
    }

    fn delete_sessions_of<'a>(
        &'a self,
        namespace: &'a str,
        user: &'a str,
        marker: &'a Marker,
        after: Option<&'a IndexCursor>,
    ) -> BoxedResult<'a, DeletedPage> {
        Box::pin(UserIndex::delete_sessions_of(
            self, namespace, user, marker, after,
        ))
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

    /// A piece of the list of a user's live sessions: see [`UserIndex::sessions_of`].
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn sessions_of(
        &self,
        namespace: &str,
        user: &str,
        after: Option<&IndexCursor>,
    ) -> Result<IndexPage, StoreError> {
        self.0.sessions_of(namespace, user, after).await
    }

    /// Leaves a marker that refuses logins of a user: see [`UserIndex::revoke_user`].
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn revoke_user(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> Result<Marker, StoreError> {
        self.0.revoke_user(namespace, user, except).await
    }

    /// Ends some sessions of a user: see [`UserIndex::delete_sessions_of`].
    ///
    /// # Errors
    ///
    /// If the store fails. Some sessions of this piece may have been ended, and others not.
    pub async fn delete_sessions_of(
        &self,
        namespace: &str,
        user: &str,
        marker: &Marker,
        after: Option<&IndexCursor>,
    ) -> Result<DeletedPage, StoreError> {
        let piece = self.0.delete_sessions_of(namespace, user, marker, after);
        piece.await
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
