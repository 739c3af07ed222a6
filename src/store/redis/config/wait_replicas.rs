//! How many replicas a change waits for.

use std::time::Duration;

use serde::Deserialize;

use super::duration;
use super::error::RedisStoreError;

/// How many replicas must have a change before it is acknowledged, and how long to wait for them.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WaitReplicas {
    pub(crate) count: u32,
    #[serde(deserialize_with = "duration::deserialize")]
    pub(crate) timeout: Duration,
}

impl WaitReplicas {
    pub(super) fn validate(&self, response_timeout: Duration) -> Result<(), RedisStoreError> {
        if self.count == 0 {
            return Err(RedisStoreError::config(
                "wait_replicas waits for zero replicas: leave it out",
            ));
        }
        // Redis waits without a limit if the timeout is zero.
        if self.timeout < Duration::from_millis(1) {
            return Err(RedisStoreError::config(
                "wait_replicas waits for less than a millisecond",
            ));
        }
        if self.timeout >= response_timeout {
            return Err(RedisStoreError::config(
                "wait_replicas waits at least as long as response_timeout lets a call take",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_nobody_for_ever_or_beyond_the_call_is_refused() {
        let second = Duration::from_secs(1);
        let is_valid = |count, timeout| WaitReplicas { count, timeout }.validate(second).is_ok();
        assert!(is_valid(1, second / 2));
        assert!(!is_valid(0, second / 2));
        assert!(!is_valid(1, Duration::from_micros(999)));
        assert!(!is_valid(1, second));
    }
}
