//! The extractor for the logged-in user.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;

use tower_keycard::{RequireLogin, Session, SessionError};

use crate::accounts::Accounts;

/// A user with an account, and their session.
pub(crate) struct Member {
    pub(crate) name: String,
    /// The hash of their password, which the session's stamp matches.
    pub(crate) hash: String,
    pub(crate) session: Session,
}

impl<S> FromRequestParts<S> for Member
where
    S: Send + Sync,
    Accounts: FromRef<S>,
{
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let RequireLogin { user, session, .. } =
            RequireLogin::from_request_parts(parts, state).await?;
        let hash = Accounts::from_ref(state).hash_of(&user);
        // A login with a password that was changed since ends here, and so does one whose account is gone.
        let hash = hash.ok_or(SessionError::NotLoggedIn)?;
        session.check_stamp(&hash)?;
        Ok(Self {
            name: user,
            hash,
            session,
        })
    }
}
