//! What the store says of a server that goes away, stands still, or comes back. What clients get then is in `tests/failures/faults`.

use std::time::Instant;

use super::*;
use crate::fake_server::{FakeServer, hello};
use crate::support::eventually;
use crate::support::proxy::{Network, Proxy};
use crate::support::redis_server::{Monitor, RedisServer};
use tower_keycard::store::{RedisConfig, StoreError};

/// What a call may take over its deadline, on a busy machine.
const SLACK: Duration = Duration::from_millis(400);
const DEADLINE: Duration = Duration::from_millis(200);

fn config(url: impl Into<String>) -> RedisConfig {
    RedisConfig::new(url).response_timeout(DEADLINE)
}

/// The error of each kind of call, none of which may take longer than its deadline.
async fn failures(store: &RedisStore) -> Vec<(&'static str, StoreError)> {
    let record = sample_record("{}");
    let (key, revision) = (key(9), record.revision());
    let mut errors = Vec::new();
    macro_rules! fails {
        ($name:literal, $call:expr) => {{
            let start = Instant::now();
            errors.push(($name, $call.await.unwrap_err()));
            let taken = start.elapsed();
            assert!(taken < DEADLINE + SLACK, "{} took {taken:?}", $name);
        }};
    }
    fails!("load", store.load(&key));
    fails!("create", store.create(&key, &record.write(LONG)));
    fails!(
        "replace",
        store.replace(&key, revision, &record.write(LONG))
    );
    fails!("touch", store.touch(&key, revision, LONG, None));
    fails!("delete", store.delete(&key, None));
    errors
}

/// How long it takes until a call succeeds again.
async fn recovery(store: &RedisStore) -> Duration {
    let load = async || store.load(&key(1)).await.ok();
    eventually("the store is back", load).await.1
}

#[tokio::test]
async fn a_server_that_is_gone_is_known_to_have_been_sent_nothing() {
    let mut server = RedisServer::start();
    let store = RedisStore::connect(config(server.url())).await.unwrap();
    created(&store, &key(1)).await;
    server.kill();
    for (name, error) in failures(&store).await {
        // The first call may have been on its way; none of the others was.
        assert!(
            matches!(
                error.kind(),
                StoreErrorKind::Unavailable | StoreErrorKind::OutcomeUnknown
            ),
            "{name}: {error:?}"
        );
    }
    for (name, error) in failures(&store).await {
        assert_eq!(
            error.kind(),
            StoreErrorKind::Unavailable,
            "{name}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_comes_back_under_load_is_found_within_a_second() {
    let mut server = RedisServer::start();
    let store = RedisStore::connect(config(server.url())).await.unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let callers: Vec<_> = (0..100)
        .map(|number| {
            let (store, stop) = (store.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let start = Instant::now();
                    let _ = store.load(&key(number)).await;
                    assert!(start.elapsed() < DEADLINE + SLACK);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
        })
        .collect();
    server.kill();
    eventually("calls fail", async || store.load(&key(1)).await.err()).await;
    server.restart();
    let taken = recovery(&store).await;
    assert!(taken < Duration::from_secs(1), "{taken:?}");
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
}

#[tokio::test]
async fn a_change_sent_to_a_server_that_stands_still_is_unknown_and_later_ones_are_not_sent() {
    let server = RedisServer::start();
    let store = RedisStore::connect(config(server.url())).await.unwrap();
    created(&store, &key(1)).await;
    server.pause();
    let start = Instant::now();
    let error = store
        .create(&key(2), &sample_record("{}").write(LONG))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::OutcomeUnknown, "{error:?}");
    assert!(start.elapsed() >= DEADLINE, "{:?}", start.elapsed());
    // The connection was let go; on a new one nothing is sent before the server has answered.
    for (name, error) in failures(&store).await {
        assert_eq!(
            error.kind(),
            StoreErrorKind::Unavailable,
            "{name}: {error:?}"
        );
    }
}

#[tokio::test]
async fn callers_less_patient_than_the_store_do_not_keep_a_dead_connection_in_use() {
    let server = RedisServer::start();
    // The store would wait for a minute; those who call it do not.
    let patient = RedisConfig::new(server.url()).response_timeout(Duration::from_secs(60));
    let store = RedisStore::connect(patient).await.unwrap();
    created(&store, &key(1)).await;
    let clients = || server.cli(&["INFO", "stats"]);
    let before = received(&clients());
    server.pause();
    tokio::time::timeout(DEADLINE, store.load(&key(1)))
        .await
        .unwrap_err();
    server.resume();
    recovery(&store).await;
    // The store's new one, and those of `redis-cli` to ask.
    assert!(received(&clients()) >= before + 2);
}

/// The server is a network away that takes a while.
const DISTANCE: Duration = Duration::from_millis(200);

/// A load that is under way when this returns: the server has carried it out, and the answer is on the network.
async fn underway(
    store: &RedisStore,
    monitor: &mut Monitor,
) -> tokio::task::JoinHandle<Result<Loaded, StoreError>> {
    let load = tokio::spawn({
        let store = store.clone();
        async move { store.load(&key(1)).await }
    });
    let carried_out = async || (!monitor.commands().is_empty()).then_some(());
    eventually("the server has the load", carried_out).await;
    load
}

#[tokio::test]
async fn a_caller_that_gives_up_does_not_make_the_others_reconnect_who_are_answered() {
    let server = RedisServer::start();
    let mut monitor = server.monitor();
    let proxy = Proxy::to(server.port()).await;
    // The store would wait for a minute; one of those who call it does not.
    let patience = Duration::from_secs(60);
    let config = RedisConfig::new(proxy.url()).response_timeout(patience);
    let store = RedisStore::connect(config.connect_timeout(patience))
        .await
        .unwrap();
    created(&store, &key(1)).await;
    let before = proxy.connections();
    proxy.set(Network::Slow(DISTANCE));
    let one_gives_up = async || {
        monitor.commands();
        let mut other = underway(&store, &mut monitor).await;
        let begun = Instant::now();
        let key = key(2);
        let mut hasty = Box::pin(store.load(&key));
        let answered_together = tokio::select! {
            _ = &mut hasty => true,
            answer = &mut other => {
                answer.unwrap().unwrap();
                false
            }
        };
        // Its answer comes after the other's. A caller that waits for less than this is not even suspicious.
        let left = Duration::from_millis(110).saturating_sub(begun.elapsed());
        let answered = answered_together || tokio::time::timeout(left, hasty).await.is_ok();
        (!answered).then_some(())
    };
    eventually("a caller gives up", one_gives_up).await;
    proxy.set(Network::Fine);
    loaded(&store, &key(1)).await;
    assert_eq!(proxy.connections(), before);
}

#[tokio::test]
async fn a_call_that_times_out_does_not_make_the_others_reconnect_who_are_answered() {
    let server = RedisServer::start();
    let mut monitor = server.monitor();
    let proxy = Proxy::to(server.port()).await;
    let config = RedisConfig::new(proxy.url()).response_timeout(DISTANCE * 3 / 2);
    let store = RedisStore::connect(config).await.unwrap();
    created(&store, &key(1)).await;
    let one_times_out = async || {
        proxy.set(Network::Fine);
        recovery(&store).await;
        let before = proxy.connections();
        monitor.commands();
        proxy.set(Network::Slow(DISTANCE));
        let other = underway(&store, &mut monitor).await;
        let late = store.load(&key(2)).await.is_err();
        let other = other.await.unwrap().is_ok();
        proxy.set(Network::Fine);
        recovery(&store).await;
        (late && other).then(|| proxy.connections() - before)
    };
    let (more, _) = eventually("one of two calls times out", one_times_out).await;
    assert_eq!(more, 0);
}

#[tokio::test]
async fn writes_that_wait_for_each_others_replicas_do_not_make_each_other_reconnect() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port()).await;
    // There is no replica, so that each write blocks the connection for all of its timeout.
    let config = RedisConfig::new(proxy.url())
        .response_timeout(3 * DISTANCE)
        .wait_replicas(1, 2 * DISTANCE);
    let store = RedisStore::connect(config).await.unwrap();
    let kind = async |number| store.delete(&key(number), None).await.unwrap_err().kind();
    let in_time = async || (kind(1).await == StoreErrorKind::Unreplicated).then_some(());
    let is_free = async || eventually("the connection is free", in_time).await;
    let one_is_late = async || {
        is_free().await;
        let before = proxy.connections();
        let (one, other) = tokio::join!(kind(2), kind(3));
        let late = [one, other].contains(&StoreErrorKind::OutcomeUnknown);
        let in_time = [one, other].contains(&StoreErrorKind::Unreplicated);
        is_free().await;
        (late && in_time).then(|| proxy.connections() - before)
    };
    let (more, _) = eventually("one of two writes comes too late", one_is_late).await;
    assert_eq!(more, 0);
}

fn received(info: &str) -> u64 {
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("total_connections_received:"));
    line.unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn a_listener_that_never_answers_costs_a_call_no_more_than_its_deadline() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let store = RedisStore::connect_lazily(config(&url)).unwrap();
    for (name, error) in failures(&store).await {
        assert_eq!(
            error.kind(),
            StoreErrorKind::Unavailable,
            "{name}: {error:?}"
        );
    }
    let start = Instant::now();
    let hasty = config(&url).connect_timeout(DEADLINE);
    let error = RedisStore::connect(hasty).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.to_string().contains("does not answer"), "{error}");
    assert!(start.elapsed() < DEADLINE + SLACK);
}

#[tokio::test]
async fn many_calls_that_wait_for_a_connection_wait_for_one() {
    let attempts = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = attempts.clone();
    let server = FakeServer::start(move |command| match &command[0][..] {
        "HELLO" => {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            hello("redis", "7.4.0")
        }
        "GET" => "_\r\n".to_owned(),
        _ => "-ERR\r\n".to_owned(),
    })
    .await;
    let store = RedisStore::connect_lazily(server.url()).unwrap();
    let calls: Vec<_> = (0..500)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.load(&key(number)).await.unwrap() })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    // One to set the protocol, one to ask for the version.
    assert_eq!(attempts.load(std::sync::atomic::Ordering::Relaxed), 2);
}

#[tokio::test]
async fn an_attempt_to_connect_goes_on_when_the_call_that_began_it_is_given_up() {
    let server = RedisServer::start();
    let store = RedisStore::connect_lazily(RedisConfig::new(server.url())).unwrap();
    server.pause();
    tokio::time::timeout(Duration::from_millis(20), store.load(&key(1)))
        .await
        .unwrap_err();
    server.resume();
    // On the same attempt: one connection was made in all.
    store.load(&key(1)).await.unwrap();
    let clients = server.cli(&["CLIENT", "LIST", "TYPE", "normal"]);
    assert_eq!(clients.lines().count(), 2, "{clients}");
}
