//! axum_session, in memory and with Redis behind it.
//!
//! It has its defaults, and the same cookie as the other subjects. By default each request without a cookie creates a session,
//! and a process keeps its own copy of a Redis session for an hour, so that it does not see the changes of other processes.
//! This subject keeps no copy with Redis, so that all processes share the sessions, as they do with the other subjects.

use std::fmt::Debug;

use axum::Router;
use axum::routing::get;
use axum_session::{
    DatabasePool, Session, SessionConfig, SessionLayer, SessionNullPool, SessionStore,
};
use axum_session_redispool::SessionRedisPool;
use redis_pool::RedisPool;
use time::Duration;

use super::Setting;
use crate::visitor::App;
use crate::work::{COOKIE, CSRF, NAME, USER_ID, Work};

async fn create<P>(session: Session<P>) -> &'static str
where
    P: DatabasePool + Clone + Debug + Sync + Send + 'static,
{
    session.set("user_id", USER_ID);
    session.set("name", NAME);
    session.set("csrf", CSRF);
    "ok"
}

async fn untouched() -> &'static str {
    "ok"
}

async fn read<P>(session: Session<P>) -> &'static str
where
    P: DatabasePool + Clone + Debug + Sync + Send + 'static,
{
    assert_eq!(session.get::<u64>("user_id"), Some(USER_ID));
    "ok"
}

async fn count<P>(session: Session<P>) -> &'static str
where
    P: DatabasePool + Clone + Debug + Sync + Send + 'static,
{
    session.set("count", session.get::<u64>("count").unwrap_or(0) + 1);
    "ok"
}

async fn rotate<P>(session: Session<P>) -> &'static str
where
    P: DatabasePool + Clone + Debug + Sync + Send + 'static,
{
    session.renew();
    "ok"
}

async fn app<P>(pool: Option<P>, setting: &Setting) -> App
where
    P: DatabasePool + Clone + Debug + Sync + Send + 'static,
{
    let idle: Duration = setting.idle.try_into().expect("some seconds");
    let mut config = SessionConfig::default()
        // `with_prefix_with_host` would set the cookie under the longer name and read the shorter one.
        .with_session_name(COOKIE)
        .with_secure(true)
        .with_lifetime(idle)
        .with_max_age(Some(idle))
        .with_always_save(setting.work == Work::W7);
    if pool.is_some() {
        config = config.with_memory_lifetime(Duration::ZERO);
    }
    let store = SessionStore::new(pool, config).await.expect("a store");
    let work = match setting.work {
        Work::W0 | Work::W1 => get(untouched),
        Work::W2 | Work::W6 | Work::W7 => get(read::<P>),
        Work::W3 => get(count::<P>),
        Work::W4 => get(create::<P>),
        Work::W5 => get(rotate::<P>),
    };
    let router = Router::new()
        .route("/seed", get(create::<P>))
        .route("/work", work);
    App::Axum(router.layer(SessionLayer::new(store)).with_state(()))
}

pub(super) async fn in_memory(setting: &Setting) -> App {
    app::<SessionNullPool>(None, setting).await
}

/// The pool opens as many connections as it needs, and keeps 16.
pub(super) async fn in_redis(setting: &Setting) -> App {
    let client = redis::Client::open(setting.redis.as_str()).expect("a URL");
    app(
        Some(SessionRedisPool::from(RedisPool::from(client))),
        setting,
    )
    .await
}
