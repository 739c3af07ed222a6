//! What an application says of a login.

use std::fmt;

use zeroize::Zeroizing;

/// Who logs in, and on which terms: what [`Session::login`](crate::Session::login) takes.
///
/// A user's id alone is one too: `session.login(42)`.
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
    /// A login of the user with this id: whatever names a user for good, 1 to 255 bytes.
    pub fn new(user: impl fmt::Display) -> Self {
        Self {
            user: user.to_string(),
            stamp: None,
            remember: None,
        }
    }

    /// Binds the session to what the user's credential is now: their password's hash, as it is stored, or whatever else
    /// changes with it. Only a hash of it is kept.
    ///
    /// A session whose stamp is not the user's any more ends where the application
    /// [checks](crate::Session::check_stamp) it.
    pub fn stamp(mut self, stamp: impl AsRef<[u8]>) -> Self {
        self.stamp = Some(Zeroizing::new(stamp.as_ref().to_vec()));
        self
    }

    /// Whether the browser is to remember this login after it was closed: what a check box "remember me" says.
    ///
    /// If so, the cookie is persistent, and the limits are those of
    /// [`remember_me`](crate::SessionConfig::remember_me), 14 days idle and 30 days at most unless configured otherwise. If
    /// not, the cookie ends with the browser, and the layer's own limits hold. Where nothing is said, the cookie is as
    /// [`persistence`](crate::SessionConfig::persistence) says, under the layer's limits.
    ///
    /// It holds until the next login, and [`set_expiry`](crate::Session::set_expiry) goes before it.
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
