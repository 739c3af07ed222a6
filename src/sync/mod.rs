//! Synchronization primitives that know nothing of sessions.

mod detach_on_drop;
mod raw_mutex;
mod striped_locks;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use self::detach_on_drop::DetachOnDrop;
pub(crate) use self::raw_mutex::RawMutex;
pub(crate) use self::striped_locks::{Stripe, StripeGuard, StripedLocks};

/// Locks a mutex. The application's code never runs under a lock of this crate, so the state behind a poisoned lock is still
/// consistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
