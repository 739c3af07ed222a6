//! Makes a connection to an endpoint, including the server's first answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, ProtocolVersion, PushInfo, PushKind, RedisError,
    Value,
};
use tokio::time::Instant;

use super::client::without_timeouts;
use super::endpoint::Endpoint;
use super::error::ConnectError;
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
    /// Whether the connection was closed. Its address also identifies the connection.
    closed: Arc<AtomicBool>,
}

impl Connected {
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.closed, &other.closed)
    }
}

/// Connects to the current server of the endpoint, and verifies the server.
pub(super) async fn connect(
    endpoint: &dyn Endpoint,
    address: &str,
) -> Result<Connected, ConnectError> {
    let failed = |error| ConnectError::new(address, error);
    let closed = Arc::new(AtomicBool::new(false));
    let notice = Arc::clone(&closed);
    let config = without_timeouts()
        .set_pipeline_buffer_size(QUEUE)
        .set_write_backpressure_boundary(WRITE_BUFFER)
        .set_push_sender(move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                notice.store(true, Ordering::Release);
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
        closed,
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
    let unknown = |detail: &str| detail.starts_with("unknown command");
    error.kind() == ErrorKind::RESP3NotSupported || error.detail().is_some_and(unknown)
}
