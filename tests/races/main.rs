//! Requests that run at the same time: in every order, with every trouble, and dropped at every await.
//!
//! - `schedules`: requests are stepped by hand, one store call at a time. Every order of any two requests of a menu; seeded
//!   orders of two to four requests, with lost replies, late calls, clients that vanish, and time that passes. What happened
//!   is checked against what is promised (`invariants`, `orders`).
//! - `agreement`: a model, the store in memory and the one in Redis agree on every call, answer and record.
//! - `cancellation`: a request is dropped after each number of polls that it can take.
//! - `logins`: logins of one user at the same time, in a layer with a limit, and while all sessions of the user are ended. In
//!   the end as many sessions live as the limit allows, and none that began before the revocation.
//! - `panics`: code of the application panics during a commit, and where a logout was asked for.
//! - `broken`: the exploration finds what is wrong with a store that breaks its contract.
//!
//! More schedules than a usual run has time for:
//!
//! ```text
//! KEYCARD_SCHEDULES=1000000 cargo test --release --all-features --test races
//! ```
//!
//! A schedule that fails prints its scene and its path, and the seed that makes both again:
//!
//! ```text
//! KEYCARD_SEED=4711 KEYCARD_SCHEDULES=1 cargo test --all-features --test races seeded
//! ```
//!
//! # Why this is the equal of a checker of threads
//!
//! A request waits at awaits alone, and each of them is a call of the store, or leads to one. What the requests of several
//! threads share is the store, whose calls are atomic, and a counter of commits under way. What the handles of one request
//! share stands under one `std::sync::Mutex`, which is never held across an await; a save that waits is a task of the runtime,
//! which the driver lets run up to its next call. So whatever threads do, some order of the
//! steps that are taken here does as well.

#[path = "../support/mod.rs"]
mod support;

mod agreement;
mod broken;
mod browser;
mod cancellation;
mod driver;
mod facts;
mod invariants;
mod logins;
mod model;
mod orders;
mod panics;
mod regressions;
mod schedule;
mod schedules;
mod script;
mod stage;
mod world;
