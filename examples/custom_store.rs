//! A session store of one's own, put through the contract's suite:
//! `cargo run --example custom_store --features testing`

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tower_keycard::store::conformance::{RealTime, Report, suite};
use tower_keycard::store::{
    Binding, Created, Loaded, Record, RecordKey, Replaced, Revision, SessionStore, StoreError,
    TOMBSTONE_LIFETIME,
};

/// Bytes, and until when they count. (In production, something has to free those that do not any more.)
type Map = HashMap<RecordKey, (Vec<u8>, Instant)>;
#[derive(Clone, Default)]
struct MapStore(Arc<Mutex<Map>>);

#[rustfmt::skip]
fn look(map: &Map, key: &RecordKey) -> Loaded {
    match map.get(key) {
        Some((bytes, until)) if *until > Instant::now() => match Record::decode(bytes.clone()) {
            _ if bytes == Record::TOMBSTONE => Loaded::Tombstone,
            Ok(record) => Loaded::Record { record, remaining: until.duration_since(Instant::now()) },
            Err(error) => Loaded::Unreadable(error),
        },
        _ => Loaded::Absent,
    }
}

fn put(map: &mut Map, key: &RecordKey, bytes: Vec<u8>, ttl: Duration) {
    let years = Duration::from_secs(10 * 365 * 24 * 60 * 60); // A TTL may be larger than any time.
    map.insert(key.clone(), (bytes, Instant::now() + ttl.min(years)));
}

#[rustfmt::skip] // A signature is a line.
impl SessionStore for MapStore {
    fn prefix(&self) -> &str { "map:" }
    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        Ok(look(&*self.0.lock().await, key))
    }
    async fn create(&self, key: &RecordKey, record: &Record, ttl: Duration) -> Result<Created, StoreError> {
        let mut map = self.0.lock().await;
        let Loaded::Absent = look(&map, key) else { return Ok(Created::Exists) };
        put(&mut map, key, record.encode(), ttl);
        Ok(Created::Created)
    }
    async fn replace(&self, key: &RecordKey, expected: Revision, record: &Record, ttl: Duration) -> Result<Replaced, StoreError> {
        let mut map = self.0.lock().await;
        match look(&map, key) {
            // It was sent twice, and arrived the first time.
            Loaded::Record { record: kept, .. } if kept.includes(record.revision()) => {}
            Loaded::Record { record: kept, .. } if kept.revision() == expected => put(&mut map, key, record.encode(), ttl),
            other => return Ok(Replaced::Conflict(other)),
        }
        Ok(Replaced::Replaced)
    }
    async fn touch(&self, key: &RecordKey, expected: Revision, ttl: Duration, _: Option<Binding<'_>>) -> Result<bool, StoreError> {
        let mut map = self.0.lock().await;
        let Loaded::Record { record, .. } = look(&map, key) else { return Ok(false) };
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
