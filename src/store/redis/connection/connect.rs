//! Makes a connection to an endpoint, including the server's first answer.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, ErrorKind, ProtocolVersion, PushInfo, PushKind, RedisError, Value,
};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::client::Client;
use super::endpoint::Endpoint;
use super::error::ConnectError;
use super::handshake;
use super::signs::Signs;
use super::stream::Stream;
use crate::store::redis::config::TlsError;

/// How many commands may queue for the connection's task before a call waits for a place. Places are allocated as needed.
const QUEUE: usize = 1024;

/// How many bytes the connection buffers before it must write them.
const WRITE_BUFFER: usize = 64 * 1024;

/// A connection, and its state.
#[derive(Clone)]
pub(crate) struct Connected {
    pub(crate) connection: MultiplexedConnection,
    pub(super) since: Instant,
    /// Its address also identifies the connection.
    life: Arc<Life>,
}

struct Life {
    signs: Arc<Signs>,
    /// The task that reads and writes.
    task: Option<AbortHandle>,
}

/// The last clone of a connection ends its task.
impl Drop for Life {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Connected {
    pub(super) fn signs(&self) -> &Signs {
        &self.life.signs
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.life, &other.life)
    }
}

/// Connects to the current server of the endpoint, and verifies the server.
pub(super) async fn connect(
    endpoint: &dyn Endpoint,
    address: &str,
) -> Result<Connected, ConnectError> {
    let failed = |error| ConnectError::new(address, error);
    let client = endpoint.locate().await?;
    let mut connected = match open(&client, address).await {
        Ok(connected) => connected,
        Err(error) if lacks_hello(&error) => return Err(too_old(&client, address, error).await),
        Err(error) => return Err(error),
    };
    let connection = &mut connected.connection;
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
    Ok(connected)
}

/// Opens a connection, and logs in. It has no timeouts of its own: an attempt to connect has one deadline for all its steps, and
/// so has a call.
pub(crate) async fn open(client: &Client, address: &str) -> Result<Connected, ConnectError> {
    let failed = |error| ConnectError::new(address, error);
    let signs = Arc::new(Signs::default());
    let mut config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_pipeline_buffer_size(QUEUE)
        .set_write_backpressure_boundary(WRITE_BUFFER);
    let settings = client.info.redis_settings();
    if settings.protocol() == ProtocolVersion::RESP3 {
        let notice = Arc::clone(&signs);
        config = config.set_push_sender(move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                notice.close();
            }
            Ok::<(), redis::aio::SendError>(())
        });
    }
    let stream = Stream::open(client, &signs).await;
    let stream = stream.map_err(|error| match error {
        TlsError::Io(error) => failed(error.into()),
        TlsError::Untrusted(why) => ConnectError::Untrusted {
            address: address.to_owned(),
            why,
        },
    })?;
    let (connection, task) = match stream {
        Some(stream) => {
            let opened = MultiplexedConnection::new_with_config(settings, stream, config).await;
            let (connection, task) = opened.map_err(failed)?;
            (connection, Some(tokio::spawn(task).abort_handle()))
        }
        None => {
            let client = redis::Client::open(client.info.clone()).map_err(failed)?;
            let opened = client.get_multiplexed_async_connection_with_config(&config);
            (opened.await.map_err(failed)?, None)
        }
    };
    Ok(Connected {
        connection,
        since: Instant::now(),
        life: Arc::new(Life { signs, task }),
    })
}

/// Asks a server that does not know `HELLO` for its version, in the older protocol.
async fn too_old(client: &Client, address: &str, error: ConnectError) -> ConnectError {
    let client = client.with(|settings| settings.set_protocol(ProtocolVersion::RESP2));
    let Ok(mut connected) = open(&client, address).await else {
        return error;
    };
    let info = handshake::info();
    let reply = connected.connection.send_packed_command(&info).await;
    match reply.ok().as_ref().and_then(handshake::version_in) {
        Some(version) => ConnectError::TooOld {
            address: address.to_owned(),
            version: version.to_owned(),
        },
        None => error,
    }
}

fn lacks_hello(error: &ConnectError) -> bool {
    let unsupported = |error: &RedisError| error.kind() == ErrorKind::RESP3NotSupported;
    error.is_unknown_command()
        || matches!(error, ConnectError::Unreachable { error, .. } if unsupported(error))
}
