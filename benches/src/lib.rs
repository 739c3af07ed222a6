//! What sessions cost: this crate beside its peers and beside what one would write by hand, at the same work.

pub mod allocations;
pub mod budgets;
pub mod conditions;
pub mod figures;
pub mod instructions;
#[path = "../../tests/support/redis_server.rs"]
#[allow(dead_code, unexpected_cfgs, clippy::unwrap_used)]
mod server;
pub mod subject;
pub mod visitor;
pub mod work;
