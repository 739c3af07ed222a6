//! Runs code of the application whose panic must not fail a request.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs code that may be the application's, and stops its panic.
pub(super) fn guarded(run: impl FnOnce()) {
    let _panicked = catch_unwind(AssertUnwindSafe(run));
}
