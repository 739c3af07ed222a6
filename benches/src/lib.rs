//! Measures what sessions cost: this crate, its peers and hand-written code do the same work.

pub mod allocations;
pub mod budgets;
pub mod callgrind;
pub mod commands;
pub mod conditions;
pub mod figures;
pub mod instructions;
pub mod load;
pub mod plot;
pub mod profile;
#[path = "../../tests/support/proxy.rs"]
#[allow(dead_code, clippy::unwrap_used)]
mod proxy;
pub mod report;
pub mod scaling;
#[path = "../../tests/support/redis_server.rs"]
#[allow(dead_code, unexpected_cfgs, clippy::unwrap_used)]
mod server;
pub mod statistics;
pub mod stored;
pub mod subject;
pub mod tcp;
pub mod throughput;
pub mod time;
pub mod visitor;
pub mod work;
