//! The examples as real processes, on each store, as `curl` and as a person's browser see them.

// Helpers are tests too, which clippy.toml does not know.
#![allow(clippy::unwrap_used)]
// Without axum one example is left, and it needs less of the support.
#![cfg_attr(not(feature = "axum"), allow(dead_code))]

#[cfg(feature = "axum")]
#[path = "../support/browser.rs"]
mod browser;
#[path = "../support/curl.rs"]
mod curl;
#[path = "../support/example.rs"]
mod example;
#[cfg(all(feature = "axum", feature = "redis"))]
#[path = "../support/redis_server.rs"]
#[allow(dead_code, reason = "the store's own tests need more of it")]
mod redis_server;

#[cfg(feature = "axum")]
mod accounts;
#[cfg(feature = "axum")]
mod login;
mod readme;
mod small;
#[cfg(feature = "axum")]
mod stores;
