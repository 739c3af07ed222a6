//! The bytes to and from a server: over TCP, TLS or a Unix socket.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::{FutureExt, select_ok};
use redis::ConnectionAddr;
use redis::io::tcp::{TcpSettings, socket2::SockRef};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::client::Client;
use super::signs::Signs;
use crate::store::redis::config::TlsError;

/// Bytes in both directions.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// A stream that notes when something arrives.
pub(super) struct Stream {
    inner: Box<dyn Duplex>,
    signs: Arc<Signs>,
}

impl Stream {
    /// Opens a stream to the client's server. `None` if only the application's own client can, because its certificates are
    /// not readable here.
    pub(super) async fn open(
        client: &Client,
        signs: &Arc<Signs>,
    ) -> Result<Option<Self>, TlsError> {
        let settings = client.info.tcp_settings();
        let inner: Box<dyn Duplex> = match (client.addr(), &client.tls) {
            (ConnectionAddr::Tcp(host, port), _) => {
                Box::new(tcp(host, *port, settings).await.map_err(TlsError::Io)?)
            }
            (ConnectionAddr::TcpTls { host, port, .. }, Some(tls)) => {
                let stream = tcp(host, *port, settings).await.map_err(TlsError::Io)?;
                Box::new(tls.connect(host, stream).await?)
            }
            #[cfg(unix)]
            (ConnectionAddr::Unix(path), _) => {
                let stream = tokio::net::UnixStream::connect(path).await;
                Box::new(stream.map_err(TlsError::Io)?)
            }
            _ => return Ok(None),
        };
        let signs = Arc::clone(signs);
        Ok(Some(Self { inner, signs }))
    }
}

/// Connects to the first of a host's addresses that accepts.
async fn tcp(host: &str, port: u16, settings: &TcpSettings) -> io::Result<TcpStream> {
    let addresses = tokio::net::lookup_host((host, port)).await?;
    let attempts: Vec<_> = addresses
        .map(|address| TcpStream::connect(address).boxed())
        .collect();
    if attempts.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address",
        ));
    }
    let (stream, _) = select_ok(attempts).await?;
    stream.set_nodelay(settings.nodelay())?;
    let socket = SockRef::from(&stream);
    if let Some(keepalive) = settings.keepalive() {
        socket.set_tcp_keepalive(keepalive)?;
    }
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    socket.set_tcp_user_timeout(settings.user_timeout())?;
    Ok(stream)
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.signs.heard();
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
