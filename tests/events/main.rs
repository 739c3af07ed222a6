//! What an application is told of its sessions, and of who uses them.

// Each binary of tests uses a part of it.
#[path = "../support/listener.rs"]
mod listener;
#[allow(dead_code)]
#[path = "../session/support.rs"]
mod site;
#[path = "../support/mod.rs"]
mod support;

#[cfg(target_os = "linux")]
mod audit;
mod client;
mod kinds;
mod log;
mod metrics;
mod observers;
mod page;
mod redis;
mod witness;
