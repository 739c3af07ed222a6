use super::room::is_anonymous;
use super::shard::DUE_PER_CALL;
use super::slab::number_of;
use super::*;
use crate::store::testing::OwnedWrite;
use crate::store::testing::conformance::{
    sample_anonymous, sample_key, sample_login, sample_login_of, sample_record, sample_revision_of,
};

const MINUTE: Duration = Duration::from_secs(60);

fn store(max: usize) -> (MemoryStore, Clock) {
    let clock = Clock::manual(Timestamp::from_millis(1_000_000));
    let builder = MemoryStore::builder().max_sessions(max);
    (builder.clock(clock.clone()).build(), clock)
}

impl MemoryStore {
    fn entries(&self) -> usize {
        // All locks at once. Otherwise an entry that is freed and the one that takes its place in another shard both count.
        let shards: Vec<_> = self.0.shards.iter().map(Shard::lock).collect();
        shards.iter().map(|state| state.entries.len()).sum()
    }

    /// Checks the invariants between the parts of the store.
    fn check(&self) {
        let (mut entries, mut anonymous) = (0, 0);
        for shard in &self.0.shards {
            let state = shard.lock();
            for (number, (key, entry)) in state.entries.iter().enumerate() {
                let number = number_of(number);
                assert_eq!(state.entries.find(key), Some(number));
                assert!(state.queue.at(number) <= entry.life.expires());
                let evictable = state.unconfirmed.contains(&(entry.life, number));
                assert_eq!(evictable, entry.life.is_unconfirmed());
                assert!(!entry.life.is_unconfirmed() || entry.record.is_some());
                anonymous += usize::from(is_anonymous(entry.record.as_ref()));
            }
            let unconfirmed = state
                .entries
                .iter()
                .filter(|(_, entry)| entry.life.is_unconfirmed());
            assert_eq!(state.unconfirmed.len(), unconfirmed.count());
            let records = state.entries.iter();
            let records = records.filter(|(_, entry)| entry.record.is_some()).count();
            assert_eq!(state.records, records);
            let front = state
                .queue
                .first()
                .map_or(u64::MAX, |(at, _)| at.as_millis());
            assert!(shard.next_due.load(Ordering::Acquire) <= front);
            entries += state.entries.len();
        }
        assert_eq!(self.0.room.counted(), [entries, anonymous]);
        assert!(entries <= self.0.room.max_entries());
    }
}

async fn fill(store: &MemoryStore, count: usize, ttl: Duration) -> Vec<RecordKey> {
    let record = sample_record("{}");
    let keys: Vec<_> = (0..count).map(|_| sample_key()).collect();
    for key in &keys {
        let created = store.create(key, &record.write(ttl)).await.unwrap();
        assert_eq!(created, Created::Created);
    }
    keys
}

async fn is_full(store: &MemoryStore) -> bool {
    let created = store
        .create(&sample_key(), &sample_record("{}").write(MINUTE))
        .await;
    created.is_err_and(|error| error.kind() == StoreErrorKind::Full)
}

#[tokio::test]
async fn a_full_store_refuses_new_sessions_until_old_ones_expire() {
    let (store, clock) = store(100);
    let long = fill(&store, 40, MINUTE * 2).await;
    fill(&store, 60, MINUTE).await;
    clock.advance(MINUTE - Duration::from_millis(1));
    assert!(is_full(&store).await);
    assert_eq!(store.len(), 100);
    clock.advance(Duration::from_millis(1));
    // No call asks for the expired ones.
    fill(&store, 60, MINUTE).await;
    assert!(is_full(&store).await);
    store.check();
    for key in &long {
        assert!(matches!(
            store.load(key).await.unwrap(),
            Loaded::Record { .. }
        ));
    }
}

#[tokio::test]
async fn tombstones_count_as_entries_until_they_expire() {
    let (store, clock) = store(10);
    for key in fill(&store, 10, MINUTE * 60).await {
        store.delete(&key, None).await.unwrap();
        assert!(matches!(store.load(&key).await.unwrap(), Loaded::Tombstone));
    }
    assert!(store.is_empty());
    assert!(is_full(&store).await);
    store.check();
    clock.advance(TOMBSTONE_LIFETIME);
    fill(&store, 10, MINUTE).await;
    store.check();
}

#[tokio::test]
async fn deleting_an_absent_session_does_not_grow_a_full_store() {
    let (store, clock) = store(3);
    let keys = fill(&store, 2, MINUTE).await;
    let (one, other) = (sample_key(), sample_key());
    store.delete(&one, None).await.unwrap();
    store.delete(&other, None).await.unwrap();
    assert!(matches!(store.load(&one).await.unwrap(), Loaded::Tombstone));
    assert!(matches!(store.load(&other).await.unwrap(), Loaded::Absent));
    assert_eq!(store.entries(), 3);
    // An expired entry is freed for a tombstone, too, whether it is the session's own or another one's.
    clock.advance(MINUTE);
    store.delete(&keys[0], None).await.unwrap();
    store.delete(&other, None).await.unwrap();
    assert!(matches!(
        store.load(&keys[0]).await.unwrap(),
        Loaded::Tombstone
    ));
    assert!(matches!(
        store.load(&other).await.unwrap(),
        Loaded::Tombstone
    ));
    store.check();
}

#[tokio::test]
async fn expired_entries_are_freed_by_calls_for_another_session() {
    let (store, clock) = store(10_000);
    fill(&store, 5_000, MINUTE).await;
    let only = fill(&store, 1, MINUTE * 2).await.remove(0);
    clock.advance(MINUTE);
    for _ in 0..(5_000 / DUE_PER_CALL + SHARDS) * 2 {
        store.load(&only).await.unwrap();
    }
    assert_eq!(store.entries(), 1);
    store.check();
}

#[tokio::test]
async fn one_call_frees_only_a_few() {
    let (store, clock) = store(10_000);
    fill(&store, 10_000, MINUTE).await;
    clock.advance(MINUTE);
    store.load(&sample_key()).await.unwrap();
    assert!(store.entries() >= 10_000 - DUE_PER_CALL);
    let left = store.entries();
    assert_eq!(store.purge_expired(), left);
    assert_eq!(store.entries(), 0);
    store.check();
}

#[tokio::test]
async fn a_session_touched_a_million_times_takes_no_more_memory() {
    let (store, clock) = store(10);
    let (key, record) = (sample_key(), sample_record("{}"));
    store.create(&key, &record.write(MINUTE)).await.unwrap();
    for round in 0..1_000_000_u32 {
        // The expiry moves to later times, to earlier times, and past the queued time.
        let ttl = MINUTE * (1 + round % 3);
        assert!(
            store
                .touch(&key, record.revision(), ttl, None)
                .await
                .unwrap()
        );
        if round % 1000 == 0 {
            clock.advance(MINUTE / 2);
        }
    }
    assert_eq!(store.entries(), 1);
    store.check();
    clock.advance(MINUTE * 3);
    assert_eq!(store.purge_expired(), 1);
    store.check();
}

#[tokio::test]
async fn a_session_whose_lifetime_was_extended_outlives_its_first_expiry() {
    let (store, clock) = store(10);
    let (key, record) = (sample_key(), sample_record("{}"));
    store.create(&key, &record.write(MINUTE)).await.unwrap();
    clock.advance(MINUTE / 2);
    assert!(
        store
            .touch(&key, record.revision(), MINUTE, None)
            .await
            .unwrap()
    );
    clock.advance(MINUTE / 2);
    assert_eq!(store.purge_expired(), 0);
    assert_eq!(store.len(), 1);
    store.check();
    clock.advance(MINUTE / 2);
    assert_eq!(store.purge_expired(), 1);
    assert!(store.is_empty());
}

#[tokio::test]
async fn a_session_ends_at_its_expiry_and_not_before() {
    let (store, clock) = store(10);
    let key = fill(&store, 1, MINUTE).await.remove(0);
    clock.advance(MINUTE - Duration::from_millis(1));
    let Loaded::Record { remaining, .. } = store.load(&key).await.unwrap() else {
        panic!("it expired too early");
    };
    assert_eq!(remaining, Duration::from_millis(1));
    clock.advance(Duration::from_millis(1));
    assert!(matches!(store.load(&key).await.unwrap(), Loaded::Absent));
}

#[tokio::test]
async fn the_slabs_shrink_after_a_time_of_high_load() {
    let (store, clock) = store(200_000);
    fill(&store, 100_000, MINUTE).await;
    clock.advance(MINUTE);
    store.purge_expired();
    for shard in &store.0.shards {
        assert!(shard.lock().entries.capacity() <= 1024);
    }
}

#[test]
fn exactly_one_of_many_threads_replaces_a_revision() {
    let (store, _clock) = store(10);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for _ in 0..100 {
        let (key, first) = (sample_key(), sample_record("{}"));
        runtime
            .block_on(store.create(&key, &first.write(MINUTE)))
            .unwrap();
        let start = std::sync::Barrier::new(8);
        let winners = std::thread::scope(|scope| {
            let replace = || {
                let next = sample_revision_of(&first, "{}");
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                start.wait();
                let replaced =
                    runtime.block_on(store.replace(&key, first.revision(), &next.write(MINUTE)));
                matches!(replaced.unwrap(), Replaced::Replaced)
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(replace)).collect();
            let won = threads.into_iter().map(|thread| thread.join().unwrap());
            won.filter(|won| *won).count()
        });
        assert_eq!(winners, 1);
        runtime.block_on(store.delete(&key, None)).unwrap();
        store.0.clock.advance(TOMBSTONE_LIFETIME);
    }
}

#[test]
fn many_threads_never_exceed_the_limit_and_use_all_of_it() {
    let (store, clock) = store(500);
    std::thread::scope(|scope| {
        for thread in 0..8_usize {
            let (store, clock) = (&store, &clock);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    for round in 0..2_000 {
                        let (key, record) = (sample_key(), sample_record("{}"));
                        store.create(&key, &record.write(MINUTE)).await.ok();
                        if round % 3 == thread % 3 {
                            store.delete(&key, None).await.unwrap();
                        }
                        if round % 100 == 0 {
                            clock.advance(MINUTE / 8);
                        }
                        assert!(store.entries() <= 500);
                    }
                });
            });
        }
    });
    store.check();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        clock.advance(MINUTE);
        fill(&store, 500, MINUTE).await;
        assert!(is_full(&store).await);
    });
    store.check();
}

#[tokio::test]
async fn sessions_spread_over_all_shards() {
    let (store, _clock) = store(64 * SHARDS);
    fill(&store, 64 * SHARDS, MINUTE).await;
    for shard in &store.0.shards {
        let entries = shard.lock().entries.len();
        // 64 on average, with a standard deviation of 8.
        assert!((4..124).contains(&entries), "{entries}");
    }
}

#[tokio::test]
async fn a_write_is_not_mistaken_for_an_earlier_one_with_a_similar_revision() {
    let (store, _clock) = store(10);
    let (key, first) = (sample_key(), sample_record("{}"));
    store.create(&key, &first.write(MINUTE)).await.unwrap();
    let second = sample_revision_of(&first, r#"{"n":2}"#);
    let replaced = store
        .replace(&key, first.revision(), &second.write(MINUTE))
        .await;
    assert!(matches!(replaced, Ok(Replaced::Replaced)));

    let mut alike = first.revision();
    alike.0[0] ^= 1;
    let mut header = second.header().clone();
    header.revise(alike);
    let data = sample_record(r#"{"n":3}"#).data().clone();
    let third = Record::new(header, data);
    let replaced = store
        .replace(&key, second.revision(), &Write::new(&third, MINUTE))
        .await;
    assert!(matches!(replaced, Ok(Replaced::Replaced)));
    match store.load(&key).await.unwrap() {
        Loaded::Record { record, .. } => assert_eq!(record.json(), r#"{"n":3}"#),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_empty_prefix_is_replaced_by_the_default() {
    let prefix = |prefix: &str| {
        let store = MemoryStore::builder().prefix(prefix).build();
        SessionStore::prefix(&store).to_owned()
    };
    assert_eq!(prefix(""), "keycard:");
    assert_eq!(prefix("shop:"), "shop:");
}

#[tokio::test]
async fn printing_a_store_shows_no_session() {
    let (store, _clock) = store(10);
    let key = fill(&store, 1, MINUTE).await.remove(0);
    assert!(!format!("{store:?}").contains(key.id().as_str()));
}

/// Whether the store has these sessions.
async fn has<const N: usize>(store: &MemoryStore, keys: [&RecordKey; N]) -> [bool; N] {
    let mut found = [false; N];
    for (found, key) in found.iter_mut().zip(keys) {
        *found = matches!(store.load(key).await.unwrap(), Loaded::Record { .. });
    }
    found
}

async fn create(store: &MemoryStore, write: &OwnedWrite) -> Result<RecordKey, StoreErrorKind> {
    let key = sample_key();
    let created = store.create(&key, &write.write(HOUR)).await;
    let created = created.map_err(|error| error.kind())?;
    assert_eq!(created, Created::Created);
    Ok(key)
}

async fn replace(store: &MemoryStore, key: &RecordKey, old: &OwnedWrite, new: &OwnedWrite) {
    let replaced = store.replace(key, old.revision(), &new.write(HOUR)).await;
    assert!(matches!(replaced, Ok(Replaced::Replaced)));
}

/// The write of a new session whose token has not come back.
fn unconfirmed() -> OwnedWrite {
    sample_anonymous().unconfirmed()
}

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn a_full_store_evicts_the_oldest_unconfirmed_session_and_no_other() {
    let (store, clock) = store(100);
    let mut confirmed = Vec::new();
    for number in 0..30 {
        clock.advance(Duration::from_millis(1));
        let write = unconfirmed();
        let key = create(&store, &write).await.unwrap();
        // Each in its way: by a touch, by a write, and by a login.
        let next = sample_revision_of(&write, "{}");
        match number % 3 {
            0 => assert!(
                store
                    .touch(&key, write.revision(), HOUR, None)
                    .await
                    .unwrap()
            ),
            1 => {
                replace(&store, &key, &write, &next).await;
            }
            _ => {
                let login = sample_login_of(&write, "alice", HOUR);
                replace(&store, &key, &write, &login).await;
            }
        }
        confirmed.push(key);
    }
    let mut flood = Vec::new();
    for _ in 0..1_000 {
        clock.advance(Duration::from_millis(1));
        flood.push(create(&store, &unconfirmed()).await.unwrap());
        assert!(store.entries() <= 100);
    }
    store.check();
    for key in &confirmed {
        assert_eq!(has(&store, [key]).await, [true]);
    }
    // A quarter is for users; twenty sessions without a user are confirmed.
    let kept = flood.split_off(flood.len() - (75 - 20));
    for (keys, here) in [(&flood, false), (&kept, true)] {
        for key in keys {
            assert_eq!(has(&store, [key]).await, [here]);
        }
    }
    assert_eq!(store.evicted(), flood.len() as u64);
    let user = sample_login("alice", HOUR);
    for _ in 0..(100 - 30) {
        create(&store, &user).await.unwrap();
    }
    // The rest is the users', and the oldest of the unconfirmed have made way for them.
    assert_eq!(
        store
            .0
            .shards
            .iter()
            .map(|shard| shard.lock().unconfirmed.len())
            .sum::<usize>(),
        0
    );
    assert_eq!(create(&store, &user).await, Err(StoreErrorKind::Full));
    assert_eq!(
        create(&store, &unconfirmed()).await,
        Err(StoreErrorKind::Full)
    );
    for key in &confirmed {
        assert_eq!(has(&store, [key]).await, [true]);
    }
    store.check();
}

#[tokio::test]
async fn some_room_is_only_for_sessions_with_a_user() {
    let (_, clock) = store(0);
    for (reserved, anonymous) in [(None, 75), (Some(0), 100), (Some(40), 60), (Some(1_000), 0)] {
        let mut builder = MemoryStore::builder()
            .max_sessions(100)
            .clock(clock.clone());
        if let Some(reserved) = reserved {
            builder = builder.reserved_for_users(reserved);
        }
        let store = builder.build();
        for _ in 0..anonymous {
            create(&store, &sample_anonymous()).await.unwrap();
        }
        assert_eq!(
            create(&store, &sample_anonymous()).await,
            Err(StoreErrorKind::Full)
        );
        assert_eq!(
            create(&store, &unconfirmed()).await,
            Err(StoreErrorKind::Full)
        );
        let mut last = None;
        for _ in anonymous..100 {
            last = Some(create(&store, &sample_login("alice", HOUR)).await.unwrap());
        }
        assert_eq!(
            create(&store, &sample_login("alice", HOUR)).await,
            Err(StoreErrorKind::Full)
        );
        store.check();
        // A tombstone is nobody's.
        if let Some(last) = last {
            store.delete(&last, None).await.unwrap();
            store.check();
        }
        clock.advance(HOUR);
        assert!(store.is_empty());
        store.check();
    }
}

#[tokio::test]
async fn an_unconfirmed_session_stays_so_until_a_touch_or_a_write_confirms_it() {
    let (store, _clock) = store(10);
    let is_unconfirmed = async |key: &RecordKey| match store.load(key).await.unwrap() {
        Loaded::Record { unconfirmed, .. } => unconfirmed,
        other => panic!("{other:?}"),
    };
    let write = unconfirmed();
    let key = create(&store, &write).await.unwrap();
    assert!(is_unconfirmed(&key).await);
    let next = sample_revision_of(&write, "{}").unconfirmed();
    replace(&store, &key, &write, &next).await;
    assert!(is_unconfirmed(&key).await);
    assert!(
        store
            .touch(&key, next.revision(), HOUR, None)
            .await
            .unwrap()
    );
    assert!(!is_unconfirmed(&key).await);
    store.check();
}

#[test]
fn many_threads_that_flood_a_store_evict_no_confirmed_session() {
    let (store, clock) = store(500);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let (store, clock) = (&store, &clock);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    let mut confirmed = Vec::new();
                    for round in 0..2_000 {
                        let write = unconfirmed();
                        let key = create(store, &write).await.unwrap();
                        let touched = store.touch(&key, write.revision(), HOUR, None);
                        // Another thread may have evicted it first.
                        if round % 100 == 0 && touched.await.unwrap() {
                            confirmed.push(key);
                        }
                        if round % 50 == 0 {
                            clock.advance(Duration::from_millis(1));
                        }
                        assert!(store.entries() <= 500);
                    }
                    for key in &confirmed {
                        assert_eq!(has(store, [key]).await, [true]);
                    }
                });
            });
        }
    });
    store.check();
}

#[tokio::test]
async fn a_confirmed_session_takes_no_memory_for_the_order_of_the_unconfirmed() {
    assert!(size_of::<slab::Entry>() <= size_of::<[u64; 2]>());
    let store = MemoryStore::new();
    let (key, write) = (sample_key(), sample_login("alice", MINUTE));
    store.create(&key, &write.write(MINUTE)).await.unwrap();
    let shards = store.0.shards.iter();
    assert!(
        shards
            .map(|shard| shard.lock().unconfirmed.len())
            .eq([0; SHARDS])
    );
}
