//! Synchronization primitives that know nothing of sessions.

mod background;
mod detach_on_drop;
mod keyed_queues;
mod raw_mutex;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use self::background::Background;
pub(crate) use self::detach_on_drop::DetachOnDrop;
pub(crate) use self::keyed_queues::{KeyedQueues, Queue, Turn};
pub(crate) use self::raw_mutex::RawMutex;

/// Locks a mutex. The application's code never runs under a lock of this crate, so the state behind a poisoned lock is still
/// consistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
