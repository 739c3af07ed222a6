//! The layer: configuration in, services out.

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use http::request::Parts;
use tower_layer::Layer;

use crate::client::{ClientFacts, Recognition};
use crate::clock::Clock;
use crate::config::{ConfigError, SessionConfig, Weakness, session_options};
use crate::desk::Desk;
use crate::event::{self, SessionObserver};
use crate::failure::DefaultFailureResponse;
use crate::hooks::Hooks;
use crate::monitor::Monitor;
use crate::random::Random;
use crate::service::SessionService;
use crate::session::Main;
use crate::store::{AnyStore, SessionStore};
use crate::users::Users;

/// Gives every request of a service its [`Session`](crate::Session).
///
/// ```
/// use tower_keycard::{MemoryStore, SessionLayer};
///
/// let layer = SessionLayer::new(MemoryStore::new()); // hardened with no further word
/// ```
///
/// The response body must be `Default`, or [`failure_response`](SessionLayerBuilder::failure_response) be set. Clones are
/// the same layer.
pub struct SessionLayer<M = Main, F = DefaultFailureResponse> {
    desk: Arc<Desk>,
    failure_response: F,
    marker: PhantomData<fn() -> M>,
}

impl SessionLayer {
    /// A layer with the default, hardened configuration.
    pub fn new(store: impl SessionStore) -> Self {
        let builder = Self::builder(store);
        let layer = builder.build();
        layer.expect("the default configuration is valid, and a test says so")
    }

    /// A layer that is to be configured.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_keycard::{MemoryStore, SessionLayer};
    ///
    /// # fn main() -> Result<(), tower_keycard::ConfigError> {
    /// let layer = SessionLayer::builder(MemoryStore::new())
    ///     .idle(Duration::from_secs(30 * 60))
    ///     .save_every_request(true)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(store: impl SessionStore) -> SessionLayerBuilder {
        SessionLayerBuilder {
            store: AnyStore::new(store),
            config: SessionConfig::default(),
            clock: Clock::system(),
            random: Random::default(),
            hooks: Hooks::default(),
            failure_response: DefaultFailureResponse,
            marker: PhantomData,
        }
    }
}

impl<M, F> SessionLayer<M, F> {
    fn from_desk(desk: Desk, failure_response: F) -> Self {
        for weakness in desk.config.check() {
            log_weakness(&weakness);
        }
        Self {
            desk: Arc::new(desk),
            failure_response,
            marker: PhantomData,
        }
    }

    /// The sessions of this layer by their users, for tasks outside of requests.
    #[must_use]
    pub fn users(&self) -> Users {
        Users::new(self.desk.clone())
    }

    /// Waits until no commit is under way, also none that a client left behind, and until the
    /// [observers](SessionLayerBuilder::observer) have been told, for which they have five seconds. To be called when the
    /// server has stopped taking requests, before the runtime ends.
    pub async fn drain(&self) {
        self.desk.in_flight.none().await;
        if let Some(observers) = &self.desk.observers {
            let left = observers.told(event::PATIENCE).await;
            event::left_untold(left);
        }
    }
}

fn log_weakness(weakness: &Weakness) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "tower_keycard", event = "weak_setting", id = weakness.id(), "{weakness}");
    #[cfg(not(feature = "tracing"))]
    let _ = weakness;
}

impl<M, F: Clone> Clone for SessionLayer<M, F> {
    fn clone(&self) -> Self {
        Self {
            desk: self.desk.clone(),
            failure_response: self.failure_response.clone(),
            marker: PhantomData,
        }
    }
}

impl<M, F> fmt::Debug for SessionLayer<M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer")
            .field("desk", &self.desk)
            .finish_non_exhaustive()
    }
}

impl<S, M, F: Clone> Layer<S> for SessionLayer<M, F> {
    type Service = SessionService<S, M, F>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::new(inner, self.desk.clone(), self.failure_response.clone())
    }
}

/// A [`SessionLayer`] that is being configured.
pub struct SessionLayerBuilder<M = Main, F = DefaultFailureResponse> {
    store: AnyStore,
    config: SessionConfig,
    clock: Clock,
    random: Random,
    hooks: Hooks,
    failure_response: F,
    marker: PhantomData<fn() -> M>,
}

session_options!(impl<M, F> SessionLayerBuilder<M, F>, config);

impl<M: 'static, F> SessionLayerBuilder<M, F> {
    /// The layer is to be that of [`Session<N>`](crate::Session): several layers around one service are told apart by a
    /// type. A marked layer needs a [`cookie_name`](Self::cookie_name) of its own: by the default one it would read the
    /// cookie, and so the session, of the layer that is not marked.
    #[must_use]
    pub fn marked<N>(self) -> SessionLayerBuilder<N, F> {
        SessionLayerBuilder {
            store: self.store,
            config: self.config,
            clock: self.clock,
            random: self.random,
            hooks: self.hooks,
            failure_response: self.failure_response,
            marker: PhantomData,
        }
    }

    /// Takes a whole configuration, as read from a file; options set before are dropped.
    #[must_use]
    pub fn config(mut self, config: SessionConfig) -> Self {
        self.config = config;
        self
    }

    /// Where the time comes from, if not from the system.
    ///
    /// The idle limit is kept by the store: give a [`MemoryStore`](crate::MemoryStore) the same clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Says what is known of the client that sent a request: see [`ClientFacts`]. It is asked once per request, before the
    /// handler, and sees head and extensions, such as what a middleware outside of this layer put there. If it panics,
    /// nothing is known.
    #[must_use]
    pub fn client(
        mut self,
        client: impl Fn(&Parts) -> ClientFacts + Send + Sync + 'static,
    ) -> Self {
        self.hooks.recognition = Some(Recognition::new(client));
        self
    }

    /// Watches for signs that a session is in other hands: see [`monitor`](crate::monitor). There is no monitor by default.
    ///
    /// It knows clients by the [fingerprint](ClientFacts::with_fingerprint) that the application's
    /// [`client`](Self::client) function gives them; without such a function, by the family of their browser.
    #[must_use]
    pub fn monitor(mut self, monitor: Monitor) -> Self {
        self.hooks.monitor = Some(monitor);
        self
    }

    /// Tells `observer` what happens to sessions: see [`event`](crate::event). Several may be given.
    ///
    /// They are called by a thread that the layer starts, and that ends with the layer's last clone, after it has told what
    /// is left: no request waits for them. Call [`SessionLayer::drain`] before the program ends.
    #[must_use]
    pub fn observer(mut self, observer: impl SessionObserver) -> Self {
        self.hooks.observers.observers.push(Box::new(observer));
        self
    }

    /// How many events may wait for the [observers](Self::observer); 1,024 unless told otherwise. What does not fit is
    /// counted, and told as [`EventKind::Lost`](crate::event::EventKind::Lost).
    #[must_use]
    pub fn observer_queue(mut self, events: usize) -> Self {
        self.hooks.observers.queue = events;
        self
    }

    /// Where randomness comes from, if not from the system: `fill` fills the bytes, or says `false`.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn random(mut self, fill: impl Fn(&mut [u8]) -> bool + Send + Sync + 'static) -> Self {
        self.random = Random::Function(Arc::new(fill));
        self
    }

    /// What a client is told when its session could not be committed; by default a status and an empty body.
    pub fn failure_response<R>(self, failure_response: R) -> SessionLayerBuilder<M, R> {
        SessionLayerBuilder {
            store: self.store,
            config: self.config,
            clock: self.clock,
            random: self.random,
            hooks: self.hooks,
            failure_response,
            marker: PhantomData,
        }
    }

    /// Builds the layer. What is legal but weak is logged, once, here.
    ///
    /// # Errors
    ///
    /// What is configured is contradictory, or a browser would refuse it; or the system has no thread for the observers.
    pub fn build(self) -> Result<SessionLayer<M, F>, ConfigError> {
        if TypeId::of::<M>() != TypeId::of::<Main>() && self.config.cookie.name.is_none() {
            return Err(ConfigError::new(
                "cookie.name",
                "a marked layer reads another layer's sessions by the default name; give it a name of its own",
            ));
        }
        let desk = Desk::new(self.store, self.config, self.clock, self.random, self.hooks)?;
        Ok(SessionLayer::from_desk(desk, self.failure_response))
    }
}

impl<M, F> fmt::Debug for SessionLayerBuilder<M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayerBuilder")
            .field("store", &self.store)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
