//! The builder of a layer. It takes the options as a whole, and adds the code of the application.

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::failure::DefaultFailureResponse;
use super::inspect::Inspect;
use super::layer::SessionLayer;
use super::markers;
use crate::client::ClientFacts;
use crate::clock::Clock;
use crate::config::{ConfigError, SessionConfig};
use crate::event::{ObserverHooks, SessionObserver, diagnostics};
use crate::lifecycle::SessionManager;
use crate::monitor::{Detector, Monitor};
use crate::random::Random;
use crate::session::Main;
use crate::store::{AnyStore, SessionStore};

impl SessionLayer {
    /// A layer with the default configuration, which is hardened.
    pub fn new(store: impl SessionStore) -> Self {
        let builder = Self::builder(store);
        let layer = builder.build();
        layer.expect("the default configuration is valid")
    }

    /// Begins a layer with options. [`build`](SessionLayerBuilder::build) makes it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_keycard::{MemoryStore, SessionConfig, SessionLayer};
    ///
    /// # fn main() -> Result<(), tower_keycard::ConfigError> {
    /// let config = SessionConfig::new()
    ///     .idle(Duration::from_secs(30 * 60))
    ///     .save_every_request(true);
    /// let layer = SessionLayer::builder(MemoryStore::new()).config(config).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(store: impl SessionStore) -> SessionLayerBuilder {
        SessionLayerBuilder {
            parts: Parts {
                store: AnyStore::new(store),
                config: SessionConfig::default(),
                label: None,
                clock: Clock::system(),
                random: Random::default(),
                inspect: Inspect::default(),
                observers: ObserverHooks::default(),
                monitor: None,
            },
            failure_response: DefaultFailureResponse,
            marker: PhantomData,
        }
    }
}

/// The builder of a [`SessionLayer`]: options, and code of the application.
///
/// [`SessionLayer::builder`] begins it. All options are in [`SessionConfig`]; the other methods add code, such as an observer.
pub struct SessionLayerBuilder<M = Main, F = DefaultFailureResponse> {
    parts: Parts,
    failure_response: F,
    marker: PhantomData<fn() -> M>,
}

/// The parts that do not depend on the builder's type.
struct Parts {
    store: AnyStore,
    config: SessionConfig,
    label: Option<String>,
    clock: Clock,
    random: Random,
    inspect: Inspect,
    observers: ObserverHooks,
    monitor: Option<Monitor>,
}

impl<M: 'static, F> SessionLayerBuilder<M, F> {
    /// Marks the layer with the type `N`. Handlers get its session as [`Session<N>`](crate::Session).
    ///
    /// Use it if an application has several session layers. Each marker has a label of its own, such as `admin`: 1 to 32
    /// letters, digits, `-` or `_`. The label is part of the cookie's name (`__Host-id-admin`), of the namespace
    /// (`__Host-id/admin`), and so of the hash of the cookie's secret. So one configuration can serve all layers: whatever it
    /// says, a token of one layer opens nothing in another.
    ///
    /// In one process a label belongs to one marker: [`build`](Self::build) refuses the second marker with it, unless the two
    /// have different [namespaces](SessionConfig::namespace).
    ///
    /// A request that comes to two layers with the same cookie name is refused with 500, and the log names both:
    /// [`Failure::Misconfigured`](crate::middleware::Failure::Misconfigured).
    ///
    /// ```
    /// use tower_keycard::{MemoryStore, SessionLayer};
    ///
    /// enum Admin {}
    ///
    /// # fn main() -> Result<(), tower_keycard::ConfigError> {
    /// let admin = SessionLayer::builder(MemoryStore::new()).marked::<Admin>("admin").build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn marked<N>(mut self, label: impl Into<String>) -> SessionLayerBuilder<N, F> {
        self.parts.label = Some(label.into());
        SessionLayerBuilder {
            parts: self.parts,
            failure_response: self.failure_response,
            marker: PhantomData,
        }
    }

    /// Sets the options. All of them are in [`SessionConfig`].
    #[must_use]
    pub fn config(mut self, config: SessionConfig) -> Self {
        self.parts.config = config;
        self
    }

    /// Sets the clock, which is the system's by default. Tests set it.
    ///
    /// The store keeps the idle limit. So give a [`MemoryStore`](crate::MemoryStore) the same clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.parts.clock = clock;
        self
    }

    /// Sets the function that describes the client of a request: see [`ClientFacts`].
    ///
    /// It is called once per request, before the handler. It sees the head of the request and the extensions, including
    /// those that a middleware outside of this layer added. If it panics, nothing is known of the client.
    #[must_use]
    pub fn client(
        mut self,
        client: impl Fn(&http::request::Parts) -> ClientFacts + Send + Sync + 'static,
    ) -> Self {
        self.parts.inspect.set_client(client);
        self
    }

    /// Sets the function that says whether a request counts as activity. By default every request does that uses its session;
    /// with [`save_every_request`](SessionConfig::save_every_request) every request does.
    ///
    /// A request that the function refuses reads its session as always, and neither slides the idle limit nor sends the cookie
    /// again. Refuse what the browser asks for without its user: a page that polls would keep the session alive for as long as
    /// it is open. With `save_every_request`, refuse static files too.
    ///
    /// ```
    /// use tower_keycard::{MemoryStore, SessionLayer};
    ///
    /// # fn main() -> Result<(), tower_keycard::ConfigError> {
    /// let layer = SessionLayer::builder(MemoryStore::new())
    ///     .activity(|request| {
    ///         let path = request.uri.path();
    ///         path != "/notifications" && !path.starts_with("/static/")
    ///     })
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// What such a request writes is stored, for as long as the session would have lived without it. Only a login, a
    /// re-authentication and [`set_expiry`](crate::Session::set_expiry) move the end of the session, because they say so. A
    /// WebSocket whose request is refused does not keep its session alive with [`reload`](crate::Session::reload) either.
    ///
    /// It is called once per request, before the handler, as [`client`](Self::client) is. If it panics, the request counts as
    /// activity. ASVS 5.0, 7.3.1.
    #[must_use]
    pub fn activity(
        mut self,
        activity: impl Fn(&http::request::Parts) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.parts.inspect.set_activity(activity);
        self
    }

    /// Looks for signs of session hijacking: see [`monitor`](crate::monitor). There is no monitor by default.
    ///
    /// The monitor identifies clients by the [fingerprint](ClientFacts::with_fingerprint) that the application's
    /// [`client`](Self::client) function returns. Without such a function it identifies them by the family of their browser.
    #[must_use]
    pub fn monitor(mut self, monitor: Monitor) -> Self {
        self.parts.monitor = Some(monitor);
        self
    }

    /// Adds an observer, which gets an event for everything that happens to sessions: see [`event`](crate::event). You can add
    /// several.
    ///
    /// A slow observer delays neither a request nor another observer: the layer starts a thread for each. The thread ends with
    /// the layer's last clone, after it has reported the events in the queue. Call [`SessionLayer::drain`] before the program
    /// ends.
    #[must_use]
    pub fn observer(mut self, observer: impl SessionObserver) -> Self {
        self.parts.observers.observers.push(Box::new(observer));
        self
    }

    /// Sets how many events can wait for each of the [observers](Self::observer): 1,024 by default. Beside them wait half as
    /// many that any client can cause at will, such as those of made-up tokens. Events beyond that are counted, and reported
    /// as [`EventKind::Lost`](crate::event::EventKind::Lost).
    #[must_use]
    pub fn observer_queue(mut self, events: usize) -> Self {
        self.parts.observers.queue = events;
        self
    }

    /// Sets the source of random bytes, which is the system's by default. `fill` fills the bytes, or returns `false` if it
    /// cannot.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn random(mut self, fill: impl Fn(&mut [u8]) -> bool + Send + Sync + 'static) -> Self {
        self.parts.random = Random::Function(Arc::new(fill));
        self
    }

    /// Sets the response for a client whose session could not be committed: by default a status and an empty body.
    ///
    /// ```
    /// use http::Response;
    /// use tower_keycard::middleware::Failure;
    /// use tower_keycard::{MemoryStore, SessionLayer};
    ///
    /// # fn main() -> Result<(), tower_keycard::ConfigError> {
    /// let layer = SessionLayer::builder(MemoryStore::new())
    ///     .failure_response(|failure: Failure| {
    ///         let mut response = Response::new("Please try again.".to_owned());
    ///         *response.status_mut() = failure.status();
    ///         response
    ///     })
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn failure_response<R>(self, failure_response: R) -> SessionLayerBuilder<M, R> {
        SessionLayerBuilder {
            parts: self.parts,
            failure_response,
            marker: PhantomData,
        }
    }

    /// Builds the layer, and logs settings that are legal but weak: see [`SessionConfig::check`].
    ///
    /// # Errors
    ///
    /// The configuration is invalid: options contradict each other, a browser would refuse the cookie, or the label of a
    /// marked layer is invalid, or belongs to another marker. Or the system cannot start the thread for the observers.
    pub fn build(self) -> Result<SessionLayer<M, F>, ConfigError> {
        let Parts {
            store,
            mut config,
            label,
            clock,
            random,
            mut inspect,
            observers,
            monitor,
        } = self.parts;
        config.label = label;
        if monitor.is_some() {
            // Without a function of the application, the monitor identifies clients by their browser.
            inspect.identify_by_browser();
        }
        let detector = monitor.map(Detector::new).transpose()?;
        let marker = TypeId::of::<M>();
        let manager =
            SessionManager::new(marker, store, config, clock, random, observers, detector)?;
        markers::claim::<M>(&manager.config)?;
        for weakness in manager.config.check() {
            diagnostics::weak_setting(weakness.id(), &weakness);
        }
        Ok(SessionLayer {
            manager: Arc::new(manager),
            inspect,
            failure_response: self.failure_response,
            marker: PhantomData,
        })
    }
}

impl<M, F> fmt::Debug for SessionLayerBuilder<M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayerBuilder")
            .field("store", &self.parts.store)
            .field("config", &self.parts.config)
            .finish_non_exhaustive()
    }
}
