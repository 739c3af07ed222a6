//! The stores of this crate keep the store contract, and the suite that says so notices a store that does not.
//!
//! - `memory`: the store in memory keeps the contract.
//! - `redis`: so does the one on a Redis server; and how it connects, waits, fails and recovers.
//! - `topologies`: the same on a cluster and behind sentinels.
//! - `costs`: the commands and round trips of each kind of request.
//! - `conformance`: the suite notices a store that breaks the contract.

#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "redis")]
mod calls;
mod conformance;
#[cfg(feature = "redis")]
mod contract;
#[cfg(all(feature = "axum", feature = "redis"))]
mod costs;
#[cfg(feature = "redis")]
mod fake_server;
mod memory;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "redis")]
mod topologies;
