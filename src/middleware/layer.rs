//! The layer that adds sessions to a service.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use tower_layer::Layer;

use super::failure::DefaultFailureResponse;
use super::inspect::Inspect;
use super::service::SessionService;
use crate::event::{DRAIN_LIMIT, diagnostics};
use crate::lifecycle::SessionManager;
use crate::session::{Main, Users};

/// The Tower layer that gives every request its [`Session`](crate::Session).
///
#[cfg_attr(feature = "axum", doc = "```")]
#[cfg_attr(not(feature = "axum"), doc = "```text")]
/// use axum::{Router, routing::get};
/// use tower_keycard::{MemoryStore, Session, SessionError, SessionLayer};
///
/// async fn count(session: Session) -> Result<String, SessionError> {
///     let count = session.update("count", |n: Option<u32>| n.unwrap_or(0) + 1)?;
///     Ok(count.to_string())
/// }
///
/// let app: Router = Router::new()
///     .route("/", get(count))
///     .layer(SessionLayer::new(MemoryStore::new())); // the defaults are hardened
/// ```
///
/// [`SessionLayer::new`] takes the defaults. [`SessionLayer::builder`] takes options, observers and a monitor. Clones are the
/// same layer.
///
/// A request that never asks for its session costs no store call. The layer sets the cookie, `Vary` and `Cache-Control` where
/// they are needed. It commits changes before it releases the response; if that fails, it replaces the response, as
/// [`Failure`](crate::middleware::Failure) describes.
///
/// The body of the response must implement `Default`, unless you set a
/// [`failure_response`](crate::middleware::SessionLayerBuilder::failure_response).
#[doc(alias = "SessionMiddleware")]
pub struct SessionLayer<M = Main, F = DefaultFailureResponse> {
    pub(super) manager: Arc<SessionManager>,
    pub(super) inspect: Inspect,
    pub(super) failure_response: F,
    pub(super) marker: PhantomData<fn() -> M>,
}

impl<M, F> SessionLayer<M, F> {
    /// The sessions of this layer, by user, for tasks outside of requests.
    #[must_use]
    pub fn users(&self) -> Users {
        Users::new(self.manager.clone())
    }

    /// Waits until all commits are done and all events are reported. Call it at shutdown, when the server takes no more
    /// requests, and before the runtime ends.
    ///
    /// A commit goes on when its client hangs up; `drain` waits for those too. It waits five seconds at most for the
    /// [observers](crate::middleware::SessionLayerBuilder::observer).
    ///
    /// ```
    /// # use tower_keycard::SessionLayer;
    /// # async fn serve_until_sigterm() {}
    /// # async fn run(sessions: SessionLayer) {
    /// serve_until_sigterm().await;
    /// sessions.drain().await;
    /// # }
    /// ```
    pub async fn drain(&self) {
        self.manager.in_flight.none().await;
        if let Some(observers) = &self.manager.reporter.observers {
            let left = observers.drained(DRAIN_LIMIT).await;
            diagnostics::unreported(left);
        }
    }
}

impl<M, F: Clone> Clone for SessionLayer<M, F> {
    fn clone(&self) -> Self {
        Self {
            manager: self.manager.clone(),
            inspect: self.inspect.clone(),
            failure_response: self.failure_response.clone(),
            marker: PhantomData,
        }
    }
}

impl<M, F> fmt::Debug for SessionLayer<M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer")
            .field("manager", &self.manager)
            .finish_non_exhaustive()
    }
}

impl<S, M, F: Clone> Layer<S> for SessionLayer<M, F> {
    type Service = SessionService<S, M, F>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService {
            inner,
            manager: self.manager.clone(),
            inspect: self.inspect.clone(),
            failure_response: self.failure_response.clone(),
            marker: PhantomData,
        }
    }
}
