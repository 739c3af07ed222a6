//! The response: the session is committed before the response is released.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Response, StatusCode};
use pin_project_lite::pin_project;

use super::failure::{Failure, FailureResponse};
use super::headers;
use crate::error::SessionError;
use crate::event::diagnostics;
use crate::lifecycle::{CookieChange, Finish, Outcome, RequestSession, ResponseSummary};
use crate::sync::DetachOnDrop;

pin_project! {
    /// The future of [`SessionService`](crate::middleware::SessionService): first the handler, then the commit.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<H, B, E, F> {
        #[pin]
        phase: Phase<H, B, E>,
        // Dropped after the handler's future, so that what the handler's locals do when they are dropped still counts.
        // `None` if the request has its session from this same layer further out, which finishes it.
        finisher: Option<Finisher>,
        failure_response: F,
    }
}

pin_project! {
    #[project = PhaseProjection]
    enum Phase<H, B, E> {
        Handler { #[pin] handler: H },
        Commit { commit: DetachOnDrop<Result<(), SessionError>>, response: Option<Result<Response<B>, E>> },
        Refused,
        Done,
    }
}

impl<H, B, E, F> ResponseFuture<H, B, E, F> {
    pub(crate) fn new(handler: H, finisher: Option<Finisher>, failure_response: F) -> Self {
        Self {
            phase: Phase::Handler { handler },
            finisher,
            failure_response,
        }
    }

    /// The response to a request that came to two layers which contradict each other.
    pub(crate) fn refused(failure_response: F) -> Self {
        Self {
            phase: Phase::Refused,
            finisher: None,
            failure_response,
        }
    }
}

impl<H, B, E, F> fmt::Debug for ResponseFuture<H, B, E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<H, B, E, F> Future for ResponseFuture<H, B, E, F>
where
    H: Future<Output = Result<Response<B>, E>>,
    F: FailureResponse<B>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (response, committed) = match this.phase.as_mut().project() {
            PhaseProjection::Handler { handler } => {
                let response = ready!(handler.poll(context));
                // Drops the handler's future, and with it its locals.
                this.phase.set(Phase::Done);
                let Some(finisher) = this.finisher else {
                    return Poll::Ready(response);
                };
                match finisher.finish(outcome_of(&response)) {
                    Finish::Untouched => return Poll::Ready(response),
                    Finish::AtOnce(committed) => (response, committed),
                    Finish::Later(mut commit) => match Pin::new(&mut commit).poll(context) {
                        Poll::Ready(committed) => (response, committed),
                        Poll::Pending => {
                            this.phase.set(Phase::Commit {
                                commit,
                                response: Some(response),
                            });
                            return Poll::Pending;
                        }
                    },
                }
            }
            PhaseProjection::Commit { commit, response } => {
                let committed = ready!(Pin::new(commit).poll(context));
                let response = response.take();
                this.phase.set(Phase::Done);
                let Some(response) = response else {
                    return Poll::Pending;
                };
                (response, committed)
            }
            PhaseProjection::Refused => {
                this.phase.set(Phase::Done);
                let response = this
                    .failure_response
                    .failure_response(Failure::Misconfigured);
                return Poll::Ready(Ok(response));
            }
            PhaseProjection::Done => {
                panic!("`ResponseFuture` was polled after it returned a response")
            }
        };
        let Some(finisher) = this.finisher else {
            return Poll::Ready(response);
        };
        let failure_response = this.failure_response;
        Poll::Ready(release(finisher, response, committed, failure_response))
    }
}

fn outcome_of<B, E>(response: &Result<Response<B>, E>) -> Outcome {
    match response {
        Ok(response) if !has_failed(response.status()) => Outcome::Answered,
        Ok(_) | Err(_) => Outcome::Failed,
    }
}

/// Whether a status says that the handler failed, or that a layer cut it off: 408 (RFC 9110, section 15.5.9) after a time
/// limit, and 499, which proxies made common, after the client closed the request. What such a handler did is half done.
fn has_failed(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 499)
}

/// Adds the headers of the session to the response, or replaces the response if the commit failed. This is the only place
/// where cookie lines are rendered.
fn release<B, E, F: FailureResponse<B>>(
    finisher: &Finisher,
    response: Result<Response<B>, E>,
    committed: Result<(), SessionError>,
    failure_response: &mut F,
) -> Result<Response<B>, E> {
    let manager = &finisher.session.manager;
    let mut response = response?;
    if let Err(error) = committed {
        let failure = Failure::of(&error);
        let safe_method = finisher.about.safe_method;
        let replaces = match failure {
            // The response would say that somebody is logged in, or hold a form that is never accepted.
            _ if !finisher.session.lost_by_products() => true,
            Failure::Interrupted => manager.config.on_interrupted.replaces(safe_method),
            Failure::Ambiguous => !safe_method,
            _ => true,
        };
        if replaces {
            response = failure_response.failure_response(failure);
        }
    }
    let ResponseSummary {
        varies,
        private,
        cookie,
        logged_out,
    } = finisher.session.response_summary();
    let template = &manager.cookie;
    let cookie = match cookie {
        Some((CookieChange::Set { max_age }, Some(token))) => {
            if finisher.about.drops_cookie {
                diagnostics::secure_cookie_dropped();
            }
            Some(template.set(&token, max_age))
        }
        Some((CookieChange::Remove, _)) => Some(template.remove()),
        Some((CookieChange::Set { .. }, None)) | None => None,
    };
    let headers = response.headers_mut();
    if varies || cookie.is_some() {
        headers::vary_on_cookie(headers);
    }
    if logged_out && manager.config.clear_site_data {
        headers::clear_site_data(headers);
    }
    if let Some(cookie) = cookie {
        headers::put_cookie(headers, template.name(), cookie, template.remove_former());
        headers::no_store_unless_set(&mut response);
    } else if private && manager.config.cache_private {
        headers::private_unless_set(&mut response, finisher.session.outer.is_some());
    }
    Ok(response)
}

/// What the response has to know about its request.
#[derive(Clone, Copy)]
pub(crate) struct AboutRequest {
    /// Whether the method is safe: it asks for no change (RFC 9110, section 9.2.1).
    pub(crate) safe_method: bool,
    /// Whether the browser will drop a cookie of the response, because it reached the site by plain HTTP.
    pub(crate) drops_cookie: bool,
}

/// Finishes a request's session when the handler ends, panics, or is dropped because its client hung up.
pub(crate) struct Finisher {
    session: Arc<RequestSession>,
    about: AboutRequest,
    finished: bool,
}

impl Finisher {
    pub(crate) fn new(session: Arc<RequestSession>, about: AboutRequest) -> Self {
        Self {
            session,
            about,
            finished: false,
        }
    }

    fn finish(&mut self, outcome: Outcome) -> Finish {
        self.finished = true;
        self.session.finish(outcome)
    }
}

impl Drop for Finisher {
    fn drop(&mut self) {
        if !self.finished {
            self.session.abandon();
        }
    }
}
