//! The map of a cluster: read by every call, drawn anew when it turns out to be wrong.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::nodes::{Server, Servers};
use super::slots::{self, Place, SLOTS};
use crate::store::redis::connection::client::Dialer;
use crate::store::redis::protocol::error::{Failure, NoConnection};
use crate::store::{StoreError, StoreErrorKind};

/// How long the map is trusted at least: however many calls fail, it is not asked for more often than this.
const PAUSE: Duration = Duration::from_millis(50);

/// How long the replicas on the map are all that there are.
const LIFETIME: Duration = Duration::from_secs(5);

/// How long one node has to tell the map before another is asked as well.
const PATIENCE: Duration = Duration::from_millis(50);

/// The servers that have a range of slots.
struct Shard {
    primary: Arc<Server>,
    replicas: Vec<Arc<Server>>,
}

/// What one node said at one time.
#[derive(Default)]
struct Drawing {
    drawn: Option<Instant>,
    shards: Vec<Shard>,
    /// The place of its shard, for each slot; nobody has a slot whose shard does not exist.
    of_slots: Vec<u16>,
}

/// The map, and how to draw it.
pub(crate) struct Map(Arc<Shared>);

struct Shared {
    servers: Servers,
    connect_timeout: Duration,
    current: RwLock<Arc<Drawing>>,
    drawing: Mutex<State>,
}

struct State {
    /// The one attempt that is under way, or the last one.
    attempt: Option<watch::Receiver<Outcome>>,
    begun: Option<Instant>,
    /// Whom to ask next.
    turn: usize,
}

type Outcome = Option<Result<(), StoreError>>;

impl Map {
    pub(crate) fn new(seeds: Vec<Dialer>, connections: usize, connect_timeout: Duration) -> Self {
        Self(Arc::new(Shared {
            servers: Servers::new(seeds, connections, connect_timeout),
            connect_timeout,
            current: RwLock::default(),
            drawing: Mutex::new(State {
                attempt: None,
                begun: None,
                turn: 0,
            }),
        }))
    }

    /// The server that has a slot. Where nobody is known to, the map is drawn first.
    pub(crate) async fn primary(
        &self,
        slot: u16,
        deadline: Instant,
    ) -> Result<Arc<Server>, Failure> {
        let known = |drawing: Arc<Drawing>| Arc::clone(&drawing.of(slot).primary);
        if let Some(primary) = self.0.known(slot).map(known) {
            return Ok(primary);
        }
        self.drawn(deadline).await.map_err(Failure::NotSent)?;
        self.0.known(slot).map(known).ok_or_else(|| {
            Failure::NotSent(StoreError::caused_by(
                StoreErrorKind::Unavailable,
                format!("no server of the Redis cluster has slot {slot}"),
            ))
        })
    }

    /// Every server that has slots.
    pub(crate) async fn primaries(&self, deadline: Instant) -> Result<Vec<Arc<Server>>, Failure> {
        if self.0.current().shards.is_empty() {
            self.drawn(deadline).await.map_err(Failure::NotSent)?;
        }
        let drawing = self.0.current();
        let mut primaries: Vec<Arc<Server>> = Vec::new();
        for shard in &drawing.shards {
            // One may have several ranges of slots.
            if !primaries
                .iter()
                .any(|known| Arc::ptr_eq(known, &shard.primary))
            {
                primaries.push(Arc::clone(&shard.primary));
            }
        }
        Ok(primaries)
    }

    /// The server at a place that a redirection named.
    pub(crate) fn server(&self, place: &Place) -> Result<Arc<Server>, Failure> {
        self.0.servers.at(place).map_err(Failure::Lost)
    }

    /// Draws the map anew, unless that has just been done, and does not wait for it.
    pub(crate) fn doubt(&self) {
        drop(self.0.draw());
    }

    /// The replicas of a slot's server, as far as they are known. No error tells of one that has come since, so the map is
    /// drawn anew every now and then.
    pub(crate) fn replicas(&self, slot: u16) -> Vec<Arc<Server>> {
        let drawing = self.0.current();
        let fresh = |drawn: Instant| drawn.elapsed() < LIFETIME;
        if !drawing.drawn.is_some_and(fresh) {
            self.doubt();
        }
        match drawing.has(slot) {
            true => drawing.of(slot).replicas.clone(),
            false => Vec::new(),
        }
    }

    /// Draws the map, or waits for whoever is at it.
    pub(crate) async fn drawn(&self, deadline: Instant) -> Result<(), StoreError> {
        // A second attempt, because the runtime that the first one ran on may be gone, as between two tests.
        for _ in 0..2 {
            let mut attempt = self.0.draw();
            match timeout_at(deadline, attempt.wait_for(Option::is_some)).await {
                Ok(Ok(outcome)) => {
                    if let Some(outcome) = &*outcome {
                        return outcome.clone();
                    }
                }
                Ok(Err(_)) => {}
                Err(_) => break,
            }
        }
        let address = self.address();
        Err(NoConnection::TimedOut { address }.into_error())
    }

    pub(crate) fn address(&self) -> String {
        self.0.servers.address()
    }
}

impl Drawing {
    fn has(&self, slot: u16) -> bool {
        let shard = self.of_slots.get(usize::from(slot));
        shard.is_some_and(|shard| usize::from(*shard) < self.shards.len())
    }

    fn of(&self, slot: u16) -> &Shard {
        &self.shards[usize::from(self.of_slots[usize::from(slot)])]
    }

    fn shows(&self, server: &Arc<Server>) -> bool {
        let is = |other: &Arc<Server>| Arc::ptr_eq(server, other);
        let mut shards = self.shards.iter();
        shards.any(|shard| is(&shard.primary) || shard.replicas.iter().any(is))
    }
}

impl Shared {
    fn current(&self) -> Arc<Drawing> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    fn known(&self, slot: u16) -> Option<Arc<Drawing>> {
        Some(self.current()).filter(|drawing| drawing.has(slot))
    }

    /// The one attempt that is under way, or the last one if it has just been, or a new one.
    fn draw(self: &Arc<Self>) -> watch::Receiver<Outcome> {
        let mut state = self.drawing.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = state.begun.is_some_and(|begun| begun.elapsed() < PAUSE);
        if let Some(attempt) = &state.attempt {
            let finished = attempt.borrow().is_some();
            // One whose task was lost together with its runtime never has an outcome.
            let lost = !finished && attempt.has_changed().is_err();
            if (!finished && !lost) || (finished && recent) {
                return attempt.clone();
            }
        }
        let (outcome, attempt) = watch::channel(None);
        state.attempt = Some(attempt.clone());
        state.begun = Some(Instant::now());
        let turn = state.turn;
        state.turn = turn.wrapping_add(1);
        drop(state);
        tokio::spawn(Arc::clone(self).attempt(turn, outcome));
        attempt
    }

    async fn attempt(self: Arc<Self>, turn: usize, outcome: watch::Sender<Outcome>) {
        let asking = timeout(self.connect_timeout, self.ask_around(turn));
        let result = match asking.await {
            Ok(result) => result,
            Err(_) => {
                let address = self.servers.address();
                Err(NoConnection::TimedOut { address }.into_error())
            }
        };
        // Nobody need be waiting.
        outcome.send_replace(Some(result));
    }

    /// Asks one server after the other, the next one as soon as the one before has failed or takes its time.
    async fn ask_around(&self, turn: usize) -> Result<(), StoreError> {
        let servers = self.servers.to_ask(turn);
        let servers = servers.map_err(|error| Failure::Lost(error).of_a_read())?;
        let deadline = Instant::now() + self.connect_timeout;
        let (mut servers, mut asked) = (servers.into_iter(), JoinSet::new());
        let mut failure = None;
        loop {
            match servers.next() {
                Some(server) => {
                    asked.spawn(async move {
                        let answer = server.node.one(&slots::ask(), None, deadline).await?;
                        let ranges = slots::ranges(&answer, &server.place.host);
                        match (ranges, answer) {
                            (Some(ranges), _) if !ranges.is_empty() => Ok(ranges),
                            (_, redis::Value::ServerError(error)) => Err(Failure::said(&error)),
                            _ => Err(Failure::Unexpected("CLUSTER SLOTS")),
                        }
                    });
                }
                None if asked.is_empty() => break,
                None => {}
            }
            let answer = match servers.len() {
                0 => Ok(asked.join_next().await),
                _ => timeout(PATIENCE, asked.join_next()).await,
            };
            match answer {
                Ok(Some(Ok(Ok(ranges)))) => return self.adopt(ranges),
                Ok(Some(Ok(Err(error)))) => failure = Some(error),
                Ok(Some(Err(_)) | None) | Err(_) => {}
            }
        }
        Err(failure.unwrap_or(Failure::TimedOut).of_a_read())
    }

    fn adopt(&self, ranges: Vec<slots::Range>) -> Result<(), StoreError> {
        let mut drawing = Drawing {
            drawn: Some(Instant::now()),
            shards: Vec::with_capacity(ranges.len()),
            of_slots: vec![u16::MAX; usize::from(SLOTS)],
        };
        let server = |place: &Place| {
            let server = self.servers.at(place);
            server.map_err(|error| Failure::Lost(error).of_a_read())
        };
        for range in ranges {
            let replicas = range.replicas.iter().map(server);
            let shard = Shard {
                primary: server(&range.primary)?,
                replicas: replicas.collect::<Result<_, _>>()?,
            };
            let number = u16::try_from(drawing.shards.len()).unwrap_or(u16::MAX);
            drawing.of_slots[range.slots].fill(number);
            drawing.shards.push(shard);
        }
        self.servers.forget_all_but(|server| drawing.shows(server));
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(drawing);
        Ok(())
    }
}
