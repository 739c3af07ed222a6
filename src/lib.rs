//! Sessions for Axum and any Tower HTTP service: log a user in safely with one line, and never think about cookies again.
//!
//! A session is a hotel key card: it opens one room, it expires, the desk can cancel it at any moment, and a new one is cut
//! whenever the guest changes. [`SessionLayer`] is the desk.
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
//!     // … after the password has been checked:
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
//! The layer reads the token from the `Cookie` headers and puts a lazy handle into the request's extensions. A request that
//! never asks for its [`Session`] costs no store call. One that reads it costs one round trip; what it changes is queued, and
//! committed in one conditional store call before the response is released. What a response does to the session is decided
//! by a pure function, the decision table:
//!
//! | the request came with \ and wants to | read | write | log in | log out |
//! |---|---|---|---|---|
//! | no cookie | – | create, set cookie | create, set cookie | – |
//! | a cookie that opens nothing | remove cookie | create under a new token, set | the same | remove cookie |
//! | a cookie rotated out, or whose session ended, in the last minute | – | 409 | create under a new token, set | delete, remove cookie |
//! | two different session cookies | no session | 400 | 400 | 400 |
//! | a valid cookie | slide the idle limit if due | replace | rotate, set cookie | delete, remove cookie |
//!
//! After a 5xx, an error or a panic of the handler nothing is stored; a logout is carried out all the same. A store that fails
//! is answered with 503, never with an empty session.
//!
//! # Where to go from here
//!
//! | | |
//! |---|---|
//! | what a handler can do | [`Session`] |
//! | limits, cookies, presets; Django's settings | [`config`], [`SessionConfig`] |
//! | where sessions are kept, and how to keep them elsewhere | [`store`]: [`MemoryStore`], `RedisStore` (feature `redis`), [`SessionStore`](store::SessionStore) |
//! | what a client is told when a commit fails | [`FailureResponse`] |
//! | each security requirement with its test, each threat, and what remains | [`documentation::security`] |
//! | what happens to sessions, for logs and for whoever is to act on it | [`event`], [`SessionObserver`], [`AuditLog`] |
//! | whether a session is still its user's | [`monitor`] |
//! | Redis in production: memory, durability, rights, what to watch | [`documentation::production`] |
//! | where else a user is logged in | [`Session::sessions`], [`Users`] |
//! | a message for the page after a redirect | [`Session::flash`], [`Session::take_flashes`] |
//! | parts that are for logged-in users, or ask for the password again | [`RequireLoginLayer`], [`RequireFreshLayer`], [`LoginRedirectLayer`], [`SafeNext`] |
//! | forms, and when they need a token | [`Session::csrf_token`] |
//! | tests | feature `testing`: `Clock::manual`, `store::fault`, `store::conformance` |
//! | several sessions in one application | [`Session`](Session#several-sessions-in-one-application) |
//!
//! # Features
//!
//! | feature | default | what it brings |
//! |---|---|---|
//! | `axum` | yes | `Session`, `Option<Session>`, `RequireLogin`, `RequireFresh` and `Flashes` as arguments of axum 0.8 handlers |
//! | `tracing` | yes | what happened to sessions, as `tracing` events of target `tower_keycard` |
//! | `metrics` | | events counted and store calls measured, for the recorder of the `metrics` crate |
//! | `redis` | | `RedisStore`, connected from a URL: one server, a cluster, or the primary that sentinels name |
//! | `redis-tls` | | `rediss://`, by rustls, trusting the system's certificates or a CA of your own |
//! | `redis-1` | | `RedisStore` over the application's own client of the `redis` crate, major version 1 |
//! | `testing` | | the store contract as a suite, a store that fails on command, clocks that stand still |
//!
//! # Cancellation, streams, shutdown
//!
//! A client that hangs up interrupts no commit: it either never began or is finished by the tokio runtime. Once the response
//! has begun the session is sealed; [`Session::reload`] opens it for a stream or a WebSocket, [`Session::save`] commits. Call
//! [`SessionLayer::drain`] at shutdown.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::print_stdout))]

#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// What is promised, to whom, and how it is proved.
#[cfg(doc)]
pub mod documentation {
    #[doc = include_str!("../docs/events.md")]
    pub mod events {}
    #[doc = include_str!("../docs/security.md")]
    pub mod security {}

    #[doc = include_str!("../docs/failover.md")]
    pub mod failover {}
    #[doc = include_str!("../docs/production.md")]
    pub mod production {}
}

mod base64url;
mod card;
mod changes;
mod client;
mod clock;
mod commit;
mod completion;
pub mod config;
mod cookie;
mod crowd;
mod csrf;
mod data;
mod desk;
mod draft;
mod error;
pub mod event;
#[cfg(feature = "axum")]
mod extract;
mod failure;
mod flash;
mod future;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod fuzzing;
mod headers;
mod hooks;
mod intent;
mod key;
mod layer;
mod lifetime;
mod login;
pub mod monitor;
mod next;
mod patience;
mod plan;
mod policy;
mod random;
mod record;
mod redirect;
mod require;
mod service;
mod session;
mod stamp;
pub mod store;
mod token;
mod turn;
mod users;
mod visit;

pub use self::client::{ClientFacts, ClientFingerprint};
pub use self::clock::{Clock, Timestamp};
pub use self::config::{
    BeyondLimit, ConfigError, OnInterrupted, Persistence, RememberMe, SameSite, SessionConfig,
    SessionLimit, Weakness,
};
pub use self::csrf::CsrfToken;
pub use self::error::{SessionError, SessionRejection};
pub use self::event::{AuditLog, EventKind, SessionEvent, SessionObserver};
#[cfg(feature = "axum")]
pub use self::extract::{ExtractRejection, Flashes, RequireFresh, RequireLogin};
pub use self::failure::{DefaultFailureResponse, Failure, FailureResponse};
pub use self::flash::{Flash, FlashLevel};
pub use self::future::ResponseFuture;
pub use self::key::{Key, SessionKey};
pub use self::layer::{SessionLayer, SessionLayerBuilder};
pub use self::login::Login;
pub use self::next::SafeNext;
pub use self::record::Expiry;
pub use self::redirect::{LoginRedirect, LoginRedirectFuture, LoginRedirectLayer};
pub use self::require::{RequireFreshLayer, RequireLoginLayer, RequireService, Required};
pub use self::service::SessionService;
pub use self::session::{Main, Session};
pub use self::store::{AnyStore, MemoryStore};
#[cfg(feature = "redis")]
pub use self::store::{RedisConfig, RedisStore};
pub use self::token::SessionId;
pub use self::users::{UserSession, Users};
