//! The Tower layers, and the extractors for axum.
//!
//! | you want | use |
//! |---|---|
//! | sessions for a service | [`SessionLayer`]; with options [`SessionLayerBuilder`] |
//! | your own response when a commit fails | [`FailureResponse`], [`Failure`] |
//! | a part of a site for logged-in users only | [`RequireLoginLayer`], or the extractor `RequireLogin` |
//! | a part of a site that asks for the password again | [`RequireFreshLayer`], or the extractor `RequireFresh` |
//! | redirects to the login page | [`LoginRedirectLayer`], with [`SafeNext`] for the way back |
//! | messages after a redirect | the extractor `Flashes` |
//!
//! The extractors, and [`Session`](crate::Session) as an argument of handlers, need the feature `axum`.
//!
//! In an `axum::Router`, the layer that is added last is the outermost one. Add [`SessionLayer`] after the layers that need a
//! session, so that it is outside of them.

mod builder;
#[cfg(feature = "axum")]
mod extract;
mod failure;
mod future;
mod headers;
mod inspect;
mod layer;
mod login_redirect;
mod markers;
mod plain_http;
mod require;
mod safe_next;
mod service;
mod withheld;

pub use self::builder::SessionLayerBuilder;
#[cfg(feature = "axum")]
pub use self::extract::{Flashes, RequireFresh, RequireLogin};
pub use self::failure::{DefaultFailureResponse, Failure, FailureResponse};
pub use self::future::ResponseFuture;
pub use self::layer::SessionLayer;
pub use self::login_redirect::{LoginRedirect, LoginRedirectFuture, LoginRedirectLayer};
pub use self::require::{RequireFreshLayer, RequireLoginLayer, RequireService, Required};
pub use self::safe_next::SafeNext;
pub use self::service::SessionService;
