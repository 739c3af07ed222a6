//! The service: a request in, with its session.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use crate::config::SameSite;
use crate::cookie::{self, Presented};
use crate::desk::Desk;
use crate::failure::FailureResponse;
use crate::future::{Finisher, ResponseFuture};
use crate::session::Slot;
use crate::visit::Visit;

/// The service that [`SessionLayer`](crate::SessionLayer) makes of another.
///
/// It calls the inner service synchronously, and needs no `Clone` of it.
pub struct SessionService<S, M, F> {
    inner: S,
    desk: Arc<Desk>,
    failure_response: F,
    marker: PhantomData<fn() -> M>,
}

impl<S, M, F> SessionService<S, M, F> {
    pub(crate) fn new(inner: S, desk: Arc<Desk>, failure_response: F) -> Self {
        Self {
            inner,
            desk,
            failure_response,
            marker: PhantomData,
        }
    }
}

impl<S: Clone, M, F: Clone> Clone for SessionService<S, M, F> {
    fn clone(&self) -> Self {
        Self::new(
            self.inner.clone(),
            self.desk.clone(),
            self.failure_response.clone(),
        )
    }
}

impl<S: fmt::Debug, M, F> fmt::Debug for SessionService<S, M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService")
            .field("inner", &self.inner)
            .field("desk", &self.desk)
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
        let presented = cookie::read(request.headers(), self.desk.cookie.name());
        if !matches!(presented, Presented::Nothing { .. }) {
            cookie::hide(request.headers_mut());
        }
        let withheld = is_withheld(&presented, self.desk.config.cookie.same_site, &request);
        let mut client = None;
        if let Some(recognition) = &self.desk.recognition {
            let (head, body) = request.into_parts();
            client = recognition.facts(&head);
            request = Request::from_parts(head, body);
        }
        let visit = Visit::new(self.desk.clone(), presented, withheld, client);
        let visit = Arc::new(visit);
        request.extensions_mut().insert(Slot::<M> {
            visit: visit.clone(),
            marker: PhantomData,
        });
        // Before the call, which may panic: a flush that was asked for by then is carried out.
        let finisher = Finisher::new(visit);
        ResponseFuture::new(
            self.inner.call(request),
            finisher,
            self.failure_response.clone(),
        )
    }
}

/// Whether the browser held our cookie back: SameSite keeps it from cross-site requests, from safe ones (a link followed
/// here) only if it is Strict, and the answers may still set one (RFC 6265bis, section 5.6.7.1; Fetch Metadata for
/// `Sec-Fetch-Site`).
fn is_withheld<B>(presented: &Presented, same_site: SameSite, request: &Request<B>) -> bool {
    matches!(presented, Presented::Nothing { malformed: false })
        && match same_site {
            SameSite::None => false,
            SameSite::Lax => !request.method().is_safe(),
            SameSite::Strict => true,
        }
        && request
            .headers()
            .get("sec-fetch-site")
            .is_some_and(|site| site.as_bytes().eq_ignore_ascii_case(b"cross-site"))
}
