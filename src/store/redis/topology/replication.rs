//! Waiting for replicas: a change is acknowledged only after enough of them have it.

use std::sync::atomic::{AtomicI64, Ordering};

use redis::{Cmd, Value};

use crate::store::redis::config::WaitReplicas;
use crate::store::redis::protocol::CallError;

/// How far the writes of one call have been replicated. They come one after the other, and may go to several servers.
///
/// [`WAIT`](https://redis.io/docs/latest/commands/wait/) concerns the writes of its own connection, which blocks meanwhile. So
/// it is sent directly after the write, on a connection that no read shares.
///
/// If a write has too few replicas, the call still carries out its other steps and fails only then, so that a missing replica
/// does not leave the call half done.
pub(crate) struct Replication {
    wait: WaitReplicas,
    /// The smallest number of replicas that have one of the writes.
    fewest: AtomicI64,
}

impl Replication {
    pub(crate) fn new(wait: WaitReplicas) -> Self {
        Self {
            wait,
            fewest: AtomicI64::new(i64::MAX),
        }
    }

    /// The command to send after a write.
    pub(super) fn command(&self) -> Cmd {
        let mut command = redis::cmd("WAIT");
        let millis = u64::try_from(self.wait.timeout.as_millis()).unwrap_or(u64::MAX);
        command.arg(self.wait.count).arg(millis);
        command
    }

    /// Records the answer to the [`command`](Replication::command) that was sent after writes with these answers.
    pub(super) fn record(&self, answers: &[Value], confirmation: &Value) -> Result<(), CallError> {
        let had = match confirmation {
            Value::Int(had) => *had,
            // UNBLOCKED: the server has become a replica, and its writes will be lost.
            Value::ServerError(_) => 0,
            _ => return Err(CallError::Unexpected("WAIT")),
        };
        let is_error = |answer: &Value| matches!(answer, Value::ServerError(_));
        // Writes that the server refused need no replicas.
        if !answers.iter().all(is_error) {
            self.fewest.fetch_min(had, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether all writes so far have reached as many replicas as the call waits for.
    fn confirmed(&self) -> Result<(), CallError> {
        let (had, wanted) = (self.fewest.load(Ordering::Relaxed), self.wait.count);
        match had < i64::from(wanted) {
            true => Err(CallError::Unreplicated { had, wanted }),
            false => Ok(()),
        }
    }
}

/// The command that [`Replication::command`] is, in a form that waits for nobody.
pub(super) fn probe() -> Cmd {
    let mut command = redis::cmd("WAIT");
    command.arg(0).arg(1);
    command
}

/// Whether all writes of a call have reached enough replicas, if the call waits for any.
pub(crate) fn confirmed(replication: Option<&Replication>) -> Result<(), CallError> {
    replication.map_or(Ok(()), Replication::confirmed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn replication() -> Replication {
        Replication::new(WaitReplicas {
            count: 2,
            timeout: Duration::from_millis(100),
        })
    }

    fn refusal() -> Value {
        redis::parse_redis_value(b"-OOM no room\r\n").unwrap()
    }

    #[test]
    fn fewer_replicas_than_asked_for_are_not_enough() {
        let confirmed = |answer, confirmation| {
            let replication = replication();
            replication.record(&[answer], &confirmation).unwrap();
            replication.confirmed()
        };
        assert!(replication().confirmed().is_ok());
        assert!(confirmed(Value::Okay, Value::Int(2)).is_ok());
        assert!(confirmed(Value::Okay, Value::Int(3)).is_ok());
        let error = confirmed(Value::Okay, Value::Int(1)).unwrap_err();
        assert!(matches!(
            error,
            CallError::Unreplicated { had: 1, wanted: 2 }
        ));
        assert!(confirmed(refusal(), Value::Int(0)).is_ok());
        assert!(confirmed(Value::Okay, refusal()).is_err());
        assert!(replication().record(&[Value::Okay], &Value::Okay).is_err());
    }

    #[test]
    fn each_of_several_writes_must_reach_enough_replicas() {
        let replication = replication();
        for had in [3, 0, 2] {
            replication
                .record(&[Value::Okay], &Value::Int(had))
                .unwrap();
        }
        let error = replication.confirmed().unwrap_err();
        assert!(matches!(
            error,
            CallError::Unreplicated { had: 0, wanted: 2 }
        ));
    }
}
