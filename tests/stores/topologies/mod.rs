//! `RedisStore` on a cluster and behind sentinels, which the tests of this binary share and stop again.

mod compose;
mod contract;
mod deadline;
#[cfg(feature = "redis-1")]
mod own_client;
mod rights;
mod settings;
mod waiting;

use std::time::Duration;

use tower_keycard::store::testing::conformance::{sample_login, sample_record};
use tower_keycard::store::{Loaded, RedisStore, SessionStore};

use crate::calls::{LONG, created, key, loaded, serves};
use crate::support;
