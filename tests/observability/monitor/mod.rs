//! Whether a session is still its user's: what the monitor notices, and what it does about it.

mod fingerprint;
mod page;
mod rates;
mod settings;
mod shop;
mod stale;
