//! A session store of your own, and a run of the suite that checks the store contract:
//! `cargo run --example custom_store --features testing`

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tower_keycard::store::testing::conformance::{RealTime, Report, suite};
use tower_keycard::store::{
    Created, IndexEntry, Loaded, Record, RecordKey, Replaced, Revision, SessionStore, StoreError,
    TOMBSTONE_LIFETIME, Write,
};

/// The bytes of a record, and when they expire. (In production, something has to free the expired ones.)
type Map = HashMap<RecordKey, (Vec<u8>, Instant)>;
#[derive(Clone, Default)]
struct MapStore(Arc<Mutex<Map>>);

#[rustfmt::skip]
fn find(map: &Map, key: &RecordKey) -> Loaded {
    match map.get(key) {
        Some((bytes, until)) if *until > Instant::now() => match Record::decode(bytes.clone()) {
            _ if bytes == Record::TOMBSTONE => Loaded::Tombstone,
            Ok(record) => Loaded::Record { record, remaining: until.duration_since(Instant::now()), stale: false, unconfirmed: false },
            Err(error) => Loaded::Unreadable(error),
        },
        _ => Loaded::Absent,
    }
}

fn put(map: &mut Map, key: &RecordKey, bytes: Vec<u8>, ttl: Duration) {
    let years = Duration::from_secs(10 * 365 * 24 * 60 * 60); // A TTL may be too large to add to a time.
    map.insert(key.clone(), (bytes, Instant::now() + ttl.min(years)));
}

#[rustfmt::skip] // Each signature on one line.
impl SessionStore for MapStore {
    fn prefix(&self) -> &str { "map:" }
    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        Ok(find(&*self.0.lock().await, key))
    }
    async fn create(&self, key: &RecordKey, write: &Write<'_>) -> Result<Created, StoreError> {
        let mut map = self.0.lock().await;
        let Loaded::Absent = find(&map, key) else { return Ok(Created::Exists) };
        put(&mut map, key, write.record.encode(), write.ttl);
        Ok(Created::Created)
    }
    async fn replace(&self, key: &RecordKey, expected: Revision, write: &Write<'_>) -> Result<Replaced, StoreError> {
        let mut map = self.0.lock().await;
        match find(&map, key) {
            // The call was sent twice, and the first one arrived.
            Loaded::Record { record, .. } if record.includes(write.record.revision()) => {}
            Loaded::Record { record, remaining, .. } if record.revision() == expected => put(&mut map, key, write.record.encode(), if write.keeps_expiry { remaining } else { write.ttl }),
            other => return Ok(Replaced::Conflict(other)),
        }
        Ok(Replaced::Replaced)
    }
    async fn touch(&self, key: &RecordKey, expected: Revision, ttl: Duration, _: Option<IndexEntry<'_>>) -> Result<bool, StoreError> {
        let mut map = self.0.lock().await;
        let Loaded::Record { record, .. } = find(&map, key) else { return Ok(false) };
        let found = record.revision() == expected;
        if found { put(&mut map, key, record.encode(), ttl) }
        Ok(found)
    }
    async fn delete(&self, key: &RecordKey, _: Option<&str>) -> Result<(), StoreError> {
        put(&mut *self.0.lock().await, key, Record::TOMBSTONE.to_vec(), TOMBSTONE_LIFETIME);
        Ok(())
    }
}

pub(crate) async fn run_suite() -> Report {
    suite(&RealTime::new(async || MapStore::default())).await
}

#[tokio::main]
async fn main() {
    eprintln!("{}", run_suite().await);
}
