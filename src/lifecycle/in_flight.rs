//! Counts the commits that are in flight, so that a server can wait for them before it stops.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The number of commits in flight.
#[derive(Default)]
pub(crate) struct InFlight {
    commits: AtomicUsize,
    none: Notify,
}

/// Gives access to the counter, and handles work that was lost.
pub(super) trait Counted {
    fn in_flight(&self) -> &InFlight;

    /// Called if the work was dropped before it was done.
    fn abandoned(&self);
}

impl InFlight {
    /// Counts a commit for as long as the guard lives.
    pub(super) fn enter<C: Counted>(counted: C) -> InFlightGuard<C> {
        let in_flight = counted.in_flight();
        in_flight.commits.fetch_add(1, Ordering::AcqRel);
        InFlightGuard {
            counted,
            done: false,
        }
    }

    /// Waits until no commit is in flight.
    pub(crate) async fn none(&self) {
        loop {
            let none = self.none.notified();
            if self.commits.load(Ordering::Acquire) == 0 {
                return;
            }
            none.await;
        }
    }
}

/// A commit that is counted until this guard is dropped.
pub(super) struct InFlightGuard<C: Counted> {
    counted: C,
    done: bool,
}

impl<C: Counted> InFlightGuard<C> {
    pub(super) fn get_mut(&mut self) -> &mut C {
        &mut self.counted
    }

    pub(super) fn done(mut self) {
        self.done = true;
    }
}

impl<C: Counted> Drop for InFlightGuard<C> {
    fn drop(&mut self) {
        // A panic is reported by itself.
        if !self.done && !std::thread::panicking() {
            self.counted.abandoned();
        }
        let in_flight = self.counted.in_flight();
        if in_flight.commits.fetch_sub(1, Ordering::AcqRel) == 1 {
            in_flight.none.notify_waiters();
        }
    }
}
