//! The response: what the handler asked for is committed before it is released.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;

use crate::commit::CookieChange;
use crate::completion::Completion;
use crate::config::OnInterrupted;
use crate::error::SessionError;
use crate::failure::{Failure, FailureResponse};
use crate::headers;
use crate::plan::Outcome;
use crate::visit::{Finish, Visit};

pin_project! {
    /// The future of [`SessionService`](crate::SessionService): first the handler, then the commit.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<H, B, E, F> {
        #[pin]
        phase: Phase<H, B, E>,
        // After the handler's future: what the handler's locals do when they are dropped still counts.
        finisher: Finisher,
        failure_response: F,
    }
}

pin_project! {
    #[project = PhaseProjection]
    enum Phase<H, B, E> {
        Handler { #[pin] handler: H },
        Commit { commit: Completion<Result<(), SessionError>>, answer: Option<Result<Response<B>, E>> },
        Done,
    }
}

impl<H, B, E, F> ResponseFuture<H, B, E, F> {
    pub(crate) fn new(handler: H, finisher: Finisher, failure_response: F) -> Self {
        Self {
            phase: Phase::Handler { handler },
            finisher,
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
        let (answer, result) = match this.phase.as_mut().project() {
            PhaseProjection::Handler { handler } => {
                let answer = ready!(handler.poll(context));
                // Drops the handler's future, and with it its locals.
                this.phase.set(Phase::Done);
                match this.finisher.finish(outcome_of(&answer)) {
                    Finish::Untouched => return Poll::Ready(answer),
                    Finish::AtOnce(result) => (answer, result),
                    Finish::Later(mut commit) => match Pin::new(&mut commit).poll(context) {
                        Poll::Ready(result) => (answer, result),
                        Poll::Pending => {
                            this.phase.set(Phase::Commit {
                                commit,
                                answer: Some(answer),
                            });
                            return Poll::Pending;
                        }
                    },
                }
            }
            PhaseProjection::Commit { commit, answer } => {
                let result = ready!(Pin::new(commit).poll(context));
                let answer = answer.take();
                this.phase.set(Phase::Done);
                let Some(answer) = answer else {
                    return Poll::Pending;
                };
                (answer, result)
            }
            PhaseProjection::Done => panic!("`ResponseFuture` polled after completion"),
        };
        let (finisher, failure_response) = (this.finisher, this.failure_response);
        Poll::Ready(release(finisher, answer, result, failure_response))
    }
}

fn outcome_of<B, E>(answer: &Result<Response<B>, E>) -> Outcome {
    match answer {
        Ok(response) if !response.status().is_server_error() => Outcome::Answered,
        Ok(_) | Err(_) => Outcome::Failed,
    }
}

/// Puts into the response what the browser is to know, or replaces it if the commit failed.
fn release<B, E, F: FailureResponse<B>>(
    finisher: &Finisher,
    answer: Result<Response<B>, E>,
    committed: Result<(), SessionError>,
    failure_response: &mut F,
) -> Result<Response<B>, E> {
    let visit = &finisher.visit;
    let mut response = answer?;
    if let Err(error) = committed {
        let failure = Failure::of(&error);
        let silent = failure == Failure::Interrupted
            && visit.desk.config.on_interrupted == OnInterrupted::DropSilently;
        if !silent {
            response = failure_response.failure_response(failure);
        }
    }
    let farewell = visit.farewell();
    let headers = response.headers_mut();
    if farewell.asked || farewell.cookie.is_some() {
        headers::vary_on_cookie(headers);
    }
    if farewell.logged_out && visit.desk.config.clear_site_data {
        headers::clear_site_data(headers);
    }
    if let Some(change) = farewell.cookie {
        let template = &visit.desk.cookie;
        let cookie = match change {
            CookieChange::Set(cookie) => cookie,
            CookieChange::Remove => template.remove(),
        };
        headers::put_cookie(headers, template.name(), cookie);
        headers::no_store_unless_set(headers);
    }
    Ok(response)
}

/// Finishes a request's session, whether the handler ends, panics, or is dropped because its client is gone.
pub(crate) struct Finisher {
    visit: Arc<Visit>,
    finished: bool,
}

impl Finisher {
    pub(crate) fn new(visit: Arc<Visit>) -> Self {
        Self {
            visit,
            finished: false,
        }
    }

    fn finish(&mut self, outcome: Outcome) -> Finish {
        self.finished = true;
        self.visit.finish(outcome)
    }
}

impl Drop for Finisher {
    fn drop(&mut self) {
        if !self.finished {
            self.visit.abandon();
        }
    }
}
