//! Sessions for Axum and any Tower HTTP service.

mod changes;
mod clock;
mod data;
mod error;
mod key;
mod record;
pub mod store;
mod token;

pub use self::clock::{Clock, Timestamp};
pub use self::error::{SessionError, SessionRejection};
pub use self::key::{Key, SessionKey};
pub use self::record::Expiry;
