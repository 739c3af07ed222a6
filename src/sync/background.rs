//! Work that goes on even if nobody polls it.

use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::DetachOnDrop;

/// A future that goes on by itself: it moves to the runtime if its first poll does not complete it, or if it is dropped.
///
/// A future that is alive and not polled, as beside another branch of a `select!`, makes no progress. If it holds a lock, whoever
/// waits for that lock would wait for ever. This one holds nothing while it is not polled. Without a runtime it stays where it
/// is.
pub(crate) struct Background<T: Send + 'static>(State<T>);

enum State<T: Send + 'static> {
    Here(DetachOnDrop<T>),
    OnTheRuntime(JoinHandle<T>),
    Done,
}

impl<T: Send + 'static> Background<T> {
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        #[cfg(feature = "tracing")]
        // What is logged on the way belongs to the request, wherever it is logged.
        let work = tracing::Instrument::in_current_span(work);
        Self(State::Here(DetachOnDrop::new(work)))
    }
}

impl<T: Send + 'static> Future for Background<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if let State::Here(work) = &mut self.0 {
            let polled = Pin::new(work).poll(context);
            let runtime = Handle::try_current();
            let (true, Ok(runtime)) = (polled.is_pending(), runtime) else {
                return polled;
            };
            if let State::Here(work) = std::mem::replace(&mut self.0, State::Done) {
                self.0 = State::OnTheRuntime(runtime.spawn(work));
            }
        }
        let State::OnTheRuntime(running) = &mut self.0 else {
            return Poll::Pending;
        };
        match Pin::new(running).poll(context) {
            Poll::Ready(Ok(result)) => {
                self.0 = State::Done;
                Poll::Ready(result)
            }
            Poll::Ready(Err(ended)) => {
                self.0 = State::Done;
                match ended.try_into_panic() {
                    Ok(panic) => resume_unwind(panic),
                    // The runtime has ended, and everything that waits on it.
                    Err(_) => Poll::Pending,
                }
            }
            Poll::Pending => Poll::Pending,
        }
    }
}
