//! Layers that let only those through who are logged in, or have just proved who they are.

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

use crate::error::{SessionError, SessionRejection};
use crate::failure::Failure;
use crate::session::{Main, Session};

/// What a visitor was turned away for. It stands in the [extensions](http::Extensions) of every response that
/// [`RequireLoginLayer`], [`RequireFreshLayer`] and, with the feature `axum`, their extractors and
/// [`SessionError`](crate::SessionError) make of it, where [`LoginRedirectLayer`](crate::LoginRedirectLayer) finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Required {
    /// To log in: 401.
    Login,
    /// To prove once more who they are: 403.
    Reauthentication,
}

impl Required {
    /// What an error demands of the visitor, if it does.
    #[must_use]
    pub fn of(error: &SessionError) -> Option<Self> {
        match error {
            SessionError::NotLoggedIn => Some(Self::Login),
            SessionError::NotFresh => Some(Self::Reauthentication),
            _ => None,
        }
    }

    /// The status to answer with.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Login => StatusCode::UNAUTHORIZED,
            Self::Reauthentication => StatusCode::FORBIDDEN,
        }
    }

    /// Why, for a page's own script: `{"error":"login_required"}` or `{"error":"reauthentication_required"}`.
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

/// Lets only requests of logged-in visitors reach a service; all others are answered with 401, and
/// `{"error":"login_required"}`.
///
/// For a whole part of a site. It stands inside the session layer, and loads the session; one handler alone takes the
/// extractor `RequireLogin` (feature `axum`), or calls [`Session::require_user`]. Put a
/// [`LoginRedirectLayer`](crate::LoginRedirectLayer) around it to send people to the login page instead.
///
#[cfg_attr(feature = "axum", doc = "```")]
#[cfg_attr(not(feature = "axum"), doc = "```text")]
/// use axum::{Router, routing::get};
/// use tower_keycard::{LoginRedirectLayer, MemoryStore, RequireLoginLayer, SessionLayer};
///
/// # fn app() -> Result<Router, tower_keycard::ConfigError> {
/// let account = Router::new()
///     .route("/account", get(|| async { "for those who are logged in" }))
///     .route_layer(RequireLoginLayer::new());
/// let app = Router::new()
///     .route("/login", get(|| async { "for everybody" }))
///     .merge(account)
///     .layer(LoginRedirectLayer::new("/login")?)
///     .layer(SessionLayer::new(MemoryStore::new()));
/// # Ok(app)
/// # }
/// ```
pub struct RequireLoginLayer<M = Main>(PhantomData<fn() -> M>);

/// Lets only requests of visitors reach a service who proved less than a given time ago who they are; all others are answered
/// with 403, and `{"error":"reauthentication_required"}`, or with 401 if they are not logged in at all.
///
/// As [`RequireLoginLayer`] otherwise; for one handler alone there is `RequireFresh` (feature `axum`), or
/// [`Session::require_fresh`].
pub struct RequireFreshLayer<M = Main> {
    within: Duration,
    marker: PhantomData<fn() -> M>,
}

impl RequireLoginLayer {
    /// Asks for a login.
    #[must_use]
    pub fn new() -> Self {
        Self::marked()
    }
}

impl<M> RequireLoginLayer<M> {
    /// Asks for a login in the session of the layer marked `M`.
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
    /// Asks for a proof of less than `within` ago.
    #[must_use]
    pub fn new(within: Duration) -> Self {
        Self::marked(within)
    }
}

impl<M> RequireFreshLayer<M> {
    /// Asks for a proof in the session of the layer marked `M`.
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

/// The service that [`RequireLoginLayer`] and [`RequireFreshLayer`] make of another.
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
        // The one that was polled is ready; its clone need not be.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        let within = self.within;
        // The body need not be `Sync`, so it is not held across the load.
        let (parts, body) = request.into_parts();
        Box::pin(async move {
            match admit::<M>(&parts.extensions, within).await {
                Ok(()) => inner.call(Request::from_parts(parts, body)).await,
                Err(refusal) => Ok(refusal.response()),
            }
        })
    }
}

/// Whether a visitor may go on.
async fn admit<M: 'static>(
    extensions: &http::Extensions,
    within: Option<Duration>,
) -> Result<(), Refusal> {
    let session = Session::<M>::load_as(extensions).await;
    let session = session.map_err(Refusal::NoSession)?;
    let proved = match within {
        Some(within) => session.require_fresh(within),
        None => session.require_user().map(drop),
    };
    // These two fail in no other way.
    proved.map_err(|error| Refusal::Required(Required::of(&error).unwrap_or(Required::Login)))
}

enum Refusal {
    NoSession(SessionRejection),
    Required(Required),
}

impl Refusal {
    fn response<B: From<&'static str>>(self) -> Response<B> {
        match self {
            Self::Required(required) => required.response(),
            Self::NoSession(rejection) => {
                let mut response = Response::new(B::from(""));
                match rejection {
                    SessionRejection::MissingLayer { .. } => {
                        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    }
                    SessionRejection::Store(_) => Failure::Unavailable.mark(&mut response),
                }
                response
            }
        }
    }
}
