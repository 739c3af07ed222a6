//! What clients get when something fails: the whole stack, from the router to real servers and back.
//!
//! - `faults`: the store, the network or the clock is in trouble.
//! - `moves`: slots, primaries and connections move under the store.
//! - `durability`: Redis crashes and starts again.

#[path = "../support/mod.rs"]
mod support;

mod durability;
mod faults;
mod moves;

use tokio::sync::{Mutex, MutexGuard};

/// One test at a time of those with servers: they measure time, and keep the machine busy.
async fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::const_new(());
    ONE.lock().await
}
