//! Sessions for Axum and any Tower HTTP service: log a user in safely with one line, and never think about cookies again.
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```text")]
//! use axum::{Router, http::StatusCode, routing::{get, post}};
//! use tower_keycard::{Key, MemoryStore, Session, SessionError, SessionLayer};
//!
//! const CART: Key<Vec<u32>> = Key::new("cart"); // a typed key; plain text works everywhere too
//!
//! async fn add(session: Session) -> Result<String, SessionError> {
//!     let cart = session.update(CART, |cart| {
//!         let mut cart = cart.unwrap_or_default();
//!         cart.push(7);
//!         cart
//!     })?; // no item is ever lost, whatever other requests do
//!     Ok(format!("{} in the cart", cart.len()))
//! }
//!
//! async fn login(session: Session) -> Result<StatusCode, SessionError> {
//!     // … after you have checked the password:
//!     session.login("alice")?; // a new token, the old one is dead; the cart stays
//!     Ok(StatusCode::NO_CONTENT)
//! }
//!
//! async fn logout(session: Session) -> Result<StatusCode, SessionError> {
//!     session.logout()?;
//!     Ok(StatusCode::NO_CONTENT)
//! }
//!
//! let app: Router = Router::new()
//!     .route("/cart", get(add))
//!     .route("/login", post(login))
//!     .route("/logout", post(logout))
//!     .layer(SessionLayer::new(MemoryStore::new()));
//! ```
//!
//! # What happens to a request
//!
//! The layer reads the token from the `Cookie` headers, and puts a lazy handle into the request's extensions. A request that
//! never asks for its [`Session`] costs no store call. A request that reads it costs one round trip. What a handler writes is
//! queued, and committed in one conditional store call before the response is released. A pure function decides what a
//! response does to the session, the decision table:
//!
//! | the request came with \ and wants to | read | write | log in | log out |
//! |---|---|---|---|---|
//! | no cookie | – | create, set cookie | create, set cookie | – |
//! | a token that opens nothing | – | create under a new token, set | the same | remove cookie |
//! | a token that was rotated out in the last minute | – | drop, 409 unless GET | create under a new token, set | delete, remove cookie |
//! | a token whose session ended in the last minute | – | drop, 409 unless GET | create under a new token, set | – |
//! | tokens of several sessions | no session | drop, 400 unless GET | delete them, create, set cookie | delete them, remove cookie |
//! | a token that opens its session | slide the idle limit if due | replace | rotate, set cookie | delete, remove cookie |
//!
//! After a 5xx status, an error or a panic of the handler, or a time limit inside of the layer (408), nothing is stored; a
//! logout is carried out all the same. If the store fails, the client gets 503, never an empty session.
//!
//! # Where to go from here
//!
//! | | |
//! |---|---|
//! | what a handler can do | [`Session`] |
//! | limits, cookies, presets; Django's settings | [`config`], [`SessionConfig`] |
//! | where sessions are kept, and how to write a store of your own | [`store`]: [`MemoryStore`], `RedisStore` (feature `redis`), [`SessionStore`](store::SessionStore) |
//! | what a client gets when a commit fails | [`FailureResponse`](middleware::FailureResponse) |
//! | what happens to sessions, for logs and for code that acts on it | [`event`], [`SessionObserver`](event::SessionObserver), [`AuditLog`](event::AuditLog) |
//! | signs of session hijacking | [`monitor`] |
//! | where else a user is logged in | [`Session::sessions`], [`Users`](session::Users) |
//! | a message for the page after a redirect | [`Session::flash`], [`Session::take_flashes`] |
//! | parts for logged-in users, or for those who have just typed their password | [`RequireLoginLayer`], [`RequireFreshLayer`], [`LoginRedirectLayer`], [`SafeNext`] |
//! | forms, and when they need a token | [`Session::csrf_token`] |
//! | several sessions in one application | [`Session`](Session#several-sessions-in-one-application) |
//! | tests | feature `testing`: `Clock::manual`, `store::testing` |
//! | how to do everything else, what the defaults protect from, known limits | [the guide](documentation::guide) |
//! | each promise with its tests | [semantics](documentation::semantics), [security](documentation::security), [faults](documentation::faults) |
//!
//! # Architecture
//!
//! Imports point one way: `middleware → session → lifecycle → event → monitor → error → store → cookie → config → record`.
//!
//! 1. [`middleware`]: the service reads the cookie and makes the *request's session*; the response future finishes it.
//! 2. [`session`]: the handle that a handler holds. Reading sees the record; writing adds to the *pending* work.
//! 3. `lifecycle`: the *look-up* says what the token is worth; the *decision* says what to do with what is pending; the
//!    *commit* does it, with retries and merging.
//! 4. [`event`] reports what happened; [`monitor`] evaluates signs of hijacking, and never acts.
//! 5. [`store`]: five calls that keep *records*, compared by their *revisions*; nothing of HTTP or of the users' values.
//! 6. `cookie` and [`config`]: how a token is read and sent, and the settings, checked when the layer is built.
//! 7. `record`: token, header, data, and the one place where they are written as bytes. No I/O, no configuration.
//!
//! # Features
//!
//! | feature | default | what it brings |
//! |---|---|---|
//! | `axum` | yes | `Session`, `Option<Session>`, `RequireLogin`, `RequireFresh` and `Flashes` as arguments of axum 0.8 handlers |
//! | `tracing` | yes | events as `tracing` events of target `tower_keycard` |
//! | `metrics` | | events counted and store calls measured, for the recorder of the `metrics` crate |
//! | `redis` | | `RedisStore`, for one server, a cluster or the primary that sentinels name |
//! | `redis-tls` | | `rediss://`, by rustls, with the system's certificates, or an authority or a server's certificate of your own |
//! | `redis-1` | | `RedisStore` over the application's own client of the `redis` crate, major version 1 |
//! | `testing` | | the store contract as a suite, a store that fails on command, clocks that stand still |
//!
//! # Cancellation, streams, shutdown
//!
//! A client that hangs up interrupts no commit: the commit either never began, or the tokio runtime finishes it. Once the
//! response has begun the session is sealed; [`Session::reload`] opens it for a stream or a WebSocket, [`Session::save`]
//! commits. Call [`SessionLayer::drain`] at shutdown.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::print_stdout))]

#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The guide, what is promised and how it is proved, and what it costs.
#[cfg(doc)]
pub mod documentation {
    #[doc = include_str!("../docs/rustdoc-links.md")]
    #[doc = include_str!("../docs/guide.md")]
    pub mod guide {}

    #[doc = include_str!("../docs/rustdoc-links.md")]
    #[doc = include_str!("../docs/semantics.md")]
    pub mod semantics {}

    #[doc = include_str!("../docs/rustdoc-links.md")]
    #[doc = include_str!("../docs/security.md")]
    pub mod security {}

    #[doc = include_str!("../docs/rustdoc-links.md")]
    #[doc = include_str!("../docs/faults.md")]
    pub mod faults {}

    #[doc = include_str!("../docs/rustdoc-links.md")]
    #[doc = include_str!("../docs/events.md")]
    pub mod events {}

    #[doc = include_str!("../docs/rustdoc-links.md")]
    #[doc = include_str!("../docs/monitoring.md")]
    pub mod monitoring {}

    #[doc = include_str!("../docs/rustdoc-links.md")]
    #[doc = include_str!("../docs/production.md")]
    pub mod production {}

    #[doc = include_str!("../docs/rustdoc-links.md")]
    #[doc = include_str!("../docs/durability.md")]
    pub mod durability {}

    #[doc = include_str!("../docs/rustdoc-links.md")]
    #[doc = include_str!("../docs/failover.md")]
    pub mod failover {}

    #[doc = include_str!("../docs/rustdoc-links.md")]
    #[doc = include_str!("../docs/benchmarks.md")]
    #[doc = "<div id=\"plot\">"]
    #[doc = include_str!("../docs/benchmarks.svg")]
    #[doc = "</div>"]
    pub mod benchmarks {}

    #[doc = include_str!("../docs/rustdoc-links.md")]
    #[doc = include_str!("../docs/redis-load.md")]
    pub mod redis_load {}

    #[doc = include_str!("../docs/rustdoc-links.md")]
    #[doc = include_str!("../docs/testing.md")]
    pub mod testing {}

    #[doc = include_str!("../docs/rustdoc-links.md")]
    #[doc = include_str!("../docs/django.md")]
    pub mod django {}
}

mod base64url;
mod client;
mod clock;
pub mod config;
mod cookie;
mod digest;
mod error;
pub mod event;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod fuzzing;
mod lifecycle;
pub mod middleware;
pub mod monitor;
mod named_enum;
mod random;
mod record;
pub mod session;
pub mod store;
mod sync;

pub use self::client::ClientFacts;
pub use self::clock::Clock;
pub use self::config::{ConfigError, SessionConfig};
#[cfg(feature = "axum")]
pub use self::middleware::{Flashes, RequireFresh, RequireLogin};
pub use self::middleware::{
    LoginRedirectLayer, RequireFreshLayer, RequireLoginLayer, SafeNext, SessionLayer,
};
pub use self::session::{FlashLevel, Key, Login, Session, SessionError, SessionId};
#[cfg(feature = "redis")]
pub use self::store::RedisStore;
pub use self::store::{AnyStore, MemoryStore};
