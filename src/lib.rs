//! Sessions for Axum and any Tower HTTP service.

mod clock;
mod data;
mod record;
pub mod store;
mod token;

pub use self::clock::{Clock, Timestamp};
pub use self::record::Expiry;
