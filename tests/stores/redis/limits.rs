//! Servers that are full, read-only, or busy.

use super::*;
use crate::support::deployment::Deployment;
use crate::support::redis_cluster::RedisCluster;
use crate::support::redis_server::RedisServer;
use tower_keycard::store::RedisConfig;
use tower_keycard::store::testing::conformance::{self, RealTime};

/// For calls that come in thousands, on a machine that runs other tests too.
fn patient(server: &RedisServer) -> RedisConfig {
    RedisConfig::new(server.url()).response_timeout(Duration::from_secs(30))
}

#[tokio::test]
async fn a_full_server_refuses_new_records_and_goes_on_serving_the_old() {
    let server = RedisServer::with(&["--maxmemory-policy", "noeviction"]);
    let store = RedisStore::connect(server.url()).await.unwrap();
    let record = created(&store, &key(1)).await;
    // So that the scripts are known and it is the memory that they fail for.
    assert!(
        store
            .touch(&key(1), record.revision(), LONG, None)
            .await
            .unwrap()
    );
    let next = sample_revision_of(&record, "{}");
    assert!(is_replaced(
        &store
            .replace(&key(1), record.revision(), &next.write(LONG))
            .await
            .unwrap()
    ));
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);

    let failed = [
        store
            .create(&key(2), &record.write(LONG))
            .await
            .unwrap_err(),
        store
            .replace(&key(1), next.revision(), &record.write(LONG))
            .await
            .unwrap_err(),
    ];
    for error in failed {
        assert_eq!(error.kind(), StoreErrorKind::Full, "{error:?}");
        assert_eq!(error.to_string(), "the session store is full");
    }
    assert_eq!(loaded(&store, &key(1)).await.0.revision(), next.revision());

    // Nobody is kept logged in because there is no room for a tombstone: it takes the record's.
    store.delete(&key(1), None).await.unwrap();
    store.delete(&key(3), None).await.unwrap();
    let deleted = store.load(&key(1)).await.unwrap();
    assert!(matches!(deleted, Loaded::Tombstone), "{deleted:?}");
    let life = server.cli(&["PTTL", &format!("keycard:{}", key(1))]);
    assert!((50_000..=60_000).contains(&life.parse().unwrap()), "{life}");
    assert_eq!(server.cli(&["DBSIZE"]), "1");

    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    store.create(&key(2), &record.write(LONG)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_or_cluster_evicts_unconfirmed_sessions_and_no_others() {
    let server = RedisServer::with(&["--maxmemory-policy", "noeviction"]);
    let _ = server.restricted();
    let harness = RealTime::new(async || {
        leave_room(|command| server.cli(command));
        // The prefix has no meaning as a pattern.
        RedisStore::connect(server.restricted().prefix("keycard:[a]*:"))
            .await
            .unwrap()
    });
    conformance::full_store_suite(&harness).await.assert();
    // What a replica may still ask for counts as used memory.
    let cluster = RedisCluster::with(&["--repl-backlog-size", "16kb"]);
    let harness = RealTime::new(async || {
        for number in cluster.primaries() {
            leave_room(|command| cluster.nodes[number].cli(command));
        }
        let config = cluster.config().response_timeout(Duration::from_secs(10));
        RedisStore::connect(config).await.unwrap()
    });
    conformance::full_store_suite(&harness).await.assert();
}

/// Leaves a server two megabytes: for its connections, which may take half of it, and for some hundred sessions.
fn leave_room(cli: impl Fn(&[&str]) -> String) {
    let info = cli(&["INFO", "memory"]);
    let used = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    let most = used.unwrap().trim().parse::<u64>().unwrap() + (2 << 20);
    assert_eq!(
        cli(&["CONFIG", "SET", "maxmemory", &most.to_string()]),
        "OK"
    );
}

#[tokio::test]
async fn a_server_that_became_a_replica_refuses_writes_and_is_left_as_soon_as_another_has_the_name()
{
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.unwrap();
    let record = created(&store, &key(1)).await;
    let connections = || {
        let info = server.cli(&["INFO", "stats"]);
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("total_connections_received:"));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    // Nobody listens on port 1: it is a replica, and stays as it is.
    server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    let before = connections();
    let (error, _) = support::eventually("a new connection", async || {
        let error = store
            .create(&key(2), &record.write(LONG))
            .await
            .unwrap_err();
        // One of them is that of `redis-cli`.
        (connections() > before + 1).then_some(error)
    })
    .await;
    assert_eq!(error.kind(), StoreErrorKind::Refused, "{error:?}");
    let replaced = store
        .replace(
            &key(1),
            record.revision(),
            &sample_revision_of(&record, "{}").write(LONG),
        )
        .await;
    assert_eq!(replaced.unwrap_err().kind(), StoreErrorKind::Refused);
    loaded(&store, &key(1)).await;
    server.cli(&["REPLICAOF", "NO", "ONE"]);
    store.create(&key(2), &record.write(LONG)).await.unwrap();
}

#[tokio::test]
async fn thousands_of_calls_at_once_share_one_connection_and_each_gets_its_own_answer() {
    let server = RedisServer::start();
    let store = RedisStore::connect(patient(&server)).await.unwrap();
    let calls: Vec<_> = (0..2_000)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let record = sample_record(&format!(r#"{{"n":{number}}}"#));
                store
                    .create(&key(number), &record.write(LONG))
                    .await
                    .unwrap();
                assert_eq!(
                    loaded(&store, &key(number)).await.0.encode(),
                    record.encode()
                );
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    let clients = server.cli(&["CLIENT", "LIST", "TYPE", "normal"]);
    // The store's, and that of `redis-cli`.
    assert_eq!(clients.lines().count(), 2, "{clients}");
}

#[tokio::test]
async fn the_answer_to_a_call_that_was_given_up_goes_to_no_other() {
    let server = RedisServer::start();
    let store = RedisStore::connect(patient(&server)).await.unwrap();
    for number in 0..50 {
        let record = sample_record(&format!(r#"{{"n":{number}}}"#));
        store
            .create(&key(number), &record.write(LONG))
            .await
            .unwrap();
    }
    let calls: Vec<_> = (0..2_000_u32)
        .map(|call| {
            let store = store.clone();
            tokio::spawn(async move {
                let number = call % 50;
                let (key, other) = (key(number), key((number + 1) % 50));
                // Polled now and then given up, at various places on its way.
                for polls in 0..call % 5 {
                    let mut abandoned = Box::pin(store.load(&other));
                    for _ in 0..=polls {
                        let polled = std::future::poll_fn(|context| {
                            std::task::Poll::Ready(abandoned.as_mut().poll(context).is_ready())
                        });
                        if polled.await {
                            break;
                        }
                        tokio::task::yield_now().await;
                    }
                }
                let found = loaded(&store, &key).await.0;
                assert_eq!(found.json(), format!(r#"{{"n":{number}}}"#));
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_a_long_script_keeps_busy_is_unavailable_and_nothing_was_changed() {
    let server = RedisServer::with(&["--lua-time-limit", "1"]);
    let store = RedisStore::connect(server.url()).await.unwrap();
    let record = created(&store, &key(1)).await;
    std::thread::scope(|scope| {
        scope.spawn(|| server.cli(&["EVAL", "while true do end", "0"]));
        while !server.cli(&["PING"]).starts_with("BUSY") {}
        let runtime = tokio::runtime::Handle::current();
        let failed = tokio::task::block_in_place(|| {
            runtime.block_on(async {
                [
                    store.load(&key(1)).await.unwrap_err(),
                    store
                        .create(&key(2), &record.write(LONG))
                        .await
                        .unwrap_err(),
                    store
                        .touch(&key(1), record.revision(), LONG, None)
                        .await
                        .unwrap_err(),
                    store.delete(&key(1), None).await.unwrap_err(),
                ]
            })
        });
        assert_eq!(server.cli(&["SCRIPT", "KILL"]), "OK");
        for error in failed {
            assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
        }
    });
    loaded(&store, &key(1)).await;
}

#[tokio::test]
async fn no_key_or_record_gets_into_the_error_of_a_server_that_repeats_what_it_does_not_know() {
    // The store would refuse such a server, but has been connected to a better one in its place.
    let directory = RedisServer::new_directory();
    let settings = directory.join("settings");
    std::fs::write(&settings, "").unwrap();
    let mut server = RedisServer::in_directory(&directory, &["--include", "{dir}/settings"]);
    let store = RedisStore::connect(server.patiently()).await.unwrap();
    server.kill();
    let without = ["GET", "EVALSHA", "EVAL"].map(|name| format!("rename-command {name} \"\"\n"));
    std::fs::write(&settings, without.concat()).unwrap();
    server.restart();
    let refused = async || {
        let error = store.load(&key(1)).await.unwrap_err();
        (error.kind() == StoreErrorKind::Refused).then_some(())
    };
    support::eventually("the store is back", refused).await;
    let record = created(&store, &key(1)).await;
    let next = sample_revision_of(&record, "{}");
    let load = store.load(&key(1)).await.unwrap_err();
    assert_eq!(load.kind(), StoreErrorKind::Refused);
    // The server repeats the bytes of the revision too, which are no text: that may not even be a reply.
    let replace = store
        .replace(&key(1), record.revision(), &next.write(LONG))
        .await
        .unwrap_err();
    let touch = store
        .touch(&key(1), record.revision(), LONG, None)
        .await
        .unwrap_err();
    for error in [load, replace, touch] {
        let cause = std::error::Error::source(&error).unwrap();
        let shown = format!("{error} {error:?} {cause}");
        assert!(
            !shown.contains("keycard:") && !shown.contains(r#""n""#),
            "{shown}"
        );
    }
}
