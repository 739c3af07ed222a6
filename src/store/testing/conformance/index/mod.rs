//! The contract of a [`UserIndex`] as a suite.

mod cases;
mod context;
mod ending;
mod lifetimes;
mod listing;
mod races;

pub use self::cases::INDEX_CASES;
use self::cases::run;
use super::context::Context;
use super::harness::Harness;
use super::report::{Outcome, Report, outcome_of};
use crate::store::UserIndex;

/// Runs every case about the user index, one after another, each on a fresh store. [`suite`](super::suite) has all other cases.
pub async fn index_suite<H: Harness<Store: UserIndex>>(harness: &H) -> Report {
    let mut results = Vec::with_capacity(INDEX_CASES.len());
    for name in INDEX_CASES {
        results.push((*name, index_case(harness, name).await));
    }
    Report { results }
}

/// Runs one of the [`INDEX_CASES`].
///
/// If the store panics, the case fails. If there is no case of this name, that is a failure too.
pub async fn index_case<H: Harness<Store: UserIndex>>(harness: &H, name: &str) -> Outcome {
    let context = Context {
        store: harness.store().await,
        harness,
    };
    outcome_of(run(name, &context)).await
}
