//! Makes a connection to a target, up to the server's first answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, ProtocolVersion, PushInfo, PushKind, RedisError,
};
use tokio::time::Instant;

use crate::store::redis::connection::endpoint::Target;
use crate::store::redis::connection::handshake;
use crate::store::redis::protocol::error::NoConnection;

/// How many commands may queue for the connection's task before a call waits for a place. Places are allocated as needed.
const QUEUE: usize = 1024;

/// How many bytes are gathered before they must be written.
const WRITE_BUFFER: usize = 64 * 1024;

/// A connection, and what is known about it.
#[derive(Clone)]
pub(crate) struct Connected {
    pub(crate) connection: MultiplexedConnection,
    pub(crate) since: Instant,
    /// Set when the connection was closed; also what tells one connection from another.
    closed: Arc<AtomicBool>,
}

impl Connected {
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether it is the same connection.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.closed, &other.closed)
    }
}

/// A connection to where the target is now, once the server there has said who it is.
pub(crate) async fn connect(target: &Target, address: &str) -> Result<Connected, NoConnection> {
    let failed = |error| NoConnection::from_error(address, error);
    let closed = Arc::new(AtomicBool::new(false));
    let notice = Arc::clone(&closed);
    let config = unbounded()
        .set_pipeline_buffer_size(QUEUE)
        .set_write_backpressure_boundary(WRITE_BUFFER)
        .set_push_sender(move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                notice.store(true, Ordering::Release);
            }
            Ok::<(), redis::aio::SendError>(())
        });
    let client = target.find().await?;
    let mut connection = match open(&client, &config).await {
        Ok(connection) => connection,
        Err(error) if knows_no_hello(&error) => return Err(too_old(&client, address, error).await),
        Err(error) => return Err(failed(error)),
    };
    let hello = connection
        .send_packed_command(&handshake::hello())
        .await
        .map_err(failed)?;
    target.prepare(&mut connection, &hello).await?;
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

/// Asks a server that does not know `HELLO` what it is, in the older protocol.
async fn too_old(client: &Client, address: &str, error: RedisError) -> NoConnection {
    let info = client.get_connection_info();
    let settings = info.redis_settings().clone();
    let asked = async {
        let info = info
            .clone()
            .set_redis_settings(settings.set_protocol(ProtocolVersion::RESP2));
        let mut connection = open(&Client::open(info)?, &unbounded()).await?;
        connection.send_packed_command(&handshake::info()).await
    };
    match asked.await.ok().as_ref().and_then(handshake::in_info) {
        Some(version) => NoConnection::TooOld {
            address: address.to_owned(),
            version: version.to_owned(),
        },
        None => NoConnection::from_error(address, error),
    }
}

/// No time-outs of the connection's own: an attempt and a call each have one deadline for all that they do.
pub(crate) fn unbounded() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
}

fn knows_no_hello(error: &RedisError) -> bool {
    let unknown = |detail: &str| detail.starts_with("unknown command");
    error.kind() == ErrorKind::RESP3NotSupported || error.detail().is_some_and(unknown)
}
