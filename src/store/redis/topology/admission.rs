//! The checks of the first connection: until the servers have passed them once, no call is served.
//!
//! One call at a time makes the checks, and the others wait for it, each as long as its own deadline. A call that is given up
//! leaves the checks to the next one; the connection that it began to make goes on without it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::{Cmd, Pipeline, Value};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::store::redis::health;
use crate::store::redis::protocol::{CallError, missing, probe, serves_nothing};
use crate::store::{StoreError, StoreErrorKind};

/// The shortest pause before servers that did not pass are checked again.
const PAUSE: Duration = Duration::from_millis(50);

/// Whether the servers have passed the checks, and which checks there are.
pub(super) struct Admission {
    passed: AtomicBool,
    /// Held by the one call that makes the checks. The last answer that did not pass, and when it was.
    turn: Mutex<Option<(Instant, StoreError)>>,
    prefix: Box<str>,
    /// Every command of the store once.
    probe: Pipeline,
    /// Whether the server must be a primary. Behind sentinels and in a cluster that changes by itself.
    needs_primary: bool,
}

/// The right of one call to make the checks.
pub(super) struct Turn<'a> {
    admission: &'a Admission,
    last: MutexGuard<'a, Option<(Instant, StoreError)>>,
}

impl Admission {
    /// The checks of a store whose keys begin with this prefix, with the commands that only some topologies need.
    pub(super) fn new(prefix: &str, more: &[Cmd], needs_primary: bool) -> Self {
        let mut probe = probe(prefix);
        for command in more {
            probe.add_command(command.clone());
        }
        Self {
            passed: AtomicBool::new(false),
            turn: Mutex::default(),
            prefix: prefix.into(),
            probe,
            needs_primary,
        }
    }

    pub(super) fn has_passed(&self) -> bool {
        self.passed.load(Ordering::Acquire)
    }

    /// The turn to make the checks. `None` if they have passed meanwhile, and the last error if it was just now.
    pub(super) async fn turn(&self) -> Result<Option<Turn<'_>>, CallError> {
        let last = self.turn.lock().await;
        if self.has_passed() {
            return Ok(None);
        }
        match &*last {
            Some((at, refusal)) if at.elapsed() < PAUSE => Err(CallError::NotSent(refusal.clone())),
            _ => Ok(Some(Turn {
                admission: self,
                last,
            })),
        }
    }
}

impl Turn<'_> {
    /// What to ask every server: whether the user may do what the store does, and for the settings.
    pub(super) fn questions(&self) -> Pipeline {
        let mut questions = self.admission.probe.clone();
        questions.add_command(health::info());
        questions
    }

    /// What the answers of the servers at these addresses mean. Servers that did not answer, or that serve nothing at the moment,
    /// are checked by nobody if another one was. The weaknesses of their settings are logged.
    pub(super) fn conclude(
        mut self,
        answers: Vec<(String, Result<Vec<Value>, CallError>)>,
    ) -> Result<(), CallError> {
        let (mut settings, mut unanswered) = (Vec::new(), None);
        for (address, answers) in answers {
            let mut answers = match answers {
                Ok(answers) => answers,
                Err(error) => {
                    unanswered = Some(error);
                    continue;
                }
            };
            let setting = answers.pop();
            if let Some(why) = self.refusal(&answers) {
                let why = format!("Redis at {address} cannot keep sessions: {why}");
                let refusal = StoreError::caused_by(StoreErrorKind::Refused, why);
                *self.last = Some((Instant::now(), refusal.clone()));
                return Err(CallError::NotSent(refusal));
            }
            if let Some(why) = serves_nothing_because(&answers) {
                let why = format!("Redis at {address} serves nothing at the moment: {why}");
                let error = StoreError::caused_by(StoreErrorKind::Unavailable, why);
                *self.last = Some((Instant::now(), error.clone()));
                unanswered = Some(CallError::NotSent(error));
                continue;
            }
            settings.extend(setting);
        }
        match unanswered {
            Some(error) if settings.is_empty() => return Err(error),
            _ => self.admission.passed.store(true, Ordering::Release),
        }
        health::warn(&settings);
        Ok(())
    }

    fn refusal(&self, answers: &[Value]) -> Option<String> {
        let read_only = |answer: &Value| matches!(answer, Value::ServerError(error) if error.code() == "READONLY");
        if self.admission.needs_primary && answers.iter().any(read_only) {
            return Some(
                "it is a replica. The URL of one server names a primary; redis+sentinel://host1,host2/service finds it"
                    .to_owned(),
            );
        }
        missing(&self.admission.probe, answers).explained(&self.admission.prefix)
    }
}

/// The answer that says so, if there is one.
fn serves_nothing_because(answers: &[Value]) -> Option<CallError> {
    answers.iter().find_map(|answer| match answer {
        Value::ServerError(error) if serves_nothing(error.code()) => Some(CallError::reply(error)),
        _ => None,
    })
}
