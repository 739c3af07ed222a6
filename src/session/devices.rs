//! The other sessions of the user, on the same device and on others.

use super::Session;
use super::users::{UserSession, Users};
use crate::error::SessionError;
use crate::event::Revocation;
use crate::record::SessionId;

/// # The user's other sessions
///
/// These methods need a store that keeps an index of users, as `MemoryStore` and `RedisStore` do.
///
/// Each of them first checks that this session still lives. A session that was ended meanwhile sees and ends nothing. It may
/// have been ended hours ago, while a stream or a WebSocket was open.
impl<M: 'static> Session<M> {
    /// Lists all live sessions of this session's user, the newest login first. This session is marked as
    /// [current](UserSession::current). ASVS 5.0, 7.5.2.
    ///
    /// ```
    /// use tower_keycard::{Session, SessionError};
    ///
    /// async fn devices(session: Session) -> Result<String, SessionError> {
    ///     let mut page = String::new();
    ///     for other in session.sessions().await? {
    ///         let name = other.client.as_deref().unwrap_or("Unknown device");
    ///         page += &format!("{name}, last seen {:?}\n", other.last_seen); // escape the name in HTML
    ///     }
    ///     Ok(page)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::NotLoggedIn`] if nobody is logged in, [`SessionError::Interrupted`] if this session has been ended,
    /// [`SessionError::Store`] if the store fails or keeps no index.
    pub async fn sessions(&self) -> Result<Vec<UserSession>, SessionError> {
        let (manager, requester) = (self.manager(), self.requester()?);
        requester.context(&manager).confirm(&requester).await?;
        let mut sessions = Users::new(manager).sessions_of(&requester.user).await?;
        let own = self.id();
        for session in &mut sessions {
            session.current = Some(session.id) == own;
        }
        Ok(sessions)
    }

    /// Ends one session of the user. Returns whether there was such a session of this user; a session of another user is never
    /// ended. To end this session, [log out](Session::logout).
    ///
    /// # Errors
    ///
    /// [`SessionError::NotLoggedIn`] if nobody is logged in, [`SessionError::Interrupted`] if this session has been ended,
    /// [`SessionError::Store`] if the store fails or keeps no index.
    pub async fn end_session(&self, id: SessionId) -> Result<bool, SessionError> {
        let (manager, requester) = (self.manager(), self.requester()?);
        let context = requester.context(&manager);
        context.confirm(&requester).await?;
        let theirs = context.is_session_of(id, &requester.user).await?;
        if theirs {
            context
                .end(id, Some(&requester.user), Revocation::One)
                .await?;
        }
        Ok(theirs)
    }

    /// Ends all other sessions of the user, for a button "log out everywhere else". Returns how many sessions it ended. ASVS
    /// 5.0, 7.4.3.
    ///
    /// Logins that are not committed yet are ended as well. Dropping the future does not stop the work. After a change of the
    /// password call [`credential_changed`](Session::credential_changed) instead.
    ///
    /// This session goes on under a [new token](Session::rotate_token), so that a copy of the old token is dead too. Only after
    /// the response's head was sent it keeps its token, because no new one can be sent. Changes that are not stored yet are
    /// [saved](Session::save) first.
    ///
    /// A login whose request arrived before that gets 503: [`Failure::Revoked`](crate::middleware::Failure::Revoked). Whoever
    /// logs in afterwards is admitted. [Require a recent login](Session::require_fresh) before you call it: otherwise a thief
    /// with a stolen token can end the owner's sessions.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotLoggedIn`] if nobody is logged in, and the errors of [`save`](Session::save). After
    /// [`SessionError::Store`] some sessions may still live.
    pub async fn end_other_sessions(&self) -> Result<usize, SessionError> {
        self.end_others(Revocation::Others).await
    }

    pub(super) async fn end_others(&self, by: Revocation) -> Result<usize, SessionError> {
        self.require_user()?;
        match self.rotate_token() {
            Err(SessionError::HeadSent) => {}
            rotated => rotated?,
        }
        let session = self.clone();
        let work = async move {
            session.save().await?;
            let (manager, requester) = (session.manager(), session.requester()?);
            let context = requester.context(&manager);
            context.confirm(&requester).await?;
            let others = context.end_user(&requester.user, session.id(), by);
            Ok(others.await?)
        };
        self.manager().finish(work).await
    }

    /// Logs the user out everywhere, in this session too. Returns how many sessions it ended. Dropping the future does not stop
    /// the work.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotLoggedIn`] if nobody is logged in, [`SessionError::Sealed`] if the response has begun.
    ///
    /// [`SessionError::Interrupted`] if this session has been ended already, [`SessionError::Store`] if the store fails: some
    /// sessions may still live. In both cases this session ends with the response.
    pub async fn logout_everywhere(&self) -> Result<usize, SessionError> {
        let (manager, requester) = (self.manager(), self.requester()?);
        self.logout()?;
        let work = async move {
            let context = requester.context(&manager);
            context.confirm(&requester).await?;
            let all = context.end_user(&requester.user, None, Revocation::Everywhere);
            Ok(all.await?)
        };
        self.manager().finish(work).await
    }
}
