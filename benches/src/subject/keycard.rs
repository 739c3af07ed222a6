//! This crate.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tower_keycard::store::RedisConfig;
use tower_keycard::store::SessionStore;
use tower_keycard::{MemoryStore, RedisStore, Session, SessionConfig, SessionLayer};

use super::Setting;
use crate::visitor::App;
use crate::work::{CSRF, NAME, USER_ID, Work};

async fn create(session: Session) -> &'static str {
    session
        .insert("user_id", USER_ID)
        .expect("data within the limit");
    session.insert("name", NAME).expect("data within the limit");
    session.insert("csrf", CSRF).expect("data within the limit");
    "ok"
}

async fn untouched() -> &'static str {
    "ok"
}

async fn read(session: Session) -> &'static str {
    let user_id = session.get::<u64>("user_id").expect("a number");
    assert_eq!(user_id, Some(USER_ID));
    "ok"
}

async fn count(session: Session) -> &'static str {
    let one_more = |count: Option<u64>| count.unwrap_or(0) + 1;
    session.update("count", one_more).expect("a number");
    "ok"
}

async fn rotate(session: Session) -> &'static str {
    session.rotate_token().expect("the response has not begun");
    "ok"
}

/// Long, so that a store call never times out on a busy machine: a request that fails would do other work.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// An application with the defaults, apart from the setting.
fn app(store: impl SessionStore, setting: Setting) -> App {
    let layer = SessionLayer::builder(store)
        .config(
            SessionConfig::new()
                .idle(setting.idle)
                .store_timeout(STORE_TIMEOUT)
                .save_every_request(setting.work == Work::W7),
        )
        .build()
        .expect("a legal configuration");
    let work = match setting.work {
        Work::W0 | Work::W1 => get(untouched),
        Work::W2 | Work::W6 | Work::W7 => get(read),
        Work::W3 => get(count),
        Work::W4 => get(create),
        Work::W5 => get(rotate),
    };
    let router = Router::new()
        .route("/seed", get(create))
        .route("/work", work);
    App::Axum(router.layer(layer).with_state(()))
}

pub(super) fn in_memory(setting: Setting) -> App {
    let store = MemoryStore::builder().max_sessions(usize::MAX).build();
    app(store, setting)
}

pub(super) async fn in_redis(setting: Setting) -> App {
    let config = RedisConfig::new(setting.redis.as_str())
        .connect_timeout(STORE_TIMEOUT)
        .response_timeout(STORE_TIMEOUT);
    let store = RedisStore::connect(config).await;
    app(store.expect("a Redis server"), setting)
}
