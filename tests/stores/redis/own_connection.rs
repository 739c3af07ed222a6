//! A store over a connection of the application's.

use super::*;
use crate::fake_server::FakeServer;
use crate::support::redis_server::RedisServer;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};

fn manager(url: &str) -> ConnectionManager {
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(1)
        .set_max_delay(Duration::from_millis(50));
    let client = redis::Client::open(url).unwrap();
    ConnectionManager::new_lazy_with_config(client, config).unwrap()
}

fn store(url: &str) -> RedisStore {
    RedisStore::from_connection_manager(manager(url), "own:", Duration::from_millis(300)).unwrap()
}

#[tokio::test]
async fn it_serves_a_store_and_the_application_alike() {
    let server = RedisServer::start();
    let connection = manager(&server.url());
    let timeout = Duration::from_millis(500);
    let store = RedisStore::from_connection_manager(connection.clone(), "own:", timeout).unwrap();
    serves(&store).await;
    let exists: bool = redis::cmd("EXISTS")
        .arg(format!("own:{}", key(1)))
        .query_async(&mut connection.clone())
        .await
        .unwrap();
    assert!(exists);
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused_on_the_first_call() {
    let oldest = FakeServer::before_hello("5.0.14").await;
    let old = FakeServer::saying("redis", "6.0.20").await;
    for (server, version) in [(&oldest, "5.0.14"), (&old, "6.0.20")] {
        let error = store(&server.url()).load(&key(1)).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{error:?}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains(version) && cause.contains("6.2"), "{cause}");
    }
}

#[tokio::test]
async fn calls_end_on_time_while_the_server_is_away_and_work_when_it_is_back() {
    let mut server = RedisServer::start();
    let store = store(&server.url());
    created(&store, &key(1)).await;
    server.kill();
    for _ in 0..3 {
        let start = std::time::Instant::now();
        store.load(&key(1)).await.unwrap_err();
        assert!(start.elapsed() < Duration::from_millis(700));
    }
    server.restart();
    let load = async || store.load(&key(1)).await.ok();
    support::eventually("the store is back", load).await;
}

#[tokio::test]
async fn an_empty_prefix_is_refused() {
    let connection = manager("redis://127.0.0.1:1");
    let error = RedisStore::from_connection_manager(connection, "", LONG).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
}
