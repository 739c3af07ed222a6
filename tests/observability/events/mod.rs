//! What an application is told of its sessions, and of who uses them.

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
