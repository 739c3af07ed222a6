//! Waiting for replicas: a change is only acknowledged once enough of them have it.

use std::time::Duration;

use redis::{Cmd, Value};
use serde::Deserialize;

use super::config::duration;
use super::failure::{Failure, RedisStoreError};

/// How many replicas are to have a change before it is acknowledged, and how long to wait for them.
///
/// [`WAIT`](https://redis.io/docs/latest/commands/wait/) is about the writes of its own connection, which stands still
/// meanwhile. So it is sent right behind the write, on a connection that no read shares.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    pub(super) count: u32,
    #[serde(deserialize_with = "duration")]
    pub(super) timeout: Duration,
}

impl Wait {
    pub(super) fn check(&self, response_timeout: Duration) -> Result<(), RedisStoreError> {
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

    pub(super) fn command(&self) -> Cmd {
        let mut command = redis::cmd("WAIT");
        let millis = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        command.arg(self.count).arg(millis);
        command
    }

    /// The answers to some writes, by what the server answered to the [`command`](Wait::command) behind them: an error if
    /// too few replicas have them.
    pub(super) fn confirmed(
        &self,
        answers: Vec<Value>,
        confirmation: &Value,
    ) -> Result<Vec<Value>, Failure> {
        let wanted = self.count;
        let had = match confirmation {
            Value::Int(had) => *had,
            // UNBLOCKED, from a server that is a replica now: what it had written will be gone.
            Value::ServerError(_) => 0,
            _ => return Err(Failure::Unexpected("WAIT")),
        };
        let refused = |answer: &Value| matches!(answer, Value::ServerError(_));
        // Of what was refused there is nothing to be replicated.
        if had >= i64::from(wanted) || answers.iter().all(refused) {
            return Ok(answers);
        }
        Err(Failure::Unreplicated {
            had,
            wanted,
            answers,
        })
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

    #[test]
    fn fewer_replicas_than_asked_for_are_not_enough() {
        let wait = Wait {
            count: 2,
            timeout: Duration::from_millis(100),
        };
        let confirmed = |answer, confirmation| wait.confirmed(vec![answer], &confirmation);
        assert!(confirmed(Value::Okay, Value::Int(2)).is_ok());
        assert!(confirmed(Value::Okay, Value::Int(3)).is_ok());
        let failure = confirmed(Value::Okay, Value::Int(1)).unwrap_err();
        assert!(matches!(
            failure,
            Failure::Unreplicated {
                had: 1,
                wanted: 2,
                ..
            }
        ));
        let refusal = redis::parse_redis_value(b"-OOM no room\r\n").unwrap();
        assert!(confirmed(refusal.clone(), Value::Int(0)).is_ok());
        assert!(confirmed(Value::Okay, refusal).is_err());
    }
}
