//! What clients get while the store is in trouble, through the whole stack: from the router to real servers and back.
//!
//! `matrix` writes what it observes to `docs/faults.md`, and fails if it observes something else. After an intended change, run
//! `KEYCARD_WRITE_DOCS=1 cargo test --all-features --test failures faults`.

mod cell;
mod cut;
mod deadlines;
mod fault;
mod flipped;
mod matrix;
mod stage;

use std::time::Duration;

/// The layer's timeout for a store call.
const DEADLINE: Duration = Duration::from_millis(500);
