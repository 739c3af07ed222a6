//! Layers that require a login, or a recent authentication.

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use super::failure::Failure;
use crate::error::SessionError;
use crate::session::{Main, Session};

/// What the user must do before the request is allowed.
///
/// It is in the [extensions](http::Extensions) of every response by which [`RequireLoginLayer`] or [`RequireFreshLayer`]
/// refuses a request. With the feature `axum` it is also in the responses of the extractors and of
/// [`SessionError`](crate::SessionError). [`LoginRedirectLayer`](crate::LoginRedirectLayer) finds it there, and so can a
/// middleware of your own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Required {
    /// Log in: 401.
    Login,
    /// Authenticate again, as by typing the password: 403.
    Reauthentication,
}

impl Required {
    /// What the user must do after this error. `None` if neither a login nor a new authentication helps.
    #[must_use]
    pub fn of(error: &SessionError) -> Option<Self> {
        match error {
            SessionError::NotLoggedIn => Some(Self::Login),
            SessionError::NotFresh => Some(Self::Reauthentication),
            _ => None,
        }
    }

    /// The status of the response.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Login => StatusCode::UNAUTHORIZED,
            Self::Reauthentication => StatusCode::FORBIDDEN,
        }
    }

    /// The reason, for a script of the page: `{"error":"login_required"}` or `{"error":"reauthentication_required"}`.
    const fn body(self) -> &'static str {
        match self {
            Self::Login => r#"{"error":"login_required"}"#,
            Self::Reauthentication => r#"{"error":"reauthentication_required"}"#,
        }
    }

    pub(crate) fn response<B: From<&'static str>>(self) -> Response<B> {
        let mut response = Response::new(B::from(self.body()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.extensions_mut().insert(self);
        response
    }
}

/// The layer that requires a login for a whole part of a site.
///
/// It returns 401 with `{"error":"login_required"}` if nobody is logged in. To redirect to the login page instead, put a
/// [`LoginRedirectLayer`](crate::LoginRedirectLayer) around it. It loads the session, so put it inside of the session layer.
/// For a single handler use the extractor `RequireLogin` (feature `axum`) or [`Session::require_user`].
///
#[cfg_attr(feature = "axum", doc = "```")]
#[cfg_attr(not(feature = "axum"), doc = "```text")]
/// use axum::{Router, routing::get};
/// use tower_keycard::{LoginRedirectLayer, MemoryStore, RequireLoginLayer, SessionLayer};
///
/// # fn app() -> Result<Router, tower_keycard::ConfigError> {
/// let account = Router::new()
///     .route("/account", get(|| async { "for logged-in users" }))
///     .route_layer(RequireLoginLayer::new());
/// let app = Router::new()
///     .route("/login", get(|| async { "for everyone" }))
///     .merge(account)
///     .layer(LoginRedirectLayer::new("/login")?)
///     .layer(SessionLayer::new(MemoryStore::new()));
/// # Ok(app)
/// # }
/// ```
#[doc(alias = "login_required")]
#[doc(alias = "LoginRequiredMiddleware")]
pub struct RequireLoginLayer<M = Main>(PhantomData<fn() -> M>);

/// The layer that requires a recent authentication for a whole part of a site.
///
/// It returns 403 with `{"error":"reauthentication_required"}` if the user last authenticated too long ago, and 401 if nobody
/// is logged in. Put it inside of the session layer, like [`RequireLoginLayer`]. For a single handler use the extractor
/// `RequireFresh` (feature `axum`) or [`Session::require_fresh`].
///
/// ```
/// use std::time::Duration;
/// use tower_keycard::RequireFreshLayer;
///
/// let layer = RequireFreshLayer::new(Duration::from_secs(5 * 60));
/// ```
pub struct RequireFreshLayer<M = Main> {
    within: Duration,
    marker: PhantomData<fn() -> M>,
}

impl RequireLoginLayer {
    /// A layer that requires a login.
    #[must_use]
    pub fn new() -> Self {
        Self::marked()
    }
}

impl<M> RequireLoginLayer<M> {
    /// A layer that requires a login in the session that is marked `M`.
    #[must_use]
    pub fn marked() -> Self {
        Self(PhantomData)
    }
}

impl Default for RequireLoginLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl RequireFreshLayer {
    /// A layer that requires an authentication less than `within` ago.
    #[must_use]
    pub fn new(within: Duration) -> Self {
        Self::marked(within)
    }
}

impl<M> RequireFreshLayer<M> {
    /// A layer that requires an authentication less than `within` ago in the session that is marked `M`.
    #[must_use]
    pub fn marked(within: Duration) -> Self {
        Self {
            within,
            marker: PhantomData,
        }
    }
}

impl<M> Clone for RequireLoginLayer<M> {
    fn clone(&self) -> Self {
        Self::marked()
    }
}

impl<M> Clone for RequireFreshLayer<M> {
    fn clone(&self) -> Self {
        Self::marked(self.within)
    }
}

impl<M> fmt::Debug for RequireLoginLayer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequireLoginLayer")
    }
}

impl<M> fmt::Debug for RequireFreshLayer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireFreshLayer")
            .field("within", &self.within)
            .finish()
    }
}

impl<S, M> Layer<S> for RequireLoginLayer<M> {
    type Service = RequireService<S, M>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireService::new(inner, None)
    }
}

impl<S, M> Layer<S> for RequireFreshLayer<M> {
    type Service = RequireService<S, M>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireService::new(inner, Some(self.within))
    }
}

/// The service that [`RequireLoginLayer`] and [`RequireFreshLayer`] put around an inner service.
pub struct RequireService<S, M> {
    inner: S,
    within: Option<Duration>,
    marker: PhantomData<fn() -> M>,
}

impl<S, M> RequireService<S, M> {
    fn new(inner: S, within: Option<Duration>) -> Self {
        Self {
            inner,
            within,
            marker: PhantomData,
        }
    }
}

impl<S: Clone, M> Clone for RequireService<S, M> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.within)
    }
}

impl<S: fmt::Debug, M> fmt::Debug for RequireService<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireService")
            .field("inner", &self.inner)
            .field("within", &self.within)
            .finish()
    }
}

impl<S, M, A, B> Service<Request<A>> for RequireService<S, M>
where
    S: Service<Request<A>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    M: 'static,
    A: Send + 'static,
    B: From<&'static str>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        // The service that was polled is ready. Its clone need not be.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        let within = self.within;
        // The body need not be `Sync`, so no reference to the request lives across the load.
        let (parts, body) = request.into_parts();
        Box::pin(async move {
            match check::<M>(&parts.extensions, within).await {
                Ok(()) => inner.call(Request::from_parts(parts, body)).await,
                Err(error) => Ok(refusal(&error)),
            }
        })
    }
}

/// Checks that the request is allowed.
async fn check<M: 'static>(
    extensions: &http::Extensions,
    within: Option<Duration>,
) -> Result<(), SessionError> {
    let session = Session::<M>::load_as(extensions).await?;
    match within {
        Some(within) => session.require_fresh(within),
        None => session.require_user().map(drop),
    }
}

fn refusal<B: From<&'static str>>(error: &SessionError) -> Response<B> {
    if let Some(required) = Required::of(error) {
        return required.response();
    }
    let mut response = Response::new(B::from(""));
    match error {
        SessionError::MissingLayer { .. } => {
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        }
        _ => Failure::Unavailable.mark(&mut response),
    }
    response
}
