//! The store of `examples/custom_store.rs` keeps the contract.

#[allow(dead_code)] // `main`.
#[path = "../../examples/custom_store.rs"]
mod example;

#[tokio::test(flavor = "multi_thread")]
async fn the_store_of_the_example_keeps_the_contract() {
    example::run_suite().await.assert();
}
