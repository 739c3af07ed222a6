//! Signs of life of a connection.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What is known of a connection by all who share it, and by the task that reads it.
#[derive(Default)]
pub(super) struct Signs {
    closed: AtomicBool,
    heard: AtomicU64,
}

impl Signs {
    /// The connection was closed.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Something arrived from the server: perhaps an answer that nobody waits for any more.
    pub(super) fn heard(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    /// How often something arrived so far.
    pub(super) fn times_heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }
}
