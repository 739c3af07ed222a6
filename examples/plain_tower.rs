//! Sessions without axum: a Tower service on hyper.
//!
//! Run `cargo run --example plain_tower --no-default-features`, then reload <http://127.0.0.1:3000>. To use another port, set
//! `PORT=8080`.

use std::convert::Infallible;
use std::error::Error;
use std::io::Write;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_keycard::{MemoryStore, Session, SessionLayer};

async fn count(request: Request<Incoming>) -> Result<String, Box<dyn Error + Send + Sync>> {
    let (parts, _body) = request.into_parts();
    let session: Session = Session::load(&parts.extensions).await?;
    let count = session.update("count", |n: Option<u32>| n.unwrap_or(0) + 1)?;
    Ok(format!("page view {count}\n"))
}

async fn respond(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::default();
    match count(request).await {
        Ok(text) => *response.body_mut() = Full::from(text),
        // The client must not see the details of an error.
        Err(_) => *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE,
    }
    Ok(response)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = ServiceBuilder::new()
        .layer(SessionLayer::new(MemoryStore::new()))
        .service_fn(respond);

    let port: u16 = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    writeln!(
        std::io::stdout(),
        "listening on http://{}",
        listener.local_addr()?
    )?;
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service),
        );
    }
}
