//! A user's credential, and the sessions that rest on one that has been changed.

use super::Session;
use crate::error::SessionError;
use crate::event::Revocation;

/// # When the password changes
///
/// A session can be bound to what its user's credential was at the [login](crate::Login::stamp). It then ends when that
/// changes, in two ways, which go together:
///
/// - the handler that changes it calls [`credential_changed`](Session::credential_changed), which ends the user's other
///   sessions at once;
/// - what loads the user from the database for a request calls [`check_stamp`](Session::check_stamp), which ends a session
///   with an old stamp at its next request. So the change counts however it was made: by an administrator, by a script.
///
/// As Django's
/// [session verification hash](https://docs.djangoproject.com/en/5.2/topics/auth/default/#session-invalidation-on-password-change),
/// which it checks wherever `request.user` is used.
impl<M: 'static> Session<M> {
    /// Ends the session if it does not rest on the user's present credential: if its [stamp](crate::Login::stamp) is another,
    /// or if there is none, since the login did not say. To be called where the user is loaded, once for all handlers:
    ///
    /// ```
    /// # mod db {
    /// #     pub struct User { pub password_hash: String }
    /// #     pub async fn user(id: u64) -> Option<User> { None }
    /// # }
    /// use tower_keycard::{Session, SessionError};
    ///
    /// async fn current_user(session: &Session) -> Result<db::User, SessionError> {
    ///     let id = session.user_as()?.ok_or(SessionError::NotLoggedIn)?;
    ///     let user = db::user(id).await.ok_or(SessionError::NotLoggedIn)?;
    ///     session.check_stamp(&user.password_hash)?; // whoever logged in with an old password is out
    ///     Ok(user)
    /// }
    /// ```
    ///
    /// Both are compared as hashes, in constant time. From here on this request sees an empty session, as after a
    /// [logout](Session::logout). It is ended with the response, unless another request at the same time has
    /// [told](Session::credential_changed) it of the change: the password was changed in this very session then, which goes
    /// on, and what this request writes afterwards is [interrupted](SessionError::Interrupted).
    ///
    /// # Errors
    ///
    /// [`SessionError::NotLoggedIn`]: the session rests on another credential, or belongs to nobody. As a response (feature
    /// `axum`) 401.
    pub fn check_stamp(&self, present: impl AsRef<[u8]>) -> Result<(), SessionError> {
        let user = self.require_user()?;
        let present = self.visit.desk.stamp(&user, present.as_ref());
        let state = self.visit.state();
        let stamp = state.intent.stamp(&state.card);
        drop(state);
        if stamp.is_some_and(|stamp| stamp.same_as(&present)) {
            return Ok(());
        }
        // After the response has begun nothing can be ended any more, and the answer is the same.
        if self.flush().is_ok() {
            self.visit.state().intent.outdated = true;
        }
        Err(SessionError::NotLoggedIn)
    }

    /// Says what the user's credential has become, ends all their other sessions, logins under way included, and tells how
    /// many there were: to be called once the new password is stored. Dropping the future does not stop it. ASVS 5.0, 7.4.3.
    ///
    /// This session goes on, bound to the new stamp, as after [`end_other_sessions`](Session::end_other_sessions), of which
    /// all holds here too. A session that is in no index, and so is missed, has the old stamp.
    ///
    /// ```
    /// # use tower_keycard::{Session, SessionError};
    /// async fn change_password(session: Session, new_hash: String) -> Result<(), SessionError> {
    ///     // … after `new_hash` has been stored in place of the hash that the stamp was checked against, and of no other:
    ///     // a thief's request that was let in before the owner's must not have the last word after it.
    ///     session.credential_changed(&new_hash).await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// Where there is no session at hand, as in an administrator's task, [`Users::end_all`](crate::Users::end_all) ends them
    /// all.
    ///
    /// # Errors
    ///
    /// As for [`end_other_sessions`](Session::end_other_sessions).
    pub async fn credential_changed(&self, stamp: impl AsRef<[u8]>) -> Result<usize, SessionError> {
        self.stamp(stamp.as_ref())?;
        self.end_others(Revocation::Credential).await
    }

    fn stamp(&self, stamp: &[u8]) -> Result<(), SessionError> {
        let user = self.require_user()?;
        let stamp = self.visit.desk.stamp(&user, stamp);
        let mut state = self.visit.state();
        state.writable()?;
        state.intent.stamp = Some(Box::new(stamp));
        Ok(())
    }
}
