//! The response for a client whose session could not be committed.

use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};

use crate::error::SessionError;
use crate::store::StoreErrorKind;

/// The reason for which the layer replaces a response: the session could not be committed.
///
/// [`FailureResponse`] makes the new response from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The request carries the cookies of several sessions, so one of them may have been planted: 400. A login or a logout
    /// resolves it. Also if it carries more than four different session cookies. After a safe method such as GET the page goes
    /// out instead, if only values were lost.
    Ambiguous,
    /// Another request rotated or ended the session meanwhile: 409. The client may try again.
    /// [`on_interrupted`](crate::SessionConfig::on_interrupted) says when the page goes out instead, if only values were lost.
    Interrupted,
    /// The user has as many sessions as [`max_sessions_per_user`](crate::SessionConfig::max_sessions_per_user) allows, and
    /// logs in once more: 403.
    TooManySessions,
    /// All sessions of the user were ended after the request of this login arrived, or hardly before: 503. The client may try
    /// again.
    Revoked,
    /// The store failed, or did not answer in time: 503. The client may try again.
    Unavailable,
    /// Two session layers around the service contradict each other: 500, before the handler is called. They have the same
    /// marker and are not clones of one layer, or they read the same cookie. The log names both (`conflicting_layers`).
    Misconfigured,
}

impl Failure {
    /// The status of the response.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Ambiguous => StatusCode::BAD_REQUEST,
            Self::Interrupted => StatusCode::CONFLICT,
            Self::TooManySessions => StatusCode::FORBIDDEN,
            Self::Revoked | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Misconfigured => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(crate) fn of(error: &SessionError) -> Self {
        match error {
            SessionError::Ambiguous => Self::Ambiguous,
            // Data that does not fit the newer record has lost the race.
            SessionError::Interrupted | SessionError::TooLarge { .. } => Self::Interrupted,
            SessionError::TooManySessions => Self::TooManySessions,
            SessionError::Store(error) if error.kind() == StoreErrorKind::Revoked => Self::Revoked,
            _ => Self::Unavailable,
        }
    }

    /// Gives a response this failure's status, and `Retry-After` if the client may try again.
    pub(crate) fn mark<B>(self, response: &mut Response<B>) {
        *response.status_mut() = self.status();
        let seconds = match self {
            Self::Unavailable | Self::Revoked => "1",
            _ => return,
        };
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static(seconds));
    }
}

/// Makes the response for a [`Failure`]. A closure from a `Failure` to a `Response` implements it if it is `Clone`, and so does
/// [`DefaultFailureResponse`].
///
/// Set it with [`failure_response`](crate::middleware::SessionLayerBuilder::failure_response).
#[diagnostic::on_unimplemented(
    message = "the session layer cannot make a response with a body of type `{B}`",
    note = "the body must implement `Default`; put the middleware that made this body, such as `TraceLayer`, outside of the \
            session layer, or add it with a call of `axum::Router::layer` of its own"
)]
pub trait FailureResponse<B>: Clone {
    /// Makes the response. The layer adds only the headers that the session needs, such as `Vary`.
    fn failure_response(&mut self, failure: Failure) -> Response<B>;
}

impl<F, B> FailureResponse<B> for F
where
    F: FnMut(Failure) -> Response<B> + Clone,
{
    fn failure_response(&mut self, failure: Failure) -> Response<B> {
        self(failure)
    }
}

/// The default response: the status of the failure and an empty body, with `Retry-After` for a 503.
///
/// `Retry-After` is 1 second.
///
/// The response body must implement `Default`. The bodies of axum, tonic and `http-body-util` do. The body of `TraceLayer`
/// does not, so put tracing outside of the session layer. `axum::Router::layer` converts every body into axum's own, so
/// separate calls of it can come in any order.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct DefaultFailureResponse;

impl<B: Default> FailureResponse<B> for DefaultFailureResponse {
    fn failure_response(&mut self, failure: Failure) -> Response<B> {
        let mut response = Response::new(B::default());
        failure.mark(&mut response);
        response
    }
}
