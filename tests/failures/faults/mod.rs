//! What visitors get while the store is in trouble: the whole stack, from the router to real servers and back.
//!
//! `docs/faults.md` is what `matrix` observes. After a change that is meant, it is written anew by
//! `KEYCARD_WRITE_DOCS=1 cargo test --all-features --test failures faults`.

mod cell;
mod cut;
mod deadlines;
mod fault;
mod flipped;
mod matrix;
mod stage;

use std::time::Duration;

/// How long the layer lets a call of the store take.
const DEADLINE: Duration = Duration::from_millis(500);
