//! The exploration finds what is wrong with a store, if something is: stores that break their contract, one rule each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tower_keycard::Clock;
use tower_keycard::store::{
    Created, IndexEntry, Loaded, Record, RecordKey, Replaced, Revision, SessionStore, StoreError,
    Write,
};

use crate::schedules::{Explorer, MakeStore};

/// What a store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// Nothing: what is found in the others is not this small store's fault.
    None,
    /// Replaces what is not there.
    Upserts,
    /// Replaces whatever is there.
    IgnoresExpected,
    /// Says that it deleted.
    KeepsDeleted,
    /// Says that it replaced.
    KeepsReplaced,
    /// Answers a load with some other record.
    HandsOutAnother,
}

#[derive(Clone)]
struct Broken {
    flaw: Flaw,
    /// `None`: a tombstone.
    entries: Arc<Mutex<HashMap<RecordKey, Option<Record>>>>,
}

const REMAINING: Duration = Duration::from_secs(86_400);

impl Broken {
    fn look(&self, key: &RecordKey) -> Loaded {
        let entries = self.entries.lock().unwrap();
        let other = || {
            entries
                .values()
                .flatten()
                .max_by_key(|record| record.json())
        };
        match entries.get(key) {
            None => Loaded::Absent,
            Some(None) => Loaded::Tombstone,
            Some(Some(record)) => {
                let mixed_up = self.flaw == Flaw::HandsOutAnother;
                let record = if mixed_up { other() } else { Some(record) };
                Loaded::Record {
                    record: record.unwrap().clone(),
                    remaining: REMAINING,
                    stale: false,
                    unconfirmed: false,
                }
            }
        }
    }

    fn put(&self, key: &RecordKey, record: Option<Record>) {
        self.entries.lock().unwrap().insert(key.clone(), record);
    }
}

impl SessionStore for Broken {
    fn prefix(&self) -> &str {
        "broken:"
    }

    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        Ok(self.look(key))
    }

    async fn create(&self, key: &RecordKey, write: &Write<'_>) -> Result<Created, StoreError> {
        if !matches!(self.look(key), Loaded::Absent) {
            return Ok(Created::Exists);
        }
        self.put(key, Some(write.record.clone()));
        Ok(Created::Created)
    }

    async fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        write: &Write<'_>,
    ) -> Result<Replaced, StoreError> {
        let there = self.look(key);
        let may = match &there {
            Loaded::Record { record, .. } => {
                record.revision() == expected || self.flaw == Flaw::IgnoresExpected
            }
            _ => self.flaw == Flaw::Upserts,
        };
        if !may {
            return Ok(Replaced::Conflict(there));
        }
        if self.flaw != Flaw::KeepsReplaced {
            self.put(key, Some(write.record.clone()));
        }
        Ok(Replaced::Replaced)
    }

    async fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        _ttl: Duration,
        _extends: Option<IndexEntry<'_>>,
    ) -> Result<bool, StoreError> {
        let there = self.look(key);
        Ok(matches!(there, Loaded::Record { record, .. } if record.revision() == expected))
    }

    async fn delete(&self, key: &RecordKey, _user: Option<&str>) -> Result<(), StoreError> {
        if self.flaw != Flaw::KeepsDeleted {
            self.put(key, None);
        }
        Ok(())
    }
}

impl MakeStore for Flaw {
    type Store = Broken;

    fn make(&self, _clock: Clock) -> Broken {
        Broken {
            flaw: *self,
            entries: Arc::default(),
        }
    }
}

/// What the first schedules find, if they find anything.
fn explore(flaw: Flaw) -> Result<(), String> {
    let mut explorer = Explorer::new(flaw);
    (0..2_000).try_for_each(|seed| explorer.seed(seed))
}

#[test]
fn a_store_without_a_flaw_is_not_blamed() {
    explore(Flaw::None).unwrap_or_else(|fault| panic!("{fault}"));
}

#[test]
fn a_store_that_replaces_what_was_deleted_is_found() {
    let fault = explore(Flaw::Upserts).unwrap_err();
    assert!(fault.contains("resurrected"), "{fault}");
}

#[test]
fn a_store_that_replaces_whatever_is_there_is_found() {
    let fault = explore(Flaw::IgnoresExpected).unwrap_err();
    assert!(
        fault.contains("lost another's") || fault.contains("its token does not open"),
        "{fault}"
    );
}

#[test]
fn a_store_that_keeps_what_was_deleted_is_found() {
    let fault = explore(Flaw::KeepsDeleted).unwrap_err();
    assert!(fault.contains("although it was deleted"), "{fault}");
}

#[test]
fn a_store_that_keeps_what_was_replaced_is_found() {
    explore(Flaw::KeepsReplaced).unwrap_err();
}

#[test]
fn a_store_that_hands_out_another_record_is_found() {
    explore(Flaw::HandsOutAnother).unwrap_err();
}
