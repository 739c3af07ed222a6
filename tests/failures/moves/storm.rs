//! How many connections a store has while everything is torn down around it, and how many calls under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::support::redis_server::RedisServer;

const REQUESTS: usize = 1_000;
const KILLS: u32 = 100;

/// How many connections other than the looker's own the server has.
fn connections(server: &RedisServer) -> usize {
    let clients = server.cli(&["CLIENT", "LIST", "TYPE", "normal"]);
    let others =
        |line: &&str| !line.contains("cmd=client|list") && !line.contains("cmd=client|kill");
    clients.lines().filter(others).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_requests_and_kills_stays_within_the_connections_that_are_configured() {
    const CONNECTIONS: usize = 3;
    let _alone = alone().await;
    let server = RedisServer::start();
    let config = server.patiently().connections(CONNECTIONS);
    let app = app(config).await;
    let token = app.logged_in("alice").await;
    let stop = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicUsize::new(0));
    let requests: Vec<_> = (0..REQUESTS)
        .map(|number| {
            let (app, token) = (app.clone(), token.clone());
            let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let path = if number % 10 == 0 { "/write" } else { "/read" };
                    let answer = app.get(path, Some(&token)).await;
                    assert!(matches!(answer.status, 200 | 503), "{answer:?}");
                    served.fetch_add(usize::from(answer.status == 200), Ordering::Relaxed);
                }
            })
        })
        .collect();
    let most = tokio::task::block_in_place(|| {
        let mut most = 0;
        for _ in 0..KILLS {
            server.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
            most = most.max(connections(&server));
        }
        most
    });
    stop.store(true, Ordering::Relaxed);
    for request in requests {
        request.await.unwrap();
    }
    assert!(most <= CONNECTIONS, "{most} connections");
    assert!(served.load(Ordering::Relaxed) > REQUESTS);
    assert_eq!(app.get("/read", Some(&token)).await.status, 200);
    // All that are configured are used.
    for _ in 0..CONNECTIONS {
        app.get("/read", Some(&token)).await;
    }
    assert_eq!(connections(&server), CONNECTIONS);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_calls_than_may_be_under_way_are_refused_at_once() {
    const MOST: usize = 20;
    let _alone = alone().await;
    let server = RedisServer::start();
    let app = app(RedisConfig::new(server.url()).max_in_flight(MOST)).await;
    let token = app.logged_in("alice").await;
    server.pause();
    let stop = Arc::new(AtomicBool::new(false));
    let requests_at_once = (0..2 * MOST).map(|_| {
        let (app, token, stop) = (app.clone(), token.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(app.get("/read", Some(&token)).await.status, 503);
                // A refused call waits for nothing, and would leave the processor to no other task.
                tokio::task::yield_now().await;
            }
        })
    });
    let requests_at_once: Vec<_> = requests_at_once.collect();
    // While as many wait as may, another one does not.
    let refused = async || {
        let start = Instant::now();
        let answer = app.get("/read", Some(&token)).await;
        assert_eq!(answer.status, 503);
        (start.elapsed() < Duration::from_millis(50)).then_some(())
    };
    support::eventually("one too many is refused at once", refused).await;
    stop.store(true, Ordering::Relaxed);
    for requests in requests_at_once {
        requests.await.unwrap();
    }
    server.resume();
    let served = async || (app.get("/read", Some(&token)).await.status == 200).then_some(());
    support::eventually("there is room again", served).await;
}
