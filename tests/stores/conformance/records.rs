//! Every case about records can fail.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tower_keycard::Clock;
use tower_keycard::session::Timestamp;
use tower_keycard::store::testing::conformance::{
    self, CASES, Harness, ManualTime, Outcome, sample_record,
};
use tower_keycard::store::{
    Created, IndexEntry, Loaded, Record, RecordKey, Replaced, Revision, SessionId, SessionStore,
    StoreError, TOMBSTONE_LIFETIME, Write,
};

/// A clause of the contract that a [`Careless`] store breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Breach {
    CreateOverwrites,
    CreateOverwritesTombstones,
    CreateIsNotAtomic,
    ReplaceCreates,
    ReplaceOverwritesTombstones,
    ReplaceIsNotAtomic,
    ReplaceIgnoresTheRevision,
    ReplaceKeepsTheExpiry,
    ReplaceNeverKeepsTheExpiry,
    ReplaceOnlyProlongsWhatItKeeps,
    ResentReplaceIsAConflict,
    OvertakenReplaceIsAConflict,
    ResentReplaceMovesTheExpiry,
    ConflictHandsBackNothing,
    TouchIgnoresTheRevision,
    TouchOnlyProlongs,
    TouchBringsBackWhatExpired,
    NoTombstone,
    NoTombstoneForTheAbsent,
    TombstoneKeepsTheExpiry,
    TombstoneForEver,
    ReturnsExpired,
    WholeSeconds,
    NothingIsForEver,
    PanicsOnLongLifetimes,
    OneNamespace,
    OneForAll,
    NoPrefix,
    PrefixChanges,
    ClonesAreCopies,
    TooSmall,
    AbsentIsATombstone,
    TouchCreates,
    UnreadableIsAbsent,
    UnreadableCannotBeDeleted,
    TextOnly,
    TouchDoesNotConfirm,
    NeverAnswers,
}

/// A store that keeps the contract, except for one clause.
struct Careless {
    breach: Option<Breach>,
    clock: Clock,
    map: Arc<Mutex<Map>>,
}

type Map = HashMap<(String, SessionId), Kept>;

#[derive(Clone)]
struct Kept {
    bytes: Vec<u8>,
    until: Timestamp,
    unconfirmed: bool,
}

impl Clone for Careless {
    fn clone(&self) -> Self {
        let mut map = self.map.clone();
        if self.is(Breach::ClonesAreCopies) {
            let copy = self.map().clone();
            map = Arc::new(Mutex::new(copy));
        }
        let (breach, clock) = (self.breach, self.clock.clone());
        Self { breach, clock, map }
    }
}

impl Careless {
    fn is(&self, breach: Breach) -> bool {
        self.breach == Some(breach)
    }

    fn map(&self) -> MutexGuard<'_, Map> {
        // A store that is to panic must not fail every case after that.
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, key: &RecordKey) -> (String, SessionId) {
        let namespace = match self.breach {
            Some(Breach::OneNamespace) => "",
            _ => key.namespace(),
        };
        (namespace.to_owned(), key.id())
    }

    fn look(&self, map: &Map, key: &RecordKey) -> Loaded {
        let now = self.clock.now();
        match map.get(&self.key(key)) {
            Some(kept) if kept.until <= now && !self.is(Breach::ReturnsExpired) => Loaded::Absent,
            Some(kept) if kept.bytes == Record::TOMBSTONE => Loaded::Tombstone,
            Some(kept) => match Record::decode(kept.bytes.clone()) {
                Ok(record) => Loaded::Record {
                    record,
                    remaining: kept.until.since(now),
                    stale: false,
                    unconfirmed: kept.unconfirmed,
                },
                Err(_) if self.is(Breach::UnreadableIsAbsent) => Loaded::Absent,
                Err(error) => Loaded::Unreadable(error),
            },
            None if self.is(Breach::AbsentIsATombstone) => Loaded::Tombstone,
            None => Loaded::Absent,
        }
    }

    fn put(&self, map: &mut Map, key: &RecordKey, record: Option<&Record>, ttl: Duration) {
        let mut ttl = ttl;
        let year = Duration::from_secs(401 * 24 * 60 * 60);
        assert!(
            !self.is(Breach::PanicsOnLongLifetimes) || ttl < year,
            "too long"
        );
        if self.is(Breach::WholeSeconds) {
            ttl = Duration::from_secs(ttl.saturating_add(Duration::from_millis(500)).as_secs());
        }
        if self.is(Breach::NothingIsForEver) && ttl.as_millis() == 0 {
            ttl = Duration::MAX;
        }
        let mut bytes = record.map_or_else(|| Record::TOMBSTONE.to_vec(), Record::encode);
        if self.is(Breach::TextOnly) {
            bytes = String::from_utf8_lossy(&bytes).into_owned().into_bytes();
        }
        if self.is(Breach::TooSmall) {
            bytes.truncate(64 * 1024);
        }
        let kept = Kept {
            bytes,
            until: self.clock.now().plus(ttl),
            unconfirmed: false,
        };
        map.insert(self.key(key), kept);
    }

    /// Remembers whether the session of a record is unconfirmed.
    fn note(&self, map: &mut Map, key: &RecordKey, unconfirmed: bool) {
        if let Some(kept) = map.get_mut(&self.key(key)) {
            kept.unconfirmed = unconfirmed;
        }
    }

    /// Gives way to others between the look and the change.
    async fn pause(&self, breach: Breach) {
        if self.is(breach) {
            tokio::task::yield_now().await;
        }
    }
}

impl SessionStore for Careless {
    fn prefix(&self) -> &str {
        match self.breach {
            Some(Breach::NoPrefix) => "",
            Some(Breach::PrefixChanges) if !self.map().is_empty() => "another:",
            _ => "careless:",
        }
    }

    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        if self.is(Breach::NeverAnswers) {
            std::future::pending::<()>().await;
        }
        Ok(self.look(&self.map(), key))
    }

    async fn create(&self, key: &RecordKey, write: &Write<'_>) -> Result<Created, StoreError> {
        let found = self.look(&self.map(), key);
        let free = match found {
            Loaded::Absent => true,
            Loaded::Tombstone => self.is(Breach::CreateOverwritesTombstones),
            _ => self.is(Breach::CreateOverwrites),
        };
        self.pause(Breach::CreateIsNotAtomic).await;
        let mut map = self.map();
        if !self.is(Breach::CreateIsNotAtomic)
            && matches!(found, Loaded::Absent)
            && !matches!(self.look(&map, key), Loaded::Absent)
        {
            return Ok(Created::Exists);
        }
        if !free {
            return Ok(Created::Exists);
        }
        self.put(&mut map, key, Some(write.record), write.ttl);
        self.note(&mut map, key, write.unconfirmed);
        Ok(Created::Created)
    }

    async fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        write: &Write<'_>,
    ) -> Result<Replaced, StoreError> {
        let &Write { record, ttl, .. } = write;
        let early = self.look(&self.map(), key);
        self.pause(Breach::ReplaceIsNotAtomic).await;
        let mut map = self.map();
        let found = match self.breach {
            Some(Breach::ReplaceIsNotAtomic) => early,
            _ => self.look(&map, key),
        };
        let here = match &found {
            Loaded::Record { record: kept, .. } => {
                let resent = kept.revision() == record.revision();
                let known = match self.breach {
                    Some(Breach::ResentReplaceIsAConflict) => false,
                    Some(Breach::OvertakenReplaceIsAConflict) => resent,
                    _ => kept.includes(record.revision()),
                };
                if known {
                    if self.is(Breach::ResentReplaceMovesTheExpiry) {
                        self.put(&mut map, key, Some(&kept.clone()), ttl);
                    }
                    return Ok(Replaced::Replaced);
                }
                kept.revision() == expected || self.is(Breach::ReplaceIgnoresTheRevision)
            }
            Loaded::Tombstone => self.is(Breach::ReplaceOverwritesTombstones),
            _ => self.is(Breach::ReplaceCreates),
        };
        if here {
            let ttl = match &found {
                Loaded::Record { remaining, .. } => match self.breach {
                    Some(Breach::ReplaceKeepsTheExpiry) => *remaining,
                    Some(Breach::ReplaceNeverKeepsTheExpiry) => ttl,
                    Some(Breach::ReplaceOnlyProlongsWhatItKeeps) if write.keeps_expiry => {
                        ttl.max(*remaining)
                    }
                    _ if write.keeps_expiry => *remaining,
                    _ => ttl,
                },
                _ => ttl,
            };
            self.put(&mut map, key, Some(record), ttl);
            self.note(&mut map, key, write.unconfirmed);
            Ok(Replaced::Replaced)
        } else if self.is(Breach::ConflictHandsBackNothing) {
            Ok(Replaced::Conflict(Loaded::Absent))
        } else {
            Ok(Replaced::Conflict(found))
        }
    }

    async fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        ttl: Duration,
        _extends: Option<IndexEntry<'_>>,
    ) -> Result<bool, StoreError> {
        let mut map = self.map();
        let found = self.look(&map, key);
        let stays = self.is(Breach::TouchDoesNotConfirm)
            && matches!(found, Loaded::Record { unconfirmed, .. } if unconfirmed);
        let kept = match found {
            Loaded::Record {
                record, remaining, ..
            } => Some((record, remaining)),
            _ if self.is(Breach::TouchBringsBackWhatExpired) => {
                let kept = map.get(&self.key(key));
                let record = kept.and_then(|kept| Record::decode(kept.bytes.clone()).ok());
                record.map(|record| (record, Duration::ZERO))
            }
            Loaded::Absent if self.is(Breach::TouchCreates) => {
                self.put(&mut map, key, Some(&sample_record("{}")), ttl);
                None
            }
            _ => None,
        };
        let Some((record, remaining)) = kept else {
            return Ok(false);
        };
        if record.revision() != expected && !self.is(Breach::TouchIgnoresTheRevision) {
            return Ok(false);
        }
        if !self.is(Breach::TouchOnlyProlongs) || ttl > remaining {
            self.put(&mut map, key, Some(&record), ttl);
        }
        self.note(&mut map, key, stays);
        Ok(true)
    }

    async fn delete(&self, key: &RecordKey, _user: Option<&str>) -> Result<(), StoreError> {
        let mut map = self.map();
        let remaining = match self.look(&map, key) {
            Loaded::Record { remaining, .. } => Some(remaining),
            _ => None,
        };
        let unreadable = matches!(self.look(&map, key), Loaded::Unreadable(_));
        match self.breach {
            Some(Breach::UnreadableCannotBeDeleted) if unreadable => {}
            Some(Breach::NoTombstone) => {
                map.remove(&self.key(key));
            }
            Some(Breach::NoTombstoneForTheAbsent) if remaining.is_none() => {}
            Some(Breach::TombstoneKeepsTheExpiry) => {
                let ttl = remaining.unwrap_or(TOMBSTONE_LIFETIME);
                self.put(&mut map, key, None, ttl);
            }
            Some(Breach::TombstoneForEver) => self.put(&mut map, key, None, Duration::MAX),
            _ => self.put(&mut map, key, None, TOMBSTONE_LIFETIME),
        }
        Ok(())
    }
}

/// Careless stores, and their clock.
struct CarelessHarness {
    breach: Option<Breach>,
    clock: Clock,
    map: Arc<Mutex<Map>>,
}

impl CarelessHarness {
    fn new(breach: Option<Breach>) -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_000));
        let map = Arc::default();
        Self { breach, clock, map }
    }
}

impl Harness for CarelessHarness {
    type Store = Careless;

    async fn store(&self) -> Careless {
        Careless {
            breach: self.breach,
            clock: self.clock.clone(),
            map: match self.breach {
                Some(Breach::OneForAll) => self.map.clone(),
                _ => Arc::default(),
            },
        }
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    async fn plant(&self, store: &Careless, key: &RecordKey, bytes: &[u8]) -> bool {
        let until = self.clock.now().plus(Duration::from_secs(600));
        let kept = Kept {
            bytes: bytes.to_vec(),
            until,
            unconfirmed: false,
        };
        store.map().insert(store.key(key), kept);
        true
    }
}

async fn failed_cases(breach: Option<Breach>) -> Vec<&'static str> {
    let harness = CarelessHarness::new(breach);
    super::failed_cases(CASES, async |name| conformance::case(&harness, name).await).await
}

#[tokio::test]
async fn a_careless_store_that_breaks_nothing_keeps_the_contract() {
    assert_eq!(failed_cases(None).await, [""; 0]);
}

#[tokio::test]
async fn a_store_that_breaks_a_clause_fails_the_case_of_that_clause() {
    let breaches = [
        (Breach::CreateOverwrites, "create_never_overwrites_a_record"),
        (
            Breach::CreateOverwritesTombstones,
            "create_never_overwrites_a_tombstone",
        ),
        (
            Breach::CreateIsNotAtomic,
            "exactly_one_of_concurrent_creates_wins",
        ),
        (
            Breach::ReplaceCreates,
            "replace_of_an_absent_record_creates_nothing",
        ),
        (
            Breach::ReplaceCreates,
            "replace_of_an_expired_record_creates_nothing",
        ),
        (
            Breach::ReplaceOverwritesTombstones,
            "replace_of_a_tombstone_creates_nothing",
        ),
        (
            Breach::ReplaceOverwritesTombstones,
            "a_deleted_session_stays_deleted_whatever_else_happens",
        ),
        (
            Breach::ReplaceIsNotAtomic,
            "exactly_one_of_concurrent_replaces_wins",
        ),
        (Breach::ReplaceIsNotAtomic, "no_write_is_lost_among_many"),
        (
            Breach::ReplaceIgnoresTheRevision,
            "replace_at_another_revision_is_a_conflict_with_the_current_record",
        ),
        (
            Breach::ReplaceKeepsTheExpiry,
            "replace_makes_the_lifetime_longer",
        ),
        (
            Breach::ReplaceKeepsTheExpiry,
            "replace_makes_the_lifetime_shorter",
        ),
        (
            Breach::ReplaceNeverKeepsTheExpiry,
            "replace_keeps_the_expiry_that_a_touch_has_set",
        ),
        (
            Breach::ReplaceOnlyProlongsWhatItKeeps,
            "replace_keeps_the_expiry_that_a_touch_has_set",
        ),
        (
            Breach::ResentReplaceIsAConflict,
            "a_replace_sent_twice_has_succeeded_and_changes_nothing",
        ),
        (
            Breach::OvertakenReplaceIsAConflict,
            "a_replace_sent_again_after_later_ones_has_succeeded_and_changes_nothing",
        ),
        (
            Breach::ResentReplaceMovesTheExpiry,
            "a_conflict_leaves_the_expiry_alone",
        ),
        (
            Breach::ConflictHandsBackNothing,
            "replace_at_another_revision_is_a_conflict_with_the_current_record",
        ),
        (
            Breach::TouchIgnoresTheRevision,
            "touch_at_another_revision_changes_nothing",
        ),
        (
            Breach::TouchOnlyProlongs,
            "touch_makes_the_lifetime_shorter",
        ),
        (
            Breach::TouchBringsBackWhatExpired,
            "touch_of_an_expired_record_creates_nothing",
        ),
        (Breach::NoTombstone, "delete_leaves_a_tombstone"),
        (
            Breach::NoTombstoneForTheAbsent,
            "delete_of_an_absent_record_leaves_a_tombstone",
        ),
        (
            Breach::TombstoneKeepsTheExpiry,
            "a_tombstone_outlasts_the_record_it_stands_for",
        ),
        (
            Breach::TombstoneForEver,
            "a_tombstone_ends_after_its_lifetime",
        ),
        (
            Breach::ReturnsExpired,
            "an_expired_record_is_never_returned",
        ),
        (Breach::WholeSeconds, "lifetimes_are_not_rounded_to_seconds"),
        (
            Breach::NothingIsForEver,
            "a_lifetime_of_zero_is_not_for_ever",
        ),
        (
            Breach::PanicsOnLongLifetimes,
            "very_long_lifetimes_are_kept",
        ),
        (Breach::OneNamespace, "namespaces_are_separate"),
        (Breach::OneForAll, "fresh_stores_are_separate"),
        (Breach::NoPrefix, "the_prefix_is_stable_and_not_empty"),
        (Breach::PrefixChanges, "the_prefix_is_stable_and_not_empty"),
        (Breach::ClonesAreCopies, "clones_are_the_same_store"),
        (Breach::TooSmall, "the_largest_record_is_kept"),
        (Breach::TextOnly, "every_byte_is_kept"),
        (Breach::AbsentIsATombstone, "an_absent_record_is_absent"),
        (
            Breach::TouchCreates,
            "touch_of_an_absent_record_creates_nothing",
        ),
        (
            Breach::UnreadableIsAbsent,
            "unreadable_bytes_are_left_as_they_are",
        ),
        (
            Breach::UnreadableCannotBeDeleted,
            "unreadable_bytes_can_be_deleted",
        ),
        (
            Breach::TouchDoesNotConfirm,
            "an_unconfirmed_session_is_confirmed_by_a_touch_and_by_a_write",
        ),
    ];
    let mut noticed = BTreeSet::new();
    for (breach, case) in breaches {
        let failed = failed_cases(Some(breach)).await;
        assert!(failed.contains(&case), "{breach:?} failed {failed:?}");
        noticed.extend(failed);
    }
    // A case that no store fails proves nothing.
    let idle: Vec<_> = CASES
        .iter()
        .filter(|case| !noticed.contains(*case))
        .collect();
    assert!(idle.is_empty(), "{idle:?}");
}

#[tokio::test]
async fn a_store_that_ignores_what_is_unconfirmed_fails_once_it_is_full() {
    let harness = CarelessHarness::new(None);
    let report = conformance::full_store_suite(&harness).await;
    // It has no limit, so what nobody uses stays.
    let failures: Vec<_> = report.failures().map(|(_, reason)| reason).collect();
    assert!(failures[0].contains("not Absent"), "{failures:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_end_fails_its_case() {
    let failed = failed_cases(Some(Breach::NeverAnswers)).await;
    assert!(failed.contains(&"an_absent_record_is_absent"));
}

#[tokio::test]
async fn a_report_lists_what_failed() {
    // It takes no raw bytes.
    let store = CarelessHarness::new(Some(Breach::NoTombstone))
        .store()
        .await;
    let harness = ManualTime::new(async |clock| Careless {
        clock,
        map: Arc::default(),
        ..store.clone()
    });
    let report = conformance::suite(&harness).await;
    assert!(!report.is_ok());
    assert_eq!(report.results().len(), CASES.len());
    assert!(
        report
            .failures()
            .any(|(name, _)| name == "delete_leaves_a_tombstone")
    );
    let text = report.to_string();
    assert!(text.contains("FAILED  delete_leaves_a_tombstone: found Absent, not Tombstone"));
    assert!(text.contains("skipped unreadable_bytes_can_be_deleted"));
}

#[tokio::test]
async fn a_case_that_does_not_exist_fails() {
    let outcome = conformance::case(&CarelessHarness::new(None), "there_is_no_spoon").await;
    assert!(matches!(outcome, Outcome::Failed(_)));
}
