//! The index of users: the suite notices a store that keeps it badly, and the layer does with it what a login and a logout
//! ask for.

// Helpers are tests too, which clippy.toml does not know.
#![allow(clippy::unwrap_used)]

#[path = "../session/support.rs"]
#[allow(dead_code)]
mod support;

mod breaches;
mod careless;
mod commits;
