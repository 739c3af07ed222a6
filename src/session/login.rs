//! A login as the application describes it.

use std::fmt;

use zeroize::Zeroizing;

/// A login: the user's id, their credential, and whether the browser remembers them.
///
/// Pass it to [`Session::login`](crate::Session::login). If you have only the id, pass the id itself: `session.login(42)`.
///
/// ```
/// use tower_keycard::{Login, Session, SessionError};
///
/// struct User {
///     id: u64,
///     password_hash: String,
/// }
///
/// async fn login(session: Session, user: User, remember_me: bool) -> Result<(), SessionError> {
///     session.login(Login::new(user.id).stamp(&user.password_hash).remember(remember_me))
/// }
/// ```
#[derive(Clone)]
#[must_use = "a login is carried out by `Session::login`"]
pub struct Login {
    pub(crate) user: String,
    pub(crate) stamp: Option<Zeroizing<Vec<u8>>>,
    pub(crate) remember: Option<bool>,
}

impl Login {
    /// A login of the user with this id. The id names one user for good, and has 1 to 255 bytes.
    pub fn new(user: impl fmt::Display) -> Self {
        Self {
            user: user.to_string(),
            stamp: None,
            remember: None,
        }
    }

    /// Ties the session to the user's present credential: the hash of their password as it is stored, or anything else that
    /// changes with it.
    ///
    /// The session keeps only a hash of the stamp. When the user's credential has changed,
    /// [`check_stamp`](crate::Session::check_stamp) ends the session.
    #[doc(alias = "get_session_auth_hash")]
    pub fn stamp(mut self, stamp: impl AsRef<[u8]>) -> Self {
        self.stamp = Some(Zeroizing::new(stamp.as_ref().to_vec()));
        self
    }

    /// Sets whether the login outlives the browser: the value of a check box "remember me".
    ///
    /// - With `true` the cookie is persistent. The limits are those of
    ///   [`remember_me`](crate::SessionConfig::remember_me): 14 days idle and 30 days at most, unless configured otherwise.
    /// - With `false` the cookie ends with the browser. The layer's own limits hold.
    /// - If you do not call this method, [`persistence`](crate::SessionConfig::persistence) decides about the cookie. The
    ///   layer's own limits hold.
    ///
    /// It holds until the next login. [`set_expiry`](crate::Session::set_expiry) takes precedence over it.
    #[doc(alias = "remember_me")]
    pub fn remember(mut self, remember: bool) -> Self {
        self.remember = Some(remember);
        self
    }
}

impl<T: fmt::Display> From<T> for Login {
    fn from(user: T) -> Self {
        Self::new(user)
    }
}

/// Shows neither the user nor the stamp.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("remember", &self.remember)
            .finish_non_exhaustive()
    }
}
