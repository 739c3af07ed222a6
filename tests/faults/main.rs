//! What visitors get while the store is in trouble: the whole stack, from the router to real servers and back.

// Helpers are tests too, which clippy.toml does not know.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod deadlines;

use std::time::Duration;

/// How long the layer lets a call of the store take.
const DEADLINE: Duration = Duration::from_millis(500);
