//! Reports signs of session hijacking, and carries out the monitor's response.

use std::sync::Arc;
use std::time::Duration;

use super::context::ClientContext;
use super::lookup::{Lookup, OpenSession, Unusable};
use super::manager::SessionManager;
use crate::client::ClientFacts;
use crate::clock::{CLOCK_DIFFERENCE, Timestamp};
use crate::event::{Event, EventKind, Revocation};
use crate::monitor::{Detector, Findings, Observation, Response, Signal};
use crate::record::{Record, Revision, SessionId, Token};
use crate::store::{Loaded, Replaced, StoreCall, StoreError, Write};

/// How often one request tries to store a suspicion in a record that other requests write too. The next request tries again.
const ATTEMPTS: u32 = 3;

/// Looks a token up as [`look_up`](ClientContext::look_up) does, and [responds](respond) to the detector's findings.
pub(super) async fn look_up_monitored(
    manager: &Arc<SessionManager>,
    client: Option<&Arc<ClientFacts>>,
    detector: &Detector,
    token: &Token,
) -> Result<Lookup, StoreError> {
    let lookup = ClientContext::new(manager, client).look_up(token).await?;
    respond(manager, client, detector, (token.selector(), lookup)).await
}

/// Responds to the detector's findings about a token, of which the session's id and the look-up are given.
///
/// The response is carried out even if the client hangs up. If the store fails to revoke a session, its error is returned
/// instead of the session. A session that becomes suspected is suspected in this request even if the store fails. The next
/// request then tries again to store the suspicion.
pub(super) async fn respond(
    manager: &Arc<SessionManager>,
    client: Option<&Arc<ClientFacts>>,
    detector: &Detector,
    (id, lookup): (SessionId, Lookup),
) -> Result<Lookup, StoreError> {
    let context = ClientContext::new(manager, client);
    let now = context.now();
    let observation = match &lookup {
        Lookup::Open(open) => Observation::Opened {
            fingerprint_changed: context.fingerprint_changed(detector, open),
        },
        Lookup::Unusable(Unusable::StaleVerifier) => Observation::Stale,
        Lookup::Unusable(Unusable::NoRecord | Unusable::WrongVerifier) => Observation::Unknown,
        _ => return Ok(lookup),
    };
    let findings = detector.inspect(observation, id, context.client(), now);
    context.report_findings(&findings, id, &lookup);
    let Some(response @ (Response::Revoke | Response::RequireReauthentication)) = findings.response
    else {
        return Ok(lookup);
    };
    let open = lookup.open();
    let done = move |detector: &Detector| {
        if findings.rate_exceeded {
            detector.answered(id, now);
        }
    };
    if response == Response::RequireReauthentication && open.is_some_and(is_suspected) {
        done(detector);
        return Ok(lookup);
    }
    let user = open.and_then(|open| open.record.shared_user()).cloned();
    let (owner, facts) = (manager.clone(), client.cloned());
    let carried_out = manager.finish(async move {
        let context = ClientContext::new(&owner, facts.as_ref());
        let suspected = if response == Response::Revoke {
            context.end(id, user.as_ref(), Revocation::Monitor).await?;
            None
        } else {
            context.suspect(id, now).await?
        };
        if response == Response::Revoke || suspected.is_some() {
            owner.detector.iter().for_each(done);
        }
        Ok(suspected)
    });
    let carried_out: Result<_, StoreError> = carried_out.await;
    Ok(match (lookup, response) {
        (Lookup::Open(_), Response::Revoke) => {
            carried_out?;
            Lookup::Unusable(Unusable::NoRecord)
        }
        (Lookup::Open(open), _) => {
            let stored = carried_out.ok().flatten();
            Lookup::Open(context.suspected(open, stored, now))
        }
        (lookup, _) => lookup,
    })
}

fn is_suspected(open: &OpenSession) -> bool {
    open.header().login.suspected_since.is_some()
}

impl ClientContext<'_> {
    /// Whether the token was issued to another client. A client without a fingerprint counts as another one: otherwise a thief
    /// could leave out the headers that identify the client, or make the application's function panic.
    fn fingerprint_changed(self, detector: &Detector, open: &OpenSession) -> bool {
        if !detector.compares_fingerprints() {
            return false;
        }
        let Some(expected) = open.header().login.fingerprint else {
            return false;
        };
        let present = self.fingerprint_hash(&open.token);
        !present.is_some_and(|present| present.same_as(&expected))
    }

    /// Reports the client of a request that has begun a session without a login, if it begins too many.
    pub(super) fn report_if_many_begin(self) {
        let (Some(detector), Some(client)) = (&self.detector, self.client()) else {
            return;
        };
        if detector.new_sessions_exceeded(client, self.now()) {
            let (signal, response) = (Signal::NewSessions, Response::Report);
            self.report(Event::new(EventKind::Suspected { signal, response }));
        }
    }

    fn report_findings(self, findings: &Findings, id: SessionId, lookup: &Lookup) {
        let user = lookup.open().and_then(|open| open.record.shared_user());
        for (signal, response) in findings.reports.into_iter().flatten() {
            let event = Event::new(EventKind::Suspected { signal, response });
            // Neither unknown tokens nor the sessions that a client begins are one session.
            self.report(match signal {
                Signal::UnknownTokens | Signal::NewSessions => event,
                _ => event.session(id).user(user),
            });
        }
    }

    /// The session as suspected: as it was stored, or for this request only.
    fn suspected(
        self,
        mut open: OpenSession,
        stored: Option<(Record, Duration)>,
        now: Timestamp,
    ) -> OpenSession {
        match stored {
            Some((record, remaining)) if record.header().verifier.same_as(&open.verifier_hash) => {
                open.kept_until = now.plus(remaining);
                open.touch_due = self.lifetime(&record, now).touch_is_due(remaining);
                open.record = record;
            }
            _ => open.record = suspected_since(&open.record, now, None),
        }
        open
    }

    /// Stores, for every server, that a session is suspected. Returns the stored record and the time that it has left, or
    /// nothing if the session has ended or other requests keep writing it.
    async fn suspect(
        self,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<(Record, Duration)>, StoreError> {
        let key = self.key(id);
        let failed = |call, error: StoreError| {
            self.report(Event::store_failed(call, &error).session(id));
            error
        };
        for _ in 0..ATTEMPTS {
            let loaded = self.store().load_latest(&key).await;
            let Loaded::Record {
                record, remaining, ..
            } = loaded.map_err(|error| failed(StoreCall::Load, error))?
            else {
                return Ok(None);
            };
            if record.header().login.suspected_since.is_some() {
                return Ok(Some((record, remaining)));
            }
            let Ok(revision) = self.new_revision() else {
                return Ok(None);
            };
            let suspected = suspected_since(&record, now, Some(revision));
            // The store's clock may be wrong. It must neither end the session nor let it outlive its limit.
            let longest = self.lifetime(&record, now).time_to_live();
            let ttl = remaining.max(CLOCK_DIFFERENCE).min(longest);
            let write = Write {
                // Another request may touch the session meanwhile.
                keeps_expiry: remaining <= longest,
                ..Write::new(&suspected, ttl)
            };
            let replaced = self.store().replace(&key, record.revision(), &write);
            match replaced.await {
                Ok(Replaced::Replaced) => return Ok(Some((suspected, ttl))),
                Ok(Replaced::Conflict(_)) => {}
                Err(error) => return Err(failed(StoreCall::Replace, error)),
            }
        }
        Ok(None)
    }
}

/// The record of a suspected session, with a new revision if it will be stored.
fn suspected_since(record: &Record, now: Timestamp, revision: Option<Revision>) -> Record {
    let mut header = record.header().clone();
    if let Some(revision) = revision {
        header.revise(revision);
    }
    header
        .login
        .change(|details| details.suspected_since = Some(now));
    Record::new(header, record.data().clone())
}
