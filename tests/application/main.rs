//! What an application observes of its sessions.
//!
//! - `behaviour`: over HTTP and on every store, row by row of `docs/semantics.md`.
//! - `session`: what a handler can do with a session, without a server, a browser or axum.
//! - `require`: parts of a site for logged-in users only, and the way to the login page and back.
//!
//! Without features only `session` is left: it needs no server and is quick, which mutation testing relies on.

#[path = "../support/mod.rs"]
mod support;

#[cfg(all(feature = "axum", feature = "redis", feature = "tracing"))]
mod behaviour;
#[cfg(feature = "axum")]
mod require;
mod session;

/// The marker of every layer with the label `admin`: a label belongs to one marker.
enum Admin {}
