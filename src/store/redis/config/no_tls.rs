//! What stands in for certificates without the feature `redis-tls`.

use std::path::Path;

use redis::{Client, ConnectionInfo};

use super::error::RedisStoreError;

/// There are none without TLS.
pub(crate) enum Certificates {}

impl Certificates {
    pub(super) fn read(
        _: Option<&Path>,
        _: Option<(&Path, &Path)>,
    ) -> Result<Self, RedisStoreError> {
        Err(RedisStoreError::config(
            "certificates need the feature `redis-tls` of tower-keycard",
        ))
    }

    pub(crate) fn client(&self, _: ConnectionInfo) -> Result<Client, RedisStoreError> {
        match *self {}
    }
}

pub(super) fn install_crypto_provider() {}
