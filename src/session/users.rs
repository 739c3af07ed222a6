//! The sessions of any user, for tasks outside of requests.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::event::Revocation;
use crate::lifecycle::{ClientContext, SessionManager, newest_first};
use crate::record::SessionId;
use crate::store::{Indexed, StoreError};

/// One session of a user, with the facts that a page "where you are logged in" shows.
///
/// [`Session::sessions`](crate::Session::sessions) and [`Users::sessions_of`] list them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UserSession {
    /// The public id. Pass it to [`Session::end_session`](crate::Session::end_session) or [`Users::end`].
    pub id: SessionId,
    /// When the session was created. This may be before the login.
    pub created: SystemTime,
    /// When the user logged in.
    pub logged_in_at: Option<SystemTime>,
    /// When the user last authenticated, by the login or by [`reauthenticate`](crate::Session::reauthenticate).
    pub authenticated_at: Option<SystemTime>,
    /// When the session was last used. The real time may be later, by one
    /// [refresh interval](crate::SessionConfig::refresh_interval) at most: a minute by default.
    ///
    /// It is computed from the time for which the store still keeps the record. So the clocks of the application's servers
    /// must agree. If the absolute limit is nearer than the idle limit, a difference between clocks counts a hundredfold.
    /// Just after limits were changed, the time may be off by as much as the limits were moved.
    pub last_seen: SystemTime,
    /// The description of the client from which the user logged in, if the layer gets [`ClientFacts`](crate::ClientFacts).
    /// Escape it in HTML: it may hold anything that a stranger typed.
    pub client: Option<String>,
    /// Whether the login was a [remembered](crate::Login::remember) one.
    pub remembered: bool,
    /// Whether this is the session of the present request. Always `false` in the list of [`Users::sessions_of`].
    pub current: bool,
    /// When the session ends if nobody uses it until then.
    pub expires_at: SystemTime,
}

/// All sessions of a layer, by user: for the tasks of an administrator.
///
/// [`SessionLayer::users`](crate::SessionLayer::users) returns it. It needs a store that keeps an index of users, as
/// [`MemoryStore`](crate::MemoryStore) and `RedisStore` do. For the user of the present request, use
/// [`Session::sessions`](crate::Session::sessions) instead.
///
/// ```
/// use tower_keycard::{MemoryStore, SessionLayer};
///
/// # async fn task() -> Result<(), tower_keycard::store::StoreError> {
/// let layer = SessionLayer::new(MemoryStore::new());
/// let users = layer.users();
/// for session in users.sessions_of("alice").await? {
///     println!("{} since {:?}", session.id, session.created);
/// }
/// users.end_all("alice").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Users(Arc<SessionManager>);

impl Users {
    pub(crate) fn new(manager: Arc<SessionManager>) -> Self {
        Self(manager)
    }

    /// Lists the live sessions of a user, the newest login first.
    ///
    /// # Errors
    ///
    /// The store fails, or keeps no index of users.
    pub async fn sessions_of(&self, user: &str) -> Result<Vec<UserSession>, StoreError> {
        let now = self.0.now();
        let mut sessions = newest_first(self.context().sessions_of(user).await?);
        let describe = |indexed: Indexed| {
            let header = &indexed.header.0;
            let lifetime = self.context().lifetime_of(header, now);
            let last_seen = now.minus(lifetime.unused_for(indexed.remaining));
            // After limits were changed, the time may come out before the login. No session is used before its login.
            let login = header.last_login();
            UserSession {
                id: indexed.key.id(),
                created: header.created.into(),
                logged_in_at: header.logged_in.map(SystemTime::from),
                authenticated_at: header.authenticated().map(SystemTime::from),
                last_seen: last_seen.max(login.min(now)).into(),
                client: header.login.client.as_deref().map(str::to_owned),
                remembered: header.login.remember == Some(true),
                current: false,
                expires_at: now.plus(lifetime.ends_in().min(indexed.remaining)).into(),
            }
        };
        Ok(sessions.drain(..).map(describe).collect())
    }

    /// Ends one session of any user. Its token is dead from its next request on, on every server.
    ///
    /// # Errors
    ///
    /// The store fails: the session may still live.
    pub async fn end(&self, id: SessionId) -> Result<(), StoreError> {
        let by = Revocation::Administrator;
        self.context().end(id, None, by).await
    }

    /// Ends all sessions of a user, and returns how many there were. Use it when a user is blocked, or when an administrator
    /// resets a password.
    ///
    /// Logins that are not committed yet are ended as well: a login whose request arrived before the revocation gets 503, and one
    /// that arrives afterwards is admitted. Dropping the future does not stop the work.
    ///
    /// # Errors
    ///
    /// The store fails, or keeps no index of users: some sessions may still live. You can call it again. So it does after 50
    /// seconds, enough for millions of sessions: those that were ended stay ended.
    pub async fn end_all(&self, user: &str) -> Result<usize, StoreError> {
        self.end_except(user, None).await
    }

    /// Ends all sessions of a user as [`end_all`](Users::end_all) does, except one, such as the session that started the task.
    ///
    /// # Errors
    ///
    /// Those of [`end_all`](Users::end_all).
    pub async fn end_others(&self, user: &str, except: SessionId) -> Result<usize, StoreError> {
        self.end_except(user, Some(except)).await
    }

    fn context(&self) -> ClientContext<'_> {
        ClientContext::new(&self.0, None)
    }

    async fn end_except(&self, user: &str, except: Option<SessionId>) -> Result<usize, StoreError> {
        let (manager, user) = (self.0.clone(), user.to_owned());
        let work = async move {
            let context = ClientContext::new(&manager, None);
            let by = Revocation::Administrator;
            context.end_user(&user.into(), except, by).await
        };
        self.0.finish(work).await
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Users").field(&self.0).finish()
    }
}
