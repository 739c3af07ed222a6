//! A layer that sends visitors to the login page, and lets it know where they wanted to go.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::config::ConfigError;
use crate::next::SafeNext;
use crate::require::Required;

/// Turns the answers to visitors who are to [log in](Required::Login) into redirects to the login page, and, where there is
/// one, the answers to those who are to [prove once more who they are](Required::Reauthentication) into redirects to the page
/// that asks for the password again.
///
/// It works for [`RequireLoginLayer`](crate::RequireLoginLayer) and [`RequireFreshLayer`](crate::RequireFreshLayer), and with
/// the feature `axum` for the extractors `RequireLogin` and `RequireFresh`, and for handlers that end in
/// [`require_user()?`](crate::Session::require_user) and [`require_fresh(…)?`](crate::Session::require_fresh): whatever stands
/// inside of it. An answer with a 401 of its own is left alone.
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
/// The redirect is a 303 with `Cache-Control: no-store`. After a GET or HEAD it carries the path in the query, as in
/// `/login?next=/account`; the page puts it into a hidden field, and reads what comes back as a [`SafeNext`]. What else was
/// asked for cannot be repeated by following a link, so there is no `next` then. A request that is not for a page to be shown,
/// as the browser says by `Sec-Fetch-Mode`, is not redirected: a script does more with a 401.
///
/// Put it outside of everything that strips a prefix from the path (axum's `nest`), so that it sees the path that the browser
/// asked for.
#[derive(Clone, Debug)]
pub struct LoginRedirectLayer(Arc<Pages>);

#[derive(Clone, Debug)]
struct Pages {
    login: SafeNext,
    reauthentication: Option<SafeNext>,
}

impl LoginRedirectLayer {
    /// Sends visitors who are to log in to this page.
    ///
    /// # Errors
    ///
    /// It is no path of this site.
    pub fn new(login: &str) -> Result<Self, ConfigError> {
        Ok(Self(Arc::new(Pages {
            login: page("login_page", login)?,
            reauthentication: None,
        })))
    }

    /// Sends visitors who are to prove once more who they are to this page. Without it they get 403.
    ///
    /// # Errors
    ///
    /// It is no path of this site.
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
            format!("{path:?} is no path of this site; write it from its /, as a browser shows it"),
        )
    })
}

impl Pages {
    /// Where a visitor is to be sent who asked for `asked`.
    fn target(&self, required: Required, asked: Option<&SafeNext>) -> Option<String> {
        let page = match required {
            Required::Login => &self.login,
            Required::Reauthentication => self.reauthentication.as_ref()?,
        };
        match asked {
            // A page that asks for itself would send the browser around in circles.
            Some(asked) if asked.path() == page.path() => None,
            Some(asked) => Some(page.with_next(asked)),
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

/// The service that [`LoginRedirectLayer`] makes of another.
#[derive(Clone, Debug)]
pub struct LoginRedirect<S> {
    inner: S,
    pages: Arc<Pages>,
}

/// What was asked for, as far as a redirect has to know.
enum Asked {
    /// By a script, or for a part of a page.
    NoPage,
    Page(Option<http::uri::PathAndQuery>),
}

impl Asked {
    fn of<A>(request: &Request<A>) -> Self {
        let mode = request.headers().get("sec-fetch-mode");
        if mode.is_some_and(|mode| mode != "navigate") {
            return Self::NoPage;
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
            asked: Asked::of(&request),
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
        asked: Asked,
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
        Poll::Ready(Ok(redirected(response, this.asked, this.pages)))
    }
}

fn redirected<B: Default>(response: Response<B>, asked: &Asked, pages: &Pages) -> Response<B> {
    let (Some(required), Asked::Page(path)) = (response.extensions().get::<Required>(), asked)
    else {
        return response;
    };
    let next = path.as_ref().and_then(SafeNext::of);
    let target = pages.target(*required, next.as_ref());
    // A safe path is visible ASCII, and so is what is made of two.
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
