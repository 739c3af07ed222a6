//! The suite of the store contract notices a store that breaks a clause of it, and every one of its cases can fail.

mod careless_index;
mod index;
mod records;

use tower_keycard::store::testing::conformance::Outcome;

/// The cases that fail of those with these names.
async fn failed_cases(
    names: &[&'static str],
    case: impl AsyncFn(&'static str) -> Outcome,
) -> Vec<&'static str> {
    let mut failed = Vec::new();
    for name in names {
        match case(name).await {
            Outcome::Failed(_) => failed.push(*name),
            Outcome::Passed => {}
            outcome => panic!("{name}: {outcome:?}"),
        }
    }
    failed
}
