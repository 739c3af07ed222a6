//! The extractors for axum, and errors as responses.

use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, StatusCode};

use crate::error::{SessionError, SessionRejection};
use crate::failure::Failure;
use crate::session::Session;

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

/// Tells a page's own script what to do about it.
fn not_fresh() -> Response {
    let mut response = Response::new(Body::from(r#"{"error":"reauthentication_required"}"#));
    *response.status_mut() = StatusCode::FORBIDDEN;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
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
        match self {
            Self::Interrupted => bare(StatusCode::CONFLICT),
            Self::Ambiguous => bare(StatusCode::BAD_REQUEST),
            Self::NotLoggedIn => bare(StatusCode::UNAUTHORIZED),
            Self::NotFresh => not_fresh(),
            Self::TooManySessions => bare(StatusCode::FORBIDDEN),
            Self::Store(_) | Self::NoRandomness => unavailable(),
            _ => bare(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}
