//! Where an example keeps its sessions for a test.

#[cfg(feature = "redis")]
use crate::support::redis_server::RedisServer;

/// Where the example keeps its sessions for a test.
pub(crate) trait Store {
    fn start() -> Self;
    /// The value for `--store`.
    fn option(&self) -> String;
}

pub(crate) struct Memory;

impl Store for Memory {
    fn start() -> Self {
        Self
    }

    fn option(&self) -> String {
        "memory".into()
    }
}

#[cfg(feature = "redis")]
impl Store for RedisServer {
    fn start() -> Self {
        Self::start()
    }

    fn option(&self) -> String {
        self.url()
    }
}

/// Makes a test of each case on each store.
macro_rules! on_each_store {
    ($($case:ident),+ $(,)?) => {
        mod on_memory {
            $(#[test] fn $case() { super::$case::<crate::stores::Memory>(); })+
        }

        #[cfg(feature = "redis")]
        mod on_redis {
            $(#[test] fn $case() { super::$case::<crate::support::redis_server::RedisServer>(); })+
        }
    };
}
pub(crate) use on_each_store;
