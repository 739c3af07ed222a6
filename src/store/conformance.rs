//! The contract of a [`SessionStore`] as a suite that anybody can run.
//!
//! ```
//! use tower_keycard::store::conformance::{self, ManualTime};
//! use tower_keycard::store::MemoryStore;
//!
//! # #[tokio::main]
//! # async fn main() {
//! let harness = ManualTime::new(async |clock| MemoryStore::builder().clock(clock).build());
//! conformance::suite(&harness).await.assert();
//! # }
//! ```
//!
//! A store whose time is its own, such as one on a server, is run under [`RealTime`], and what takes neither is a
//! [`Harness`] of your own. [`suite`] runs every case and reports all that failed; [`case`] runs one of the [`CASES`], whose
//! names say what they demand.
//!
//! A store with a [`UserIndex`](super::UserIndex) is put through [`index_suite`] as well.
//!
//! The suite runs on Tokio. On a runtime with several threads it finds races that one thread cannot have.

mod bytes;
mod cases;
mod deleting;
mod harness;
mod index;
mod lifetimes;
mod races;
mod sample;
mod writing;

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

pub use self::cases::CASES;
pub use self::harness::{Harness, ManualTime, RealTime};
pub use self::index::{INDEX_CASES, index_case, index_suite};
pub use self::sample::{
    sample_key, sample_login, sample_login_of, sample_record, sample_revision_of,
};
use super::{Created, Loaded, Record, RecordKey, Replaced, Revision, SessionStore, StoreError};

/// Runs every case, one after the other.
pub async fn suite<H: Harness>(harness: &H) -> Report {
    let mut results = Vec::with_capacity(CASES.len());
    for name in CASES {
        results.push((*name, case(harness, name).await));
    }
    Report { results }
}

/// Runs one of the [`CASES`].
///
/// A store that panics fails the case. A name that is not among the cases is a failure too.
pub async fn case<H: Harness>(harness: &H, name: &str) -> Outcome {
    let context = Context {
        store: harness.store().await,
        harness,
    };
    outcome_of(cases::run(name, &context)).await
}

/// What becomes of a case, panics included.
async fn outcome_of(run: impl Future<Output = Verdict>) -> Outcome {
    let mut run = pin!(run);
    let run = std::future::poll_fn(|task| {
        // After a panic it is not polled again.
        catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(task)))
            .unwrap_or_else(|panic| Poll::Ready(Err(Stop::Failed(said(&*panic)))))
    });
    match run.await {
        Ok(()) => Outcome::Passed,
        Err(Stop::Failed(why)) => Outcome::Failed(why),
        Err(Stop::Skipped(why)) => Outcome::Skipped(why),
    }
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("(no message)"))
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The store did what the contract says.
    Passed,
    /// It did not: what it did instead.
    Failed(String),
    /// The harness cannot do what the case needs, and why that is.
    Skipped(String),
}

/// What became of all cases.
#[derive(Clone, Debug)]
#[must_use = "call `assert` to fail where the store does"]
pub struct Report {
    results: Vec<(&'static str, Outcome)>,
}

impl Report {
    /// Every case with its outcome.
    #[must_use]
    pub fn results(&self) -> &[(&'static str, Outcome)] {
        &self.results
    }

    /// The cases that failed, and what was wrong.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.results
            .iter()
            .filter_map(|(name, outcome)| match outcome {
                Outcome::Failed(why) => Some((*name, why.as_str())),
                _ => None,
            })
    }

    /// Whether no case failed.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.failures().next().is_none()
    }

    /// Panics with a list of the cases that failed, if any did.
    ///
    /// # Panics
    ///
    /// If a case failed.
    #[track_caller]
    pub fn assert(&self) {
        assert!(self.is_ok(), "the store breaks its contract:\n{self}");
    }
}

/// One line per case that did not pass, and a summary.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut passed, mut skipped) = (0, 0);
        for (name, outcome) in &self.results {
            match outcome {
                Outcome::Passed => passed += 1,
                Outcome::Failed(why) => writeln!(f, "FAILED  {name}: {why}")?,
                Outcome::Skipped(why) => {
                    skipped += 1;
                    writeln!(f, "skipped {name}: {why}")?;
                }
            }
        }
        let failed = self.results.len() - passed - skipped;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// Why a case ended before its end.
enum Stop {
    Failed(String),
    Skipped(String),
}

type Verdict<T = ()> = Result<T, Stop>;

/// How long a store may take to answer, in a suite that may run on a busy machine.
const PATIENCE_WITH_A_CALL: Duration = Duration::from_secs(10);

/// One fresh store, and calls to it whose failure ends the case.
struct Context<'a, H: Harness> {
    store: H::Store,
    harness: &'a H,
}

impl<H: Harness> Context<'_, H> {
    async fn load(&self, key: &RecordKey) -> Verdict<Loaded> {
        load(&self.store, key).await
    }

    async fn create(&self, key: &RecordKey, record: &Record, ttl: Duration) -> Verdict<Created> {
        answer("create", self.store.create(key, record, ttl)).await
    }

    async fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Verdict<Replaced> {
        replace(&self.store, key, expected, record, ttl).await
    }

    async fn touch(&self, key: &RecordKey, expected: Revision, ttl: Duration) -> Verdict<bool> {
        answer("touch", self.store.touch(key, expected, ttl, None)).await
    }

    async fn delete(&self, key: &RecordKey) -> Verdict {
        answer("delete", self.store.delete(key, None)).await
    }

    async fn pass(&self, time: Duration) -> Verdict {
        if time > self.harness.patience() {
            return Err(Stop::Skipped(format!("{time:?} would have to pass")));
        }
        self.harness.pass(time).await;
        Ok(())
    }

    async fn plant(&self, key: &RecordKey, bytes: &[u8]) -> Verdict {
        if self.harness.plant(&self.store, key, bytes).await {
            Ok(())
        } else {
            Err(Stop::Skipped("the harness plants no raw bytes".to_owned()))
        }
    }
}

async fn load<S: SessionStore>(store: &S, key: &RecordKey) -> Verdict<Loaded> {
    answer("load", store.load(key)).await
}

async fn replace<S: SessionStore>(
    store: &S,
    key: &RecordKey,
    expected: Revision,
    record: &Record,
    ttl: Duration,
) -> Verdict<Replaced> {
    answer("replace", store.replace(key, expected, record, ttl)).await
}

async fn answer<T>(name: &str, call: impl Future<Output = Result<T, StoreError>>) -> Verdict<T> {
    match tokio::time::timeout(PATIENCE_WITH_A_CALL, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Stop::Failed(format!("{name} failed: {error:?}"))),
        Err(_) => Err(Stop::Failed(format!(
            "{name} did not come to an end within {PATIENCE_WITH_A_CALL:?}"
        ))),
    }
}
