//! The service that adds a session to each request.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::failure::FailureResponse;
use super::future::{Finisher, ResponseFuture};
use super::identify::Identify;
use super::withheld::is_withheld;
use crate::cookie::{self, Presented};
use crate::lifecycle::{RequestSession, SessionManager};
use crate::session::Slot;

/// The service that [`SessionLayer`](crate::SessionLayer) puts around an inner service.
///
/// It calls the inner service synchronously. The inner service need not be `Clone`.
pub struct SessionService<S, M, F> {
    pub(super) inner: S,
    pub(super) manager: Arc<SessionManager>,
    pub(super) identify: Option<Identify>,
    pub(super) failure_response: F,
    pub(super) marker: PhantomData<fn() -> M>,
}

impl<S: Clone, M, F: Clone> Clone for SessionService<S, M, F> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            manager: self.manager.clone(),
            identify: self.identify.clone(),
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
        let manager = &self.manager;
        let presented = cookie::read(request.headers(), manager.cookie.name());
        if !matches!(presented, Presented::Nothing { .. }) {
            cookie::hide(request.headers_mut());
        }
        let withheld = matches!(presented, Presented::Nothing { malformed: false })
            && is_withheld(manager.config.cookie.same_site, &request);
        let safe_method = request.method().is_safe();
        let mut client = None;
        if let Some(identify) = &self.identify {
            let (head, body) = request.into_parts();
            client = identify.facts(&head);
            request = Request::from_parts(head, body);
        }
        let session = RequestSession::new(manager.clone(), presented, withheld, client);
        let session = Arc::new(session);
        let slot = Slot::<M>::new(session.clone());
        request.extensions_mut().insert(slot);
        // Made before the call, which may panic. Then a logout from before the panic is still carried out.
        let finisher = Finisher::new(session, safe_method);
        ResponseFuture::new(
            self.inner.call(request),
            finisher,
            self.failure_response.clone(),
        )
    }
}
