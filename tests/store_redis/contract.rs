//! What every store keeps, of a Redis one: the suite, on a real server.

use std::sync::atomic::{AtomicU32, Ordering};

use redis::aio::MultiplexedConnection;
use tower_keycard::AnyStore;
use tower_keycard::store::RedisStore;
use tower_keycard::store::conformance::{self, CASES, Harness, INDEX_CASES, Outcome, Report};

use super::support::deployment::Deployment;
use super::support::redis_cluster::RedisCluster;
use super::support::redis_sentinel::RedisSentinel;
use super::support::redis_server::RedisServer;
use super::*;

/// Stores on one deployment, each with a prefix of its own, and a way past them to what the servers keep.
struct OnRedis<S, D> {
    deployment: D,
    direct: Vec<MultiplexedConnection>,
    stores: AtomicU32,
    wrap: fn(RedisStore) -> S,
}

impl<S, D: Deployment> OnRedis<S, D> {
    async fn start(wrap: fn(RedisStore) -> S) -> Self {
        let deployment = D::start();
        let mut direct = Vec::new();
        for server in deployment.primaries() {
            let client = redis::Client::open(server.url()).unwrap();
            direct.push(client.get_multiplexed_async_connection().await.unwrap());
        }
        Self {
            direct,
            deployment,
            stores: AtomicU32::new(0),
            wrap,
        }
    }

    /// Takes the time off the life of a sorted set's members, which end at times of the server's.
    async fn age(&self, at: usize, name: &[u8], time: i64) {
        let kind: String = self.ask(at, redis::cmd("TYPE").arg(name)).await;
        if kind == "zset" {
            let mut command = redis::cmd("ZRANGE");
            command.arg(name).arg(0).arg(-1).arg("WITHSCORES");
            let members: Vec<(Vec<u8>, f64)> = self.ask(at, &command).await;
            let mut command = redis::cmd("ZADD");
            command.arg(name);
            for (member, end) in members {
                #[allow(clippy::cast_precision_loss)]
                command.arg(end - time as f64).arg(member);
            }
            self.ask::<i64>(at, &command).await;
        }
    }

    async fn ask<T: redis::FromRedisValue>(&self, at: usize, command: &redis::Cmd) -> T {
        let mut direct = self.direct[at].clone();
        command.query_async(&mut direct).await.unwrap()
    }
}

impl<S: SessionStore + Clone, D: Deployment> Harness for OnRedis<S, D> {
    type Store = S;

    async fn store(&self) -> S {
        let number = self.stores.fetch_add(1, Ordering::Relaxed);
        let config = self.deployment.config();
        let config = config
            .prefix(format!("store-{number}:"))
            // For the races, of a hundred calls at once on a machine that runs other tests too.
            .response_timeout(Duration::from_secs(10));
        (self.wrap)(RedisStore::connect(config).await.unwrap())
    }

    /// Takes the time off the life of everything on the servers, which then let go by themselves what has none left.
    async fn pass(&self, time: Duration) {
        let time = i64::try_from(time.as_millis()).unwrap();
        for at in 0..self.direct.len() {
            let names: Vec<Vec<u8>> = self.ask(at, redis::cmd("KEYS").arg("*")).await;
            for name in names {
                self.age(at, &name, time).await;
                let left: i64 = self.ask(at, redis::cmd("PTTL").arg(&name)).await;
                assert_ne!(left, -1, "everything that a store keeps expires");
                let rest = (left - time).max(1);
                let _: i64 = self
                    .ask(at, redis::cmd("PEXPIRE").arg(&name).arg(rest))
                    .await;
                while rest == 1 && self.ask(at, redis::cmd("EXISTS").arg(&name)).await {}
            }
        }
    }

    async fn plant(&self, store: &S, key: &RecordKey, bytes: &[u8]) -> bool {
        let name = format!("{}{key}", store.prefix());
        let mut command = redis::cmd("SET");
        command.arg(name).arg(bytes).arg("EX").arg(600);
        let mut planted = 0;
        for direct in &self.direct {
            // The others say where it belongs.
            planted += u32::from(command.exec_async(&mut direct.clone()).await.is_ok());
        }
        assert_eq!(planted, 1);
        true
    }
}

fn all_passed(report: &Report, cases: &[&str]) {
    report.assert();
    let passed = |(_, outcome): &&(_, Outcome)| *outcome == Outcome::Passed;
    let passed = report.results().iter().filter(passed).count();
    assert_eq!(passed, cases.len(), "none is skipped:\n{report}");
}

async fn passes_every_case<S: SessionStore + Clone, D: Deployment>(wrap: fn(RedisStore) -> S) {
    let report = conformance::suite(&OnRedis::<S, D>::start(wrap).await).await;
    all_passed(&report, CASES);
}

async fn passes_every_case_of_the_index<S: UserIndex + Clone, D: Deployment>(
    wrap: fn(RedisStore) -> S,
) {
    let report = conformance::index_suite(&OnRedis::<S, D>::start(wrap).await).await;
    all_passed(&report, INDEX_CASES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_store_keeps_the_contract() {
    passes_every_case::<_, RedisServer>(|store| store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_store_behind_any_store_keeps_the_contract() {
    passes_every_case::<_, RedisServer>(AnyStore::new).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_store_keeps_the_contract_of_an_index() {
    passes_every_case_of_the_index::<_, RedisServer>(|store| store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_store_behind_any_store_keeps_the_contract_of_an_index() {
    passes_every_case_of_the_index::<_, RedisServer>(AnyStore::new).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_store_on_a_cluster_keeps_the_contract() {
    passes_every_case::<_, RedisCluster>(|store| store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_store_on_a_cluster_keeps_the_contract_of_an_index() {
    passes_every_case_of_the_index::<_, RedisCluster>(|store| store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_store_that_sentinels_lead_to_its_primary_keeps_the_contract() {
    passes_every_case::<_, RedisSentinel>(|store| store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_store_that_sentinels_lead_to_its_primary_keeps_the_contract_of_an_index() {
    passes_every_case_of_the_index::<_, RedisSentinel>(|store| store).await;
}
