//! The extractors for axum, and errors as responses.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::time::Duration;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::error::{SessionError, SessionRejection};
use crate::event;
use crate::failure::Failure;
use crate::flash::Flash;
use crate::require::Required;
use crate::session::{Main, Session};

impl<S, M> FromRequestParts<S> for Session<M>
where
    S: Send + Sync,
    M: 'static,
{
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Self::load_as(&parts.extensions).await
    }
}

/// `None` where the request's cookie opens no session; a store that fails is a rejection, never `None`.
impl<S, M> OptionalFromRequestParts<S> for Session<M>
where
    S: Send + Sync,
    M: 'static,
{
    type Rejection = SessionRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Option<Self>, Self::Rejection> {
        let session = Self::load_as(&parts.extensions).await?;
        Ok(session.exists().then_some(session))
    }
}

/// A logged-in user and their session: an argument of handlers that are for nobody else. Others get 401, or are sent to the
/// login page by a [`LoginRedirectLayer`](crate::LoginRedirectLayer).
///
/// ```
/// use tower_keycard::RequireLogin;
///
/// async fn account(RequireLogin { user, session, .. }: RequireLogin) -> String {
///     format!("{user}, since {:?}", session.authenticated_at())
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct RequireLogin<M = Main> {
    /// Whom the session belongs to.
    pub user: String,
    /// The session.
    pub session: Session<M>,
}

/// A user who proved less than so many seconds ago who they are, and their session: an argument of handlers that change what
/// a thief of the session must not. Others get 403, or are sent to the page that asks for the password again by a
/// [`LoginRedirectLayer`](crate::LoginRedirectLayer).
///
/// ```
/// use tower_keycard::RequireFresh;
///
/// const FIVE_MINUTES: u64 = 5 * 60;
///
/// async fn change_email(fresh: RequireFresh<FIVE_MINUTES>) -> String {
///     format!("{} may", fresh.user)
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct RequireFresh<const SECONDS: u64, M = Main> {
    /// Whom the session belongs to.
    pub user: String,
    /// The session.
    pub session: Session<M>,
}

/// The messages that wait for this page, [taken](Session::take_flashes_as): an argument of handlers that show them.
///
/// ```
/// use tower_keycard::Flashes;
///
/// async fn page(flashes: Flashes) -> String {
///     flashes.iter().map(|flash| format!("[{}] {}\n", flash.level, flash.content)).collect()
/// }
/// ```
pub struct Flashes<T = String, M = Main> {
    flashes: Vec<Flash<T>>,
    marker: PhantomData<fn() -> M>,
}

/// Why one of the extractors turned a request away. As a response it is what its content is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ExtractRejection {
    /// The session could not be had.
    Session(SessionRejection),
    /// The session is not what was asked for.
    Error(SessionError),
}

async fn load<M: 'static>(parts: &Parts) -> Result<Session<M>, ExtractRejection> {
    let session = Session::load_as(&parts.extensions).await;
    session.map_err(ExtractRejection::Session)
}

impl<S, M> FromRequestParts<S> for RequireLogin<M>
where
    S: Send + Sync,
    M: 'static,
{
    type Rejection = ExtractRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let session = load(parts).await?;
        let user = session.require_user()?;
        Ok(Self { user, session })
    }
}

impl<S, const SECONDS: u64, M> FromRequestParts<S> for RequireFresh<SECONDS, M>
where
    S: Send + Sync,
    M: 'static,
{
    type Rejection = ExtractRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        const { assert!(SECONDS > 0, "no proof is as fresh as that") };
        let session = load(parts).await?;
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
    type Rejection = ExtractRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let flashes = load::<M>(parts).await?.take_flashes_as()?;
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

impl From<SessionError> for ExtractRejection {
    fn from(error: SessionError) -> Self {
        Self::Error(error)
    }
}

impl fmt::Display for ExtractRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(rejection) => rejection.fmt(f),
            Self::Error(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ExtractRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Session(rejection) => rejection.source(),
            Self::Error(error) => error.source(),
        }
    }
}

impl IntoResponse for ExtractRejection {
    fn into_response(self) -> Response {
        match self {
            Self::Session(rejection) => rejection.into_response(),
            Self::Error(error) => error.into_response(),
        }
    }
}

/// A status, and a body that tells nothing.
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

impl IntoResponse for SessionRejection {
    fn into_response(self) -> Response {
        match self {
            Self::MissingLayer { .. } => bare(StatusCode::INTERNAL_SERVER_ERROR),
            Self::Store(_) => unavailable(),
        }
    }
}

impl IntoResponse for SessionError {
    fn into_response(self) -> Response {
        if let Some(required) = Required::of(&self) {
            return required.response();
        }
        match self {
            Self::Interrupted => bare(StatusCode::CONFLICT),
            Self::Ambiguous => bare(StatusCode::BAD_REQUEST),
            Self::TooManySessions | Self::InvalidCsrfToken => bare(StatusCode::FORBIDDEN),
            Self::Store(_) | Self::NoRandomness => unavailable(),
            mistake => {
                event::answered_500(&mistake);
                bare(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}
