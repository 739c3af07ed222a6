//! Sessions for Axum and any Tower HTTP service.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod card;
mod changes;
mod clock;
mod commit;
mod completion;
pub mod config;
mod cookie;
mod data;
mod desk;
mod error;
mod event;
#[cfg(feature = "axum")]
mod extract;
mod failure;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod fuzzing;
mod future;
mod headers;
mod intent;
mod key;
mod layer;
mod lifetime;
mod plan;
mod record;
mod service;
mod session;
pub mod store;
mod token;
mod visit;

pub use self::clock::{Clock, Timestamp};
pub use self::config::{
    ConfigError, OnInterrupted, Persistence, SameSite, SessionConfig, Weakness,
};
pub use self::error::{SessionError, SessionRejection};
pub use self::failure::{DefaultFailureResponse, Failure, FailureResponse};
pub use self::future::ResponseFuture;
pub use self::key::{Key, SessionKey};
pub use self::layer::{SessionLayer, SessionLayerBuilder};
pub use self::record::Expiry;
pub use self::service::SessionService;
pub use self::session::{Main, Session};
pub use self::store::{AnyStore, MemoryStore};
pub use self::token::SessionId;
