//! What every store keeps, of a Redis one: the suite, on a real server, as the user with no more rights than needed.

use std::sync::atomic::{AtomicU32, Ordering};

use redis::aio::MultiplexedConnection;
use tower_keycard::AnyStore;
use tower_keycard::store::RedisStore;
use tower_keycard::store::conformance::{self, CASES, Harness, INDEX_CASES, Outcome, Report};

use super::support::redis_server::RedisServer;
use super::*;

/// Stores on one server, each with a prefix of its own, and a way past them to what the server keeps.
struct OnRedis<S> {
    server: RedisServer,
    direct: MultiplexedConnection,
    stores: AtomicU32,
    wrap: fn(RedisStore) -> S,
}

impl<S> OnRedis<S> {
    async fn start(wrap: fn(RedisStore) -> S) -> Self {
        let server = RedisServer::start();
        let client = redis::Client::open(server.url()).unwrap();
        Self {
            direct: client.get_multiplexed_async_connection().await.unwrap(),
            server,
            stores: AtomicU32::new(0),
            wrap,
        }
    }

    /// Takes the time off the life of a sorted set's members, which end at times of the server's.
    async fn age(&self, name: &[u8], time: i64) {
        let kind: String = self.ask(redis::cmd("TYPE").arg(name)).await;
        if kind == "zset" {
            let mut command = redis::cmd("ZRANGE");
            command.arg(name).arg(0).arg(-1).arg("WITHSCORES");
            let members: Vec<(Vec<u8>, f64)> = self.ask(&command).await;
            let mut command = redis::cmd("ZADD");
            command.arg(name);
            for (member, end) in members {
                #[allow(clippy::cast_precision_loss)]
                command.arg(end - time as f64).arg(member);
            }
            self.ask::<i64>(&command).await;
        }
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> T {
        let mut direct = self.direct.clone();
        command.query_async(&mut direct).await.unwrap()
    }
}

impl<S: SessionStore + Clone> Harness for OnRedis<S> {
    type Store = S;

    async fn store(&self) -> S {
        let number = self.stores.fetch_add(1, Ordering::Relaxed);
        let config = self
            .server
            .restricted()
            .prefix(format!("keycard:store-{number}:"))
            // For the races, of a hundred calls at once on a machine that runs other tests too.
            .response_timeout(Duration::from_secs(10));
        (self.wrap)(RedisStore::connect(config).await.unwrap())
    }

    /// Takes the time off the life of everything on the server, which then lets go by itself what has none left.
    async fn pass(&self, time: Duration) {
        let time = i64::try_from(time.as_millis()).unwrap();
        let names: Vec<Vec<u8>> = self.ask(redis::cmd("KEYS").arg("*")).await;
        for name in names {
            self.age(&name, time).await;
            let left: i64 = self.ask(redis::cmd("PTTL").arg(&name)).await;
            assert_ne!(left, -1, "everything that a store keeps expires");
            let rest = (left - time).max(1);
            let _: i64 = self.ask(redis::cmd("PEXPIRE").arg(&name).arg(rest)).await;
            while rest == 1 && self.ask(redis::cmd("EXISTS").arg(&name)).await {}
        }
    }

    async fn plant(&self, store: &S, key: &RecordKey, bytes: &[u8]) -> bool {
        let name = format!("{}{key}", store.prefix());
        let mut command = redis::cmd("SET");
        command.arg(name).arg(bytes).arg("EX").arg(600);
        self.ask::<()>(&command).await;
        true
    }
}

fn all_passed(report: &Report, cases: &[&str]) {
    report.assert();
    let passed = |(_, outcome): &&(_, Outcome)| *outcome == Outcome::Passed;
    let passed = report.results().iter().filter(passed).count();
    assert_eq!(passed, cases.len(), "none is skipped:\n{report}");
}

async fn passes_every_case<S: SessionStore + Clone>(wrap: fn(RedisStore) -> S) {
    let redis = OnRedis::start(wrap).await;
    all_passed(&conformance::suite(&redis).await, CASES);
    assert_eq!(redis.server.denied(), "", "nothing was denied");
}

async fn passes_every_case_of_the_index<S: UserIndex + Clone>(wrap: fn(RedisStore) -> S) {
    let redis = OnRedis::start(wrap).await;
    all_passed(&conformance::index_suite(&redis).await, INDEX_CASES);
    assert_eq!(redis.server.denied(), "", "nothing was denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_store_keeps_the_contract() {
    passes_every_case(|store| store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_store_behind_any_store_keeps_the_contract() {
    passes_every_case(AnyStore::new).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_store_keeps_the_contract_of_an_index() {
    passes_every_case_of_the_index(|store| store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_store_behind_any_store_keeps_the_contract_of_an_index() {
    passes_every_case_of_the_index(AnyStore::new).await;
}
