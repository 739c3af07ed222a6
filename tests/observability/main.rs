//! What an application learns of its sessions and of those who use them.
//!
//! - `events`: what happened, for observers, the log, the metrics and the audit log.
//! - `monitor`: signs of session hijacking, and what is done about them.

#[path = "../support/mod.rs"]
mod support;

mod events;
mod monitor;
