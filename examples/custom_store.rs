//! A session store of one's own: a map of bytes behind a lock, run through the contract's suite.
//!
//! `cargo run --example custom_store --features testing`

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tower_keycard::store::conformance::{self, RealTime, Report};
use tower_keycard::store::{
    Created, Loaded, Record, RecordKey, Replaced, Revision, SessionStore, StoreError,
    TOMBSTONE_LIFETIME,
};

/// What is kept, and until when. (A store for production also frees what nobody asks for any more.)
type Map = HashMap<RecordKey, (Vec<u8>, Instant)>;

#[derive(Clone, Default)]
struct MapStore(Arc<Mutex<Map>>);

impl MapStore {
    fn map(&self) -> MutexGuard<'_, Map> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn look(map: &Map, key: &RecordKey) -> Loaded {
    let Some((bytes, until)) = map.get(key) else {
        return Loaded::Absent;
    };
    let remaining = until.saturating_duration_since(Instant::now());
    match Record::decode(bytes.clone()) {
        _ if remaining.is_zero() => Loaded::Absent,
        _ if bytes == Record::TOMBSTONE => Loaded::Tombstone,
        Ok(record) => Loaded::Record { record, remaining },
        Err(error) => Loaded::Unreadable(error),
    }
}

fn put(map: &mut Map, key: &RecordKey, bytes: Vec<u8>, ttl: Duration) {
    // A lifetime may be of any length; no session outlives ten years.
    let until = Instant::now() + ttl.min(Duration::from_secs(10 * 365 * 24 * 60 * 60));
    map.insert(key.clone(), (bytes, until));
}

#[rustfmt::skip] // One line per signature.
impl SessionStore for MapStore {
    fn prefix(&self) -> &str {
        "map:"
    }

    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        Ok(look(&self.map(), key))
    }

    async fn create(&self, key: &RecordKey, record: &Record, ttl: Duration) -> Result<Created, StoreError> {
        let mut map = self.map();
        let Loaded::Absent = look(&map, key) else { return Ok(Created::Exists) };
        put(&mut map, key, record.encode(), ttl);
        Ok(Created::Created)
    }

    async fn replace(&self, key: &RecordKey, expected: Revision, record: &Record, ttl: Duration) -> Result<Replaced, StoreError> {
        let mut map = self.map();
        match look(&map, key) {
            // It was sent twice, and arrived the first time.
            Loaded::Record { record: kept, .. } if kept.includes(record.revision()) => {}
            Loaded::Record { record: kept, .. } if kept.revision() == expected => put(&mut map, key, record.encode(), ttl),
            other => return Ok(Replaced::Conflict(other)),
        }
        Ok(Replaced::Replaced)
    }

    async fn touch(&self, key: &RecordKey, expected: Revision, ttl: Duration) -> Result<bool, StoreError> {
        let mut map = self.map();
        let Loaded::Record { record, .. } = look(&map, key) else { return Ok(false) };
        let found = record.revision() == expected;
        if found { put(&mut map, key, record.encode(), ttl) }
        Ok(found)
    }

    async fn delete(&self, key: &RecordKey) -> Result<(), StoreError> {
        put(&mut self.map(), key, Record::TOMBSTONE.to_vec(), TOMBSTONE_LIFETIME);
        Ok(())
    }
}

pub async fn run_suite() -> Report {
    conformance::suite(&RealTime::new(async || MapStore::default())).await
}

#[tokio::main]
#[allow(clippy::print_stdout)]
async fn main() {
    let report = run_suite().await;
    println!("{report}");
    report.assert();
}
