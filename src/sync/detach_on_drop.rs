//! Work that finishes even if nothing waits for it any more.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// A future that moves to the runtime if it is dropped before it is done.
///
/// So a commit either never begins or completes, whatever the client does. It is lost only if the runtime ends, or if there is
/// no runtime.
pub(crate) struct DetachOnDrop<T: Send + 'static> {
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    /// The runtime of the first poll that was pending. Most work completes in its first poll, and never looks for a runtime.
    runtime: Option<Handle>,
}

impl<T: Send + 'static> DetachOnDrop<T> {
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self {
            work: Some(Box::pin(work)),
            runtime: None,
        }
    }
}

impl<T: Send + 'static> Future for DetachOnDrop<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Taken out before the poll, and put back only if it is pending: work that panicked must not be polled again.
        let Some(mut work) = self.work.take() else {
            return Poll::Pending;
        };
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.work = Some(work);
            if self.runtime.is_none() {
                self.runtime = Handle::try_current().ok();
            }
        }
        polled
    }
}

impl<T: Send + 'static> Drop for DetachOnDrop<T> {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else {
            return;
        };
        if let Some(runtime) = self.runtime.take().or_else(|| Handle::try_current().ok()) {
            drop(runtime.spawn(work));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn the_runtime_finishes_dropped_work() {
        let (gate, finished) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (open, done) = (gate.clone(), finished.clone());
        let mut work = DetachOnDrop::new(async move {
            gate.notified().await;
            finished.notify_one();
        });
        assert!(futures_poll(&mut work).await.is_pending());
        drop(work);
        open.notify_one();
        done.notified().await;
    }

    #[tokio::test]
    async fn work_that_panicked_is_not_polled_again() {
        let polled_again = Arc::new(AtomicBool::new(false));
        let seen = polled_again.clone();
        let mut first = true;
        let mut work = DetachOnDrop::new(std::future::poll_fn(move |_| -> Poll<()> {
            if std::mem::take(&mut first) {
                panic!("a panic of an application's closure");
            }
            seen.store(true, Ordering::SeqCst);
            Poll::Ready(())
        }));
        let panicked = tokio::spawn(async move {
            let _ = futures_poll(&mut work).await;
        });
        assert!(panicked.await.unwrap_err().is_panic());
        tokio::task::yield_now().await;
        assert!(!polled_again.load(Ordering::SeqCst));
    }

    async fn futures_poll<T: Send + 'static>(work: &mut DetachOnDrop<T>) -> Poll<T> {
        std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut *work).poll(context))).await
    }
}
