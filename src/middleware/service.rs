//! The service that adds a session to each request.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::failure::FailureResponse;
use super::future::{AboutRequest, Finisher, ResponseFuture};
use super::inspect::{Inspect, Inspected};
use super::plain_http::drops_secure_cookies;
use super::withheld::is_withheld;
use crate::cookie::{self, Presented};
use crate::event::diagnostics;
use crate::lifecycle::{RequestSession, SessionManager};
use crate::session::{Entry, Slot};

/// The service that [`SessionLayer`](crate::SessionLayer) puts around an inner service.
///
/// It calls the inner service synchronously. The inner service need not be `Clone`.
///
/// If the request came through the same layer already (around a router and, as a clone, around a part of it), the inner one
/// passes the request on: there is one session, and the outermost commits it. If it came through another layer with the same
/// marker or the same cookie name, it is refused: see [`Failure::Misconfigured`](super::Failure::Misconfigured).
pub struct SessionService<S, M, F> {
    pub(super) inner: S,
    pub(super) manager: Arc<SessionManager>,
    pub(super) inspect: Inspect,
    pub(super) failure_response: F,
    pub(super) marker: PhantomData<fn() -> M>,
}

impl<S: Clone, M, F: Clone> Clone for SessionService<S, M, F> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            manager: self.manager.clone(),
            inspect: self.inspect.clone(),
            failure_response: self.failure_response.clone(),
            marker: PhantomData,
        }
    }
}

impl<S: fmt::Debug, M, F> fmt::Debug for SessionService<S, M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService")
            .field("inner", &self.inner)
            .field("manager", &self.manager)
            .finish_non_exhaustive()
    }
}

impl<S, M, F, RequestBody, ResponseBody> Service<Request<RequestBody>> for SessionService<S, M, F>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    F: FailureResponse<ResponseBody>,
    M: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResponseBody, S::Error, F>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let (manager, failure_response) = (&self.manager, self.failure_response.clone());
        let outer = match Slot::enter(request.extensions(), manager) {
            Entry::Add { outer } => outer,
            Entry::PassThrough => {
                let handler = self.inner.call(request);
                return ResponseFuture::new(handler, None, failure_response);
            }
            Entry::Refuse { outer, reason } => {
                diagnostics::conflicting_layers(&*outer.manager, &**manager, reason);
                return ResponseFuture::refused(failure_response);
            }
        };
        let presented = cookie::read(request.headers(), manager.cookie.name());
        if !matches!(presented, Presented::Nothing { .. }) {
            cookie::hide(request.headers_mut());
        }
        let cookie = &manager.config.cookie;
        let none = matches!(presented, Presented::Nothing { malformed: false });
        let withheld = none && is_withheld(cookie.same_site, &request);
        // A page is reached before its form is sent, so only what sends a form is examined.
        let safe_method = request.method().is_safe();
        let about = AboutRequest {
            safe_method,
            drops_cookie: none && !safe_method && cookie.secure && drops_secure_cookies(&request),
        };
        let mut inspected = Inspected::default();
        if !self.inspect.is_empty() {
            (request, inspected) = self.inspect.ask(request, &manager.reporter);
        }
        let Inspected { client, activity } = inspected;
        let session = RequestSession::new(
            manager.clone(),
            presented,
            withheld,
            client,
            activity,
            outer,
        );
        request.extensions_mut().insert(Slot::new(session.clone()));
        // Made before the call, which may panic. Then a logout from before the panic is still carried out.
        let finisher = Finisher::new(session, about);
        let handler = self.inner.call(request);
        ResponseFuture::new(handler, Some(finisher), failure_response)
    }
}
