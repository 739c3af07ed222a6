//! What a client is told when its session could not be committed.

use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};

use crate::error::SessionError;
use crate::store::StoreErrorKind;

/// Why a response is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The request carries two different session cookies, one of them planted: 400.
    Ambiguous,
    /// Another request rotated or ended the session meanwhile: 409. The client may try again.
    Interrupted,
    /// The user who logs in has as many sessions as `max_sessions_per_user` allows: 403.
    TooManySessions,
    /// All sessions of the user who logs in were ended a moment ago, or since the login began: 503, to be tried again after
    /// [`REVOCATION_LIFETIME`](crate::store::REVOCATION_LIFETIME), which is 5 seconds.
    Revoked,
    /// The store failed, or did not answer in time: 503. The client may try again.
    Unavailable,
}

impl Failure {
    /// The status to answer with.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Ambiguous => StatusCode::BAD_REQUEST,
            Self::Interrupted => StatusCode::CONFLICT,
            Self::TooManySessions => StatusCode::FORBIDDEN,
            Self::Revoked | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(crate) fn of(error: &SessionError) -> Self {
        match error {
            SessionError::Ambiguous => Self::Ambiguous,
            // What does not fit the newer record lost against it.
            SessionError::Interrupted | SessionError::TooLarge { .. } => Self::Interrupted,
            SessionError::TooManySessions => Self::TooManySessions,
            SessionError::Store(error) if error.kind() == StoreErrorKind::Revoked => Self::Revoked,
            _ => Self::Unavailable,
        }
    }

    /// Gives a response this failure's status, and `Retry-After` where that helps.
    pub(crate) fn mark<B>(self, response: &mut Response<B>) {
        *response.status_mut() = self.status();
        let seconds = match self {
            Self::Unavailable => "1",
            Self::Revoked => "5",
            _ => return,
        };
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static(seconds));
    }
}

/// Makes the response to a [`Failure`]: a closure, or [`DefaultFailureResponse`].
#[diagnostic::on_unimplemented(
    message = "the session layer cannot answer with a body of type `{B}`",
    note = "a body has to be `Default`; put the middleware that made this one, such as `TraceLayer`, outside of the session \
            layer, or add it by an `axum::Router::layer` of its own"
)]
pub trait FailureResponse<B>: Clone {
    /// The response. The layer adds `Vary`, and nothing else.
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

/// The failure's status, with an empty body; 503 with `Retry-After: 1`.
///
/// The response body must be `Default`: that of axum, tonic and `http-body-util` is; that of `TraceLayer` is not, so tracing
/// goes outside the session layer. `axum::Router::layer` turns every body into axum's: between two calls of it the order is
/// free.
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
