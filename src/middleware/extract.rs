//! The extractors for axum, and the responses of errors.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::time::Duration;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::require::Required;
use crate::error::SessionError;
use crate::event::diagnostics;
use crate::session::Flash;
use crate::session::{Main, Session};

/// Gives an extractor its function without the trait. Of a type that is also extracted as an `Option`, `from_request_parts`
/// would be ambiguous; and the marker of the type is known here.
macro_rules! inherent {
    ($(#[$doc:meta])* $extractor:ty $(, $($parameters:tt)+)?) => {
        impl$(<$($parameters)+>)? $extractor {
            $(#[$doc])*
            ///
            /// # Errors
            ///
            /// Those of the extractor: a [`SessionError`].
            pub async fn from_request_parts<S: Send + Sync>(
                parts: &mut Parts,
                state: &S,
            ) -> Result<Self, SessionError> {
                <Self as FromRequestParts<S>>::from_request_parts(parts, state).await
            }
        }
    };
}

inherent! {
    /// Loads the session in an extractor [of your own](Session#in-an-extractor-of-your-own).
    Session
}
inherent! {
    /// Extracts the logged-in user in an extractor [of your own](Session#in-an-extractor-of-your-own).
    RequireLogin
}
inherent! {
    /// Extracts the user who authenticated recently in an extractor [of your own](Session#in-an-extractor-of-your-own).
    RequireFresh<SECONDS>, const SECONDS: u64
}
inherent! {
    /// Takes the messages in an extractor [of your own](Session#in-an-extractor-of-your-own).
    Flashes<T>, T: DeserializeOwned
}

impl<S, M> FromRequestParts<S> for Session<M>
where
    S: Send + Sync,
    M: 'static,
{
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Self::load_as(&parts.extensions).await
    }
}

/// `None` if the request's cookie opens no session. A store that fails is a rejection, never `None`.
impl<S, M> OptionalFromRequestParts<S> for Session<M>
where
    S: Send + Sync,
    M: 'static,
{
    type Rejection = SessionError;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Option<Self>, Self::Rejection> {
        let session = Self::load_as(&parts.extensions).await?;
        Ok(session.exists().then_some(session))
    }
}

/// The extractor for handlers that need a logged-in user. It holds the user's id and the session.
///
/// If nobody is logged in, the handler does not run. The response is a 401, or a redirect to the login page if there is a
/// [`LoginRedirectLayer`](crate::LoginRedirectLayer). As `Option<RequireLogin>` it is `None` instead.
///
/// ```
/// use tower_keycard::RequireLogin;
///
/// async fn account(RequireLogin { user, session, .. }: RequireLogin) -> String {
///     format!("{user}, since {:?}", session.logged_in_at())
/// }
/// ```
///
/// For a whole part of a site use [`RequireLoginLayer`](crate::RequireLoginLayer).
#[doc(alias = "login_required")]
#[doc(alias = "LoginRequiredMixin")]
#[derive(Debug)]
#[non_exhaustive]
pub struct RequireLogin<M = Main> {
    /// The id of the logged-in user.
    pub user: String,
    /// The session.
    pub session: Session<M>,
}

/// The extractor for handlers that need a user who authenticated less than `SECONDS` ago. It holds the user's id and the
/// session.
///
/// Use it for actions that a thief of the session must not be able to take. If the last authentication is too long ago, the
/// handler does not run. The response is a 403, or a redirect to the page that asks for the password again if there is a
/// [`LoginRedirectLayer`](crate::LoginRedirectLayer). If nobody is logged in, it is a 401, or a redirect to the login page.
///
/// ```
/// use tower_keycard::RequireFresh;
///
/// const FIVE_MINUTES: u64 = 5 * 60;
///
/// async fn change_email(fresh: RequireFresh<FIVE_MINUTES>) -> String {
///     format!("{} may change the address", fresh.user)
/// }
/// ```
///
/// [`Session::require_fresh`] makes the same check in the handler. For a whole part of a site use
/// [`RequireFreshLayer`](crate::RequireFreshLayer). `SECONDS` must not be zero, which is checked at compile time.
#[derive(Debug)]
#[non_exhaustive]
pub struct RequireFresh<const SECONDS: u64, M = Main> {
    /// The id of the logged-in user.
    pub user: String,
    /// The session.
    pub session: Session<M>,
}

/// The extractor for pages that show flash messages. It [takes](Session::take_flashes_as) those that were left.
///
/// ```
/// use tower_keycard::Flashes;
///
/// async fn page(flashes: Flashes) -> String {
///     flashes.iter().map(|flash| format!("[{}] {}\n", flash.level, flash.content)).collect()
/// }
/// ```
///
/// `T` is the type of the content, and text by default.
#[doc(alias = "get_messages")]
pub struct Flashes<T = String, M = Main> {
    flashes: Vec<Flash<T>>,
    marker: PhantomData<fn() -> M>,
}

impl<S, M> FromRequestParts<S> for RequireLogin<M>
where
    S: Send + Sync,
    M: 'static,
{
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let session = Session::load_as(&parts.extensions).await?;
        let user = session.require_user()?;
        Ok(Self { user, session })
    }
}

/// `None` if nobody is logged in. A store that fails is a rejection, never `None`.
impl<S, M> OptionalFromRequestParts<S> for RequireLogin<M>
where
    S: Send + Sync,
    M: 'static,
{
    type Rejection = SessionError;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Option<Self>, Self::Rejection> {
        let session = Session::load_as(&parts.extensions).await?;
        Ok(session.user().map(|user| Self { user, session }))
    }
}

impl<S, const SECONDS: u64, M> FromRequestParts<S> for RequireFresh<SECONDS, M>
where
    S: Send + Sync,
    M: 'static,
{
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        const { assert!(SECONDS > 0, "`RequireFresh` needs at least one second") };
        let session = Session::load_as(&parts.extensions).await?;
        session.require_fresh(Duration::from_secs(SECONDS))?;
        let user = session.require_user()?;
        Ok(Self { user, session })
    }
}

impl<S, T, M> FromRequestParts<S> for Flashes<T, M>
where
    S: Send + Sync,
    T: DeserializeOwned,
    M: 'static,
{
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let session = Session::<M>::load_as(&parts.extensions).await?;
        let flashes = session.take_flashes_as()?;
        Ok(Self {
            flashes,
            marker: PhantomData,
        })
    }
}

impl<T, M> Deref for Flashes<T, M> {
    type Target = [Flash<T>];

    fn deref(&self) -> &Self::Target {
        &self.flashes
    }
}

impl<T, M> IntoIterator for Flashes<T, M> {
    type Item = Flash<T>;
    type IntoIter = std::vec::IntoIter<Flash<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.flashes.into_iter()
    }
}

impl<T: fmt::Debug, M> fmt::Debug for Flashes<T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Flashes").field(&self.flashes).finish()
    }
}

/// A status and an empty body.
fn bare(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

fn unavailable() -> Response {
    let mut response = Response::default();
    Failure::Unavailable.mark(&mut response);
    response
}

impl IntoResponse for SessionError {
    fn into_response(self) -> Response {
        if let Some(required) = Required::of(&self) {
            return required.response();
        }
        match self {
            // Logged already.
            Self::MissingLayer { .. } => bare(StatusCode::INTERNAL_SERVER_ERROR),
            Self::Interrupted => bare(StatusCode::CONFLICT),
            Self::Ambiguous => bare(StatusCode::BAD_REQUEST),
            Self::TooManySessions | Self::InvalidCsrfToken | Self::Withheld => {
                bare(StatusCode::FORBIDDEN)
            }
            Self::Store(_) | Self::NoRandomness => unavailable(),
            mistake => {
                diagnostics::answered_500(&mistake);
                bare(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}
