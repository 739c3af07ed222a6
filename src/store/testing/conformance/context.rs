//! The context of a case: a fresh store, and the assertions about it.

use std::time::Duration;

use super::harness::Harness;
use super::report::{CaseResult, Stop, panic_message};
use crate::record::{Record, Revision};
use crate::store::testing::owned_write::OwnedWrite;
use crate::store::{Created, Loaded, RecordKey, Replaced, SessionStore, StoreError};

/// Longer than any case takes.
pub(super) const LONG: Duration = Duration::from_secs(3600);
/// Long enough to read a record before it expires, and short enough to wait for.
pub(super) const SHORT: Duration = Duration::from_millis(300);
/// Longer than [`SHORT`], by more than the inaccuracy of clocks and time-outs.
pub(super) const LONGER_THAN_SHORT: Duration = Duration::from_millis(450);

/// How long a call may take. It is generous, since the suite may run on a busy machine.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A fresh store. If a call to it fails, the case fails.
pub(super) struct Context<'a, H: Harness> {
    pub(super) store: H::Store,
    pub(super) harness: &'a H,
}

impl<H: Harness> Context<'_, H> {
    pub(super) async fn load(&self, key: &RecordKey) -> CaseResult<Loaded> {
        load(&self.store, key).await
    }

    pub(super) async fn create(
        &self,
        key: &RecordKey,
        record: &OwnedWrite,
        ttl: Duration,
    ) -> CaseResult<Created> {
        must_succeed("create", self.store.create(key, &record.write(ttl))).await
    }

    pub(super) async fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        record: &OwnedWrite,
        ttl: Duration,
    ) -> CaseResult<Replaced> {
        replace(&self.store, key, expected, record, ttl).await
    }

    pub(super) async fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        ttl: Duration,
    ) -> CaseResult<bool> {
        must_succeed("touch", self.store.touch(key, expected, ttl, None)).await
    }

    pub(super) async fn delete(&self, key: &RecordKey) -> CaseResult {
        must_succeed("delete", self.store.delete(key, None)).await
    }

    pub(super) async fn pass(&self, time: Duration) -> CaseResult {
        if time > self.harness.max_wait() {
            return Err(Stop::Skipped(format!("the case needs {time:?} to pass")));
        }
        self.harness.pass(time).await;
        Ok(())
    }

    pub(super) async fn plant(&self, key: &RecordKey, bytes: &[u8]) -> CaseResult {
        if self.harness.plant(&self.store, key, bytes).await {
            Ok(())
        } else {
            Err(Stop::Skipped("the harness cannot plant bytes".to_owned()))
        }
    }
}

pub(super) async fn load<S: SessionStore>(store: &S, key: &RecordKey) -> CaseResult<Loaded> {
    must_succeed("load", store.load(key)).await
}

pub(super) async fn replace<S: SessionStore>(
    store: &S,
    key: &RecordKey,
    expected: Revision,
    record: &OwnedWrite,
    ttl: Duration,
) -> CaseResult<Replaced> {
    must_succeed("replace", store.replace(key, expected, &record.write(ttl))).await
}

/// Waits for a call. The case fails if the call fails or takes too long.
pub(super) async fn must_succeed<T>(
    name: &str,
    call: impl Future<Output = Result<T, StoreError>>,
) -> CaseResult<T> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(error)) => Err(Stop::Failed(format!("{name} failed: {error:?}"))),
        Err(_) => Err(Stop::Failed(format!(
            "{name} did not return within {CALL_TIMEOUT:?}"
        ))),
    }
}

/// Fails the case unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($reason:tt)+) => {
        if !$condition {
            return Err($crate::store::testing::conformance::report::Stop::Failed(format!($($reason)+)));
        }
    };
}
pub(super) use ensure;

impl<H: Harness> Context<'_, H> {
    /// Creates a record, which must succeed.
    pub(super) async fn created(
        &self,
        key: &RecordKey,
        record: &OwnedWrite,
        ttl: Duration,
    ) -> CaseResult {
        match self.create(key, record, ttl).await? {
            Created::Created => Ok(()),
            Created::Exists => failed("create returned Exists, but there was no record"),
        }
    }

    /// Replaces a record, which must succeed.
    pub(super) async fn replaced(
        &self,
        key: &RecordKey,
        expected: Revision,
        record: &OwnedWrite,
        ttl: Duration,
    ) -> CaseResult {
        match self.replace(key, expected, record, ttl).await? {
            Replaced::Replaced => Ok(()),
            Replaced::Conflict(with) => failed(format!("replace conflicted with {with:?}")),
        }
    }

    /// Tries to replace a record, which must be a conflict. Returns what is stored.
    pub(super) async fn conflict(
        &self,
        key: &RecordKey,
        expected: Revision,
        record: &OwnedWrite,
        ttl: Duration,
    ) -> CaseResult<Loaded> {
        match self.replace(key, expected, record, ttl).await? {
            Replaced::Conflict(with) => Ok(with),
            Replaced::Replaced => failed("replace succeeded, but it had to conflict"),
        }
    }

    /// Asserts that the store has this record, and returns how long it will be kept.
    pub(super) async fn holds(&self, key: &RecordKey, record: &Record) -> CaseResult<Duration> {
        is_record(&self.load(key).await?, record)
    }

    /// Asserts that the store has no record.
    pub(super) async fn holds_nothing(&self, key: &RecordKey) -> CaseResult {
        is_absent(&self.load(key).await?)
    }

    /// Asserts that the store has a tombstone.
    pub(super) async fn holds_a_tombstone(&self, key: &RecordKey) -> CaseResult {
        is_tombstone(&self.load(key).await?)
    }
}

pub(super) fn failed<T>(reason: impl Into<String>) -> CaseResult<T> {
    Err(Stop::Failed(reason.into()))
}

pub(super) fn is_record(loaded: &Loaded, expected: &Record) -> CaseResult<Duration> {
    match loaded {
        Loaded::Record {
            record, remaining, ..
        } if record.encode() == expected.encode() => Ok(*remaining),
        other => failed(format!("found {other:?}, not {expected:?}")),
    }
}

pub(super) fn is_absent(loaded: &Loaded) -> CaseResult {
    match loaded {
        Loaded::Absent => Ok(()),
        other => failed(format!("found {other:?}, not Absent")),
    }
}

pub(super) fn is_tombstone(loaded: &Loaded) -> CaseResult {
    match loaded {
        Loaded::Tombstone => Ok(()),
        other => failed(format!("found {other:?}, not Tombstone")),
    }
}

/// Runs each call in its own task, starts all of them together, and collects their results.
pub(super) async fn run_together<T, F>(calls: impl IntoIterator<Item = F>) -> CaseResult<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = CaseResult<T>> + Send + 'static,
{
    let calls: Vec<F> = calls.into_iter().collect();
    let start = std::sync::Arc::new(tokio::sync::Barrier::new(calls.len()));
    let mut tasks = Vec::with_capacity(calls.len());
    for call in calls {
        let start = start.clone();
        tasks.push(tokio::spawn(async move {
            start.wait().await;
            call.await
        }));
    }
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        let result = task.await.map_err(|error| match error.try_into_panic() {
            Ok(panic) => Stop::Failed(panic_message(&*panic)),
            Err(error) => Stop::Failed(error.to_string()),
        });
        results.push(result??);
    }
    Ok(results)
}
