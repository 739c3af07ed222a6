//! The shortest useful program: each visitor has a counter of their own.
//!
//! Run `cargo run --example counter`, then reload <http://127.0.0.1:3000>. To use another port, set `PORT=8080`.

use std::error::Error;
use std::io::Write;

use axum::{Router, routing::get};
use tokio::net::TcpListener;
use tower_keycard::{MemoryStore, Session, SessionError, SessionLayer};

async fn count(session: Session) -> Result<String, SessionError> {
    let count: u32 = session.update("count", |n: Option<u32>| n.unwrap_or(0) + 1)?;
    Ok(format!("page view {count}\n"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = Router::new()
        .route("/", get(count))
        .layer(SessionLayer::new(MemoryStore::new()));

    let port: u16 = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    writeln!(
        std::io::stdout(),
        "listening on http://{}",
        listener.local_addr()?
    )?;
    axum::serve(listener, app).await?;
    Ok(())
}
