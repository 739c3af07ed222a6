//! Which replica to read from, if any.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::Value;
use tokio::time::Instant;

use super::failure::Failure;

/// How long a replica is left alone that did not answer, or with an error.
const REST: Duration = Duration::from_secs(1);

/// Whether a replica served the last read that it was asked for.
#[derive(Default)]
pub(super) struct Health(Mutex<Option<Instant>>);

impl Health {
    fn is_good(&self) -> bool {
        let failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_none_or(|failed| failed.elapsed() >= REST)
    }

    /// The answers of a replica, unless it had better not have been asked.
    pub(super) fn settle(&self, answers: Result<Vec<Value>, Failure>) -> Option<Vec<Value>> {
        let refused = |answer: &Value| matches!(answer, Value::ServerError(_));
        match answers {
            Ok(answers) if !answers.iter().any(refused) => Some(answers),
            _ => {
                let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                *failed = Some(Instant::now());
                None
            }
        }
    }
}

/// One of those that are well, in turn.
pub(super) fn choose<T>(replicas: &[Arc<T>], health: impl Fn(&T) -> &Health) -> Option<&Arc<T>> {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let of_turn = |number| &replicas[(turn + number) % replicas.len()];
    (0..replicas.len())
        .map(of_turn)
        .find(|replica| health(replica).is_good())
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
        assert_eq!(replicas[1].settle(Ok(vec![error])), None);
        assert_eq!(chosen(), None);
        tokio::time::advance(REST).await;
        assert!(chosen().is_some());
        assert_eq!(
            replicas[0].settle(Ok(vec![Value::Nil])),
            Some(vec![Value::Nil])
        );
    }
}
