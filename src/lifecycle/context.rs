//! The context of one client: the session manager, and what is known about the client that sent a request.

use std::ops::Deref;
use std::sync::Arc;

use super::lifetime::Lifetime;
use super::lookup::{Lookup, Unusable};
use super::manager::SessionManager;
use super::timed_store::TimedStore;
use crate::client::ClientFacts;
use crate::clock::Timestamp;
use crate::event::Event;
use crate::record::{FingerprintHash, Header, Record, Token};
use crate::store::{Loaded, StoreCall, StoreError};

/// The session manager for one client. Events carry what is known about the client.
#[derive(Clone, Copy)]
pub(crate) struct ClientContext<'a> {
    manager: &'a SessionManager,
    client: Option<&'a Arc<ClientFacts>>,
}

impl Deref for ClientContext<'_> {
    type Target = SessionManager;

    fn deref(&self) -> &SessionManager {
        self.manager
    }
}

impl<'a> ClientContext<'a> {
    pub(crate) fn new(manager: &'a SessionManager, client: Option<&'a Arc<ClientFacts>>) -> Self {
        Self { manager, client }
    }

    pub(crate) fn client(self) -> Option<&'a ClientFacts> {
        self.client.map(|client| &**client)
    }

    pub(crate) fn lifetime(self, record: &Record, now: Timestamp) -> Lifetime<'a> {
        self.manager.lifetime(record, now)
    }

    pub(crate) fn lifetime_of(self, header: &Header, now: Timestamp) -> Lifetime<'a> {
        Lifetime::new(&self.manager.config, header, now)
    }

    pub(crate) fn store(self) -> TimedStore<'a> {
        self.manager.store()
    }

    pub(crate) fn report(self, event: Event<'_>) {
        self.manager.reporter.report(event, self.client);
    }

    /// The client's fingerprint for the record of the session that this token opens, if the layer has a monitor.
    pub(crate) fn fingerprint_hash(self, token: &Token) -> Option<FingerprintHash> {
        self.detector.as_ref()?;
        let fingerprint = self.client?.fingerprint()?;
        Some(token.fingerprint_hash(fingerprint.as_bytes()))
    }

    /// Looks a token up in one store call. If the record may be stale and the token opens nothing, a second call loads the
    /// latest record. A token that opens nothing is reported.
    pub(crate) async fn look_up(self, token: &Token) -> Result<Lookup, StoreError> {
        let loaded = self.store().load(&self.key(token.selector())).await;
        let stale = matches!(&loaded, Ok(Loaded::Record { stale: true, .. }));
        let evaluated = self.evaluate(token, loaded)?;
        if stale && evaluated.0.open().is_none() {
            // Rare, so boxed.
            return Box::pin(self.look_up_latest(token)).await;
        }
        Ok(self.reported(evaluated, token))
    }

    /// The same, with a record that is not stale.
    pub(crate) async fn look_up_latest(self, token: &Token) -> Result<Lookup, StoreError> {
        let loaded = self.store().load_latest(&self.key(token.selector())).await;
        let evaluated = self.evaluate(token, loaded)?;
        Ok(self.reported(evaluated, token))
    }

    /// What a token opens if this is what the store has under it.
    pub(crate) fn look_up_in(self, loaded: Loaded, token: &Token) -> Result<Lookup, StoreError> {
        Ok(self.reported(self.evaluate(token, Ok(loaded))?, token))
    }

    /// Evaluates a loaded record as [`Lookup::evaluate`] does. A failed load is reported.
    fn evaluate(
        self,
        token: &Token,
        loaded: Result<Loaded, StoreError>,
    ) -> Result<(Lookup, Option<Arc<str>>), StoreError> {
        let loaded = loaded.inspect_err(|error| {
            let event = Event::store_failed(StoreCall::Load, error);
            self.report(event.session(token.selector()));
        })?;
        let (verifier_hash, now) = (self.hash(token), self.now());
        Ok(Lookup::evaluate(
            token,
            verifier_hash,
            loaded,
            &self.config,
            now,
        ))
    }

    fn reported(self, (lookup, user): (Lookup, Option<Arc<str>>), token: &Token) -> Lookup {
        if let Some(kind) = lookup.refusal() {
            let event = Event::new(kind)
                .session(token.selector())
                .user(user.as_ref());
            self.report(match lookup {
                Lookup::Unusable(Unusable::Unreadable(error)) => event.unreadable(error),
                _ => event,
            });
        }
        lookup
    }
}
