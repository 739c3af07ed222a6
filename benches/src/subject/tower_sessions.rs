//! tower-sessions, with its stores for memory, moka and Redis.
//!
//! It has its defaults, and the same lifetime of the cookie as the other subjects. It slides an expiry only by saving each time
//! (`with_always_save`).

use axum::Router;
use axum::routing::get;
use fred::clients::Client;
use fred::interfaces::ClientLike as _;
use fred::types::config::Config;
use tower_sessions_moka_store::MokaStore;
use tower_sessions_redis_store::RedisStore;

use super::Setting;
use crate::visitor::App;
use crate::work::{COOKIE, CSRF, NAME, USER_ID, Work};

/// The same code for two versions of the crate: the stores for moka and Redis need the one before the newest.
macro_rules! version {
    ($version:ident) => {
        mod $version {
            use super::*;
            use ::$version::cookie::SameSite;
            use ::$version::{Expiry, Session, SessionManagerLayer, SessionStore};

            async fn create(session: Session) -> &'static str {
                session.insert("user_id", USER_ID).await.expect("a store");
                session.insert("name", NAME).await.expect("a store");
                session.insert("csrf", CSRF).await.expect("a store");
                "ok"
            }

            async fn untouched() -> &'static str {
                "ok"
            }

            async fn read(session: Session) -> &'static str {
                let user_id = session.get::<u64>("user_id").await.expect("a number");
                assert_eq!(user_id, Some(USER_ID));
                "ok"
            }

            async fn count(session: Session) -> &'static str {
                let count: Option<u64> = session.get("count").await.expect("a number");
                let count = count.unwrap_or(0) + 1;
                session.insert("count", count).await.expect("a store");
                "ok"
            }

            async fn rotate(session: Session) -> &'static str {
                session.cycle_id().await.expect("a store");
                "ok"
            }

            pub(super) fn app(store: impl SessionStore + Clone, setting: &Setting) -> App {
                let idle = setting.idle.try_into().expect("some seconds");
                let layer = SessionManagerLayer::new(store)
                    .with_name(COOKIE)
                    .with_same_site(SameSite::Lax)
                    .with_expiry(Expiry::OnInactivity(idle))
                    .with_always_save(setting.work.slides());
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
        }
    };
}

version!(tower_sessions);
version!(tower_sessions_0_14);

pub(super) fn in_memory(setting: &Setting) -> App {
    tower_sessions::app(::tower_sessions::MemoryStore::default(), setting)
}

pub(super) fn in_moka(setting: &Setting) -> App {
    tower_sessions_0_14::app(MokaStore::new(None), setting)
}

/// Uses one connection, like the other subjects.
pub(super) async fn in_redis(setting: &Setting) -> App {
    tower_sessions_0_14::app(RedisStore::new(client(&setting.redis).await), setting)
}

pub(super) async fn client(url: &str) -> Client {
    let config = Config::from_url(url).expect("a URL");
    let client = Client::new(config, None, None, None);
    client.init().await.expect("a Redis server");
    client
}
