//! The contract of a [`SessionStore`](crate::store::SessionStore) as a suite. Run it on a store of your own.
//!
//! ```
//! use tower_keycard::store::testing::conformance::{self, ManualTime};
//! use tower_keycard::store::MemoryStore;
//!
//! # #[tokio::main]
//! # async fn main() {
//! let harness = ManualTime::new(async |clock| MemoryStore::builder().clock(clock).build());
//! conformance::suite(&harness).await.assert();
//! # }
//! ```
//!
//! [`ManualTime`] is for a store that reads a [`Clock`](crate::Clock). Use [`RealTime`] for a store with its own clock, such as
//! one on a server. If neither fits, write your own [`Harness`].
//!
//! [`suite`] runs every case and reports all that failed. [`case`] runs one of the [`CASES`]. The name of a case says what it
//! requires. Run [`index_suite`] as well if the store has a [`UserIndex`](crate::store::UserIndex), and [`full_store_suite`] if
//! it can be full.
//!
//! The suite runs on Tokio. On a runtime with several threads it finds races that a single thread cannot have.

mod bytes;
mod cases;
mod context;
mod deleting;
mod eviction;
mod harness;
mod index;
mod lifetimes;
mod races;
mod report;
mod sample;
mod writing;

pub use self::cases::CASES;
use self::context::Context;
pub use self::eviction::full_store_suite;
pub use self::harness::{Harness, ManualTime, RealTime};
pub use self::index::{INDEX_CASES, index_case, index_suite};
use self::report::outcome_of;
pub use self::report::{Outcome, Report};
pub use self::sample::{
    sample_anonymous, sample_key, sample_login, sample_login_of, sample_record, sample_revision_of,
};

/// Runs every case, one after another, each on a fresh store.
pub async fn suite<H: Harness>(harness: &H) -> Report {
    let mut results = Vec::with_capacity(CASES.len());
    for name in CASES {
        results.push((*name, case(harness, name).await));
    }
    Report { results }
}

/// Runs one of the [`CASES`].
///
/// If the store panics, the case fails. If there is no case of this name, that is a failure too.
pub async fn case<H: Harness>(harness: &H, name: &str) -> Outcome {
    let context = Context {
        store: harness.store().await,
        harness,
    };
    outcome_of(cases::run(name, &context)).await
}
