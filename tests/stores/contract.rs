//! What every store keeps, of a Redis one: the suite, on real servers, as the user with no more rights than needed.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tower_keycard::store::testing::conformance::{
    self, CASES, Harness, INDEX_CASES, Outcome, Report,
};
use tower_keycard::store::{RecordKey, RedisStore, SessionStore, UserIndex};

use crate::support::AGE;
use crate::support::deployment::Deployment;

/// Stores on one deployment, each with a prefix of its own, and a way past them to what the servers keep.
struct OnRedis<'a, F, D> {
    deployment: &'a D,
    /// What all these prefixes begin with: others may test on the same deployment.
    prefix: String,
    direct: Vec<MultiplexedConnection>,
    stores: AtomicU32,
    /// What is tested: that store, something around it, or another with its prefix.
    wrap: F,
}

impl<'a, F, D: Deployment> OnRedis<'a, F, D> {
    async fn new(deployment: &'a D, wrap: F) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let mut direct = Vec::new();
        for server in deployment.primaries() {
            let client = redis::Client::open(server.url()).unwrap();
            direct.push(client.get_multiplexed_async_connection().await.unwrap());
        }
        Self {
            direct,
            deployment,
            prefix: format!("keycard:{}-", NUMBER.fetch_add(1, Ordering::Relaxed)),
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

impl<S, F, D> Harness for OnRedis<'_, F, D>
where
    S: SessionStore + Clone,
    F: Fn(RedisStore) -> S + Sync,
    D: Deployment,
{
    type Store = S;

    async fn store(&self) -> S {
        let number = self.stores.fetch_add(1, Ordering::Relaxed);
        let config = self.deployment.config();
        let config = config
            .prefix(format!("{}{number}:", self.prefix))
            // For the races, of a hundred calls at once on a machine that runs other tests too.
            .response_timeout(Duration::from_secs(10));
        (self.wrap)(RedisStore::connect(config).await.unwrap())
    }

    /// Takes the time off the life of everything on the servers, which then let go by themselves what has none left.
    async fn pass(&self, time: Duration) {
        let time = i64::try_from(time.as_millis()).unwrap();
        for at in 0..self.direct.len() {
            let mut age = redis::cmd("EVAL");
            age.arg(AGE).arg(0);
            age.arg(format!("{}*", self.prefix)).arg(time);
            self.ask::<()>(at, &age).await;
            let names: Vec<Vec<u8>> = self
                .ask(at, redis::cmd("KEYS").arg(format!("{}*", self.prefix)))
                .await;
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

pub(crate) async fn passes_every_case<S: SessionStore + Clone, D: Deployment>(
    deployment: &D,
    wrap: impl Fn(RedisStore) -> S + Sync,
) {
    let redis = OnRedis::new(deployment, wrap).await;
    all_passed(&conformance::suite(&redis).await, CASES);
    redis.deployment.denied_nothing();
}

pub(crate) async fn passes_every_case_of_the_index<
    S: SessionStore + UserIndex + Clone,
    D: Deployment,
>(
    deployment: &D,
    wrap: impl Fn(RedisStore) -> S + Sync,
) {
    let redis = OnRedis::new(deployment, wrap).await;
    all_passed(&conformance::index_suite(&redis).await, INDEX_CASES);
    redis.deployment.denied_nothing();
}
