//! What every store keeps, of a store on one server. Those on several are in `tests/stores/topologies`.

use tower_keycard::AnyStore;

use crate::contract::{passes_every_case, passes_every_case_of_the_index};
use crate::support::redis_server::RedisServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_store_keeps_the_contract() {
    passes_every_case(&RedisServer::start(), |store| store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_store_behind_any_store_keeps_the_contract() {
    passes_every_case(&RedisServer::start(), AnyStore::new).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_store_keeps_the_contract_of_an_index() {
    passes_every_case_of_the_index(&RedisServer::start(), |store| store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_store_behind_any_store_keeps_the_contract_of_an_index() {
    passes_every_case_of_the_index(&RedisServer::start(), AnyStore::new).await;
}
