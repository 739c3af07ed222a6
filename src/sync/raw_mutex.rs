//! A mutex that guards no data.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

/// A lock around nothing, for use across a store call. Taking a free lock costs one atomic operation. The holder may move the
/// lock to another task, and must unlock it.
///
/// An unlocked mutex goes to whichever waiter is polled first. It is never handed to one, which might not be polled at all,
/// and keep the others waiting.
#[derive(Default)]
pub(crate) struct RawMutex {
    state: AtomicU8,
    unlocked: Notify,
}

const LOCKED: u8 = 1;
/// Somebody may be waiting.
const AWAITED: u8 = 2;

impl RawMutex {
    /// Locks the mutex if it is free, and returns whether it was.
    pub(crate) fn try_lock(&self) -> bool {
        self.state.fetch_or(LOCKED, Ordering::Acquire) & LOCKED == 0
    }

    /// Waits until the mutex is free, and locks it.
    pub(crate) async fn lock(&self) {
        while !self.try_lock() {
            // It hears of every unlock from here on.
            let unlocked = self.unlocked.notified();
            if self.state.fetch_or(LOCKED | AWAITED, Ordering::AcqRel) & LOCKED == 0 {
                return;
            }
            unlocked.await;
        }
    }

    pub(crate) fn unlock(&self) {
        if self.state.swap(0, Ordering::AcqRel) & AWAITED != 0 {
            self.unlocked.notify_waiters();
        }
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.state.load(Ordering::Relaxed) & LOCKED != 0
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test]
    async fn an_unlocked_mutex_goes_to_the_next_waiter() {
        let mutex = Arc::new(RawMutex::default());
        assert!(!mutex.is_locked() && mutex.try_lock());
        assert!(mutex.is_locked() && !mutex.try_lock());
        let waiting = (0..3).map(|_| {
            let mutex = mutex.clone();
            tokio::spawn(async move {
                mutex.lock().await;
                mutex.unlock();
            })
        });
        let waiting: Vec<_> = waiting.collect();
        // A waiter that gives up does not consume an unlock.
        waiting[1].abort();
        tokio::task::yield_now().await;
        mutex.unlock();
        for waiting in waiting {
            waiting.await.ok();
        }
        assert!(!mutex.is_locked());
    }

    #[test]
    fn a_waiter_that_is_not_polled_keeps_no_other_waiting() {
        let mutex = RawMutex::default();
        let mut context = Context::from_waker(Waker::noop());
        assert!(mutex.try_lock());
        let mut forgotten = pin!(mutex.lock());
        assert!(forgotten.as_mut().poll(&mut context).is_pending());
        let mut waiting = pin!(mutex.lock());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        mutex.unlock();
        assert!(waiting.as_mut().poll(&mut context).is_ready());
        mutex.unlock();
        assert!(forgotten.as_mut().poll(&mut context).is_ready());
    }

    #[test]
    fn no_two_hold_the_mutex_at_the_same_time() {
        let (mutex, inside) = (RawMutex::default(), AtomicBool::new(false));
        let runtime = || tokio::runtime::Builder::new_current_thread().build();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    runtime().unwrap().block_on(async {
                        for _ in 0..1_000 {
                            mutex.lock().await;
                            assert!(!inside.swap(true, Ordering::SeqCst));
                            inside.store(false, Ordering::SeqCst);
                            mutex.unlock();
                        }
                    });
                });
            }
        });
        assert!(!mutex.is_locked());
    }
}
