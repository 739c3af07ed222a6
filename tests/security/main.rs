//! What `docs/security.md` promises, row for row: `r04_…` is a test of R4, `threat_…` one of the threats.

#[path = "../support/listener.rs"]
mod listener;
#[path = "../support/redis_server.rs"]
#[allow(dead_code)]
mod redis_server;

mod accounts;
mod app;
mod cookies;
mod failures;
mod forged_cookies;
mod handles;
mod leaks;
mod lifetimes;
mod sharing;
mod table;
mod threats;
mod tokens;
