use super::*;
use crate::store::MemoryStore;
use crate::store::testing::conformance::{sample_key, sample_record, sample_revision_of};

const TTL: Duration = Duration::from_secs(60);

fn store() -> (FaultStore<MemoryStore>, Faults) {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    (store, faults)
}

fn kind<T: fmt::Debug>(result: Result<T, StoreError>) -> StoreErrorKind {
    result.unwrap_err().kind()
}

async fn is_stored(store: &FaultStore<MemoryStore>, key: &RecordKey) -> bool {
    matches!(
        store.inner().load(key).await.unwrap(),
        Loaded::Record { .. }
    )
}

#[tokio::test]
async fn queued_faults_come_in_order_and_then_none() {
    let (store, faults) = store();
    let key = sample_key();
    faults.next(StoreCall::Load, Fault::Unavailable);
    faults.next(StoreCall::Load, Fault::Pass);
    faults.next(StoreCall::Load, Fault::Refused);
    assert_eq!(kind(store.load(&key).await), StoreErrorKind::Unavailable);
    assert!(store.delete(&key, None).await.is_ok());
    assert!(store.load(&key).await.is_ok());
    assert_eq!(kind(store.load(&key).await), StoreErrorKind::Refused);
    assert!(store.load(&key).await.is_ok());
    assert_eq!(faults.calls(StoreCall::Load), 4);
    assert_eq!(faults.calls(StoreCall::Delete), 1);
    assert_eq!(faults.all_calls(), 5);
}

#[tokio::test]
async fn a_lost_reply_leaves_the_change_and_a_lost_request_does_not() {
    let (store, faults) = store();
    let (one, other, record) = (sample_key(), sample_key(), sample_record("{}"));
    faults.next(StoreCall::Create, Fault::LostReply);
    faults.next(StoreCall::Create, Fault::LostRequest);
    for key in [&one, &other] {
        let result = store.create(key, &record.write(TTL)).await;
        assert_eq!(kind(result), StoreErrorKind::OutcomeUnknown);
    }
    assert!(is_stored(&store, &one).await);
    assert!(!is_stored(&store, &other).await);
}

#[tokio::test]
async fn late_calls_run_on_release_and_in_order() {
    let (store, faults) = store();
    let (key, first) = (sample_key(), sample_record("{}"));
    let second = sample_revision_of(&first, r#"{"n":2}"#);
    faults.next(StoreCall::Create, Fault::AppliedLate);
    faults.next(StoreCall::Replace, Fault::AppliedLate);
    let created = store.create(&key, &first.write(TTL)).await;
    assert_eq!(kind(created), StoreErrorKind::OutcomeUnknown);
    let replaced = store
        .replace(&key, first.revision(), &second.write(TTL))
        .await;
    assert_eq!(kind(replaced), StoreErrorKind::OutcomeUnknown);
    assert!(!is_stored(&store, &key).await);
    faults.release().await;
    let Loaded::Record { record, .. } = store.load(&key).await.unwrap() else {
        panic!("no late call ran");
    };
    assert_eq!(record.revision(), second.revision());
}

#[tokio::test]
async fn a_late_replace_does_not_resurrect_a_deleted_session() {
    let (store, faults) = store();
    let (key, first) = (sample_key(), sample_record("{}"));
    let second = sample_revision_of(&first, "{}");
    store.create(&key, &first.write(TTL)).await.unwrap();
    faults.next(StoreCall::Replace, Fault::AppliedLate);
    let result = store
        .replace(&key, first.revision(), &second.write(TTL))
        .await;
    assert_eq!(kind(result), StoreErrorKind::OutcomeUnknown);
    store.delete(&key, None).await.unwrap();
    faults.release().await;
    assert!(matches!(store.load(&key).await.unwrap(), Loaded::Tombstone));
}

#[tokio::test]
async fn another_call_can_overtake_a_waiting_call() {
    let (store, faults) = store();
    let (key, first) = (sample_key(), sample_record("{}"));
    let slow = sample_revision_of(&first, r#"{"by":"slow"}"#);
    let fast = sample_revision_of(&first, r#"{"by":"fast"}"#);
    store.create(&key, &first.write(TTL)).await.unwrap();
    faults.next(StoreCall::Replace, Fault::Hold);
    let waiting = tokio::spawn({
        let (store, key, expected) = (store.clone(), key.clone(), first.revision());
        async move { store.replace(&key, expected, &slow.write(TTL)).await }
    });
    faults.until_waiting(1).await;
    let result = store
        .replace(&key, first.revision(), &fast.write(TTL))
        .await;
    assert!(matches!(result.unwrap(), Replaced::Replaced));
    faults.release().await;
    let result = waiting.await.unwrap().unwrap();
    assert!(matches!(
        result,
        Replaced::Conflict(Loaded::Record { record, .. }) if record.revision() == fast.revision()
    ));
    assert_eq!(faults.waiting(), 0);
}

#[tokio::test]
async fn waiting_calls_are_released_one_by_one_and_dropped_ones_do_not_count() {
    let (store, faults) = store();
    let (key, record) = (sample_key(), sample_record("{}"));
    faults.always(StoreCall::Delete, Fault::HoldReply);
    faults.next(StoreCall::Load, Fault::Hang);
    store
        .inner()
        .create(&key, &record.write(TTL))
        .await
        .unwrap();
    let call = |store: FaultStore<MemoryStore>, key: RecordKey| {
        tokio::spawn(async move { store.delete(&key, None).await })
    };
    let dropped = call(store.clone(), key.clone());
    faults.until_waiting(1).await;
    assert!(!is_stored(&store, &key).await);
    let released = call(store.clone(), key.clone());
    let hung = tokio::spawn({
        let (store, key) = (store.clone(), key.clone());
        async move { store.load(&key).await }
    });
    faults.until_waiting(3).await;
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    assert_eq!(faults.waiting(), 2);
    assert!(faults.release_one(StoreCall::Delete));
    assert!(released.await.unwrap().is_ok());
    assert!(!faults.release_one(StoreCall::Delete));
    assert!(faults.release_one(StoreCall::Load));
    assert_eq!(kind(hung.await.unwrap()), StoreErrorKind::OutcomeUnknown);
}

#[tokio::test]
async fn a_store_that_is_down_fails_every_call_and_loses_nothing() {
    let (store, faults) = store();
    let (key, record) = (sample_key(), sample_record("{}"));
    store.create(&key, &record.write(TTL)).await.unwrap();
    faults.next(StoreCall::Load, Fault::Full);
    faults.down();
    assert_eq!(kind(store.load(&key).await), StoreErrorKind::Unavailable);
    assert_eq!(
        kind(store.delete(&key, None).await),
        StoreErrorKind::Unavailable
    );
    faults.up();
    assert_eq!(kind(store.load(&key).await), StoreErrorKind::Full);
    assert!(is_stored(&store, &key).await);
}

#[tokio::test(start_paused = true)]
async fn a_delayed_call_takes_the_given_time() {
    let (store, faults) = store();
    let delay = Duration::from_secs(3);
    faults.always(StoreCall::Load, Fault::Delay(delay));
    let start = tokio::time::Instant::now();
    store.load(&sample_key()).await.unwrap();
    assert_eq!(start.elapsed(), delay);
    faults.always(StoreCall::Load, Fault::Pass);
    store.load(&sample_key()).await.unwrap();
    assert_eq!(start.elapsed(), delay);
}
