//! The Redis store uses only public names of this crate, as a store of an application does. This test compiles it outside of
//! the crate, and runs its unit tests there.

// The tests do not call every method of the store.
#![allow(dead_code)]

/// What the store imports as `crate::clock`.
pub mod clock {
    pub use tower_keycard::Clock;
    pub use tower_keycard::session::Timestamp;
}

/// What the store imports as `crate::config`.
pub mod config {
    pub use tower_keycard::config::Weakness;
}

/// What the store imports as `crate::store`, and the store.
// Without this attribute the path inside would be relative to a directory `store`, which does not exist.
#[path = "."]
pub mod store {
    pub use tower_keycard::store::*;

    #[path = "../src/store/redis/mod.rs"]
    pub mod redis;
}

use tower_keycard::{AnyStore, SessionLayer};

#[test]
fn a_store_made_of_public_names_alone_serves_a_layer() {
    let store = store::redis::RedisStore::connect_lazily("redis://127.0.0.1").unwrap();
    SessionLayer::new(AnyStore::new(store));
}
