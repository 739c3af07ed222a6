//! The outcomes of the cases.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// Runs a case and returns its outcome. A panic is a failure.
pub(super) async fn outcome_of(run: impl Future<Output = CaseResult>) -> Outcome {
    let mut run = pin!(run);
    let run = std::future::poll_fn(|task| {
        // Unwind-safe, since the future is not polled again after a panic.
        catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(task)))
            .unwrap_or_else(|panic| Poll::Ready(Err(Stop::Failed(panic_message(&*panic)))))
    });
    match run.await {
        Ok(()) => Outcome::Passed,
        Err(Stop::Failed(reason)) => Outcome::Failed(reason),
        Err(Stop::Skipped(reason)) => Outcome::Skipped(reason),
    }
}

pub(super) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("(no message)"))
}

/// The outcome of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The store kept the contract.
    Passed,
    /// The store broke the contract: what it did instead.
    Failed(String),
    /// The harness cannot do what the case needs: the reason.
    Skipped(String),
}

/// The outcomes of all cases. Call [`assert`](Report::assert) in a test; print it to see what was skipped.
#[derive(Clone, Debug)]
#[must_use = "call `assert` to fail if the store does"]
pub struct Report {
    pub(super) results: Vec<(&'static str, Outcome)>,
}

impl Report {
    /// Every case with its outcome.
    #[must_use]
    pub fn results(&self) -> &[(&'static str, Outcome)] {
        &self.results
    }

    /// The cases that failed, each with the reason.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.results
            .iter()
            .filter_map(|(name, outcome)| match outcome {
                Outcome::Failed(reason) => Some((*name, reason.as_str())),
                _ => None,
            })
    }

    /// Whether no case failed.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.failures().next().is_none()
    }

    /// Asserts that no case failed.
    ///
    /// # Panics
    ///
    /// If a case failed. The message lists the cases that failed.
    #[track_caller]
    pub fn assert(&self) {
        assert!(self.is_ok(), "the store breaks its contract:\n{self}");
    }
}

/// One line for each case that did not pass, and a summary.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut passed, mut skipped) = (0, 0);
        for (name, outcome) in &self.results {
            match outcome {
                Outcome::Passed => passed += 1,
                Outcome::Failed(reason) => writeln!(f, "FAILED  {name}: {reason}")?,
                Outcome::Skipped(reason) => {
                    skipped += 1;
                    writeln!(f, "skipped {name}: {reason}")?;
                }
            }
        }
        let failed = self.results.len() - passed - skipped;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// The reason that a case stopped early.
pub(super) enum Stop {
    Failed(String),
    Skipped(String),
}

pub(super) type CaseResult<T = ()> = Result<T, Stop>;
