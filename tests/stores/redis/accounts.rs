//! What a login settles for its session, kept on a server.

use std::time::SystemTime;

use http::StatusCode;
use tower_keycard::{ClientFacts, Login, Session, SessionError, SessionLayer};

use super::*;
use crate::support::client::Client;
use crate::support::redis_server::RedisServer;

const OLD: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA";
const NEW: &str = "$argon2id$v=19$m=19456,t=2,p=1$dGxhcw$aHNhaA";

async fn layer(server: &RedisServer) -> SessionLayer {
    let store = RedisStore::connect(server.url()).await.unwrap();
    SessionLayer::builder(store)
        .client(|_| ClientFacts::new().with_description("Firefox on Linux"))
        .build()
        .unwrap()
}

async fn logged_in(layer: &SessionLayer) -> Client {
    let device = Client::with(layer.clone());
    let login = Login::new(42).stamp(OLD).remember(true);
    let response = device.request(async |session: Session| session.login(login));
    assert_eq!(response.await.status(), StatusCode::OK);
    device
}

async fn check(device: &Client, present: &str) -> Result<(), SessionError> {
    let mut answer = Ok(());
    let handler = async |session: Session| answer = session.check_stamp(present);
    device.request(handler).await;
    answer
}

#[tokio::test]
async fn a_list_of_devices_has_what_each_login_said() {
    let server = RedisServer::start();
    let layer = layer(&server).await;
    let before = SystemTime::now();
    let phone = logged_in(&layer).await;
    logged_in(&layer).await;
    let mut listed = Vec::new();
    phone
        .request(async |session: Session| listed = session.sessions().await.unwrap())
        .await;
    assert_eq!(listed.len(), 2);
    for session in &listed {
        assert_eq!(session.client.as_deref(), Some("Firefox on Linux"));
        assert!(session.remembered);
        let since = session.last_seen.duration_since(before);
        assert!(since.unwrap_or_default() < Duration::from_secs(60));
        let idle = session.expires_at.duration_since(before).unwrap();
        assert!(idle > Duration::from_secs(13 * 86_400), "{idle:?}");
    }
    let current = listed.iter().filter(|session| session.current).count();
    assert_eq!(current, 1);
}

#[tokio::test]
async fn a_change_of_the_password_ends_the_other_sessions_and_a_check_those_that_are_missed() {
    let server = RedisServer::start();
    let layer = layer(&server).await;
    let (phone, laptop) = (logged_in(&layer).await, logged_in(&layer).await);
    // The index forgets one of these two.
    let missed = logged_in(&layer).await;
    let mut id = None;
    missed
        .request(async |session: Session| id = session.id())
        .await;
    let id = id.unwrap().to_string();
    server.cli(&["ZREM", "keycard:__Host-id:user=42", &id]);
    for device in [&phone, &laptop, &missed] {
        assert!(check(device, OLD).await.is_ok());
    }
    let change = async |session: Session| {
        assert_eq!(session.credential_changed(NEW).await.unwrap(), 1);
    };
    phone.request(change).await;
    assert!(check(&phone, NEW).await.is_ok());
    for device in [&laptop, &missed] {
        let refused = check(device, NEW).await;
        assert!(matches!(refused, Err(SessionError::NotLoggedIn)));
    }
    let left = layer.users().sessions_of("42").await.unwrap();
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn the_server_has_only_a_hash_of_a_stamp() {
    let server = RedisServer::start();
    logged_in(&layer(&server).await).await;
    let keys = server.cli(&["KEYS", "*"]);
    let is_record = |key: &&str| !key.contains("user=");
    let key = keys.lines().find(is_record).unwrap();
    let kept = server.cli(&["--no-raw", "GET", key]);
    assert!(kept.contains("Firefox on Linux"), "{kept}");
    for piece in ["argon2id", "19456", "c2FsdA", "aGFzaA"] {
        assert!(!kept.contains(piece), "{kept}");
    }
}

#[tokio::test]
async fn a_session_without_login_details_takes_no_more_than_256_bytes() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.unwrap();
    let data = format!(
        r#"{{"csrf":"{}","name":"{}","user_id":42}}"#,
        "c".repeat(32),
        "n".repeat(20)
    );
    let device = Client::with(SessionLayer::new(store));
    device
        .request(async |session: Session| {
            session.insert("user_id", 42).unwrap();
            session.insert("name", "n".repeat(20)).unwrap();
            session.insert("csrf", "c".repeat(32))
        })
        .await;
    let key = server.cli(&["KEYS", "*"]);
    assert!(server.cli(&["GET", &key]).ends_with(&data));
    let used: u32 = server.cli(&["MEMORY", "USAGE", &key]).parse().unwrap();
    assert!(used <= 256, "{used} bytes");
}
