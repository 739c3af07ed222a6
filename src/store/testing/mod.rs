//! For testing a store, and the code that uses one: the contract as a suite, and a store that fails on command.

pub mod conformance;
pub mod fault;
mod owned_write;
mod whole;

pub use self::owned_write::OwnedWrite;
pub use self::whole::{all_sessions_of, end_all};
