//! Runs code of the application whose panic must not fail a request.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs code that may be the application's, and stops its panic. Returns whether there was none.
pub(super) fn guarded(run: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(run)).is_ok()
}
