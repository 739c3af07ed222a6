//! The stores under test, and what the harness has to do behind their backs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tower_keycard::Clock;
use tower_keycard::session::Timestamp;
use tower_keycard::store::{
    AnyStore, Created, DecodeError, IndexEntry, Loaded, MemoryStore, RecordKey, RedisStore,
    Replaced, Revision, SessionStore, StoreError, UserIndexRef, Write,
};

use crate::support::AGE;
use crate::support::deployment::{self, Deployment};
use crate::support::redis_cluster::RedisCluster;
use crate::support::redis_sentinel::RedisSentinel;
use crate::support::redis_server::RedisServer;

/// A store, fresh and empty, and power over its time and its contents.
pub(crate) trait Backend {
    fn store(&self) -> AnyStore;

    /// Lets time pass: what the store keeps is so much closer to its expiry.
    fn pass(&self, time: Duration);

    /// Puts something unreadable in a record's place.
    fn spoil(&self, key: &RecordKey, how: DecodeError);

    /// How many records and tombstones there are.
    fn len(&self) -> usize;
}

/// In memory, with a clock of its own that moves with the layer's.
pub(crate) struct Memory {
    store: Spoilt,
    clock: Clock,
}

impl Memory {
    pub(crate) async fn open() -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1));
        let store = MemoryStore::builder().clock(clock.clone()).build();
        let spoilt = Arc::default();
        Self {
            store: Spoilt { store, spoilt },
            clock,
        }
    }
}

impl Backend for Memory {
    fn store(&self) -> AnyStore {
        AnyStore::new(self.store.clone())
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    fn spoil(&self, key: &RecordKey, how: DecodeError) {
        self.store.spoilt.lock().unwrap().insert(key.clone(), how);
    }

    fn len(&self) -> usize {
        self.store.store.len()
    }
}

/// Memory cannot hold what is no record, so some places of it only look that way.
#[derive(Clone)]
struct Spoilt {
    store: MemoryStore,
    spoilt: Arc<Mutex<HashMap<RecordKey, DecodeError>>>,
}

impl Spoilt {
    fn at(&self, key: &RecordKey) -> Option<Loaded> {
        let spoilt = self.spoilt.lock().unwrap();
        spoilt.get(key).map(|how| Loaded::Unreadable(*how))
    }
}

impl SessionStore for Spoilt {
    fn prefix(&self) -> &str {
        self.store.prefix()
    }

    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        match self.at(key) {
            Some(spoilt) => Ok(spoilt),
            None => self.store.load(key).await,
        }
    }

    async fn create(&self, key: &RecordKey, write: &Write<'_>) -> Result<Created, StoreError> {
        match self.at(key) {
            Some(_) => Ok(Created::Exists),
            None => self.store.create(key, write).await,
        }
    }

    async fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        write: &Write<'_>,
    ) -> Result<Replaced, StoreError> {
        match self.at(key) {
            Some(spoilt) => Ok(Replaced::Conflict(spoilt)),
            None => self.store.replace(key, expected, write).await,
        }
    }

    async fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        ttl: Duration,
        extends: Option<IndexEntry<'_>>,
    ) -> Result<bool, StoreError> {
        match self.at(key) {
            Some(_) => Ok(false),
            None => self.store.touch(key, expected, ttl, extends).await,
        }
    }

    async fn delete(&self, key: &RecordKey, user: Option<&str>) -> Result<(), StoreError> {
        self.spoilt.lock().unwrap().remove(key);
        self.store.delete(key, user).await
    }

    fn user_index(&self) -> Option<UserIndexRef<'_>> {
        self.store.user_index()
    }
}

/// One deployment for all tests of this process, where each has a prefix of its own, and no more rights than needed.
pub(crate) struct OnRedis<D: 'static> {
    deployment: &'static D,
    store: RedisStore,
    prefix: String,
}

pub(crate) type Redis = OnRedis<RedisServer>;
pub(crate) type Cluster = OnRedis<RedisCluster>;
pub(crate) type Sentinel = OnRedis<RedisSentinel>;

impl Redis {
    pub(crate) async fn open() -> Self {
        Self::on(Self::server()).await
    }

    pub(crate) fn server() -> &'static RedisServer {
        deployment::server()
    }
}

impl Cluster {
    pub(crate) async fn open() -> Self {
        Self::on(deployment::cluster()).await
    }
}

impl Sentinel {
    pub(crate) async fn open() -> Self {
        Self::on(deployment::sentinel()).await
    }
}

impl<D: Deployment> OnRedis<D> {
    async fn on(deployment: &'static D) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("keycard:test-{}:", NUMBER.fetch_add(1, Ordering::Relaxed));
        // The machine may be slow, the server is not.
        let patience = Duration::from_secs(60);
        let config = deployment.config().prefix(prefix.clone());
        let config = config.connect_timeout(patience).response_timeout(patience);
        let store = RedisStore::connect(config).await.unwrap();
        Self {
            deployment,
            store,
            prefix,
        }
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What a script answers on each server that has keys.
    fn script(&self, script: &str, argument: &str) -> Vec<String> {
        let ours = format!("{}*", self.prefix);
        self.deployment
            .everywhere(&["EVAL", script, "0", &ours, argument])
    }
}

/// How long a store may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

impl<D: Deployment> Backend for OnRedis<D> {
    fn store(&self) -> AnyStore {
        AnyStore::new(self.store.clone())
    }

    fn pass(&self, time: Duration) {
        let script = "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do \
             redis.call('PEXPIRE', key, redis.call('PTTL', key) - ARGV[2]) end";
        let time = time.as_millis().to_string();
        self.script(AGE, &time);
        self.script(script, &time);
    }

    fn spoil(&self, key: &RecordKey, how: DecodeError) {
        let key = format!("{}{key}", self.prefix);
        let write = match how {
            DecodeError::FutureFormat => "redis.call('SETRANGE', KEYS[1], 0, string.char(3))",
            DecodeError::ForeignType => {
                "redis.call('DEL', KEYS[1]); redis.call('LPUSH', KEYS[1], 'a')"
            }
            DecodeError::TooLarge => {
                "redis.call('SET', KEYS[1], string.char(1) .. string.rep('x', 1048576))"
            }
            _ => "redis.call('SET', KEYS[1], string.char(1) .. 'x')",
        };
        let script = format!("{write}; redis.call('EXPIRE', KEYS[1], 600)");
        let spoilt = self.deployment.at_its_key(&["EVAL", &script, "1", &key]);
        assert_eq!(spoilt, "");
    }

    fn len(&self) -> usize {
        // Beside the records there are the users' indexes.
        let script = "local records = 0 \
             for _, key in ipairs(redis.call('KEYS', ARGV[1])) do \
               if redis.call('TYPE', key).ok ~= 'zset' then records = records + 1 end \
             end \
             return records";
        let counts = self.script(script, "").into_iter();
        counts.map(|count| count.parse::<usize>().unwrap()).sum()
    }
}
