//! What an application observes of its sessions, over HTTP and against every store: each test proves the row of
//! `docs/semantics.md` that its name begins with.

mod after_the_head;
mod confirmation;
mod cookies;
mod hanging_up;
pub(crate) mod harness;
mod identity;
mod lifetime;
mod redis;
mod rows;
mod saving;
mod trouble;
