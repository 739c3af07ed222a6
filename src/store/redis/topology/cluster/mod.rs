//! A cluster: every command goes to the node that has its key, and follows the key if it moves.
//!
//! Every command concerns one key, so no two keys need to be in the same slot. A node that no longer has the slot of a key
//! says so *before* it does anything, so that the command can be sent to another node. A command is not sent again if its
//! connection broke or it was not answered: the next call finds the new node.

mod key_slot;
mod nodes;
mod slot_map;
mod slots;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use redis::{Cmd, Pipeline, Value};
use tokio::time::{Instant, sleep, timeout_at};

use self::key_slot::slot_of;
use self::nodes::Node;
use self::slot_map::SlotMap;
use self::slots::Redirect;
use super::replica;
use super::replication::Replication;
use crate::store::redis::connection::Client;
use crate::store::redis::protocol::CallError;
use crate::store::{StoreError, StoreErrorKind};

/// How many redirections a command follows. A slot that moves causes two.
const MAX_REDIRECTIONS: u32 = 5;

/// How long to wait before a command is repeated that came in the middle of a slot's move.
const PAUSE: Duration = Duration::from_millis(10);

/// The nodes of a cluster.
pub(super) struct Cluster {
    map: SlotMap,
    address: Box<str>,
}

impl Cluster {
    pub(super) fn new(seeds: Vec<Client>, connections: usize, connect_timeout: Duration) -> Self {
        let map = SlotMap::new(seeds, connections, connect_timeout);
        let address = map.address().into();
        Self { map, address }
    }

    /// Where that is, for people to read.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The answers of every primary, and where it is. A primary redirects the commands about keys that it does not have.
    pub(super) async fn ask_everyone(
        &self,
        questions: &Pipeline,
        deadline: Instant,
    ) -> Result<Vec<(String, Result<Vec<Value>, CallError>)>, CallError> {
        let primaries = self.map.primaries(deadline).await?;
        let asked = primaries.iter().map(async |node| {
            let answers = node.server.execute_all(questions, None, deadline).await;
            let answers = answers.map_err(|error| CallError::NotSent(error.for_read()));
            (node.server.address().to_owned(), answers)
        });
        Ok(join_all(asked).await)
    }

    pub(super) async fn execute(
        &self,
        command: &Cmd,
        replication: Option<&Replication>,
        deadline: Instant,
    ) -> Result<Value, CallError> {
        let slot = slot_of(command);
        let node = self.map.primary(slot, deadline).await?;
        let answer = node.server.execute(command, replication, deadline).await;
        let answer = self.checked(answer)?;
        self.follow(command, answer, node, replication, deadline)
            .await
    }

    /// The address of the node that a command goes to.
    pub(super) async fn node_of(
        &self,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<String, CallError> {
        let node = self.map.primary(slot_of(command), deadline).await?;
        Ok(format!("{}:{}", node.address.host, node.address.port))
    }

    /// The answers to commands that are sent to each node together, and to all nodes at the same time.
    pub(super) async fn execute_all(
        &self,
        commands: &Pipeline,
        replication: Option<&Replication>,
        deadline: Instant,
    ) -> Result<Vec<Value>, CallError> {
        let mut batches: Vec<Batch> = Vec::new();
        for (position, command) in commands.cmd_iter().enumerate() {
            let node = self.map.primary(slot_of(command), deadline).await?;
            let batch = batches
                .iter_mut()
                .find(|batch| Arc::ptr_eq(&batch.node, &node));
            let batch = match batch {
                Some(batch) => batch,
                None => {
                    batches.push(Batch::new(node));
                    let last = batches.len() - 1;
                    &mut batches[last]
                }
            };
            batch.commands.add_command(command.clone());
            batch.positions.push(position);
        }
        let sent = batches
            .into_iter()
            .map(|batch| self.execute_batch(batch, replication, deadline));
        let mut answers = vec![Value::Nil; commands.len()];
        // Waits for all of them, so that the failure of one does not interrupt another.
        for batch in join_all(sent).await {
            for (position, answer) in batch? {
                answers[position] = answer;
            }
        }
        Ok(answers)
    }

    async fn execute_batch(
        &self,
        batch: Batch,
        replication: Option<&Replication>,
        deadline: Instant,
    ) -> Result<Vec<(usize, Value)>, CallError> {
        let Batch {
            node,
            commands,
            positions,
        } = batch;
        let answers = node
            .server
            .execute_all(&commands, replication, deadline)
            .await;
        let answers = self.checked(answers)?;
        if answers.len() != positions.len() {
            return Err(CallError::Unexpected("a pipeline"));
        }
        let followed = commands.cmd_iter().zip(answers).map(|(command, answer)| {
            self.follow(command, answer, Arc::clone(&node), replication, deadline)
        });
        let answers = join_all(followed).await;
        let answers = positions.into_iter().zip(answers);
        answers
            .map(|(position, answer)| Ok((position, answer?)))
            .collect()
    }

    /// The answer of every primary to a command that concerns no key.
    pub(super) async fn execute_everywhere(
        &self,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<Vec<Value>, CallError> {
        let primaries = self.map.primaries(deadline).await?;
        let sent = primaries
            .iter()
            .map(|node| node.server.execute(command, None, deadline));
        join_all(sent).await.into_iter().collect()
    }

    /// The answer of a replica to a command, if one answers in time.
    pub(super) async fn read_replica(&self, command: &Cmd, deadline: Instant) -> Option<Value> {
        let replicas = self.map.replicas(slot_of(command));
        let node = replica::choose(&replicas, |node| &node.health)?;
        let answer = node.as_replica.execute(command, None, deadline).await;
        node.health.record(answer)
    }

    /// Follows the redirections in the answer to a command, until a node carries out the command.
    async fn follow(
        &self,
        command: &Cmd,
        mut answer: Value,
        mut node: Arc<Node>,
        replication: Option<&Replication>,
        deadline: Instant,
    ) -> Result<Value, CallError> {
        for _ in 0..MAX_REDIRECTIONS {
            let Some(redirect) = Redirect::in_answer(&answer, &node.address.host) else {
                return Ok(answer);
            };
            let asking = match redirect {
                Redirect::Moved(address) => {
                    self.map.suspect();
                    node = self.map.node(&address);
                    false
                }
                Redirect::Ask(address) => {
                    node = self.map.node(&address);
                    true
                }
                Redirect::TryAgain => {
                    let paused = timeout_at(deadline, sleep(PAUSE)).await;
                    paused.map_err(|_| CallError::TimedOut)?;
                    node = self.map.primary(slot_of(command), deadline).await?;
                    false
                }
            };
            answer = self.checked(match asking {
                false => node.server.execute(command, replication, deadline).await,
                true => execute_asking(&node, command, replication, deadline).await,
            })?;
        }
        match Redirect::in_answer(&answer, &node.address.host) {
            None => Ok(answer),
            // No node carried it out.
            Some(_) => Err(CallError::NotSent(StoreError::caused_by(
                StoreErrorKind::Unavailable,
                "a slot of the Redis cluster moves from node to node",
            ))),
        }
    }

    /// Suspects the map if a node does not answer, or says that the cluster is down.
    fn checked<T: Answers>(&self, answer: Result<T, CallError>) -> Result<T, CallError> {
        let is_suspect = match &answer {
            Ok(answers) => answers.any(|answer| {
                matches!(answer, Value::ServerError(error) if error.code() == "CLUSTERDOWN")
            }),
            Err(_) => true,
        };
        if is_suspect {
            self.map.suspect();
        }
        answer
    }
}

/// A command that only a cluster needs. It concerns the next command on its connection: the store sends one that changes nothing.
pub(super) fn probe() -> Cmd {
    redis::cmd("ASKING")
}

/// The commands for one node, and the positions of their answers.
struct Batch {
    node: Arc<Node>,
    commands: Pipeline,
    positions: Vec<usize>,
}

impl Batch {
    fn new(node: Arc<Node>) -> Self {
        Self {
            node,
            commands: Pipeline::new(),
            positions: Vec::new(),
        }
    }
}

/// One answer or several.
trait Answers {
    fn any(&self, is: impl Fn(&Value) -> bool) -> bool;
}

impl Answers for Value {
    fn any(&self, is: impl Fn(&Value) -> bool) -> bool {
        is(self)
    }
}

impl Answers for Vec<Value> {
    fn any(&self, is: impl Fn(&Value) -> bool) -> bool {
        self.iter().any(is)
    }
}

/// The answer of a node to a command about a slot that is moving to it.
async fn execute_asking(
    node: &Node,
    command: &Cmd,
    replication: Option<&Replication>,
    deadline: Instant,
) -> Result<Value, CallError> {
    let mut commands = Pipeline::with_capacity(3);
    commands.add_command(redis::cmd("ASKING"));
    commands.add_command(command.clone());
    let mut answers = node
        .server
        .execute_all(&commands, replication, deadline)
        .await?;
    answers.pop().ok_or(CallError::Unexpected("ASKING"))
}
