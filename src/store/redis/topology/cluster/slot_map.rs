//! The slot map of a cluster: read by every call, refreshed when it turns out to be wrong.

use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::nodes::{Node, Nodes};
use super::slots::{self, Address, SLOTS};
use crate::store::redis::connection::{Client, ConnectError};
use crate::store::redis::protocol::CallError;
use crate::store::redis::sync::unpoisoned;
use crate::store::{StoreError, StoreErrorKind};

/// The shortest pause between two refreshes, however many calls fail.
const PAUSE: Duration = Duration::from_millis(50);

/// How long the replicas in the map are used before it is refreshed.
const LIFETIME: Duration = Duration::from_secs(5);

/// How long one node may take to answer before another one is asked too.
const ASK_TIMEOUT: Duration = Duration::from_millis(50);

/// The nodes that have a range of slots.
struct Shard {
    primary: Arc<Node>,
    replicas: Vec<Arc<Node>>,
}

/// The map as one node described it at one time.
#[derive(Default)]
struct Snapshot {
    taken: Option<Instant>,
    shards: Vec<Shard>,
    /// The index of its shard, for each slot. No node has a slot whose shard does not exist.
    shard_of_slot: Vec<u16>,
}

/// The map, and how to refresh it.
pub(super) struct SlotMap(Arc<Shared>);

struct Shared {
    nodes: Nodes,
    connect_timeout: Duration,
    current: RwLock<Arc<Snapshot>>,
    refresh: Mutex<Refresh>,
}

struct Refresh {
    /// The one attempt that is under way, or the last one.
    attempt: Option<watch::Receiver<Outcome>>,
    begun: Option<Instant>,
    /// Which node to ask first the next time.
    turn: usize,
}

type Outcome = Option<Result<(), StoreError>>;

impl SlotMap {
    pub(super) fn new(seeds: Vec<Client>, connections: usize, connect_timeout: Duration) -> Self {
        Self(Arc::new(Shared {
            nodes: Nodes::new(seeds, connections, connect_timeout),
            connect_timeout,
            current: RwLock::default(),
            refresh: Mutex::new(Refresh {
                attempt: None,
                begun: None,
                turn: 0,
            }),
        }))
    }

    /// The node that has a slot. If none is known, the map is refreshed first.
    pub(super) async fn primary(
        &self,
        slot: u16,
        deadline: Instant,
    ) -> Result<Arc<Node>, CallError> {
        let primary = || {
            let snapshot = self.0.current();
            let shard = snapshot.shard(slot)?;
            Some(Arc::clone(&shard.primary))
        };
        if let Some(primary) = primary() {
            return Ok(primary);
        }
        self.refreshed(deadline).await.map_err(CallError::NotSent)?;
        primary().ok_or_else(|| {
            CallError::NotSent(StoreError::caused_by(
                StoreErrorKind::Unavailable,
                format!("no node of the Redis cluster has slot {slot}"),
            ))
        })
    }

    /// Every node that has slots.
    pub(super) async fn primaries(&self, deadline: Instant) -> Result<Vec<Arc<Node>>, CallError> {
        if self.0.current().shards.is_empty() {
            self.refreshed(deadline).await.map_err(CallError::NotSent)?;
        }
        let snapshot = self.0.current();
        let mut primaries: Vec<Arc<Node>> = Vec::new();
        for shard in &snapshot.shards {
            // A node may have several ranges of slots.
            if !primaries
                .iter()
                .any(|known| Arc::ptr_eq(known, &shard.primary))
            {
                primaries.push(Arc::clone(&shard.primary));
            }
        }
        Ok(primaries)
    }

    /// The node at the address that a redirection named.
    pub(super) fn node(&self, address: &Address) -> Arc<Node> {
        self.0.nodes.at(address)
    }

    /// Starts a refresh because the map may be wrong, unless it has just been refreshed. Does not wait for it.
    pub(super) fn suspect(&self) {
        drop(self.0.refresh());
    }

    /// The known replicas of a slot's node. No error reports a new replica, so the map is refreshed from time to time.
    pub(super) fn replicas(&self, slot: u16) -> Vec<Arc<Node>> {
        let snapshot = self.0.current();
        let is_fresh = |taken: Instant| taken.elapsed() < LIFETIME;
        if !snapshot.taken.is_some_and(is_fresh) {
            self.suspect();
        }
        let shard = snapshot.shard(slot);
        shard.map_or_else(Vec::new, |shard| shard.replicas.clone())
    }

    /// Refreshes the map, or waits for the refresh that is under way.
    pub(super) async fn refreshed(&self, deadline: Instant) -> Result<(), StoreError> {
        // The runtime of the first attempt may be gone, as between two tests. Then a second one is made.
        for _ in 0..2 {
            let mut attempt = self.0.refresh();
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
        Err(ConnectError::TimedOut { address }.into_store_error())
    }

    pub(super) fn address(&self) -> String {
        self.0.nodes.address()
    }
}

impl Snapshot {
    fn shard(&self, slot: u16) -> Option<&Shard> {
        let shard = self.shard_of_slot.get(usize::from(slot))?;
        self.shards.get(usize::from(*shard))
    }

    fn contains(&self, node: &Arc<Node>) -> bool {
        let is_same = |other: &Arc<Node>| Arc::ptr_eq(node, other);
        let mut shards = self.shards.iter();
        shards.any(|shard| is_same(&shard.primary) || shard.replicas.iter().any(is_same))
    }
}

impl Shared {
    fn current(&self) -> Arc<Snapshot> {
        let current = unpoisoned(self.current.read());
        Arc::clone(&current)
    }

    /// The one attempt that is under way, or the last one if it is recent, or a new one.
    fn refresh(self: &Arc<Self>) -> watch::Receiver<Outcome> {
        let mut refresh = unpoisoned(self.refresh.lock());
        let is_recent = refresh.begun.is_some_and(|begun| begun.elapsed() < PAUSE);
        if let Some(attempt) = &refresh.attempt {
            let is_finished = attempt.borrow().is_some();
            // If its runtime shuts down, an attempt never has an outcome.
            let is_lost = !is_finished && attempt.has_changed().is_err();
            if (!is_finished && !is_lost) || (is_finished && is_recent) {
                return attempt.clone();
            }
        }
        let (outcome, attempt) = watch::channel(None);
        refresh.attempt = Some(attempt.clone());
        refresh.begun = Some(Instant::now());
        let turn = refresh.turn;
        refresh.turn = turn.wrapping_add(1);
        drop(refresh);
        tokio::spawn(Arc::clone(self).attempt(turn, outcome));
        attempt
    }

    async fn attempt(self: Arc<Self>, turn: usize, outcome: watch::Sender<Outcome>) {
        let result = match timeout(self.connect_timeout, self.ask_nodes(turn)).await {
            Ok(result) => result,
            Err(_) => {
                let address = self.nodes.address();
                Err(ConnectError::TimedOut { address }.into_store_error())
            }
        };
        // Perhaps no call waits for it any more.
        outcome.send_replace(Some(result));
    }

    /// Asks one node after the other, each as soon as the one before has failed or is slow.
    async fn ask_nodes(&self, turn: usize) -> Result<(), StoreError> {
        let nodes = self.nodes.in_order_to_ask(turn);
        let deadline = Instant::now() + self.connect_timeout;
        let (mut nodes, mut asked) = (nodes.into_iter(), JoinSet::new());
        let mut failure = None;
        loop {
            match nodes.next() {
                Some(node) => {
                    asked.spawn(async move {
                        let command = slots::cluster_slots();
                        let answer = node.server.execute(&command, None, deadline).await?;
                        let ranges = slots::ranges(&answer, &node.address.host);
                        match (ranges, answer) {
                            (Some(ranges), _) if !ranges.is_empty() => Ok(ranges),
                            (_, redis::Value::ServerError(error)) => Err(CallError::reply(&error)),
                            _ => Err(CallError::Unexpected("CLUSTER SLOTS")),
                        }
                    });
                }
                None if asked.is_empty() => break,
                None => {}
            }
            let answer = match nodes.len() {
                0 => Ok(asked.join_next().await),
                _ => timeout(ASK_TIMEOUT, asked.join_next()).await,
            };
            match answer {
                Ok(Some(Ok(Ok(ranges)))) => {
                    self.adopt(ranges);
                    return Ok(());
                }
                Ok(Some(Ok(Err(error)))) => failure = Some(error),
                Ok(Some(Err(_)) | None) | Err(_) => {}
            }
        }
        Err(failure.unwrap_or(CallError::TimedOut).for_read())
    }

    fn adopt(&self, ranges: Vec<slots::Range>) {
        let mut snapshot = Snapshot {
            taken: Some(Instant::now()),
            shards: Vec::with_capacity(ranges.len()),
            shard_of_slot: vec![u16::MAX; usize::from(SLOTS)],
        };
        for range in ranges {
            let replicas = range.replicas.iter();
            let shard = Shard {
                primary: self.nodes.at(&range.primary),
                replicas: replicas.map(|replica| self.nodes.at(replica)).collect(),
            };
            let index = u16::try_from(snapshot.shards.len()).unwrap_or(u16::MAX);
            snapshot.shard_of_slot[range.slots].fill(index);
            snapshot.shards.push(shard);
        }
        self.nodes.retain(|node| snapshot.contains(node));
        *unpoisoned(self.current.write()) = Arc::new(snapshot);
    }
}
