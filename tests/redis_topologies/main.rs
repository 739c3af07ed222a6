//! `RedisStore` on a cluster and behind sentinels, which the tests of this binary share and stop again.

// Helpers are tests too, which clippy.toml does not know.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod compose;
mod contract;
mod deadline;
#[cfg(feature = "redis-1")]
mod own_client;
mod rights;
mod settings;
mod waiting;

use std::time::Duration;

use tower_keycard::store::conformance::{sample_login, sample_record, sample_revision_of};
use tower_keycard::store::{
    Created, Loaded, Record, RecordKey, RedisStore, Replaced, SessionStore, UserIndex,
};

/// As long as no test takes.
const LONG: Duration = Duration::from_secs(600);

/// A key that is the same for the same number and differs for any other.
fn key(number: u32) -> RecordKey {
    RecordKey::new("__Host-id", format!("{number:A>20}").parse().unwrap())
}

async fn created(store: &impl SessionStore, key: &RecordKey) -> Record {
    let record = sample_record(r#"{"n":1}"#);
    let created = store.create(key, &record, LONG).await.unwrap();
    assert_eq!(created, Created::Created);
    record
}

/// The record and its remaining life; panics if there is none.
async fn loaded(store: &impl SessionStore, key: &RecordKey) -> (Record, Duration) {
    match store.load(key).await.unwrap() {
        Loaded::Record { record, remaining } => (record, remaining),
        other => panic!("no record: {other:?}"),
    }
}

fn is_replaced(replaced: &Replaced) -> bool {
    matches!(replaced, Replaced::Replaced)
}
