//! ruts, with its stores for moka and Redis.
//!
//! Each value has its own expiry, and is read, written and slid by its own store call: a session slides when all its values do.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::routing::get;
use ruts::store::moka::MokaStore;
use ruts::store::redis::RedisStore;
use ruts::store::{SessionStore, Ttl};
use ruts::{CookieOptions, Session, SessionLayer};
use tower_cookies::CookieManagerLayer;
use tower_cookies::cookie::SameSite;

use super::Setting;
use super::tower_sessions::client;
use crate::visitor::App;
use crate::work::{COOKIE, CSRF, NAME, USER_ID, Work};

async fn create<S: SessionStore>(State(idle): State<Ttl>, session: Session<S>) -> &'static str {
    let set = session.set("user_id", &USER_ID, idle, None).await;
    set.expect("a store");
    session
        .set("name", &NAME, idle, None)
        .await
        .expect("a store");
    session
        .set("csrf", &CSRF, idle, None)
        .await
        .expect("a store");
    "ok"
}

async fn untouched() -> &'static str {
    "ok"
}

async fn read<S: SessionStore>(session: Session<S>) -> &'static str {
    let user_id = session.get::<u64>("user_id").await.expect("a number");
    assert_eq!(user_id, Some(USER_ID));
    "ok"
}

async fn slide<S: SessionStore>(State(idle): State<Ttl>, session: Session<S>) -> &'static str {
    let user_id = session.get::<u64>("user_id").await.expect("a number");
    assert_eq!(user_id, Some(USER_ID));
    for field in ["user_id", "name", "csrf"] {
        assert!(session.expire_field(field, idle).await.expect("a store"));
    }
    session.set_expiration(idle.get() as u64);
    "ok"
}

async fn count<S: SessionStore>(State(idle): State<Ttl>, session: Session<S>) -> &'static str {
    let count: Option<u64> = session.get("count").await.expect("a number");
    let count = count.unwrap_or(0) + 1;
    session
        .set("count", &count, idle, None)
        .await
        .expect("a store");
    "ok"
}

async fn rotate<S: SessionStore>(session: Session<S>) -> &'static str {
    session.regenerate().await.expect("a store");
    "ok"
}

fn app<S: SessionStore + 'static>(store: S, setting: &Setting) -> App
where
    Session<S>: FromRequestParts<Ttl>,
{
    let seconds = setting.idle.as_secs();
    let cookie = CookieOptions::build()
        .name(COOKIE)
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(true)
        .max_age(seconds)
        .path("/");
    let work = match setting.work {
        Work::W0 | Work::W1 => get(untouched),
        Work::W2 => get(read::<S>),
        Work::W3 => get(count::<S>),
        Work::W4 => get(create::<S>),
        Work::W5 => get(rotate::<S>),
        Work::W6 | Work::W7 => get(slide::<S>),
    };
    let router = Router::new()
        .route("/seed", get(create::<S>))
        .route("/work", work)
        .layer(SessionLayer::new(Arc::new(store)).with_cookie_options(cookie))
        .layer(CookieManagerLayer::new());
    let idle = Ttl::new(seconds as i64).expect("some seconds");
    App::Axum(router.with_state(idle))
}

pub(super) fn in_moka(setting: &Setting) -> App {
    // By default it would keep 10,000 sessions, and never drop one for its age.
    let store = MokaStore::builder()
        .max_capacity(u64::MAX)
        .time_to_idle(setting.idle)
        .build();
    app(store, setting)
}

/// Uses one connection, like the other subjects.
pub(super) async fn in_redis(setting: &Setting) -> App {
    let client = Arc::new(client(&setting.redis).await);
    let store = RedisStore::new(client).await.expect("a Redis server");
    app(store, setting)
}
