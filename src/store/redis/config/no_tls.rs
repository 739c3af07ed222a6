//! What stands in for TLS without the feature `redis-tls`.

use std::io;
use std::path::Path;

use tokio::net::TcpStream;

use super::error::RedisStoreError;

/// There is none.
#[derive(Clone)]
pub(crate) enum Tls {}

impl Tls {
    pub(super) fn read(
        _: Option<&Path>,
        _: Option<(&Path, &Path)>,
    ) -> Result<Self, RedisStoreError> {
        Err(RedisStoreError::config(
            "TLS needs the feature `redis-tls` of tower-keycard",
        ))
    }

    pub(crate) async fn connect(&self, _: &str, _: TcpStream) -> Result<TcpStream, TlsError> {
        match *self {}
    }
}

/// Why there is no TLS connection.
pub(crate) enum TlsError {
    #[allow(dead_code)]
    Untrusted(String),
    #[allow(dead_code)]
    Io(io::Error),
}
