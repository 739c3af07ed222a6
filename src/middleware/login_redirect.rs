//! The layer that redirects to the login page, and passes on where the user wanted to go.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::require::Required;
use super::safe_next::SafeNext;
use crate::config::ConfigError;

/// The layer that redirects to the login page if a request [requires a login](Required::Login).
///
/// If you set a page for it, the layer also redirects a request that
/// [requires a new authentication](Required::Reauthentication) to the page that asks for the password again.
///
/// ```
/// use tower_keycard::LoginRedirectLayer;
///
/// # fn layer() -> Result<LoginRedirectLayer, tower_keycard::ConfigError> {
/// let layer = LoginRedirectLayer::new("/login")?.reauthenticate_at("/confirm")?;
/// # Ok(layer)
/// # }
/// ```
///
/// Put it around [`RequireLoginLayer`](crate::RequireLoginLayer) and [`RequireFreshLayer`](crate::RequireFreshLayer). With the
/// feature `axum` it works for the extractors `RequireLogin` and `RequireFresh` too, and for handlers that return the error of
/// [`require_user()?`](crate::Session::require_user) or [`require_fresh(…)?`](crate::Session::require_fresh). A 401 that the
/// application itself makes is left alone.
///
/// The redirect is a 303 with `Cache-Control: no-store`. After a GET or HEAD it carries the path in the query, as in
/// `/login?next=/account`. The login page puts `next` into a hidden field, and reads what comes back as a [`SafeNext`]. Other
/// requests cannot be repeated by following a link, so there is no `next` for them.
///
/// Only navigations are redirected. The browser marks them by `Sec-Fetch-Mode`; a request without this header counts as one. A
/// script gets the 401 or the 403, because it can use the status better than a login page.
///
/// Put the layer outside of everything that strips a prefix from the path (axum's `nest`), so that it sees the path that the
/// browser asked for.
#[doc(alias = "LOGIN_URL")]
#[doc(alias = "redirect_to_login")]
#[derive(Clone, Debug)]
pub struct LoginRedirectLayer(Arc<Pages>);

#[derive(Clone, Debug)]
struct Pages {
    login: SafeNext,
    reauthentication: Option<SafeNext>,
}

impl LoginRedirectLayer {
    /// A layer that redirects to this login page. `login` is a path of this site, such as `/login`.
    ///
    /// # Errors
    ///
    /// `login` is not a path of this site: see [`SafeNext`].
    pub fn new(login: &str) -> Result<Self, ConfigError> {
        Ok(Self(Arc::new(Pages {
            login: page("login_page", login)?,
            reauthentication: None,
        })))
    }

    /// Sets the page that asks for the password again. Without it, such a request gets 403.
    ///
    /// # Errors
    ///
    /// `page_at` is not a path of this site: see [`SafeNext`].
    pub fn reauthenticate_at(mut self, page_at: &str) -> Result<Self, ConfigError> {
        let page = page("reauthentication_page", page_at)?;
        Arc::make_mut(&mut self.0).reauthentication = Some(page);
        Ok(self)
    }
}

fn page(option: &'static str, path: &str) -> Result<SafeNext, ConfigError> {
    SafeNext::parse(path).ok_or_else(|| {
        ConfigError::new(
            option,
            format!("{path:?} is not a path of this site; begin it with /, as a browser shows it"),
        )
    })
}

impl Pages {
    /// The target of the redirect, for a request for the path `requested`.
    fn target(&self, required: Required, requested: Option<&SafeNext>) -> Option<String> {
        let page = match required {
            Required::Login => &self.login,
            Required::Reauthentication => self.reauthentication.as_ref()?,
        };
        match requested {
            // A redirect of this page to itself would never end.
            Some(requested) if requested.path() == page.path() => None,
            Some(requested) => Some(page.with_next(requested)),
            None => Some(page.to_string()),
        }
    }
}

impl<S> Layer<S> for LoginRedirectLayer {
    type Service = LoginRedirect<S>;

    fn layer(&self, inner: S) -> Self::Service {
        LoginRedirect {
            inner,
            pages: self.0.clone(),
        }
    }
}

/// The service that [`LoginRedirectLayer`] puts around an inner service.
#[derive(Clone, Debug)]
pub struct LoginRedirect<S> {
    inner: S,
    pages: Arc<Pages>,
}

/// What the request is for.
enum Requested {
    /// Something that a script wants, or a part of a page.
    NotAPage,
    /// A page. The path is there if a link can repeat the request.
    Page(Option<http::uri::PathAndQuery>),
}

impl Requested {
    fn of<A>(request: &Request<A>) -> Self {
        let mode = request.headers().get("sec-fetch-mode");
        if mode.is_some_and(|mode| mode != "navigate") {
            return Self::NotAPage;
        }
        let repeatable = matches!(*request.method(), Method::GET | Method::HEAD);
        Self::Page(
            request
                .uri()
                .path_and_query()
                .filter(|_| repeatable)
                .cloned(),
        )
    }
}

impl<S, A, B> Service<Request<A>> for LoginRedirect<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: Default,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = LoginRedirectFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        LoginRedirectFuture {
            requested: Requested::of(&request),
            pages: self.pages.clone(),
            inner: self.inner.call(request),
        }
    }
}

pin_project! {
    /// The future of [`LoginRedirect`].
    #[must_use = "futures do nothing unless polled"]
    pub struct LoginRedirectFuture<F> {
        #[pin]
        inner: F,
        requested: Requested,
        pages: Arc<Pages>,
    }
}

impl<F> fmt::Debug for LoginRedirectFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginRedirectFuture")
            .finish_non_exhaustive()
    }
}

impl<F, B, E> Future for LoginRedirectFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(context))?;
        Poll::Ready(Ok(redirected(response, this.requested, this.pages)))
    }
}

/// Makes the response a redirect, if the request requires a login or a new authentication.
fn redirected<B: Default>(
    response: Response<B>,
    requested: &Requested,
    pages: &Pages,
) -> Response<B> {
    let required = response.extensions().get::<Required>();
    let (Some(required), Requested::Page(path)) = (required, requested) else {
        return response;
    };
    let next = path.as_ref().and_then(SafeNext::from_path);
    let target = pages.target(*required, next.as_ref());
    // A safe path is visible ASCII, and so is a path made of two of them.
    let Some(location) = target.and_then(|target| HeaderValue::try_from(target).ok()) else {
        return response;
    };
    let (mut head, _) = response.into_parts();
    head.status = StatusCode::SEE_OTHER;
    head.headers.remove(CONTENT_TYPE);
    head.headers.remove(CONTENT_LENGTH);
    head.headers.insert(LOCATION, location);
    head.headers
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Response::from_parts(head, B::default())
}
