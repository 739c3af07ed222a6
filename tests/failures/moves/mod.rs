//! What clients get while the servers under a store move: slots, primaries, connections. The whole stack, from the router to
//! real servers and back.
//!
//! `docs/failover.md` says what `promotions` has counted. It is written anew by
//! `KEYCARD_PROMOTIONS=100 KEYCARD_WRITE_DOCS=1 cargo test --all-features --test failures promotions`.

mod clients;
mod cluster;
mod promotions;
mod replicas;
mod sentinel;
mod storm;

use std::time::{Duration, Instant};

use tower_keycard::SessionLayer;
use tower_keycard::store::{RedisConfig, RedisStore};

use self::clients::{Clients, Count};
use crate::alone;
use crate::support;
use crate::support::app::App;

/// How soon everything works again once the servers do.
const RECOVERY: Duration = Duration::from_secs(2);

/// The application on a store.
async fn app(config: RedisConfig) -> App {
    let store = RedisStore::connect(config).await.unwrap();
    App::new(SessionLayer::new(store))
}

/// Waits until every client is served again. `healthy` is when the servers were.
async fn recovered(clients: &Clients, healthy: Instant) {
    clients.is_served().await;
    let taken = healthy.elapsed();
    assert!(taken < RECOVERY, "served only {taken:?} after the servers");
}

/// When the servers were healthy: before the first look at them that says so.
async fn when_healthy(what: &str, mut is_healthy: impl FnMut() -> bool) -> Instant {
    let start = Instant::now();
    loop {
        let look = Instant::now();
        if tokio::task::block_in_place(&mut is_healthy) {
            return look;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Nothing that was acknowledged was undone.
fn nothing_undone(count: &Count) {
    assert_eq!(
        (count.undone_writes, count.reopened),
        (0, [0; 3]),
        "{count:?}"
    );
}
