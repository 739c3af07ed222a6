//! Sessions for Axum and any Tower HTTP service.

mod clock;
pub mod config;
mod cookie;
mod data;
mod headers;
mod record;
pub mod store;
mod token;

pub use self::clock::{Clock, Timestamp};
pub use self::config::{
    ConfigError, OnInterrupted, Persistence, SameSite, SessionConfig, Weakness,
};
pub use self::record::Expiry;
