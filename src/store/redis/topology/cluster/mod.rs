//! A cluster: every command goes to the server that has its key, and follows it where it moves.
//!
//! Every command is about one key, so that no two need be in the same slot. A server that has not got a key's slot any more
//! says so *before* it does anything, so that the command can be sent to another. What broke or was not answered is not sent
//! again: the next call finds the new server.

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
use self::nodes::Server;
use self::slot_map::Map;
use self::slots::Redirect;
use crate::store::redis::connection::client::Dialer;
use crate::store::redis::protocol::error::Failure;
use crate::store::redis::topology::replication::Waiting;
use crate::store::{StoreError, StoreErrorKind};

/// How often a command is sent elsewhere. Twice is what a slot on its way takes.
const REDIRECTIONS: u32 = 5;

/// How long to wait before a command is repeated that came between two moments of a slot's move.
const PAUSE: Duration = Duration::from_millis(10);

/// Where a cluster's commands go.
pub(crate) struct Cluster {
    map: Map,
    address: Box<str>,
}

impl Cluster {
    pub(crate) fn new(seeds: Vec<Dialer>, connections: usize, connect_timeout: Duration) -> Self {
        let map = Map::new(seeds, connections, connect_timeout);
        let address = map.address().into();
        Self { map, address }
    }

    /// Where that is, for people to read.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Makes sure that there is a map.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<(), Failure> {
        self.map.drawn(deadline).await.map_err(Failure::NotSent)
    }

    pub(crate) async fn one(
        &self,
        command: &Cmd,
        wait: Option<&Waiting>,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let slot = slot_of(command);
        let server = self.map.primary(slot, deadline).await?;
        let answer = self.noted(server.node.one(command, wait, deadline).await)?;
        self.followed(command, answer, server, wait, deadline).await
    }

    /// The answers to commands that are sent together to each server, and to all servers at the same time.
    pub(crate) async fn all(
        &self,
        commands: &Pipeline,
        wait: Option<&Waiting>,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        let mut parts: Vec<Part> = Vec::new();
        for (place, command) in commands.cmd_iter().enumerate() {
            let server = self.map.primary(slot_of(command), deadline).await?;
            let part = parts
                .iter_mut()
                .find(|part| Arc::ptr_eq(&part.server, &server));
            let part = match part {
                Some(part) => part,
                None => {
                    parts.push(Part::of(server));
                    let last = parts.len() - 1;
                    &mut parts[last]
                }
            };
            part.commands.add_command(command.clone());
            part.places.push(place);
        }
        let asked = parts
            .into_iter()
            .map(|part| self.part(part, wait, deadline));
        let mut answers = vec![Value::Nil; commands.len()];
        // All of them are waited for, so that none is given up half way because another one failed.
        for part in join_all(asked).await {
            for (place, answer) in part? {
                answers[place] = answer;
            }
        }
        Ok(answers)
    }

    async fn part(
        &self,
        part: Part,
        wait: Option<&Waiting>,
        deadline: Instant,
    ) -> Result<Vec<(usize, Value)>, Failure> {
        let Part {
            server,
            commands,
            places,
        } = part;
        let answers = self.noted(server.node.all(&commands, wait, deadline).await)?;
        if answers.len() != places.len() {
            return Err(Failure::Unexpected("a pipeline"));
        }
        let commands = commands.cmd_iter().zip(answers);
        let followed = commands.map(|(command, answer)| {
            self.followed(command, answer, Arc::clone(&server), wait, deadline)
        });
        let answers = join_all(followed).await;
        let answers = places.into_iter().zip(answers);
        answers
            .map(|(place, answer)| Ok((place, answer?)))
            .collect()
    }

    /// What every primary answers to a command about no key.
    pub(crate) async fn everywhere(
        &self,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        let primaries = self.map.primaries(deadline).await?;
        let asked = primaries
            .iter()
            .map(|server| server.node.one(command, None, deadline));
        join_all(asked).await.into_iter().collect()
    }

    /// What a replica answers to a command, if one does in time.
    pub(crate) async fn read_replica(&self, command: &Cmd, deadline: Instant) -> Option<Value> {
        let replicas = self.map.replicas(slot_of(command));
        let replica =
            crate::store::redis::topology::replica::choose(&replicas, |server| &server.health)?;
        let answer = replica.as_replica.one(command, None, deadline).await;
        replica.health.settle(answer)
    }

    /// The answer to a command, wherever it is sent until somebody carries it out.
    async fn followed(
        &self,
        command: &Cmd,
        mut answer: Value,
        mut server: Arc<Server>,
        wait: Option<&Waiting>,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        for _ in 0..REDIRECTIONS {
            let Some(redirect) = Redirect::of(&answer, &server.place.host) else {
                return Ok(answer);
            };
            let asking = match redirect {
                Redirect::Moved(place) => {
                    self.map.doubt();
                    server = self.map.server(&place)?;
                    false
                }
                Redirect::Ask(place) => {
                    server = self.map.server(&place)?;
                    true
                }
                Redirect::TryAgain => {
                    let paused = timeout_at(deadline, sleep(PAUSE)).await;
                    paused.map_err(|_| Failure::TimedOut)?;
                    server = self.map.primary(slot_of(command), deadline).await?;
                    false
                }
            };
            answer = self.noted(match asking {
                false => server.node.one(command, wait, deadline).await,
                true => asked(&server, command, wait, deadline).await,
            })?;
        }
        match Redirect::of(&answer, &server.place.host) {
            None => Ok(answer),
            // Nobody carried it out.
            Some(_) => Err(Failure::NotSent(StoreError::caused_by(
                StoreErrorKind::Unavailable,
                "a slot of the Redis cluster goes from server to server",
            ))),
        }
    }

    /// Doubts the map where a server does not answer, or says that the cluster is down.
    fn noted<T: Answers>(&self, answer: Result<T, Failure>) -> Result<T, Failure> {
        let doubtful = match &answer {
            Ok(answers) => answers.any(|answer| {
                matches!(answer, Value::ServerError(error) if error.code() == "CLUSTERDOWN")
            }),
            Err(_) => true,
        };
        if doubtful {
            self.map.doubt();
        }
        answer
    }
}

/// The commands that go to one server, and where their answers belong.
struct Part {
    server: Arc<Server>,
    commands: Pipeline,
    places: Vec<usize>,
}

impl Part {
    fn of(server: Arc<Server>) -> Self {
        Self {
            server,
            commands: Pipeline::new(),
            places: Vec::new(),
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

/// Asks a server about a slot that it is only just getting.
async fn asked(
    server: &Server,
    command: &Cmd,
    wait: Option<&Waiting>,
    deadline: Instant,
) -> Result<Value, Failure> {
    let mut commands = Pipeline::with_capacity(3);
    commands.add_command(redis::cmd("ASKING"));
    commands.add_command(command.clone());
    let mut answers = server.node.all(&commands, wait, deadline).await?;
    answers.pop().ok_or(Failure::Unexpected("ASKING"))
}
