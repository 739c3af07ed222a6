//! A mutex that guards no data.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A lock around nothing, for use across a store call. Taking a free lock costs one atomic operation. The holder may move the
/// lock to another task, and must unlock it.
#[derive(Default)]
pub(crate) struct RawMutex {
    locked: AtomicBool,
    unlocked: Notify,
}

impl RawMutex {
    /// Locks the mutex if it is free, and returns whether it was.
    pub(crate) fn try_lock(&self) -> bool {
        !self.locked.swap(true, Ordering::Acquire)
    }

    /// Waits until the mutex is free, and locks it.
    pub(crate) async fn lock(&self) {
        while !self.try_lock() {
            // `Notify` remembers an unlock that happened since.
            self.unlocked.notified().await;
        }
    }

    pub(crate) fn unlock(&self) {
        self.locked.store(false, Ordering::Release);
        self.unlocked.notify_one();
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.locked.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
