//! Calls of a store, and what they have to answer.

use std::time::Duration;
use tower_keycard::store::testing::{all_sessions_of, end_all};

use tower_keycard::store::testing::OwnedWrite;
use tower_keycard::store::testing::conformance::{sample_login, sample_record, sample_revision_of};
use tower_keycard::store::{
    Created, Loaded, Record, RecordKey, RedisStore, Replaced, SessionStore,
};

/// As long as no test takes.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// A key that is the same for the same number and differs for any other.
pub(crate) fn key(number: u32) -> RecordKey {
    RecordKey::new("__Host-id", format!("{number:A>20}").parse().unwrap())
}

pub(crate) async fn created(store: &impl SessionStore, key: &RecordKey) -> OwnedWrite {
    let record = sample_record(r#"{"n":1}"#);
    let created = store.create(key, &record.write(LONG)).await.unwrap();
    assert_eq!(created, Created::Created);
    record
}

/// The record and its remaining life; panics if there is none.
pub(crate) async fn loaded(store: &impl SessionStore, key: &RecordKey) -> (Record, Duration) {
    match store.load(key).await.unwrap() {
        Loaded::Record {
            record, remaining, ..
        } => (record, remaining),
        other => panic!("no record: {other:?}"),
    }
}

pub(crate) fn is_replaced(replaced: &Replaced) -> bool {
    matches!(replaced, Replaced::Replaced)
}

/// Every call of a store once.
pub(crate) async fn serves(store: &RedisStore) {
    let record = created(store, &key(1)).await;
    let next = sample_revision_of(&record, "{}");
    assert!(is_replaced(
        &store
            .replace(&key(1), record.revision(), &next.write(LONG))
            .await
            .unwrap()
    ));
    assert!(
        store
            .touch(&key(1), next.revision(), LONG, None)
            .await
            .unwrap()
    );
    loaded(store, &key(1)).await;
    store.delete(&key(1), None).await.unwrap();
    assert!(matches!(
        store.load(&key(1)).await.unwrap(),
        Loaded::Tombstone
    ));
    for number in 10..30 {
        let login = sample_login("alice", LONG);
        store
            .create(&key(number), &login.write(LONG))
            .await
            .unwrap();
    }
    let listed = all_sessions_of(store, "__Host-id", "alice").await.unwrap();
    assert_eq!(listed.len(), 20);
    let ended = end_all(store, "__Host-id", "alice", None).await.unwrap();
    assert_eq!(ended.len(), 20);
}
