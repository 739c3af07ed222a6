//! Requests that run at the same time, in every order.
mod broken;
mod browser;
mod cancellation;
mod driver;
mod facts;
mod invariants;
mod orders;
mod panics;
#[allow(dead_code)]
#[path = "../support/redis_server.rs"]
mod redis_server;
mod regressions;
mod schedule;
mod schedules;
mod script;
mod stage;
