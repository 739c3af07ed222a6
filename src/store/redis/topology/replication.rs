//! Waiting for replicas: a change is only acknowledged once enough of them have it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use redis::{Cmd, Value};
use serde::Deserialize;

use crate::store::redis::config::duration;
use crate::store::redis::protocol::error::{Failure, RedisStoreError};

/// How many replicas are to have a change before it is acknowledged, and how long to wait for them.
///
/// [`WAIT`](https://redis.io/docs/latest/commands/wait/) is about the writes of its own connection, which stands still
/// meanwhile. So it is sent right behind the write, on a connection that no read shares.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wait {
    pub(crate) count: u32,
    #[serde(deserialize_with = "duration")]
    pub(crate) timeout: Duration,
}

impl Wait {
    pub(crate) fn check(&self, response_timeout: Duration) -> Result<(), RedisStoreError> {
        if self.count == 0 {
            return Err(RedisStoreError::config(
                "wait_replicas is for no replica: leave it out",
            ));
        }
        // Zero would mean for ever.
        if self.timeout < Duration::from_millis(1) {
            return Err(RedisStoreError::config(
                "wait_replicas waits for less than a millisecond",
            ));
        }
        if self.timeout >= response_timeout {
            return Err(RedisStoreError::config(
                "wait_replicas waits longer than response_timeout lets a call take",
            ));
        }
        Ok(())
    }
}

/// What a call that waits has learnt of its writes, one after the other, of which some may go to several servers. The call
/// is carried out to its end first, and complains then: what it had still to do must not be left undone for want of a replica.
pub(crate) struct Waiting {
    wait: Wait,
    /// How many replicas had the write that fewest had.
    fewest: AtomicI64,
}

impl Waiting {
    pub(crate) fn new(wait: Wait) -> Self {
        Self {
            wait,
            fewest: AtomicI64::new(i64::MAX),
        }
    }

    /// What is sent behind a write.
    pub(crate) fn command(&self) -> Cmd {
        let mut command = redis::cmd("WAIT");
        let millis = u64::try_from(self.wait.timeout.as_millis()).unwrap_or(u64::MAX);
        command.arg(self.wait.count).arg(millis);
        command
    }

    /// Takes down what the server answered to the [`command`](Waiting::command) behind the writes with these answers.
    pub(crate) fn note(&self, answers: &[Value], confirmation: &Value) -> Result<(), Failure> {
        let had = match confirmation {
            Value::Int(had) => *had,
            // UNBLOCKED, from a server that is a replica now: what it had written will be gone.
            Value::ServerError(_) => 0,
            _ => return Err(Failure::Unexpected("WAIT")),
        };
        let refused = |answer: &Value| matches!(answer, Value::ServerError(_));
        // Of what was refused there is nothing to be replicated.
        if !answers.iter().all(refused) {
            self.fewest.fetch_min(had, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether all that was written so far has reached as many as are waited for.
    pub(crate) fn confirmed(&self) -> Result<(), Failure> {
        let (had, wanted) = (self.fewest.load(Ordering::Relaxed), self.wait.count);
        match had < i64::from(wanted) {
            true => Err(Failure::Unreplicated { had, wanted }),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_nobody_for_ever_or_beyond_the_call_is_refused() {
        let second = Duration::from_secs(1);
        let check = |count, timeout| Wait { count, timeout }.check(second).is_ok();
        assert!(check(1, second / 2));
        assert!(!check(0, second / 2));
        assert!(!check(1, Duration::from_micros(999)));
        assert!(!check(1, second));
    }

    fn waiting() -> Waiting {
        Waiting::new(Wait {
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
            let waiting = waiting();
            waiting.note(&[answer], &confirmation).unwrap();
            waiting.confirmed()
        };
        assert!(waiting().confirmed().is_ok());
        assert!(confirmed(Value::Okay, Value::Int(2)).is_ok());
        assert!(confirmed(Value::Okay, Value::Int(3)).is_ok());
        let failure = confirmed(Value::Okay, Value::Int(1)).unwrap_err();
        assert!(matches!(
            failure,
            Failure::Unreplicated { had: 1, wanted: 2 }
        ));
        assert!(confirmed(refusal(), Value::Int(0)).is_ok());
        assert!(confirmed(Value::Okay, refusal()).is_err());
        assert!(waiting().note(&[Value::Okay], &Value::Okay).is_err());
    }

    #[test]
    fn of_several_writes_each_has_to_have_reached_enough() {
        let waiting = waiting();
        for had in [3, 0, 2] {
            waiting.note(&[Value::Okay], &Value::Int(had)).unwrap();
        }
        let failure = waiting.confirmed().unwrap_err();
        assert!(matches!(
            failure,
            Failure::Unreplicated { had: 0, wanted: 2 }
        ));
    }
}
