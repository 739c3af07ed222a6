//! The layer that redirects to the login page, and passes on where the user wanted to go.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::require::Required;
use super::safe_next::SafeNext;
use crate::config::ConfigError;

const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");

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
/// # Which requests are redirected
///
/// Only navigations. The browser marks them by `Sec-Fetch-Mode`. Without this header, a request counts as one if its `Accept`
/// names HTML, or if it names nothing but wildcards or is missing. A script gets the 401 or the 403, because it can use the
/// status better than a login page.
///
/// A request of [htmx](https://htmx.org/reference/#headers) (`HX-Request: true`) gets the status, too, and the header
/// `HX-Redirect`, with which htmx opens the login page in place of the present one. `next` is then the page that the user is
/// on (`HX-Current-URL`), or the path of a boosted link.
///
/// # In a nested router
///
/// `next` is the path that the browser asked for. With axum it does not matter whether the layer is inside or outside of
/// `nest`: the layer takes axum's `OriginalUri` (feature `axum`). Outside of everything else that strips a prefix from the path,
/// put the layer yourself.
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

/// What the request is for, with the path to come back to.
enum Requested {
    /// Something that a script wants, or a part of a page.
    NotAPage,
    /// A page. The path is there if a link can repeat the request.
    Page(Option<PathAndQuery>),
    /// Something that htmx wants.
    Htmx(Option<PathAndQuery>),
}

impl Requested {
    fn of<A>(request: &Request<A>) -> Self {
        let headers = request.headers();
        let is = |name, value| headers.get(name).is_some_and(|header| header == value);
        let repeatable = matches!(*request.method(), Method::GET | Method::HEAD);
        let path = || original_uri(request).path_and_query().cloned();
        if is("hx-request", "true") {
            return Self::Htmx(match repeatable && is("hx-boosted", "true") {
                true => path(),
                false => present_page(headers),
            });
        }
        let is_page = match headers.get("sec-fetch-mode") {
            Some(mode) => mode == "navigate",
            None => accepts_a_page(headers),
        };
        match is_page {
            true => Self::Page(path().filter(|_| repeatable)),
            false => Self::NotAPage,
        }
    }
}

/// The URI that the browser asked for, before a router stripped a prefix from it.
fn original_uri<A>(request: &Request<A>) -> &Uri {
    #[cfg(feature = "axum")]
    if let Some(original) = request.extensions().get::<axum::extract::OriginalUri>() {
        return &original.0;
    }
    request.uri()
}

/// The page from which htmx sent the request.
fn present_page(headers: &HeaderMap) -> Option<PathAndQuery> {
    let url = headers.get("hx-current-url")?;
    let url = Uri::try_from(url.as_bytes()).ok()?;
    url.path_and_query().cloned()
}

/// Whether a client that says no more than its `Accept` wants a page: it names HTML, or accepts everything alike.
fn accepts_a_page(headers: &HeaderMap) -> bool {
    let mut only_wildcards = true;
    for line in headers.get_all(ACCEPT) {
        for range in line.as_bytes().split(|byte| *byte == b',') {
            let media_type = range.split(|byte| *byte == b';').next();
            let media_type = media_type.unwrap_or_default().trim_ascii();
            let is = |name: &[u8]| media_type.eq_ignore_ascii_case(name);
            if is(b"text/html") || is(b"application/xhtml+xml") {
                return true;
            }
            only_wildcards &= is(b"*/*") || is(b"text/*");
        }
    }
    only_wildcards
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

/// Sends the client to the page that lets it in, if the request requires a login or a new authentication.
fn redirected<B: Default>(
    response: Response<B>,
    requested: &Requested,
    pages: &Pages,
) -> Response<B> {
    let required = response.extensions().get::<Required>();
    let (Some(required), Requested::Page(path) | Requested::Htmx(path)) = (required, requested)
    else {
        return response;
    };
    let next = path.as_ref().and_then(SafeNext::from_path);
    let target = pages.target(*required, next.as_ref());
    // A safe path is visible ASCII, and so is a path made of two of them.
    let Some(location) = target.and_then(|target| HeaderValue::try_from(target).ok()) else {
        return response;
    };
    let (mut head, body) = response.into_parts();
    if matches!(requested, Requested::Htmx(_)) {
        head.headers.insert(HX_REDIRECT, location);
        return Response::from_parts(head, body);
    }
    head.status = StatusCode::SEE_OTHER;
    head.headers.remove(CONTENT_TYPE);
    head.headers.remove(CONTENT_LENGTH);
    head.headers.insert(LOCATION, location);
    head.headers
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Response::from_parts(head, B::default())
}
