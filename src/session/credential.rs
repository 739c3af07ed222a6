//! The user's credential: sessions end when it changes.

use super::Session;
use crate::error::SessionError;
use crate::event::{Ending, Revocation};

/// # When the password changes
///
/// A session can remember the credential that its user had at the [login](crate::Login::stamp), as a stamp. It then ends when
/// the credential changes. Two calls do this together:
///
/// - The handler that changes the credential calls [`credential_changed`](Session::credential_changed). This ends the user's
///   other sessions at once.
/// - The code that loads the user from the database calls [`check_stamp`](Session::check_stamp) for each request. This ends
///   a session with an old stamp at its next request, even if an administrator or a script changed the credential.
///
/// Django's counterpart is the
/// [session verification hash](https://docs.djangoproject.com/en/5.2/topics/auth/default/#session-invalidation-on-password-change),
/// which Django checks wherever `request.user` is used.
impl<M: 'static> Session<M> {
    /// Checks that the session's [stamp](crate::Login::stamp) matches the user's present credential, and ends the session if
    /// it does not.
    ///
    /// A session whose login gave no stamp is ended as well. Call it in the one place where all handlers load the user:
    ///
    /// ```
    /// # mod db {
    /// #     pub struct User { pub password_hash: String }
    /// #     pub async fn user(id: u64) -> Option<User> { None }
    /// # }
    /// use tower_keycard::{Session, SessionError};
    ///
    /// async fn current_user(session: &Session) -> Result<db::User, SessionError> {
    ///     let id = session.user_as().ok_or(SessionError::NotLoggedIn)?;
    ///     let user = db::user(id).await.ok_or(SessionError::NotLoggedIn)?;
    ///     session.check_stamp(&user.password_hash)?; // a login with an old password ends here
    ///     Ok(user)
    /// }
    /// ```
    ///
    /// The stamps are compared as hashes, in constant time. After a mismatch this request sees an empty session, as after a
    /// [logout](Session::logout), and the session ends with the response.
    ///
    /// There is one exception: at the same time, another request of this very session changed the password and
    /// [reported](Session::credential_changed) it. Then the session goes on, and what this request writes after the mismatch
    /// is [interrupted](SessionError::Interrupted). A request that only rotated the token at that time saves nothing: the
    /// session ends under its new token.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotLoggedIn`] if the stamp does not match, or if nobody is logged in. As a response (feature `axum`)
    /// it is 401.
    #[doc(alias = "get_session_auth_hash")]
    pub fn check_stamp(&self, present: impl AsRef<[u8]>) -> Result<(), SessionError> {
        let user = self.require_user()?;
        let present = self.request.manager.security_stamp(&user, present.as_ref());
        let state = self.request.state();
        let stamp = state.pending.stamp(&state.lookup);
        drop(state);
        if stamp.is_some_and(|stamp| stamp.same_as(&present)) {
            return Ok(());
        }
        // After the response has begun, the session cannot be ended any more. The error is the same.
        self.end(Ending::Credential).ok();
        Err(SessionError::NotLoggedIn)
    }

    /// Ends all other sessions of the user after their credential has changed, and gives this session the new stamp. Returns
    /// how many sessions it ended. ASVS 5.0, 7.4.3.
    ///
    /// Call it once the new password is stored. Logins that are not committed yet are ended as well. Dropping the future does
    /// not stop the work.
    ///
    /// This session goes on. Everything that [`end_other_sessions`](Session::end_other_sessions) says holds here too. A
    /// session that is missing from the index is not ended now, but it has the old stamp.
    ///
    /// ```
    /// # use tower_keycard::{Session, SessionError};
    /// async fn change_password(session: Session, new_hash: String) -> Result<(), SessionError> {
    ///     // … after `new_hash` was stored, only if the database still had the hash that `check_stamp` was given. Otherwise
    ///     // a thief's request that passed that check before the owner's could still replace the owner's new password.
    ///     session.credential_changed(&new_hash).await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// Outside of a request, as in an administrator's task, use [`Users::end_all`](crate::session::Users::end_all), which ends
    /// all sessions of the user.
    ///
    /// # Errors
    ///
    /// Those of [`end_other_sessions`](Session::end_other_sessions).
    #[doc(alias = "update_session_auth_hash")]
    pub async fn credential_changed(&self, stamp: impl AsRef<[u8]>) -> Result<usize, SessionError> {
        self.set_stamp(stamp.as_ref())?;
        self.end_others(Revocation::Credential).await
    }

    fn set_stamp(&self, stamp: &[u8]) -> Result<(), SessionError> {
        let user = self.require_user()?;
        let stamp = self.request.manager.security_stamp(&user, stamp);
        let mut state = self.request.state();
        state.writable()?;
        state.pending.stamp = Some(Box::new(stamp));
        Ok(())
    }
}
