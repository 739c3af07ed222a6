//! What all requests of one layer share.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, Notify};

use crate::card::{Card, Why};
use crate::client::{ClientFacts, Recognition};
use crate::clock::{Clock, Timestamp};
use crate::config::{ConfigError, SessionConfig};
use crate::cookie::CookieTemplate;
use crate::event::{Event, EventKind, Observers, StoreCall};
use crate::hooks::Hooks;
use crate::lifetime::Lifetime;
use crate::record::{Record, Revision};
use crate::store::{AnyStore, BoundedStore, RecordKey, SessionStore, StoreError};
use crate::token::{Random, RandomError, SessionId, Token, VerifierHash, VerifierHasher};

/// The layer's configuration, in the form in which requests need it.
pub(crate) struct Desk {
    pub(crate) config: SessionConfig,
    pub(crate) cookie: CookieTemplate,
    pub(crate) store: BoundedStore,
    pub(crate) clock: Clock,
    pub(crate) in_flight: InFlight,
    /// How the application knows who sends a request.
    pub(crate) recognition: Option<Recognition>,
    pub(crate) observers: Option<Observers>,
    random: Random,
    hasher: VerifierHasher,
    namespace: Arc<str>,
    turns: [Mutex<()>; TURNS],
}

/// How many sessions can be crowded by writers at once without hindering each other.
const TURNS: usize = 32;

impl Desk {
    pub(crate) fn new(
        store: AnyStore,
        config: SessionConfig,
        clock: Clock,
        random: Random,
        hooks: Hooks,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        if config.max_sessions_per_user.is_some() && store.user_index().is_none() {
            return Err(ConfigError::new(
                "max_sessions_per_user",
                "the store keeps no index of users to count by; take one that does, or leave the limit out",
            ));
        }
        let store = BoundedStore::new(store, config.store_timeout);
        let namespace: Arc<str> = config.resolved_namespace().into();
        let observers = Observers::start(hooks.observers, &namespace, &clock)?;
        Ok(Self {
            cookie: CookieTemplate::new(&config),
            hasher: VerifierHasher::new(store.prefix(), &namespace),
            config,
            store,
            clock,
            in_flight: InFlight::default(),
            recognition: hooks.recognition,
            observers,
            random,
            namespace,
            turns: Default::default(),
        })
    }

    pub(crate) fn key(&self, id: SessionId) -> RecordKey {
        RecordKey::new(self.namespace.clone(), id)
    }

    /// Where writers of this session take turns, if they have to.
    pub(crate) fn turns(&self, id: SessionId) -> &Mutex<()> {
        // Whoever crowds a place holds up only writers that have met already, and no longer than these have patience.
        &self.turns[usize::from(id.as_bytes()[0]) % TURNS]
    }

    pub(crate) fn namespace(&self) -> &Arc<str> {
        &self.namespace
    }

    pub(crate) fn hash(&self, token: &Token) -> VerifierHash {
        self.hasher.hash(token)
    }

    pub(crate) fn random(&self) -> &Random {
        &self.random
    }

    pub(crate) fn new_token(&self) -> Result<Token, RandomError> {
        Token::generate(&self.random)
    }

    pub(crate) fn rotated_token(&self, id: SessionId) -> Result<Token, RandomError> {
        Token::rotated(id, &self.random)
    }

    pub(crate) fn new_revision(&self) -> Result<Revision, RandomError> {
        Revision::generate(&self.random)
    }

    /// The desk, as it serves one client.
    pub(crate) fn serving<'a>(&'a self, client: Option<&'a Arc<ClientFacts>>) -> Teller<'a> {
        Teller { desk: self, client }
    }

    pub(crate) fn lifetime(&self, record: &Record, now: Timestamp) -> Lifetime<'_> {
        Lifetime::new(&self.config, record.header(), now)
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("store", &self.store)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// A desk that serves one client: whatever happens there is told with what is known of them.
#[derive(Clone, Copy)]
pub(crate) struct Teller<'a> {
    desk: &'a Desk,
    client: Option<&'a Arc<ClientFacts>>,
}

impl Deref for Teller<'_> {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        self.desk
    }
}

impl<'a> Teller<'a> {
    pub(crate) fn lifetime(self, record: &Record, now: Timestamp) -> Lifetime<'a> {
        Lifetime::new(&self.desk.config, record.header(), now)
    }
}

impl Teller<'_> {
    pub(crate) fn tell(self, event: Event<'_>) {
        self.desk.tell(event, self.client);
    }

    /// Looks a token up and judges it: one store call. Of one that opens its session nothing is told.
    pub(crate) async fn examine(self, token: &Token) -> Result<Card, StoreError> {
        let id = token.selector();
        let proof = self.hash(token);
        let loaded = match self.store.load(&self.key(id)).await {
            Ok(loaded) => loaded,
            Err(error) => {
                self.tell(Event::store_failed(StoreCall::Load, &error).session(id));
                return Err(error);
            }
        };
        let card = Card::judge(token, proof, loaded, &self.config, self.clock.now());
        if let Some(kind) = EventKind::of_card(&card)
            && kind != EventKind::Resumed
        {
            let event = Event::new(kind).session(id);
            self.tell(match card {
                Card::Unknown(Why::Unreadable(why)) => event.unreadable(why),
                _ => event,
            });
        }
        Ok(card)
    }
}

/// Counts the commits that are under way, so that a server can wait for them before it stops.
#[derive(Default)]
pub(crate) struct InFlight {
    commits: AtomicUsize,
    none: Notify,
}

impl InFlight {
    pub(crate) fn enter(desk: &Arc<Desk>) -> InFlightGuard {
        desk.in_flight.commits.fetch_add(1, Ordering::AcqRel);
        InFlightGuard {
            desk: desk.clone(),
            done: false,
        }
    }

    /// Waits until no commit is under way.
    pub(crate) async fn none(&self) {
        loop {
            let none = self.none.notified();
            if self.commits.load(Ordering::Acquire) == 0 {
                return;
            }
            none.await;
        }
    }
}

/// One commit, counted while this lives.
pub(crate) struct InFlightGuard {
    desk: Arc<Desk>,
    done: bool,
}

impl InFlightGuard {
    pub(crate) fn done(mut self) {
        self.done = true;
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        // What panics has been told of by the panic.
        if !self.done && !std::thread::panicking() {
            self.desk.tell(Event::new(EventKind::Abandoned), None);
        }
        let in_flight = &self.desk.in_flight;
        if in_flight.commits.fetch_sub(1, Ordering::AcqRel) == 1 {
            in_flight.none.notify_waiters();
        }
    }
}
