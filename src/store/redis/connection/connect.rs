//! Makes a connection to an endpoint, including the server's first answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, ProtocolVersion, PushInfo, PushKind, RedisError,
    Value,
};
use tokio::time::Instant;

use super::client::without_timeouts;
use super::endpoint::Endpoint;
use super::error::{ConnectError, is_unknown_command};
use super::handshake;

/// How many commands may queue for the connection's task before a call waits for a place. Places are allocated as needed.
const QUEUE: usize = 1024;

/// How many bytes the connection buffers before it must write them.
const WRITE_BUFFER: usize = 64 * 1024;

/// A connection, and its state.
#[derive(Clone)]
pub(super) struct Connected {
    pub(super) connection: MultiplexedConnection,
    pub(super) since: Instant,
    /// Its address also identifies the connection.
    life: Arc<Life>,
}

/// What is known of a connection's life, by all who share it.
#[derive(Default)]
struct Life {
    closed: AtomicBool,
    /// How many calls were answered.
    answers: AtomicU64,
}

impl Connected {
    pub(super) fn is_closed(&self) -> bool {
        self.life.closed.load(Ordering::Acquire)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.life, &other.life)
    }

    /// A call was answered.
    pub(super) fn answered(&self) {
        self.life.answers.fetch_add(1, Ordering::Relaxed);
    }

    /// How many calls were answered so far.
    pub(super) fn answers(&self) -> u64 {
        self.life.answers.load(Ordering::Relaxed)
    }
}

/// Connects to the current server of the endpoint, and verifies the server.
pub(super) async fn connect(
    endpoint: &dyn Endpoint,
    address: &str,
) -> Result<Connected, ConnectError> {
    let failed = |error| ConnectError::new(address, error);
    let life = Arc::new(Life::default());
    let notice = Arc::clone(&life);
    let config = without_timeouts()
        .set_pipeline_buffer_size(QUEUE)
        .set_write_backpressure_boundary(WRITE_BUFFER)
        .set_push_sender(move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                notice.closed.store(true, Ordering::Release);
            }
            Ok::<(), redis::aio::SendError>(())
        });
    let client = endpoint.locate().await?;
    let mut connection = match open(&client, &config).await {
        Ok(connection) => connection,
        Err(error) if lacks_hello(&error) => return Err(too_old(&client, address, error).await),
        Err(error) => return Err(failed(error)),
    };
    let hello = connection.send_packed_command(&handshake::hello()).await;
    let hello = hello.map_err(failed)?;
    handshake::check_version(&hello).map_err(|version| ConnectError::TooOld {
        address: address.to_owned(),
        version,
    })?;
    endpoint.verify(&hello)?;
    if let Some(setup) = endpoint.setup() {
        let reply = connection.send_packed_command(&setup).await;
        reply.and_then(Value::extract_error).map_err(failed)?;
    }
    Ok(Connected {
        connection,
        since: Instant::now(),
        life,
    })
}

async fn open(
    client: &Client,
    config: &AsyncConnectionConfig,
) -> Result<MultiplexedConnection, RedisError> {
    client
        .get_multiplexed_async_connection_with_config(config)
        .await
}

/// Asks a server that does not know `HELLO` for its version, in the older protocol.
async fn too_old(client: &Client, address: &str, error: RedisError) -> ConnectError {
    let info = client.get_connection_info();
    let settings = info.redis_settings().clone();
    let reply = async {
        let info = info
            .clone()
            .set_redis_settings(settings.set_protocol(ProtocolVersion::RESP2));
        let mut connection = open(&Client::open(info)?, &without_timeouts()).await?;
        connection.send_packed_command(&handshake::info()).await
    };
    match reply.await.ok().as_ref().and_then(handshake::version_in) {
        Some(version) => ConnectError::TooOld {
            address: address.to_owned(),
            version: version.to_owned(),
        },
        None => ConnectError::new(address, error),
    }
}

fn lacks_hello(error: &RedisError) -> bool {
    error.kind() == ErrorKind::RESP3NotSupported || is_unknown_command(error)
}
