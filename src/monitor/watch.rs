//! A monitor at work: it looks at each card that is loaded, and does what it was told to.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::proxies::owner_of;
use super::rates::{Count, Recent};
use super::{Monitor, Rate, Response, Signal};
use crate::card::{Card, Held, Why};
use crate::client::{ClientFacts, ClientFingerprint};
use crate::clock::Timestamp;
use crate::config::ConfigError;
use crate::desk::Teller;
use crate::event::{Event, EventKind, Revocation, StoreCall};
use crate::record::{CLOCK_DIFFERENCE, Record, Revision};
use crate::store::{Loaded, Replaced, StoreError};
use crate::token::{SessionId, Token};

/// For how long a finding is not reported once more.
const REPORTED: Duration = Duration::from_secs(60 * 60);

/// How often a doubt is tried to be written into a record that others write, too. The next request tries again.
const ATTEMPTS: u32 = 3;

pub(crate) struct Watch {
    monitor: Monitor,
    requests: Mutex<Recent<SessionId, Count>>,
    strangers: Mutex<Recent<Client, Stranger>>,
    reported: Mutex<Recent<Finding, bool>>,
    // Keyed: clients choose their cards, and would choose some that count as one.
    hasher: RandomState,
}

/// What was found of which session, with which client.
type Finding = (SessionId, Signal, Option<ClientFingerprint>);

/// Whom unknown cards come from.
#[derive(PartialEq, Eq, Hash)]
enum Client {
    At(IpAddr),
    Like(ClientFingerprint),
}

/// A client whose cards open nothing.
#[derive(Default)]
struct Stranger {
    since: Option<Timestamp>,
    /// Hashes of the cards' public ids. Who sends the same dead one over and over, as a page does that polls, is no guesser.
    cards: Vec<u64>,
}

impl Stranger {
    /// Remembers a card, and says whether it is the first beyond the limit in its window.
    fn exceeds(&mut self, card: u64, rate: Rate, now: Timestamp) -> bool {
        let current = self
            .since
            .is_some_and(|since| now.since(since) < rate.within && since.since(now) < rate.within);
        if !current {
            self.since = Some(now);
            self.cards.clear();
        }
        let most = rate.most as usize;
        if self.cards.len() > most || self.cards.contains(&card) {
            return false;
        }
        self.cards.push(card);
        self.cards.len() > most
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    pub(crate) fn new(monitor: Monitor) -> Result<Self, ConfigError> {
        monitor.validate()?;
        let memory = monitor.memory;
        let within = |rate: Option<Rate>| rate.map_or(REPORTED, |rate| rate.within);
        let requests = within(monitor.request_rate.map(|(rate, _)| rate));
        let strangers = within(monitor.unknown_cards);
        Ok(Self {
            monitor,
            requests: Mutex::new(Recent::new(requests, memory)),
            strangers: Mutex::new(Recent::new(strangers, memory)),
            reported: Mutex::new(Recent::new(REPORTED, memory)),
            hasher: RandomState::new(),
        })
    }

    /// Looks a token up and judges it, as [`examine`](Teller::examine) does, and looks at the card.
    pub(crate) async fn admit(
        &self,
        desk: Teller<'_>,
        token: &Token,
        client: Option<&Arc<ClientFacts>>,
    ) -> Result<Card, StoreError> {
        let card = desk.examine(token).await?;
        self.look_at(desk, token, card, client).await
    }

    /// Looks at a card that was just loaded, and hands back what is left of it.
    ///
    /// A session that is to be revoked and cannot be is not handed out: that is the store's error. One that is to be doubted
    /// is doubted in this request, whatever the store says; the next one tries again to write it down.
    async fn look_at(
        &self,
        desk: Teller<'_>,
        token: &Token,
        card: Card,
        client: Option<&Arc<ClientFacts>>,
    ) -> Result<Card, StoreError> {
        let (id, now) = (token.selector(), desk.clock.now());
        let fingerprint = client.and_then(|client| client.fingerprint());
        match card {
            Card::Valid(held) => {
                let changed = self.has_changed(&held, fingerprint);
                let changed = changed.map(|response| (Signal::FingerprintChanged, response));
                let rushed = self.is_rushed(id, now);
                let rushed = rushed.map(|response| (Signal::RequestRate, response));
                let mut strongest = 0;
                for (signal, response) in changed.into_iter().chain(rushed) {
                    self.report(
                        desk,
                        signal,
                        response,
                        (id, fingerprint),
                        held.record.owner(),
                    );
                    strongest = strongest.max(strength(response));
                }
                self.respond(desk, held, strongest, now).await
            }
            Card::Unknown(Why::StaleVerifier) => {
                if let Some(response) = self.monitor.stale_card {
                    self.report(desk, Signal::StaleCard, response, (id, fingerprint), None);
                    match response {
                        Response::Report => {}
                        Response::RequireReauthentication => drop(doubt(desk, id, now).await),
                        Response::Revoke => drop(desk.end(id, None, Revocation::Monitor).await),
                    }
                }
                Ok(card)
            }
            Card::Unknown(Why::NoRecord | Why::WrongVerifier) => {
                self.count_unknown(desk, id, client, now);
                Ok(card)
            }
            card => Ok(card),
        }
    }

    /// Whether the card was given to another client.
    fn has_changed(
        &self,
        held: &Held,
        fingerprint: Option<&ClientFingerprint>,
    ) -> Option<Response> {
        let response = self.monitor.fingerprint_changed?;
        let seal = held.record.header().terms.seal?;
        // Who leaves out what they are known by is another one, too: a thief might, or make the application's function panic.
        let same = |fingerprint: &ClientFingerprint| {
            held.token.seal(fingerprint.as_bytes()).same_as(&seal)
        };
        (!fingerprint.is_some_and(same)).then_some(response)
    }

    fn is_rushed(&self, id: SessionId, now: Timestamp) -> Option<Response> {
        let (rate, response) = self.monitor.request_rate?;
        let mut requests = lock(&self.requests);
        let count = requests.of(id, now);
        count
            .exceeds(rate.most, rate.within, now)
            .then_some(response)
    }

    fn count_unknown(
        &self,
        desk: Teller<'_>,
        id: SessionId,
        client: Option<&Arc<ClientFacts>>,
        now: Timestamp,
    ) {
        let (Some(rate), Some(facts)) = (self.monitor.unknown_cards, client) else {
            return;
        };
        let client = match (facts.address(), facts.fingerprint()) {
            (Some(address), _) => Client::At(owner_of(address)),
            (None, Some(fingerprint)) => Client::Like(*fingerprint),
            (None, None) => return,
        };
        let card = self.hasher.hash_one(id);
        if lock(&self.strangers)
            .of(client, now)
            .exceeds(card, rate, now)
        {
            desk.tell(Event::new(EventKind::Suspected {
                signal: Signal::UnknownCards,
                response: Response::Report,
            }));
        }
    }

    /// Tells of a finding, unless that was done lately: a user who has moved makes many requests.
    fn report(
        &self,
        desk: Teller<'_>,
        signal: Signal,
        response: Response,
        (id, fingerprint): (SessionId, Option<&ClientFingerprint>),
        user: Option<&Arc<str>>,
    ) {
        let now = desk.clock.now();
        let finding = (id, signal, fingerprint.copied());
        let told = std::mem::replace(lock(&self.reported).of(finding, now), true);
        // Of a rate, there is one finding per window.
        if !told || signal == Signal::RequestRate {
            let event = Event::new(EventKind::Suspected { signal, response });
            desk.tell(event.session(id).user(user));
        }
    }

    async fn respond(
        &self,
        desk: Teller<'_>,
        mut held: Held,
        strength: u8,
        now: Timestamp,
    ) -> Result<Card, StoreError> {
        let id = held.token.selector();
        if strength >= self::strength(Response::Revoke) {
            desk.end(id, held.record.owner(), Revocation::Monitor)
                .await?;
            return Ok(Card::Unknown(Why::NoRecord));
        }
        let doubted = held.record.header().terms.doubted.is_some();
        if strength >= self::strength(Response::RequireReauthentication) && !doubted {
            match doubt(desk, id, now).await {
                Ok(Some((record, remaining))) if record.header().verifier.same_as(&held.proof) => {
                    held.touch_due = desk.lifetime(&record, now).touch_is_due(remaining);
                    held.record = record;
                }
                _ => held.record = doubted_since(&held.record, now, None),
            }
        }
        Ok(Card::Valid(held))
    }
}

const fn strength(response: Response) -> u8 {
    match response {
        Response::Report => 0,
        Response::RequireReauthentication => 1,
        Response::Revoke => 2,
    }
}

/// The record with a doubt in it; as another revision, if it is to be stored.
fn doubted_since(record: &Record, now: Timestamp, revision: Option<Revision>) -> Record {
    let mut header = record.header().clone();
    if let Some(revision) = revision {
        header.revise(revision);
    }
    header.terms.change(|terms| terms.doubted = Some(now));
    Record::new(header, record.data().clone())
}

/// Writes down, for every server, that a session is doubted. Says what is there then, and for how long; nothing if there is
/// no such session any more, or others keep writing it.
async fn doubt(
    desk: Teller<'_>,
    id: SessionId,
    now: Timestamp,
) -> Result<Option<(Record, Duration)>, StoreError> {
    let key = desk.key(id);
    let failed = |call, error: StoreError| {
        desk.tell(Event::store_failed(call, &error).session(id));
        error
    };
    for _ in 0..ATTEMPTS {
        let loaded = desk.store().load_latest(&key).await;
        let Loaded::Record { record, remaining } =
            loaded.map_err(|error| failed(StoreCall::Load, error))?
        else {
            return Ok(None);
        };
        if record.header().terms.doubted.is_some() {
            return Ok(Some((record, remaining)));
        }
        let Ok(revision) = desk.new_revision() else {
            return Ok(None);
        };
        let doubted = doubted_since(&record, now, Some(revision));
        // What a store says remains may be by a clock that is wrong: neither is the session to end by it, nor to be kept
        // beyond its limit.
        let longest = desk.lifetime(&record, now).time_to_live();
        let ttl = remaining.max(CLOCK_DIFFERENCE).min(longest);
        let replaced = desk.store().replace(&key, record.revision(), &doubted, ttl);
        match replaced.await {
            Ok(Replaced::Replaced) => return Ok(Some((doubted, ttl))),
            Ok(Replaced::Conflict(_)) => {}
            Err(error) => return Err(failed(StoreCall::Replace, error)),
        }
    }
    Ok(None)
}
