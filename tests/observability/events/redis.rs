//! The same over a Redis: what its index ends is reported, each session by its id.

use std::time::Duration;

use tower_keycard::{Clock, RedisStore, SessionConfig};

use super::witness::{look, site_on, words};
use crate::support::client::ask;
use crate::support::redis_server::RedisServer;

#[tokio::test]
async fn each_session_that_an_index_in_redis_ends_is_reported() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.unwrap();
    let site = site_on(store, Clock::system(), |layer| layer);
    let devices = [
        site.logged_in("alice").await,
        site.logged_in("alice").await,
        site.logged_in("alice").await,
    ];
    site.logged_in("bob").await;
    let mut ids = Vec::new();
    for device in &devices {
        ids.push(ask(device, async |session| session.id().unwrap()).await);
    }
    site.events().await;
    let ended = ask(&devices[0], async |session| {
        session.end_other_sessions().await
    });
    assert_eq!(ended.await.unwrap(), 2);
    let mut events = site.events().await;
    let reported: Vec<_> = events.iter().map(words).collect();
    let expected = [
        "resumed",
        "rotated requested",
        "revoked others",
        "revoked others",
    ];
    assert_eq!(reported, expected);
    let mut sessions: Vec<_> = events
        .drain(2..)
        .map(|event| event.session.unwrap())
        .collect();
    sessions.sort();
    ids.remove(0);
    ids.sort();
    assert_eq!(sessions, ids);
}

#[tokio::test]
async fn a_session_that_idled_away_in_redis_is_unknown_afterwards() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.unwrap();
    let idle = Duration::from_secs(1);
    let site = site_on(store, Clock::system(), |layer| {
        layer.config(SessionConfig::new().idle(idle))
    });
    let device = site.logged_in("alice").await;
    site.events().await;
    let cookie = device.cookie().unwrap();
    let (_, token) = cookie.split_once('=').unwrap();
    let key = format!("keycard:__Host-id:{}", &token[..20]);
    let gone = async || (server.cli(&["EXISTS", &key]) == "0").then_some(());
    crate::support::eventually("the entry expires", gone).await;
    look(&device).await;
    assert_eq!(site.words().await, ["unknown no_record"]);
}
