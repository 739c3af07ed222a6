//! `RedisStore` against real servers, which every test starts for itself and stops again.

// Helpers are tests too, which clippy.toml does not know.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../session/support.rs"]
#[allow(dead_code)]
mod desk;

mod accounts;
mod commands;
mod connecting;
mod contract;
mod foreign;
mod index;
mod limits;
mod outages;
#[cfg(feature = "redis-1")]
mod own_connection;
mod rights;
mod settings;
#[cfg(feature = "redis-tls")]
mod tls;
mod waiting;

use std::time::Duration;

use tower_keycard::store::conformance::{
    sample_login, sample_login_of, sample_record, sample_revision_of,
};
use tower_keycard::store::{
    Created, Loaded, Record, RecordKey, RedisConfig, RedisStore, Replaced, SessionStore,
    StoreErrorKind, UserIndex,
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
