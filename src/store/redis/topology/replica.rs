//! Which replica to read from, if any.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::Value;
use tokio::time::Instant;

use crate::store::redis::protocol::CallError;
use crate::store::redis::sync::unpoisoned;

/// How long a replica is avoided after it did not answer, or answered with an error.
const PAUSE: Duration = Duration::from_secs(1);

/// When a replica last failed a read, or was last tried again after that; none if it has answered since.
#[derive(Default)]
pub(super) struct ReplicaHealth(Mutex<Option<Instant>>);

impl ReplicaHealth {
    /// Whether it may be asked. After a failure one call at a time tries it, so that the others need not wait for it to fail
    /// again.
    fn may_be_asked(&self) -> bool {
        let mut failed = unpoisoned(self.0.lock());
        match *failed {
            None => true,
            Some(tried) if tried.elapsed() < PAUSE => false,
            Some(_) => {
                *failed = Some(Instant::now());
                true
            }
        }
    }

    /// Notes whether the replica answered. Returns the answer, if it is usable.
    pub(super) fn record(&self, answer: Result<Value, CallError>) -> Option<Value> {
        let is_error = |answer: &Value| matches!(answer, Value::ServerError(_));
        let answer = answer.ok().filter(|answer| !is_error(answer));
        let mut failed = unpoisoned(self.0.lock());
        *failed = answer.is_none().then(Instant::now);
        answer
    }
}

/// The next replica that may be asked. They take turns.
pub(super) fn choose<T>(
    replicas: &[Arc<T>],
    health: impl Fn(&T) -> &ReplicaHealth,
) -> Option<&Arc<T>> {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    (0..replicas.len())
        .map(|offset| &replicas[(turn + offset) % replicas.len()])
        .find(|replica| health(replica).may_be_asked())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_replica_that_failed_is_avoided_for_a_while() {
        let replicas = [
            Arc::new(ReplicaHealth::default()),
            Arc::new(ReplicaHealth::default()),
        ];
        let chosen = || choose(&replicas, |health| health).map(Arc::as_ptr);
        assert_ne!(chosen(), chosen(), "they take turns");
        assert_eq!(replicas[0].record(Err(CallError::TimedOut)), None);
        assert_eq!(chosen(), chosen());
        assert_eq!(chosen(), Some(Arc::as_ptr(&replicas[1])));
        let error = redis::parse_redis_value(b"-MASTERDOWN Link with MASTER is down\r\n").unwrap();
        assert_eq!(replicas[1].record(Ok(error)), None);
        assert_eq!(chosen(), None);
        tokio::time::advance(PAUSE).await;
        assert_ne!(chosen(), chosen(), "each is tried");
        assert_eq!(chosen(), None, "by one call");
        let answer = Some(Value::Nil);
        assert_eq!(replicas[0].record(Ok(Value::Nil)), answer);
        let good = Some(Arc::as_ptr(&replicas[0]));
        assert_eq!((chosen(), chosen()), (good, good));
    }
}
