//! Which replica to read from, if any.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::Value;
use tokio::time::Instant;

use crate::store::redis::protocol::error::Failure;

/// How long a replica is left alone that did not answer, or with an error.
const REST: Duration = Duration::from_secs(1);

/// When a replica failed a read, or was tried again since, if none has succeeded after it.
#[derive(Default)]
pub(crate) struct Health(Mutex<Option<Instant>>);

impl Health {
    /// Whether it may be asked. One that failed is tried by one call at a time: the others need not wait to see it fail again.
    fn may_be_asked(&self) -> bool {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *failed {
            None => true,
            Some(tried) if tried.elapsed() < REST => false,
            Some(_) => {
                *failed = Some(Instant::now());
                true
            }
        }
    }

    /// The answer of a replica, unless it had better not have been asked.
    pub(crate) fn settle(&self, answer: Result<Value, Failure>) -> Option<Value> {
        let refused = |answer: &Value| matches!(answer, Value::ServerError(_));
        let answer = answer.ok().filter(|answer| !refused(answer));
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *failed = answer.is_none().then(Instant::now);
        answer
    }
}

/// One of those that are well, in turn.
pub(crate) fn choose<T>(replicas: &[Arc<T>], health: impl Fn(&T) -> &Health) -> Option<&Arc<T>> {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let of_turn = |number| &replicas[(turn + number) % replicas.len()];
    (0..replicas.len())
        .map(of_turn)
        .find(|replica| health(replica).may_be_asked())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_replica_that_failed_is_left_alone_for_a_while() {
        let replicas = [Arc::new(Health::default()), Arc::new(Health::default())];
        let chosen = || choose(&replicas, |health| health).map(Arc::as_ptr);
        assert_ne!(chosen(), chosen(), "they take turns");
        assert_eq!(replicas[0].settle(Err(Failure::TimedOut)), None);
        assert_eq!(chosen(), chosen());
        assert_eq!(chosen(), Some(Arc::as_ptr(&replicas[1])));
        let error = redis::parse_redis_value(b"-MASTERDOWN Link with MASTER is down\r\n").unwrap();
        assert_eq!(replicas[1].settle(Ok(error)), None);
        assert_eq!(chosen(), None);
        tokio::time::advance(REST).await;
        assert_ne!(chosen(), chosen(), "each is tried");
        assert_eq!(chosen(), None, "by one call");
        let answer = Some(Value::Nil);
        assert_eq!(replicas[0].settle(Ok(Value::Nil)), answer);
        let good = Some(Arc::as_ptr(&replicas[0]));
        assert_eq!((chosen(), chosen()), (good, good));
    }
}
