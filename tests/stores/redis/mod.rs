//! `RedisStore` against real servers, which every test starts for itself and stops again.

mod accounts;
mod commands;
mod connecting;
mod contract;
mod foreign;
mod index;
mod limits;
mod outages;
#[cfg(feature = "redis-1")]
mod own_connection;
mod rights;
mod settings;
#[cfg(feature = "redis-tls")]
mod tls;
mod waiting;

use std::time::Duration;

use tower_keycard::store::testing::OwnedWrite;
use tower_keycard::store::testing::conformance::{
    sample_anonymous, sample_login, sample_login_of, sample_record, sample_revision_of,
};
use tower_keycard::store::{
    Created, Loaded, Record, RecordKey, RedisConfig, RedisStore, Replaced, SessionStore,
    StoreErrorKind, UserIndex, Write,
};

use crate::calls::{LONG, created, is_replaced, key, loaded, serves};
use crate::support;
