//! What all requests of one layer share.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::card::{Card, Why};
use crate::client::{ClientFacts, Recognition};
use crate::clock::{Clock, Timestamp};
use crate::config::{ConfigError, SessionConfig};
use crate::cookie::CookieTemplate;
use crate::crowd::{Crowd, Crowds};
use crate::event::{Event, EventKind, Meters, Observers, StoreCall};
use crate::hooks::Hooks;
use crate::lifetime::Lifetime;
use crate::monitor::Watch;
use crate::random::{Random, RandomError};
use crate::record::{Record, Revision};
use crate::stamp::Stamp;
use crate::store::{AnyStore, BoundedStore, Loaded, RecordKey, SessionStore, StoreError};
use crate::token::{Seal, SessionId, Token, VerifierHash, VerifierHasher};

/// The layer's configuration, in the form in which requests need it.
pub(crate) struct Desk {
    pub(crate) config: SessionConfig,
    pub(crate) cookie: CookieTemplate,
    store: AnyStore,
    pub(crate) clock: Clock,
    pub(crate) in_flight: InFlight,
    /// How the application knows who sends a request.
    pub(crate) recognition: Option<Recognition>,
    pub(crate) watch: Option<Watch>,
    pub(crate) observers: Option<Observers>,
    pub(crate) meters: Meters,
    random: Random,
    hasher: VerifierHasher,
    namespace: Arc<str>,
    crowds: Crowds,
}

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
        let namespace: Arc<str> = config.resolved_namespace().into();
        let meters = Meters::new(&namespace);
        // Without a word of the application's, a monitor knows a client by its browser.
        let recognition = match &hooks.monitor {
            Some(_) => hooks
                .recognition
                .or_else(|| Some(Recognition::by_browser())),
            None => hooks.recognition,
        };
        let watch = hooks.monitor.map(Watch::new).transpose()?;
        let observers = Observers::start(hooks.observers, &namespace, &clock, &meters)?;
        Ok(Self {
            cookie: CookieTemplate::new(&config),
            hasher: VerifierHasher::new(store.prefix(), &namespace),
            config,
            store,
            clock,
            in_flight: InFlight::default(),
            recognition,
            watch,
            observers,
            meters,
            random,
            namespace,
            crowds: Crowds::default(),
        })
    }

    pub(crate) fn store(&self) -> BoundedStore<'_> {
        BoundedStore::new(&self.store, self.config.store_timeout, &self.meters)
    }

    /// What a record keeps of a user's stamp.
    pub(crate) fn stamp(&self, user: &str, stamp: &[u8]) -> Stamp {
        Stamp::new(self.store.prefix(), self.namespace(), user, stamp)
    }

    pub(crate) fn key(&self, id: SessionId) -> RecordKey {
        RecordKey::new(self.namespace.clone(), id)
    }

    /// The writers of this session, who take turns if they have to.
    pub(crate) fn crowd(&self, id: SessionId) -> Crowd<'_> {
        self.crowds.at(id)
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

    /// A token and a revision at once: the system takes as long for a few random bytes as for many.
    pub(crate) fn new_token(&self) -> Result<(Token, Revision), RandomError> {
        Token::generate(&self.random)
    }

    /// The same, for a session that goes on.
    pub(crate) fn rotated_token(&self, id: SessionId) -> Result<(Token, Revision), RandomError> {
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

    pub(crate) fn store(self) -> BoundedStore<'a> {
        self.desk.store()
    }
}

impl Teller<'_> {
    pub(crate) fn tell(self, event: Event<'_>) {
        self.desk.tell(event, self.client);
    }

    /// The client's fingerprint, for the record of the session that this token opens, where a monitor wants it.
    pub(crate) fn seal(self, token: &Token) -> Option<Seal> {
        self.watch.as_ref()?;
        let fingerprint = self.client?.fingerprint()?;
        Some(token.seal(fingerprint.as_bytes()))
    }

    /// Looks a token up and judges it: one store call, and another one if a record that may be stale would turn it down. Of
    /// one that opens its session nothing is told.
    pub(crate) async fn examine(self, token: &Token) -> Result<Card, StoreError> {
        let loaded = self.store().load(&self.key(token.selector())).await;
        let stale =
            matches!(&loaded, Ok(Loaded::Record { record, .. }) if record.is_possibly_stale());
        let judged = self.judge(token, loaded)?;
        if stale && judged.0.held().is_none() {
            // Seldom, and so boxed.
            return Box::pin(self.examine_latest(token)).await;
        }
        Ok(self.told(judged, token))
    }

    /// The same by what is there now, and nothing older.
    pub(crate) async fn examine_latest(self, token: &Token) -> Result<Card, StoreError> {
        let loaded = self.store().load_latest(&self.key(token.selector())).await;
        let judged = self.judge(token, loaded)?;
        Ok(self.told(judged, token))
    }

    /// The card, and whose session it was made for, as [`Card::judge`] has it.
    fn judge(
        self,
        token: &Token,
        loaded: Result<Loaded, StoreError>,
    ) -> Result<(Card, Option<Arc<str>>), StoreError> {
        let loaded = loaded.inspect_err(|error| {
            let event = Event::store_failed(StoreCall::Load, error);
            self.tell(event.session(token.selector()));
        })?;
        let (proof, now) = (self.hash(token), self.clock.now());
        Ok(Card::judge(token, proof, loaded, &self.config, now))
    }

    fn told(self, (card, whose): (Card, Option<Arc<str>>), token: &Token) -> Card {
        if let Some(kind) = EventKind::of_card(&card)
            && kind != EventKind::Resumed
        {
            let event = Event::new(kind)
                .session(token.selector())
                .user(whose.as_ref());
            self.tell(match card {
                Card::Unknown(Why::Unreadable(why)) => event.unreadable(why),
                _ => event,
            });
        }
        card
    }
}

/// Counts the commits that are under way, so that a server can wait for them before it stops.
#[derive(Default)]
pub(crate) struct InFlight {
    commits: AtomicUsize,
    none: Notify,
}

impl InFlight {
    /// Counts a commit for as long as the guard lives, which keeps hold of the desk in one way or another.
    pub(crate) fn enter<D: AsRef<Desk>>(desk: D) -> InFlightGuard<D> {
        let in_flight = &desk.as_ref().in_flight;
        in_flight.commits.fetch_add(1, Ordering::AcqRel);
        InFlightGuard { desk, done: false }
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
pub(crate) struct InFlightGuard<D: AsRef<Desk>> {
    desk: D,
    done: bool,
}

impl<D: AsRef<Desk>> InFlightGuard<D> {
    pub(crate) fn holder(&mut self) -> &mut D {
        &mut self.desk
    }

    pub(crate) fn done(mut self) {
        self.done = true;
    }
}

impl<D: AsRef<Desk>> Drop for InFlightGuard<D> {
    fn drop(&mut self) {
        let desk = self.desk.as_ref();
        // What panics has been told of by the panic.
        if !self.done && !std::thread::panicking() {
            desk.tell(Event::new(EventKind::Abandoned), None);
        }
        let in_flight = &desk.in_flight;
        if in_flight.commits.fetch_sub(1, Ordering::AcqRel) == 1 {
            in_flight.none.notify_waiters();
        }
    }
}
