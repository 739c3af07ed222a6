//! What can be connected to, and the error where it cannot.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::fake_server::{FakeServer, hello};
use crate::support::redis_sentinel::Sentinel;
use crate::support::redis_server::{RedisServer, free_port};
use tower_keycard::store::{RedisConfig, RedisStoreError};

async fn refused(config: impl Into<RedisConfig>) -> RedisStoreError {
    let error = RedisStore::connect(config).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
    error
}

#[tokio::test]
async fn the_password_opens_and_a_wrong_one_is_refused_without_being_repeated() {
    let server = RedisServer::with_password("s3cret");
    let store = RedisStore::connect(server.url()).await.unwrap();
    created(&store, &key(1)).await;
    let address = format!("redis://127.0.0.1:{}", server.port());
    for config in [
        RedisConfig::new(&address),
        RedisConfig::new(&address).password("wr0ng"),
        RedisConfig::new(&address)
            .username("nobody")
            .password("wr0ng"),
    ] {
        let error = refused(config.clone()).await;
        let shown = format!("{error} {error:?}");
        assert!(
            shown.contains("127.0.0.1") && !shown.contains("wr0ng"),
            "{shown}"
        );
        let lazy = RedisStore::connect_lazily(config).unwrap();
        assert_eq!(
            lazy.load(&key(1)).await.unwrap_err().kind(),
            StoreErrorKind::Refused
        );
    }
}

#[tokio::test]
async fn a_database_number_is_used_and_one_that_is_not_there_is_refused() {
    let server = RedisServer::start();
    let store = RedisStore::connect(format!("{}/3", server.url()))
        .await
        .unwrap();
    created(&store, &key(1)).await;
    assert_eq!(server.cli(&["-n", "3", "DBSIZE"]), "1");
    assert_eq!(server.cli(&["DBSIZE"]), "0");
    refused(format!("{}/4711", server.url())).await;
}

#[tokio::test]
async fn a_unix_socket_is_as_good_as_a_port() {
    let server = RedisServer::with(&["--unixsocket", "{dir}/socket"]);
    let path = server.directory().join("socket").display().to_string();
    for url in [
        format!("redis+unix://{path}?db=1"),
        format!("unix://{path}?db=1"),
    ] {
        let store = RedisStore::connect(url).await.unwrap();
        store.delete(&key(1), None).await.unwrap();
    }
    assert_eq!(server.cli(&["-n", "1", "DBSIZE"]), "1");
    let error = RedisStore::connect("redis+unix:///nowhere/socket")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn no_server_is_unavailable_and_says_where_it_was_sought() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = RedisStore::connect(format!("redis://:s3cret@127.0.0.1:{port}"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let shown = error.to_string();
    assert!(shown.contains(&format!("127.0.0.1:{port}")), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[tokio::test]
async fn a_redis_that_is_too_old_is_refused_with_its_version_and_what_is_needed() {
    let oldest = FakeServer::before_hello("5.0.14").await;
    let old = FakeServer::saying("redis", "6.0.20").await;
    for (server, version) in [(&oldest, "5.0.14"), (&old, "6.0.20")] {
        let config = RedisConfig::new(server.url()).password("s3cret");
        let shown = refused(config.clone()).await.to_string();
        let wanted = format!("has version {version}; Redis 6.2 or newer, or Valkey, is needed");
        assert!(shown.contains(&wanted), "{shown}");
        assert!(!shown.contains("s3cret"), "{shown}");

        let store = RedisStore::connect_lazily(config).unwrap();
        let record = sample_record("{}");
        for _ in 0..2 {
            let errors = [
                store.load(&key(1)).await.unwrap_err(),
                store
                    .create(&key(1), &record.write(LONG))
                    .await
                    .unwrap_err(),
                store.delete(&key(1), None).await.unwrap_err(),
            ];
            for error in errors {
                assert_eq!(error.kind(), StoreErrorKind::Refused, "{error:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_server_of_another_kind_than_the_url_is_refused_with_the_url_for_it() {
    let server = RedisServer::with_password("s3cret");
    let bus = free_port().to_string();
    let node = ["--cluster-enabled", "yes", "--cluster-port", &bus];
    let node = RedisServer::with(&[&node[..], &["--requirepass", "s3cret"]].concat());
    let sentinel = Sentinel::watching(server.port(), |port| {
        let watched = server.port();
        format!("port {port}\nrequirepass s3cret\nsentinel monitor shop 127.0.0.1 {watched} 1\n")
    });
    let (server, node, sentinel) = (server.port(), node.port(), sentinel.port());
    for (scheme, port, path, is, url) in [
        (
            "redis",
            node,
            "",
            "a node of a cluster",
            format!("redis+cluster://127.0.0.1:{node}"),
        ),
        (
            "redis",
            sentinel,
            "",
            "a sentinel",
            format!("redis+sentinel://127.0.0.1:{sentinel}/"),
        ),
        (
            "redis+cluster",
            server,
            "",
            "not part of",
            format!("redis://127.0.0.1:{server}"),
        ),
        (
            "redis+cluster",
            sentinel,
            "",
            "a sentinel",
            format!("redis+sentinel://127.0.0.1:{sentinel}/"),
        ),
        (
            "redis+sentinel",
            server,
            "/shop",
            "no sentinel",
            format!("redis://127.0.0.1:{server}"),
        ),
        (
            "redis+sentinel",
            node,
            "/shop",
            "no sentinel",
            format!("redis://127.0.0.1:{node}"),
        ),
    ] {
        let config = RedisConfig::new(format!("{scheme}://127.0.0.1:{port}{path}"));
        let config = match scheme {
            "redis+sentinel" => config.sentinel_password("s3cret"),
            _ => config.password("s3cret"),
        };
        let shown = refused(config.clone()).await.to_string();
        let wanted = format!("127.0.0.1:{port} is {is}");
        assert!(
            shown.contains(&wanted) && shown.contains(&url),
            "{scheme}: {shown}"
        );
        assert!(!shown.contains("s3cret"), "{shown}");
        let lazy = RedisStore::connect_lazily(config).unwrap();
        let error = lazy.load(&key(1)).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{error:?}");
    }
}

#[tokio::test]
async fn a_user_without_a_password_is_logged_in() {
    let server = RedisServer::start();
    server.cli(&[
        "ACL",
        "SETUSER",
        "guest",
        "on",
        "nopass",
        "~keycard:*",
        "+@all",
    ]);
    server.cli(&["ACL", "SETUSER", "default", "off"]);
    let url = |user| format!("redis://{user}127.0.0.1:{}", server.port());
    let option = RedisConfig::new(url("")).username("guest");
    let urls = ["guest@", "guest:@"].map(|user| RedisConfig::new(url(user)));
    for (number, config) in (1..).zip(urls.into_iter().chain([option])) {
        let store = RedisStore::connect(config).await.unwrap();
        created(&store, &key(number)).await;
    }
    // It is that user's right, and no other's.
    refused(url("")).await;
    refused(url("nobody@")).await;
}

#[tokio::test]
async fn every_valkey_is_new_enough() {
    let server = FakeServer::saying("valkey", "8.1.0").await;
    RedisStore::connect(server.url()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_answers_nonsense_is_no_session_store() {
    let server = FakeServer::start(|_| "HTTP/1.1 400 Bad Request\r\n\r\n".to_owned()).await;
    let error = RedisStore::connect(server.url()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn a_server_that_serves_nothing_at_the_moment_passes_no_check() {
    for answer in [
        "LOADING Redis is loading the dataset in memory",
        "BUSY Redis is busy running a script.",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "CLUSTERDOWN The cluster is down",
    ] {
        let serves = Arc::new(AtomicBool::new(false));
        let says = serves.clone();
        let server = FakeServer::start(move |command| match command[0].to_uppercase().as_str() {
            "HELLO" => hello("redis", "7.2.4"),
            _ if says.load(Ordering::Relaxed) => {
                "-NOPERM User shop has no permissions to run the 'get' command\r\n".to_owned()
            }
            _ => format!("-{answer}\r\n"),
        })
        .await;
        let error = RedisStore::connect(server.url()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains(answer), "{error}");
        let store = RedisStore::connect_lazily(server.url()).unwrap();
        for _ in 0..2 {
            let error = store.load(&key(1)).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
        }
        // The checks are made as soon as it serves.
        serves.store(true, Ordering::Relaxed);
        let refused = async || {
            let error = store.load(&key(1)).await.unwrap_err();
            (error.kind() == StoreErrorKind::Refused).then_some(())
        };
        support::eventually("the rights are checked", refused).await;
    }
}

#[tokio::test]
async fn a_server_that_a_script_keeps_busy_serves_after_the_script() {
    let server = RedisServer::with(&["--lua-time-limit", "1"]);
    let mut script = Command::new("redis-cli")
        .args(["-p", &server.port().to_string()])
        .args(["EVAL", "while true do end", "0"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let refused = async || RedisStore::connect(server.url()).await.err();
    let (error, _) = support::eventually("the server is busy", refused).await;
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("BUSY"), "{error}");
    let store = RedisStore::connect_lazily(server.url()).unwrap();
    let error = store.load(&key(1)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
    server.cli(&["SCRIPT", "KILL"]);
    script.wait().unwrap();
    support::eventually("the store serves", async || store.load(&key(1)).await.ok()).await;
}

#[tokio::test]
async fn a_store_is_made_before_its_server_and_serves_as_soon_as_that_is_up() {
    let mut server = RedisServer::start();
    server.kill();
    let store = RedisStore::connect_lazily(server.url()).unwrap();
    for _ in 0..3 {
        let error = store.load(&key(1)).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
    }
    server.restart();
    let first_call = async |number| {
        let load = async || store.load(&key(number)).await.ok();
        support::eventually("the store serves", load).await
    };
    futures_util::future::join_all((0..50).map(first_call)).await;
    let statistics = server.cli(&["INFO", "commandstats"]);
    let checks = statistics
        .lines()
        .find(|line| line.starts_with("cmdstat_zmscore:"));
    assert!(
        checks.unwrap().starts_with("cmdstat_zmscore:calls=1,"),
        "{statistics}"
    );
}

#[test]
fn a_lazy_store_is_made_without_a_runtime_and_without_a_server() {
    let store = RedisStore::connect_lazily("redis://:s3cret@127.0.0.1:1").unwrap();
    assert!(!format!("{store:?}").contains("s3cret"));
    let error = RedisStore::connect_lazily("redis:/:s3cret@127.0.0.1").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
}

#[test]
fn a_store_outlives_the_runtime_that_its_connection_was_made_on() {
    let server = RedisServer::start();
    let store = RedisStore::connect_lazily(server.url()).unwrap();
    for number in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (record, _) = support::eventually("the store is back", async || {
                let record = sample_record("{}");
                store
                    .create(&key(number), &record.write(LONG))
                    .await
                    .ok()
                    .map(|_| record)
            })
            .await;
            assert!(loaded(&store, &key(number)).await.0.revision() == record.revision());
        });
    }
}
