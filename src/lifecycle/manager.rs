//! The session manager: what all requests of a layer share.

use std::any::TypeId;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use super::evictions::Evictions;
use super::in_flight::{Counted, InFlight};
use super::lifetime::Lifetime;
use super::timed_store::TimedStore;
use crate::clock::{Clock, Moment, Timestamp};
use crate::config::{ConfigError, SessionConfig, SessionLimit, UserLimit};
use crate::cookie::CookieTemplate;
use crate::event::{Event, EventKind, Metrics, ObserverHooks, Observers, Reporter};
use crate::monitor::Detector;
use crate::random::{Random, RandomError};
use crate::record::{
    Record, Revision, SecurityStamp, SessionId, Token, VerifierHash, VerifierHasher,
};
use crate::store::{AnyStore, RecordKey, SessionStore};
use crate::sync::{Background, KeyedQueues, Queue};

/// The configuration, the store and the reporter of a layer, which all its requests share.
pub(crate) struct SessionManager {
    /// The type that marks the layer.
    pub(crate) marker: TypeId,
    pub(crate) config: SessionConfig,
    pub(crate) cookie: CookieTemplate,
    pub(crate) reporter: Reporter,
    /// How many sessions a user may have, if that is limited.
    pub(crate) session_limit: Option<SessionLimit>,
    pub(crate) in_flight: InFlight,
    pub(crate) detector: Option<Detector>,
    evictions: Evictions,
    store: AnyStore,
    random: Random,
    hasher: VerifierHasher,
    writers: KeyedQueues<SessionId>,
    /// The queues of those who read a list of sessions, by the hash of its user.
    readers: KeyedQueues<u64>,
    users: RandomState,
}

impl SessionManager {
    pub(crate) fn new(
        marker: TypeId,
        store: AnyStore,
        config: SessionConfig,
        clock: Clock,
        random: Random,
        observers: ObserverHooks,
        detector: Option<Detector>,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let is_indexed = store.user_index().is_some();
        if !is_indexed && matches!(config.max_sessions_per_user, UserLimit::Set(_)) {
            return Err(ConfigError::new(
                "max_sessions_per_user",
                "the store keeps no user index to count sessions by; use a store that keeps one, or leave the limit out",
            ));
        }
        let session_limit = config.max_sessions_per_user.limit();
        let namespace: Arc<str> = config.resolved_namespace().into();
        let metrics = Metrics::new(&namespace);
        let observers = Observers::start(observers, &namespace, &clock, &metrics)?;
        Ok(Self {
            marker,
            cookie: CookieTemplate::new(&config),
            hasher: VerifierHasher::new(store.prefix(), &namespace),
            config,
            reporter: Reporter {
                clock,
                namespace,
                metrics,
                observers,
            },
            session_limit: session_limit.filter(|_| is_indexed),
            in_flight: InFlight::default(),
            detector,
            evictions: Evictions::default(),
            store,
            random,
            writers: KeyedQueues::default(),
            readers: KeyedQueues::default(),
            users: RandomState::new(),
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.reporter.clock.now()
    }

    /// The present moment, to measure from.
    pub(crate) fn moment(&self) -> Moment {
        self.reporter.clock.moment()
    }

    /// How much time has passed since a moment.
    pub(crate) fn since(&self, moment: Moment) -> Duration {
        self.reporter.clock.since(moment)
    }

    pub(crate) fn namespace(&self) -> &Arc<str> {
        &self.reporter.namespace
    }

    pub(crate) fn store(&self) -> TimedStore<'_> {
        TimedStore::new(
            &self.store,
            self.config.store_timeout,
            &self.reporter.metrics,
        )
    }

    /// How many sessions the store has evicted since the last report, if it is time for one.
    pub(crate) fn evictions_to_report(&self) -> Option<u64> {
        let evicted = self.store.evicted();
        match evicted {
            0 => None,
            _ => self.evictions.to_report(evicted, self.now()),
        }
    }

    pub(crate) fn key(&self, id: SessionId) -> RecordKey {
        RecordKey::new(self.namespace().clone(), id)
    }

    pub(crate) fn lifetime(&self, record: &Record, now: Timestamp) -> Lifetime<'_> {
        Lifetime::new(&self.config, record.header(), now)
    }

    /// The queue that puts the writers of this session in order after a conflict.
    pub(crate) fn writers(&self, id: SessionId) -> Queue<'_, SessionId> {
        let spread = id.as_bytes().iter().map(|byte| usize::from(*byte)).sum();
        self.writers.queue(id, spread)
    }

    /// The queue that puts those in order who read the list of this user's sessions. Users whose hashes are equal share one.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "any part of a hash will do"
    )]
    pub(crate) fn readers(&self, user: &str) -> Queue<'_, u64> {
        let hash = self.users.hash_one(user);
        self.readers.queue(hash, hash as usize)
    }

    /// How long a commit of a request waits at most for the one before it. One that enforces a session limit makes many calls.
    pub(crate) fn commit_timeout(&self) -> Duration {
        self.config.store_timeout * 20
    }

    pub(crate) fn hash(&self, token: &Token) -> VerifierHash {
        self.hasher.hash(token)
    }

    /// The hash of a user's security stamp, as a record stores it.
    pub(crate) fn security_stamp(&self, user: &str, stamp: &[u8]) -> SecurityStamp {
        SecurityStamp::new(self.store.prefix(), self.namespace(), user, stamp)
    }

    pub(crate) fn random(&self) -> &Random {
        &self.random
    }

    /// A token and a revision, from one draw of random bytes.
    pub(crate) fn new_token(&self) -> Result<(Token, Revision), RandomError> {
        Token::generate(&self.random)
    }

    /// The same, for an existing session.
    pub(crate) fn rotated_token(&self, id: SessionId) -> Result<(Token, Revision), RandomError> {
        Token::rotated(id, &self.random)
    }

    pub(crate) fn new_revision(&self) -> Result<Revision, RandomError> {
        Revision::generate(&self.random)
    }

    /// Runs work that must not stop halfway if the client hangs up, the future is not polled any more, or the server stops. It is
    /// in flight until it is done.
    pub(crate) fn finish<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Background<T> {
        let counted = InFlight::enter(self.clone());
        Background::new(async move {
            let result = work.await;
            counted.done();
            result
        })
    }
}

impl Counted for Arc<SessionManager> {
    fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }

    fn abandoned(&self) {
        let event = Event::new(EventKind::Abandoned);
        self.reporter.report(event, None);
    }
}

/// What a log entry says of a layer.
impl fmt::Display for SessionManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cookie, namespace) = (self.cookie.name(), self.namespace());
        let prefix = self.store.prefix();
        write!(
            f,
            "cookie {cookie}, namespace {namespace}, store prefix {prefix:?}"
        )
    }
}

impl fmt::Debug for SessionManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionManager")
            .field("store", &self.store)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
