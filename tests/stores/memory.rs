//! `MemoryStore` keeps the store contract.

use tower_keycard::Clock;
use tower_keycard::store::testing::conformance::{self, ManualTime};
use tower_keycard::store::testing::fault::FaultStore;
use tower_keycard::store::{AnyStore, MemoryStore};

fn memory(clock: Clock) -> MemoryStore {
    MemoryStore::builder().clock(clock).build()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_store_keeps_the_contract() {
    let harness = ManualTime::new(async |clock| memory(clock));
    conformance::suite(&harness).await.assert();
}

#[tokio::test]
async fn the_memory_store_keeps_the_contract_on_one_thread_and_without_its_type() {
    let harness = ManualTime::new(async |clock| AnyStore::new(memory(clock)));
    conformance::suite(&harness).await.assert();
}

#[tokio::test]
async fn a_store_without_faults_keeps_the_contract_of_the_one_it_wraps() {
    let harness = ManualTime::new(async |clock| FaultStore::new(memory(clock)));
    conformance::suite(&harness).await.assert();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_store_keeps_the_contract_of_an_index() {
    let harness = ManualTime::new(async |clock| memory(clock));
    conformance::index_suite(&harness).await.assert();
}

#[tokio::test]
async fn an_index_keeps_its_contract_on_one_thread_without_its_type_and_behind_faults() {
    let harness = ManualTime::new(async |clock| AnyStore::new(FaultStore::new(memory(clock))));
    conformance::index_suite(&harness).await.assert();
}

#[tokio::test]
async fn a_full_memory_store_keeps_the_contract_whatever_it_is_wrapped_in() {
    let small = |clock| {
        MemoryStore::builder()
            .clock(clock)
            .max_sessions(100)
            .build()
    };
    let harness = ManualTime::new(async |clock| AnyStore::new(FaultStore::new(small(clock))));
    conformance::full_store_suite(&harness).await.assert();
    let one = ManualTime::new(async |clock| {
        MemoryStore::builder()
            .clock(clock)
            .max_sessions(5)
            .reserved_for_users(2)
            .build()
    });
    conformance::full_store_suite(&one).await.assert();
}
