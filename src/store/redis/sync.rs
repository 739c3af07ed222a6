//! Locks.

use std::sync::{LockResult, PoisonError};

/// What a lock guards, also if another thread panicked while it held the lock. No code of this store that could panic runs
/// under a lock, so what is guarded is whole.
pub(crate) fn unpoisoned<G>(locked: LockResult<G>) -> G {
    locked.unwrap_or_else(PoisonError::into_inner)
}
