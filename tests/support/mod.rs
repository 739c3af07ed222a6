//! What the tests have in common.

// Each binary of tests uses a part of it.
#![allow(dead_code)]

#[cfg(feature = "axum")]
pub(crate) mod app;
pub(crate) mod client;
pub(crate) mod cookie;
#[cfg(feature = "redis")]
pub(crate) mod deployment;
#[cfg(feature = "tracing")]
pub(crate) mod log;
#[cfg(feature = "redis")]
pub(crate) mod proxy;
pub(crate) mod random;
#[cfg(feature = "redis")]
pub(crate) mod redis_cluster;
#[cfg(feature = "redis")]
pub(crate) mod redis_sentinel;
#[cfg(feature = "redis")]
pub(crate) mod redis_server;
#[cfg(feature = "axum")]
pub(crate) mod reply;

use std::time::{Duration, Instant};

/// A script that lets records on a Redis server be so much closer to their end.
pub(crate) const AGE: &str = include_str!("age.lua");

/// Asks again and again until there is an answer; says how long that took.
pub(crate) async fn eventually<T>(
    what: &str,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> (T, Duration) {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return (answer, start.elapsed());
        }
        assert!(start.elapsed() < Duration::from_secs(10), "never: {what}");
        // Not to wait for something to have happened, only to leave it the processor.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
