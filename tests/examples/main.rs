//! The examples as real processes, on each store, as `curl` and as a person's browser see them.

// Without axum one example is left, and it needs less of the support.
#![cfg_attr(not(feature = "axum"), allow(dead_code))]

#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "axum")]
mod accounts;
#[cfg(feature = "axum")]
mod browser;
mod curl;
#[cfg(feature = "testing")]
mod custom_store;
mod example;
#[cfg(feature = "axum")]
mod login;
mod readme;
mod small;
#[cfg(feature = "axum")]
mod stores;
#[cfg(all(feature = "axum", feature = "tracing"))]
mod visits;
