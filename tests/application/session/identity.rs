//! The user that the session belongs to, and when.

use std::convert::Infallible;
use std::future::ready;
use std::time::{Duration, SystemTime};

use http::header::SET_COOKIE;
use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_keycard::session::{Expiry, Timestamp};
use tower_keycard::store::testing::fault::FaultStore;
use tower_keycard::{Clock, MemoryStore, Session, SessionError, SessionLayer};

use crate::support::client::{Body, Client};

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn timed() -> (Client, Clock) {
    let clock = Clock::manual(START);
    let store = MemoryStore::builder().clock(clock.clone()).build();
    let layer = SessionLayer::builder(store)
        .clock(clock.clone())
        .build()
        .unwrap();
    (Client::with(layer), clock)
}

#[tokio::test]
async fn a_user_is_whatever_names_one_and_no_longer_than_255_bytes() {
    let client = Client::new();
    client
        .request(async |session| {
            assert!(matches!(session.login(""), Err(SessionError::InvalidUser)));
            assert!(matches!(
                session.login("x".repeat(256)),
                Err(SessionError::InvalidUser)
            ));
            assert_eq!(session.user(), None);
            session.login(42_u64).unwrap();
            assert_eq!(session.user().as_deref(), Some("42"));
        })
        .await;
    client
        .request(async |session| assert_eq!(session.user().as_deref(), Some("42")))
        .await;
    let client = Client::new();
    client
        .request(async |session| session.login("ü".repeat(127)))
        .await;
    client
        .request(async |session| assert_eq!(session.user(), Some("ü".repeat(127))))
        .await;
}

#[tokio::test]
async fn a_login_keeps_the_cart_and_a_keeping_login_only_what_it_names() {
    let client = Client::new();
    client
        .request(async |session| {
            session.insert("cart", 1).unwrap();
            session.insert("theme", "dark").unwrap();
        })
        .await;
    let anonymous = client.cookie();
    client
        .request(async |session| {
            session.insert("note", "now").unwrap();
            session.login("alice").unwrap();
            assert_eq!(session.keys(), ["cart", "note", "theme"]);
        })
        .await;
    assert_ne!(client.cookie(), anonymous);
    client
        .request(async |session| {
            session
                .login_keeping("alice", &["cart", "missing"])
                .unwrap();
            assert_eq!(session.keys(), ["cart"]);
            session.insert("fresh", 1).unwrap();
        })
        .await;
    client
        .request(async |session| assert_eq!(session.keys(), ["cart", "fresh"]))
        .await;
}

#[tokio::test]
async fn a_login_as_another_user_leaves_nothing_of_the_old_session() {
    let client = Client::new();
    client
        .request(async |session| {
            session.insert("secret", "of alice").unwrap();
            session.login("alice").unwrap();
        })
        .await;
    let id = client.session_id().await;
    client
        .request(async |session| {
            session.insert("also", "of alice").unwrap();
            session.login("bob").unwrap();
            assert!(session.is_empty() && session.id().is_none());
            assert_eq!(session.user().as_deref(), Some("bob"));
            session.insert("own", "of bob").unwrap();
        })
        .await;
    client
        .request(async |session| assert_eq!(session.keys(), ["own"]))
        .await;
    assert_ne!(client.session_id().await, id);
}

#[tokio::test]
async fn reauthentication_needs_a_user_moves_the_time_and_rotates() {
    let (client, clock) = timed();
    client
        .request(async |session| {
            assert!(matches!(
                session.reauthenticate(),
                Err(SessionError::NotLoggedIn)
            ));
            session.login("alice").unwrap();
            assert_eq!(session.authenticated_at(), Some(SystemTime::from(START)));
        })
        .await;
    let before = client.cookie();
    clock.advance(Duration::from_secs(600));
    client
        .request(async |session| {
            assert_eq!(session.authenticated_at(), Some(SystemTime::from(START)));
            session.reauthenticate().unwrap();
        })
        .await;
    assert_ne!(client.cookie(), before);
    client
        .request(async |session| {
            let expected = START.plus(Duration::from_secs(600));
            assert_eq!(session.authenticated_at(), Some(SystemTime::from(expected)));
        })
        .await;
}

#[tokio::test]
async fn the_id_is_there_once_the_session_is_and_survives_rotation() {
    let client = Client::new();
    client
        .request(async |session| {
            session.insert("n", 1).unwrap();
            assert!(session.id().is_none() && !session.exists());
        })
        .await;
    let id = client.session_id().await;
    assert!(id.is_some());
    client.request(async |session| session.rotate_token()).await;
    assert_eq!(client.session_id().await, id);
    client
        .request(async |session| {
            session.logout().unwrap();
            assert!(session.id().is_none() && !session.exists() && session.user().is_none());
        })
        .await;
}

#[tokio::test]
async fn without_a_session_cycling_clearing_and_expiry_do_nothing() {
    let client = Client::new();
    let response = client
        .request(async |session| {
            session.rotate_token().unwrap();
            session.clear().unwrap();
            session.set_expiry(Duration::from_secs(60)).unwrap();
            session.logout().unwrap();
        })
        .await;
    assert!(!response.headers().contains_key(SET_COOKIE));
}

#[tokio::test]
async fn an_expiry_is_known_before_and_after_it_is_stored() {
    let (client, clock) = timed();
    let minute = Duration::from_secs(60);
    let at = move |time: Timestamp| Some(SystemTime::from(time));
    client
        .request(async move |session| {
            assert_eq!(session.expires_at(), None);
            session.insert("n", 1).unwrap();
            session.save().await.unwrap();
            // Until the browser has brought the cookie.
            assert_eq!(session.expires_at(), at(START.plus(60 * minute)));
        })
        .await;
    client
        .request(async move |session| {
            assert_eq!(session.expires_at(), at(START.plus(1440 * minute)));
            session.set_expiry(minute).unwrap();
            assert_eq!(session.expires_at(), at(START.plus(minute)));
        })
        .await;
    clock.advance(Duration::from_secs(30));
    client
        .request(async move |session| {
            assert_eq!(session.expires_at(), at(START.plus(minute + minute / 2)));
            session.set_expiry(Expiry::Default).unwrap();
        })
        .await;
    client
        .request(async move |session| {
            let now = START.plus(minute / 2);
            assert_eq!(session.expires_at(), at(now.plus(1440 * minute)));
            let instant = SystemTime::from(now.plus(2 * minute));
            session.set_expiry(instant).unwrap();
            assert_eq!(session.expires_at(), Some(instant));
        })
        .await;
}

impl Client {
    async fn session_id(&self) -> Option<tower_keycard::SessionId> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.request(async move |session| sender.send(session.id()).unwrap())
            .await;
        receiver.await.unwrap()
    }
}

#[tokio::test]
async fn only_a_recent_authentication_lets_a_user_go_on() {
    let (client, clock) = timed();
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    client
        .request(async move |session| {
            assert!(matches!(
                session.require_user(),
                Err(SessionError::NotLoggedIn)
            ));
            let nobody = session.require_fresh(minutes(5));
            assert!(matches!(nobody, Err(SessionError::NotLoggedIn)));
            session.login("alice").unwrap();
            assert_eq!(session.require_user().unwrap(), "alice");
            session.require_fresh(minutes(5)).unwrap();
        })
        .await;
    clock.advance(minutes(5) - Duration::from_millis(1));
    client
        .request(async move |session| session.require_fresh(minutes(5)).unwrap())
        .await;
    clock.advance(Duration::from_millis(1));
    client
        .request(async move |session| {
            assert!(matches!(
                session.require_fresh(minutes(5)),
                Err(SessionError::NotFresh)
            ));
            session.require_fresh(minutes(6)).unwrap();
            session.reauthenticate().unwrap();
            session.require_fresh(minutes(5)).unwrap();
        })
        .await;
    client
        .request(async move |session| session.require_fresh(minutes(5)).unwrap())
        .await;
}

#[tokio::test]
async fn an_authentication_from_a_clock_that_runs_ahead_is_none() {
    let (client, clock) = timed();
    client.request(async |session| session.login("alice")).await;
    clock.set(Timestamp::from_millis(START.as_millis() - 60_000));
    let hour = Duration::from_secs(3_600);
    client
        .request(async move |session| session.require_fresh(hour).unwrap())
        .await;
    clock.set(Timestamp::from_millis(START.as_millis() - 60_001));
    client
        .request(async move |session| {
            assert!(matches!(
                session.require_fresh(hour),
                Err(SessionError::NotFresh)
            ));
        })
        .await;
}

#[tokio::test]
async fn a_cookie_is_sent_where_the_token_or_its_lifetime_changed_and_nowhere_else() {
    let client = Client::new();
    let hour = Duration::from_secs(3_600);
    let sends = async |handler: fn(&Session) -> Result<(), SessionError>| {
        let response = client.request(async |session| handler(&session)).await;
        response.headers().contains_key(SET_COOKIE)
    };
    assert!(
        sends(|session| session.insert("n", 1)).await,
        "a new session"
    );
    assert!(!sends(|session| session.insert("n", 2)).await);
    assert!(sends(Session::rotate_token).await);
    assert!(sends(|session| session.set_expiry(Expiry::BrowserClose)).await);
    let again = |session: &Session| {
        session.insert("n", 3)?;
        session.set_expiry(Expiry::BrowserClose)
    };
    assert!(!sends(again).await, "as it was");
    let idle = client
        .request(async |session| session.set_expiry(hour))
        .await;
    assert!(idle.headers().contains_key(SET_COOKIE));
}

#[tokio::test]
async fn a_logout_with_a_token_that_was_just_rotated_out_ends_the_session() {
    let client = Client::new();
    client.request(async |session| session.insert("n", 1)).await;
    let old = client.cookie();
    client.request(async |session| session.login("alice")).await;
    let new = client.cookie();
    client.set_cookie(old);
    client.request(async |session| session.logout()).await;
    client.set_cookie(new);
    client
        .request(async |session| assert!(!session.exists()))
        .await;
}

#[tokio::test]
async fn a_user_who_logged_out_stays_logged_out_when_the_session_is_reloaded() {
    let client = Client::new();
    client.request(async |session| session.insert("n", 1)).await;
    client
        .request(async |session| {
            session.logout()?;
            session.reload().await?;
            assert!(!session.exists() && session.is_empty());
            Ok(())
        })
        .await;
    assert_eq!(client.cookie(), None);
}

#[tokio::test]
async fn the_id_that_a_cookie_names_is_known_without_asking_the_store() {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let client = Client::with(SessionLayer::new(store));
    let id = client.session_id().await;
    assert_eq!(id, None, "there is no session yet");
    let mut id = None;
    client
        .request(async |session| {
            session.insert("n", 1)?;
            session.save().await?;
            id = session.id();
            Ok(())
        })
        .await;
    let before = faults.all_calls();
    let inner = service_fn(|request: Request<Body>| {
        assert_eq!(Session::presented(request.extensions()), id);
        ready(Ok::<_, Infallible>(Response::new(Body::new())))
    });
    client
        .layer
        .layer(inner)
        .oneshot(client.new_request())
        .await
        .unwrap();
    assert!(id.is_some());
    assert_eq!(faults.all_calls(), before);
}
