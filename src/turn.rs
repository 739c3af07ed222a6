//! Turns: what is done by one at a time.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A lock around nothing, for what takes a store call: one that is free is taken for next to nothing, and whoever has a
/// turn may carry it to another task, but must give it back.
#[derive(Default)]
pub(crate) struct Turns {
    taken: AtomicBool,
    given_back: Notify,
}

impl Turns {
    /// Takes a turn, and says so, if nobody else has one.
    pub(crate) fn try_take(&self) -> bool {
        !self.taken.swap(true, Ordering::Acquire)
    }

    /// Takes a turn as soon as nobody else has one.
    pub(crate) async fn take(&self) {
        while !self.try_take() {
            // A turn given back since is remembered.
            self.given_back.notified().await;
        }
    }

    pub(crate) fn give_back(&self) {
        self.taken.store(false, Ordering::Release);
        self.given_back.notify_one();
    }

    /// Whether nobody has a turn.
    pub(crate) fn are_free(&self) -> bool {
        !self.taken.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_turn_that_is_given_back_goes_to_the_next_one() {
        let turns = Arc::new(Turns::default());
        assert!(turns.are_free() && turns.try_take());
        assert!(!turns.are_free() && !turns.try_take());
        let waiting = (0..3).map(|_| {
            let turns = turns.clone();
            tokio::spawn(async move {
                turns.take().await;
                turns.give_back();
            })
        });
        let waiting: Vec<_> = waiting.collect();
        // One that is not waited for any more takes no turn with it.
        waiting[1].abort();
        tokio::task::yield_now().await;
        turns.give_back();
        for waiting in waiting {
            waiting.await.ok();
        }
        assert!(turns.are_free());
    }

    #[test]
    fn no_two_have_a_turn_at_the_same_time() {
        let (turns, inside) = (Turns::default(), AtomicBool::new(false));
        let runtime = || tokio::runtime::Builder::new_current_thread().build();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    runtime().unwrap().block_on(async {
                        for _ in 0..1_000 {
                            turns.take().await;
                            assert!(!inside.swap(true, Ordering::SeqCst));
                            inside.store(false, Ordering::SeqCst);
                            turns.give_back();
                        }
                    });
                });
            }
        });
        assert!(turns.are_free());
    }
}
