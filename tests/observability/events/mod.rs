//! What is reported to an application about its sessions and their clients.

#[cfg(target_os = "linux")]
mod audit;
mod client;
mod kinds;
mod log;
mod metrics;
mod observers;
mod page;
mod plain_http;
mod redis;
mod witness;
