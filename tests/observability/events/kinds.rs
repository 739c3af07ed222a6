//! Each kind of event is reported when it happens, with the session, its user and the client.

use std::time::{Duration, SystemTime};

use http::header::COOKIE;
use http::{Request, StatusCode};
use tower::{Layer, Service, service_fn};
use tower_keycard::config::BeyondLimit;
use tower_keycard::event::{EventKind, Revocation, StoreCall};
use tower_keycard::store::StoreErrorKind;
use tower_keycard::store::testing::fault::Fault;
use tower_keycard::{Key, Login, MemoryStore, Session, SessionConfig, SessionId};

use super::witness::{START, look, site, site_on, site_with};
use crate::support::client::ask;
use crate::support::log::Log;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn an_event_says_what_when_where_of_whom_and_by_whom() {
    let site = site_with(|layer| layer.config(SessionConfig::new().namespace("shop")));
    site.clock.advance(MINUTE);
    let device = site.logged_in("alice").await;
    let id = ask(&device, async |session| session.id().unwrap()).await;
    let [created, resumed] = &site.events().await[..] else {
        panic!("two events");
    };
    for event in [created, resumed] {
        assert_eq!(event.time, SystemTime::from(START.plus(MINUTE)));
        assert_eq!(&*event.namespace, "shop");
        assert_eq!(event.session, Some(id));
        assert_eq!(event.user.as_deref(), Some("alice"));
        let client = event.client.as_deref().unwrap();
        assert_eq!(client.description(), Some("a browser"));
    }
    assert_eq!(resumed.kind, EventKind::Resumed);
}

#[tokio::test]
async fn the_life_of_a_session_is_reported_from_its_beginning_to_its_end() {
    let site = site();
    let device = site.device();
    device
        .request(async |session| session.insert("cart", 1))
        .await;
    assert_eq!(site.words().await, ["created write"]);
    device
        .request(async |session| session.insert("cart", 2))
        .await;
    assert_eq!(site.words().await, ["resumed"]);
    device.request(async |session| session.login("alice")).await;
    assert_eq!(site.words().await, ["resumed", "rotated login"]);
    device
        .request(async |session| session.reauthenticate())
        .await;
    assert_eq!(site.words().await, ["resumed", "rotated reauthentication"]);
    device.request(async |session| session.rotate_token()).await;
    assert_eq!(site.words().await, ["resumed", "rotated requested"]);
    device.request(async |session| session.login("bob")).await;
    let events = site.events().await;
    let owners: Vec<_> = events.iter().map(|event| event.user.as_deref()).collect();
    assert_eq!(owners, [Some("alice"), Some("alice"), Some("bob")]);
    let names: Vec<_> = events.iter().map(super::witness::words).collect();
    assert_eq!(names, ["resumed", "destroyed switch", "created login"]);
    device.request(async |session| session.logout()).await;
    assert_eq!(site.words().await, ["resumed", "destroyed logout"]);
    look(&device).await;
    assert!(site.words().await.is_empty(), "there is no token any more");
}

#[tokio::test]
async fn an_untouched_request_is_not_worth_an_event() {
    let site = site();
    let device = site.logged_in("alice").await;
    site.events().await;
    let mut service = site.layer.layer(service_fn(async |_: Request<String>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
    }));
    service.call(device.new_request()).await.unwrap();
    assert!(site.words().await.is_empty());
}

#[tokio::test]
async fn each_session_that_is_ended_from_elsewhere_is_reported_with_who_did_it() {
    let site = site();
    let phone = site.logged_in("alice").await;
    let mut ended = Vec::new();
    for _ in 0..5 {
        let other = site.logged_in("alice").await;
        ended.push(ask(&other, async |session| session.id().unwrap()).await);
    }
    let own = ask(&phone, async |session| session.id().unwrap()).await;
    site.events().await;
    let revoked = async |by: &str| {
        let mut events = site.events().await;
        events.retain(|event| event.kind.name() == "revoked");
        for event in &events {
            assert_eq!(event.kind.reason(), Some(by));
        }
        let client = |event: &tower_keycard::event::SessionEvent| event.client.is_some();
        assert!(
            events
                .iter()
                .all(|event| client(event) == (by != "administrator"))
        );
        let mut sessions: Vec<_> = events.iter().map(|event| event.session.unwrap()).collect();
        sessions.sort();
        sessions
    };

    let one = ended.pop().unwrap();
    assert!(
        ask(&phone, async move |session| session
            .end_session(one)
            .await
            .unwrap())
        .await
    );
    assert_eq!(revoked("one").await, [one]);

    let one = ended.pop().unwrap();
    site.layer.users().end(one).await.unwrap();
    assert_eq!(revoked("administrator").await, [one]);

    ask(&phone, async |session| {
        session.end_other_sessions().await.unwrap()
    })
    .await;
    ended.sort();
    assert_eq!(revoked("others").await, ended);

    ask(&phone, async |session| {
        session.logout_everywhere().await.unwrap()
    })
    .await;
    assert_eq!(revoked("everywhere").await, [own]);

    let [first, second] = [site.logged_in("bob").await, site.logged_in("bob").await];
    let mut theirs: Vec<SessionId> = Vec::new();
    for device in [&first, &second] {
        theirs.push(ask(device, async |session| session.id().unwrap()).await);
    }
    theirs.sort();
    assert_eq!(site.layer.users().end_all("bob").await.unwrap(), 2);
    assert_eq!(revoked("administrator").await, theirs);
}

#[tokio::test]
async fn a_change_of_the_password_is_reported_for_each_session_that_it_ends() {
    let site = site();
    let mut devices = Vec::new();
    for _ in 0..3 {
        let device = site.logged_in("alice").await;
        let login = async |session: Session| session.login(Login::new("alice").stamp("old"));
        ask(&device, login).await.unwrap();
        let id = ask(&device, async |session| session.id().unwrap()).await;
        devices.push((device, id));
    }
    site.words().await;
    // It is checked with a stamp that the sessions do not know yet: what is read anew in between takes nothing back.
    ask(&devices[0].0, async |session| {
        assert!(session.check_stamp("new").is_err());
        session.reload().await.unwrap();
    })
    .await;
    let reported = site.words().await;
    assert_eq!(reported, ["resumed", "destroyed credential"]);
    let change = async |session: Session| session.credential_changed("new").await;
    assert_eq!(ask(&devices[1].0, change).await.unwrap(), 1);
    let events = site.events().await;
    let revoked = events
        .iter()
        .find(|event| event.kind == EventKind::Revoked(Revocation::Credential));
    assert_eq!(revoked.unwrap().session, Some(devices[2].1));
    // A logout is a logout all the same.
    ask(&devices[1].0, async |session| {
        assert!(session.check_stamp("newer").is_err());
        session.logout()
    })
    .await
    .unwrap();
    assert_eq!(site.words().await, ["resumed", "destroyed logout"]);
}

#[tokio::test]
async fn a_session_that_is_one_too_many_is_reported() {
    let site = site_with(|layer| {
        layer.config(SessionConfig::new().max_sessions_per_user(1, BeyondLimit::EvictOldest))
    });
    let first = site.logged_in("alice").await;
    let id = ask(&first, async |session| session.id().unwrap()).await;
    site.clock.advance(MINUTE);
    site.events().await;
    site.logged_in("alice").await;
    let events = site.events().await;
    let names: Vec<_> = events.iter().map(super::witness::words).collect();
    assert_eq!(names, ["created login", "revoked limit"]);
    assert_eq!(events[1].session, Some(id));
    assert_eq!(events[1].user.as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_login_that_is_not_carried_out_is_reported() {
    let site = site_with(|layer| {
        layer.config(SessionConfig::new().max_sessions_per_user(1, BeyondLimit::Refuse))
    });
    site.logged_in("alice").await;
    site.clock.advance(MINUTE);
    site.events().await;
    site.device()
        .request(async |session| session.login("alice"))
        .await;
    let events = site.events().await;
    assert_eq!(super::witness::words(&events[0]), "login_refused limit");
    assert_eq!(events[0].user.as_deref(), Some("alice"));
    let clock = site.clock.clone();
    site.device()
        .request(async move |session| {
            session.login("bob").unwrap();
            clock.advance(2 * MINUTE);
        })
        .await;
    assert_eq!(site.words().await, ["login_refused too_late"]);
}

#[tokio::test]
async fn a_limit_that_the_record_knows_is_named() {
    // The store keeps it for longer than it may live: the clocks of two servers differ.
    let store = MemoryStore::new();
    let site = site_on(store, tower_keycard::Clock::manual(START), |layer| layer);
    let device = site.logged_in("alice").await;
    let at = SystemTime::from(START.plus(DAY));
    let short = site.device();
    short
        .request(async move |session| {
            session.set_expiry(at)?;
            session.login("alice")
        })
        .await;
    site.events().await;
    site.clock.advance(DAY);
    look(&short).await;
    assert_eq!(site.words().await, ["expired instant"]);
    site.clock.advance(14 * DAY);
    look(&device).await;
    let events = site.events().await;
    assert_eq!(super::witness::words(&events[0]), "expired absolute");
    assert_eq!(events[0].user.as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_session_that_the_store_has_dropped_is_unknown() {
    let site = site();
    let device = site.logged_in("alice").await;
    site.events().await;
    site.clock.advance(DAY);
    look(&device).await;
    assert_eq!(site.words().await, ["unknown no_record"]);
}

#[tokio::test]
async fn tokens_that_open_nothing_are_reported_with_what_is_known_of_them() {
    let site = site();
    let device = site.logged_in("alice").await;
    let old = device.cookie().unwrap();
    device.request(async |session| session.rotate_token()).await;
    site.events().await;

    // The event names the user whose session it was.
    let reported = async |cookie: &str| {
        look(&site.with_cookie(cookie)).await;
        let events = site.events().await;
        assert_eq!(events.len(), 1);
        let user = events[0].user.as_deref().unwrap_or("nobody");
        format!("{}: {user}", super::witness::words(&events[0]))
    };
    assert_eq!(reported(&old).await, "stale superseded: alice");
    site.clock.advance(MINUTE);
    assert_eq!(reported(&old).await, "stale old: alice");

    let (name, token) = old.split_once('=').unwrap();
    let guessed = format!("{name}={}{}", &token[..20], "A".repeat(24));
    assert_eq!(reported(&guessed).await, "unknown wrong_verifier: alice");
    look(&site.with_cookie(&format!("{name}={}", "A".repeat(44)))).await;
    let events = site.events().await;
    assert_eq!(super::witness::words(&events[0]), "unknown no_record");
    assert_eq!(events[0].session.unwrap().as_str(), "A".repeat(20));
    assert!(events[0].user.is_none() && events[0].client.is_some());

    look(&site.with_cookie(&format!("{name}=short"))).await;
    assert_eq!(site.words().await, ["malformed"]);
    // Of several tokens each that opens nothing is reported.
    let two = format!("{name}={}; {old}", "A".repeat(44));
    look(&site.with_cookie(&two)).await;
    assert_eq!(site.words().await, ["unknown no_record", "stale old"]);
    let other = site.logged_in("bob").await.cookie().unwrap();
    site.events().await;
    let two = format!("{}; {other}", device.cookie().unwrap());
    look(&site.with_cookie(&two)).await;
    assert_eq!(site.words().await, ["ambiguous"]);
    let write = async |session: Session| session.insert("views", 1);
    site.with_cookie(&two).request(write).await;
    assert_eq!(site.words().await, ["ambiguous", "discarded"]);
    let five = ["A", "B", "C", "D", "E"].map(|letter| format!("{name}={}", letter.repeat(44)));
    look(&site.with_cookie(&five.join("; "))).await;
    assert_eq!(site.words().await, ["ambiguous"]);
    let both = site.with_cookie(&format!("{old}; {other}"));
    look(&both).await;
    assert_eq!(site.words().await, ["stale old", "resumed"]);

    let dead = device.cookie().unwrap();
    device.request(async |session| session.logout()).await;
    site.events().await;
    look(&site.with_cookie(&dead)).await;
    assert_eq!(site.words().await, ["stale deleted"]);
}

#[tokio::test]
async fn sessions_that_contradict_each_other_are_ended_by_a_login() {
    let site = site();
    let (alice, bob) = (site.logged_in("alice").await, site.logged_in("bob").await);
    let both = [alice, bob]
        .map(|device| device.cookie().unwrap())
        .join("; ");
    site.events().await;
    let login = async |session: Session| session.login("eve");
    site.with_cookie(&both).request(login).await;
    let events = site.events().await;
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            format!(
                "{}: {:?}",
                super::witness::words(event),
                event.user.as_deref()
            )
        })
        .collect();
    let expected = [
        "ambiguous: None",
        "destroyed ambiguous: Some(\"alice\")",
        "destroyed ambiguous: Some(\"bob\")",
        "created login: Some(\"eve\")",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn writers_that_meet_and_writers_that_lose_are_reported() {
    let site = site();
    let device = site.logged_in("alice").await;
    let twin = site.with_cookie(&device.cookie().unwrap());
    site.events().await;
    device
        .request(async |session| {
            twin.request(async |session| session.insert("theirs", 1))
                .await;
            session.insert("mine", 1)
        })
        .await;
    let words = site.words().await;
    assert_eq!(words, ["resumed", "resumed", "conflict"]);
    let response = device
        .request(async |session| {
            twin.request(async |session| session.rotate_token()).await;
            session.insert("mine", 2)
        })
        .await;
    assert_eq!(response.status(), StatusCode::CONFLICT);
    let events = site.events().await;
    let names: Vec<_> = events.iter().map(super::witness::words).collect();
    assert_eq!(
        names,
        ["resumed", "resumed", "rotated requested", "interrupted"]
    );
    assert_eq!(events[3].user.as_deref(), Some("alice"));
}

#[tokio::test]
async fn what_was_written_for_nothing_is_reported() {
    let site = site();
    let device = site.device();
    let mut service = site
        .layer
        .layer(service_fn(async |request: Request<String>| {
            let session = Session::load(request.extensions()).await.unwrap();
            session.insert("cart", 1).unwrap();
            Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
        }));
    let mut request = device.new_request();
    *request.method_mut() = http::Method::POST;
    let headers = request.headers_mut();
    headers.insert("sec-fetch-site", "cross-site".parse().unwrap());
    assert!(!headers.contains_key(COOKIE));
    service.call(request).await.unwrap();
    assert_eq!(site.words().await, ["discarded"]);
}

#[tokio::test]
async fn an_expiry_that_is_capped_is_reported() {
    let site = site();
    let device = site.logged_in("alice").await;
    site.events().await;
    device
        .request(async |session| session.set_expiry(15 * DAY))
        .await;
    assert_eq!(site.words().await, ["resumed", "expiry_capped"]);
}

#[tokio::test]
async fn an_id_of_another_type_than_the_application_asks_for_is_reported() {
    let site = site();
    let device = site.logged_in("alice").await;
    site.events().await;
    device
        .request(async |session: Session| assert_eq!(session.user_as::<u64>(), None))
        .await;
    let events = site.events().await;
    assert_eq!(super::witness::words(&events[1]), "type_mismatch user");
    assert_eq!(events[1].user.as_deref(), Some("alice"));
    assert!(events[1].session.is_some());
}

#[tokio::test]
async fn a_value_that_its_key_reads_as_absent_is_reported_with_its_name_and_not_itself() {
    const CART: Key<u32> = Key::new("cart").none_on_error();
    let log = Log::start();
    let site = site();
    let device = site.logged_in("alice").await;
    device
        .request(async |session: Session| session.insert("cart", "s3cret"))
        .await;
    for used in [
        |session: &Session| session.get(CART).map(|cart| assert_eq!(cart, None)),
        |session: &Session| session.take(CART).map(|cart| assert_eq!(cart, None)),
        |session: &Session| session.update(CART, |cart| cart.map_or(0, |_| 1)).map(drop),
    ] {
        site.events().await;
        device.request(async |session| used(&session)).await;
        let events = site.events().await;
        assert_eq!(super::witness::words(&events[1]), "type_mismatch value");
        assert_eq!(events[1].user.as_deref(), Some("alice"));
    }
    let logged = log.events("type_mismatch");
    assert_eq!(logged.len(), 3);
    assert!(logged[0]["failure"].contains("\"cart\""));
    assert!(!format!("{logged:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_store_that_fails_is_reported_with_the_call_and_what_it_means() {
    let site = site();
    let phone = site.logged_in("alice").await;
    let cases = [
        (StoreCall::Create, Fault::Full, StoreErrorKind::Full),
        (StoreCall::Replace, Fault::Refused, StoreErrorKind::Refused),
        (
            StoreCall::Touch,
            Fault::Unavailable,
            StoreErrorKind::Unavailable,
        ),
        (
            StoreCall::Delete,
            Fault::Unavailable,
            StoreErrorKind::Unavailable,
        ),
        (
            StoreCall::SessionsOf,
            Fault::Unavailable,
            StoreErrorKind::Unavailable,
        ),
        (
            StoreCall::RevokeUser,
            Fault::LostReply,
            StoreErrorKind::OutcomeUnknown,
        ),
        (
            StoreCall::DeleteSessionsOf,
            Fault::LostReply,
            StoreErrorKind::OutcomeUnknown,
        ),
    ];
    for (call, fault, kind) in cases {
        site.clock.advance(2 * MINUTE);
        site.events().await;
        site.faults.next(call, fault);
        match call {
            StoreCall::Create => drop(site.device().request(async |s| s.insert("cart", 1)).await),
            StoreCall::Replace => drop(phone.request(async |s| s.insert("cart", 1)).await),
            StoreCall::Delete => drop(phone.request(async |s| s.logout()).await),
            StoreCall::SessionsOf => drop(site.layer.users().sessions_of("alice").await),
            StoreCall::RevokeUser | StoreCall::DeleteSessionsOf => {
                drop(site.layer.users().end_all("alice").await);
            }
            _ => look(&phone).await,
        }
        let mut events = site.events().await;
        events.retain(|event| event.kind != EventKind::Resumed);
        assert_eq!(events.len(), 1, "{call:?}: {events:?}");
        assert_eq!(events[0].kind, EventKind::StoreFailed { call, kind });
    }
}

#[tokio::test]
async fn a_load_that_fails_is_reported() {
    let site = site();
    let device = site.logged_in("alice").await;
    site.events().await;
    site.faults.next(StoreCall::Load, Fault::Unavailable);
    let request = device.new_request();
    let mut service = site
        .layer
        .layer(service_fn(async |request: Request<String>| {
            assert!(Session::load(request.extensions()).await.is_err());
            Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
        }));
    service.call(request).await.unwrap();
    let events = site.events().await;
    let kind = StoreErrorKind::Unavailable;
    let call = StoreCall::Load;
    assert_eq!(events[0].kind, EventKind::StoreFailed { call, kind });
    assert!(events[0].session.is_some());
}

/// A login whose answer was lost is a login all the same.
#[tokio::test]
async fn a_rotation_whose_answer_was_lost_is_reported_once() {
    let site = site();
    let device = site.device();
    device
        .request(async |session| session.insert("cart", 1))
        .await;
    site.events().await;
    site.faults.next(StoreCall::Replace, Fault::LostReply);
    device.request(async |session| session.login("alice")).await;
    let words = site.words().await;
    assert_eq!(
        words,
        ["resumed", "store_failed outcome_unknown", "rotated login"]
    );
}

#[test]
fn a_commit_that_nobody_can_finish_is_reported() {
    let site = site();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let device = runtime.block_on(site.logged_in("alice"));
    runtime.block_on(site.events());
    drop(runtime);
    let mut service = site
        .layer
        .layer(service_fn(async |request: Request<String>| {
            let session = Session::load(request.extensions()).await.unwrap();
            session.logout().unwrap();
            std::future::pending::<()>().await;
            Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
        }));
    let mut response = Box::pin(service.call(device.new_request()));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(response.as_mut().poll(&mut context).is_pending());
    // There is no runtime here that could carry out the logout.
    drop(response);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    assert_eq!(runtime.block_on(site.words()), ["resumed", "abandoned"]);
}

#[tokio::test(start_paused = true)]
async fn a_logout_that_gives_up_waiting_for_a_save_of_its_request_is_reported() {
    let site = site_with(|layer| {
        let config = SessionConfig::new().store_timeout(Duration::from_millis(50));
        layer.config(config.max_sessions_per_user(1, BeyondLimit::EvictOldest))
    });
    site.faults.always(StoreCall::Delete, Fault::Unavailable);
    for _ in 0..60 {
        site.logged_in("alice").await;
    }
    site.events().await;
    // The login of the save ends many sessions, which takes longer than the logout waits.
    site.faults.always(StoreCall::Delete, Fault::Hang);
    let device = site.device();
    let response = device.request(async |session| {
        session.login("alice").unwrap();
        let mut save = Box::pin(session.save());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(save.as_mut().poll(&mut context).is_pending());
        session.logout().unwrap();
    });
    let status = response.await.status();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let words = site.words().await;
    assert!(words.contains(&"abandoned".to_owned()), "{words:?}");
}

#[tokio::test]
async fn what_cannot_be_read_is_reported() {
    use crate::support::redis_server::RedisServer;
    use tower_keycard::RedisStore;
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.unwrap();
    let site = site_on(store, tower_keycard::Clock::system(), |layer| layer);
    let device = site.logged_in("alice").await;
    let cookie = device.cookie().unwrap();
    let (_, token) = cookie.split_once('=').unwrap();
    site.events().await;
    let key = format!("keycard:__Host-id:{}", &token[..20]);
    for (value, reported) in [("{}", "unreadable"), ("\u{f}", "stale future_format")] {
        server.cli(&["SET", &key, value]);
        look(&device).await;
        device.set_cookie(Some(cookie.clone()));
        assert_eq!(site.words().await, [reported]);
    }
}

#[tokio::test]
async fn an_end_is_reported_also_where_nothing_was_left_to_end() {
    let site = site();
    let id = "A".repeat(20).parse::<SessionId>().unwrap();
    site.layer.users().end(id).await.unwrap();
    assert_eq!(site.words().await, ["revoked administrator"]);
}

#[tokio::test]
async fn what_a_full_store_evicts_is_reported_once_a_minute_with_how_many() {
    let clock = tower_keycard::Clock::manual(START);
    let store = MemoryStore::builder()
        .max_sessions(10)
        .reserved_for_users(0);
    let site = site_on(store.clock(clock.clone()).build(), clock, |layer| layer);
    let evicted = |events: Vec<tower_keycard::event::SessionEvent>| {
        let counts = events.into_iter().filter_map(|event| match event.kind {
            EventKind::Evicted { sessions } => Some(sessions),
            _ => None,
        });
        counts.collect::<Vec<_>>()
    };
    let flood = async |clients: usize| {
        for _ in 0..clients {
            let device = site.device();
            let begun = device.request(async |session| session.insert("n", 1)).await;
            assert_eq!(begun.status(), StatusCode::OK);
        }
        evicted(site.events().await)
    };
    assert_eq!(flood(10).await, [0; 0]);
    assert_eq!(flood(40).await, [1]);
    site.clock.advance(MINUTE);
    assert_eq!(flood(2).await, [40]);
    site.clock.advance(MINUTE);
    // Logins evict as well.
    site.logged_in("alice").await;
    assert_eq!(evicted(site.events().await), [2]);
}
