//! A whole life of sessions, and a search of all that can be seen of it.

use std::error::Error;
use std::fmt::{Debug, Display, Write as _};

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use tower::{Layer, Service};
use tower_keycard::store::testing::conformance::sample_revision_of;
use tower_keycard::store::testing::fault::{Fault, FaultStore};
use tower_keycard::store::{
    AnyStore, Loaded, RecordKey, RedisConfig, RedisStore, Replaced, SessionStore, StoreCall, Write,
};
use tower_keycard::{MemoryStore, Session, SessionLayer};

use super::capture::Capture;
use super::dump::Dump;
use super::search::Secrets;
use crate::app::{App, Browser, COOKIE_NAME, on_every_store, redis};
use crate::support::redis_server::{Monitor, RedisServer};
use crate::support::reply::Reply;

/// All that was ever printed, stored or sent.
#[derive(Default)]
struct Seen {
    text: String,
    stored: Vec<u8>,
    secrets: Secrets,
}

impl Seen {
    fn debug(&mut self, value: &dyn Debug) {
        writeln!(self.text, "{value:?}\n{value:#?}").unwrap();
    }

    fn error(&mut self, error: &dyn Error) {
        let mut next = Some(error);
        while let Some(error) = next {
            writeln!(self.text, "{error}\n{error:?}\n{error:#?}").unwrap();
            next = error.source();
        }
    }

    fn shown(&mut self, value: &dyn Display) {
        writeln!(self.text, "{value}").unwrap();
    }

    fn reply(&mut self, reply: &Reply) {
        self.debug(&reply.headers);
        self.shown(&reply.body);
    }

    fn assert_clean(&self) {
        assert_eq!(self.secrets.find(self.text.as_bytes()), None);
        assert_eq!(self.secrets.find(&self.stored), None);
    }
}

/// Logs in, writes, rotates, switches, logs out, and fails in every way, and looks at the server after each step.
async fn live(app: &App, seen: &mut Seen, mut look: impl FnMut(&mut Seen)) {
    let mut alice = app.browser();
    let mut steps = async |browser: &mut Browser, method: &str, path: &str, seen: &mut Seen| {
        let reply = match method {
            "GET" => browser.get(path).await,
            _ => browser.post(path).await,
        };
        if let Some(token) = &browser.token {
            seen.secrets.add_token(token);
        }
        seen.reply(&reply);
        look(seen);
        reply.status
    };
    let calm = [
        ("GET", "/read"),
        ("POST", "/write/apples"),
        ("POST", "/add"),
        ("POST", "/login/alice"),
        ("GET", "/headers"),
        ("POST", "/login/alice"),
        ("POST", "/reauthenticate"),
        ("POST", "/rotate"),
        ("POST", "/fail"),
        ("POST", "/login/bob"),
        ("GET", "/read"),
        ("GET", "/untouched"),
    ];
    for (method, path) in calm {
        let old = alice.clone();
        steps(&mut alice, method, path, seen).await;
        // A client that still holds the token of before.
        for path in ["/write/x", "/read"] {
            let method = if path == "/read" { "GET" } else { "POST" };
            steps(&mut old.clone(), method, path, seen).await;
        }
    }
    for fault in [
        Fault::Unavailable,
        Fault::Refused,
        Fault::Full,
        Fault::LostRequest,
        Fault::LostReply,
    ] {
        for (call, path) in [
            (StoreCall::Load, "/write/x"),
            (StoreCall::Replace, "/write/y"),
            (StoreCall::Replace, "/add"),
            (StoreCall::Replace, "/rotate"),
            (StoreCall::Delete, "/login/carol"),
            (StoreCall::Create, "/login/dave"),
            (StoreCall::Touch, "/write/z"),
        ] {
            app.faults.next(call, fault);
            steps(&mut alice, "POST", path, seen).await;
        }
    }
    let made_up = [alice.token()[..20].to_owned(), "A".repeat(24)].concat();
    for token in [made_up, "B".repeat(44), "short".to_owned()] {
        steps(&mut app.with_token(token), "POST", "/write/x", seen).await;
    }
    let ended = alice.clone();
    steps(&mut alice, "POST", "/logout", seen).await;
    for path in ["/write/x", "/add", "/logout", "/login/alice"] {
        steps(&mut ended.clone(), "POST", path, seen).await;
    }
}

#[tokio::test]
async fn r11_nothing_that_is_logged_printed_stored_or_sent_to_redis_holds_a_token() {
    let capture = Capture::start();
    let server = RedisServer::start();
    let app = App::new(redis(&server).await);
    let mut monitor = server.monitor();
    let mut seen = Seen::default();
    let mut commands = 0;
    live(&app, &mut seen, |seen| {
        commands += look_at(&server, &mut monitor, seen);
    })
    .await;
    let traced = capture.text();
    for event in [
        "created",
        "rotated",
        "destroyed",
        "unknown",
        "stale",
        "malformed",
        "interrupted",
        "store_failed",
    ] {
        assert!(
            traced.contains(&format!("event={event:?}")),
            "{event} was never reported"
        );
    }
    seen.shown(&traced);
    assert!(seen.secrets.tokens() > 10 && commands > 50 && seen.stored.len() > 10_000);
    seen.assert_clean();

    // The search would have found it: in what is traced, what is stored, and what is sent.
    let token = app.browser().does("/write/x").await.token().unwrap();
    let mut planted = Seen::default();
    planted.secrets.add_token(&token);
    tracing::trace!(target: "planted", "{}", &token[20..]);
    assert!(planted.secrets.find(capture.text().as_bytes()).is_some());
    server.cli(&["SET", "planted", &token[24..34]]);
    look_at(&server, &mut monitor, &mut planted);
    assert!(planted.secrets.find(planted.text.as_bytes()).is_some());
    assert!(planted.secrets.find(&planted.stored).is_some());
}

/// Notes what the server holds and what it was sent, and says how many commands that were.
fn look_at(server: &RedisServer, monitor: &mut Monitor, seen: &mut Seen) -> usize {
    seen.stored.extend(Dump::take(server).bytes());
    let commands = monitor.commands();
    for words in &commands {
        seen.shown(&words.join(" "));
        // Bytes that the server escaped, as they were.
        seen.stored
            .extend(words.iter().flat_map(|word| unescaped(word)));
    }
    commands.len()
}

fn unescaped(word: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = word.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, length) = match (first, tail) {
            (b'\\', [b'x', high, low, ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).unwrap();
                (u8::from_str_radix(digits, 16).unwrap(), 4)
            }
            (b'\\', [b'n', ..]) => (b'\n', 2),
            (b'\\', [b'r', ..]) => (b'\r', 2),
            (b'\\', [b't', ..]) => (b'\t', 2),
            (b'\\', [b'a', ..]) => (7, 2),
            (b'\\', [b'b', ..]) => (8, 2),
            (b'\\', [other, ..]) => (*other, 2),
            (byte, _) => (*byte, 1),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    bytes
}

#[tokio::test]
async fn r11_no_public_type_prints_a_token() {
    on_every_store(async |store| {
        let mut seen = Seen::default();
        let app = App::new(store.clone());
        let mut browser = app.browser();
        browser.does("/login/alice").await;
        let token = browser.token();
        seen.secrets.add_token(&token);

        let key = RecordKey::new(COOKIE_NAME, token[..20].parse().unwrap());
        let loaded = store.load(&key).await.unwrap();
        seen.debug(&loaded);
        let Loaded::Record { record, .. } = loaded else {
            panic!("a record");
        };
        seen.debug(&(&record, record.revision(), &key, key.id()));
        seen.shown(&key);
        let other = sample_revision_of(&record, "{}");
        let conflict = store
            .replace(
                &key,
                other.revision(),
                &other.write(std::time::Duration::MAX),
            )
            .await;
        assert!(matches!(conflict, Ok(Replaced::Conflict(_))));
        seen.debug(&conflict);

        let layer = SessionLayer::new(FaultStore::new(store.clone()));
        seen.debug(&(&layer, &store, SessionLayer::builder(store.clone())));
        let mut service = layer.layer(tower::service_fn(async |request: Request<Body>| {
            let session = Session::load(request.extensions()).await.unwrap();
            session.insert("seen", "yes").unwrap();
            let wrong = session.get::<u32>("seen").unwrap_err();
            let mut text = format!("{session:?} {session:#?} {wrong} {wrong:?} {request:?}");
            write!(text, " {:?}", request.extensions()).unwrap();
            session.rotate_token().unwrap();
            Ok::<_, std::convert::Infallible>(Response::new(text))
        }));
        let request = Request::get("/").header("cookie", format!("{COOKIE_NAME}={token}"));
        let future = service.call(request.body(Body::empty()).unwrap());
        seen.debug(&future);
        seen.debug(&"the service has no Debug of its own");
        let response = future.await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let line = response.headers()["set-cookie"].to_str().unwrap();
        seen.secrets.add_token(&line[COOKIE_NAME.len() + 1..][..44]);
        assert_eq!(seen.secrets.tokens(), 2);
        seen.debug(&response);
        seen.assert_clean();
    })
    .await;
}

#[tokio::test]
async fn r11_no_error_holds_a_token_a_key_or_a_password() {
    const PASSWORD: &str = "hunter2-of-the-store";
    let mut server = RedisServer::with_password(PASSWORD);
    let capture = Capture::start();
    let mut seen = Seen::default();
    seen.secrets.add_text(PASSWORD);
    let config = RedisConfig::new(server.url());
    seen.debug(&config);
    let store = RedisStore::connect(config).await.unwrap();
    seen.debug(&store);
    let app = App::new(AnyStore::new(store.clone()));
    let mut browser = app.browser();
    browser.does("/login/alice").await;
    let token = browser.token();
    seen.secrets.add_token(&token);
    let key = RecordKey::new(COOKIE_NAME, token[..20].parse().unwrap());
    let Loaded::Record { record, .. } = store.load(&key).await.unwrap() else {
        panic!("a record");
    };

    let wrong = server.url().replace(PASSWORD, "hunter3-is-not-it");
    seen.secrets.add_text("hunter3-is-not-it");
    seen.error(&RedisStore::connect(wrong).await.unwrap_err());
    for url in [
        format!("redis://user:{PASSWORD}@[broken"),
        format!("http://user:{PASSWORD}@host"),
        format!("redis://user:{PASSWORD}@host:port"),
        format!("redis://user:{PASSWORD}@host/database"),
        format!("redis://{PASSWORD}:@127.0.0.1:1"),
        format!("redis://:{PASSWORD}@127.0.0.1:1"),
        format!("redis+unix:///nowhere?pass={PASSWORD}"),
    ] {
        match RedisStore::connect_lazily(url.clone()) {
            Ok(store) => {
                seen.debug(&store);
                seen.error(&store.load(&key).await.unwrap_err());
            }
            Err(error) => seen.error(&error),
        }
        seen.debug(&RedisConfig::new(url));
    }
    // Rights that are taken away, memory that is full, and a server that is gone.
    for (command, undo) in [
        (
            ["ACL", "SETUSER", "default", "-get"],
            ["ACL", "SETUSER", "default", "+get"],
        ),
        (
            ["ACL", "SETUSER", "default", "-set"],
            ["ACL", "SETUSER", "default", "+set"],
        ),
        (
            ["ACL", "SETUSER", "default", "resetkeys"],
            ["ACL", "SETUSER", "default", "~*"],
        ),
        (
            ["CONFIG", "SET", "maxmemory", "1"],
            ["CONFIG", "SET", "maxmemory", "0"],
        ),
    ] {
        server.cli(&command);
        trouble(&store, &key, &record, &mut seen).await;
        seen.reply(&browser.clone().post("/write/x").await);
        server.cli(&undo);
    }
    server.kill();
    trouble(&store, &key, &record, &mut seen).await;
    for path in ["/write/x", "/login/bob", "/logout"] {
        seen.reply(&browser.clone().post(path).await);
    }
    let memory = FaultStore::new(MemoryStore::new());
    for call in StoreCall::ALL.iter().copied() {
        memory.faults().always(call, Fault::Refused);
    }
    trouble(&memory, &key, &record, &mut seen).await;
    seen.shown(&capture.text());
    assert!(seen.text.contains("Redis") && seen.text.len() > 5_000);
    seen.assert_clean();
}

/// Every call of a store in trouble, and what it says of that.
async fn trouble(
    store: &impl SessionStore,
    key: &RecordKey,
    record: &tower_keycard::store::Record,
    seen: &mut Seen,
) {
    let ttl = std::time::Duration::from_secs(60);
    let other = sample_revision_of(record, "{}");
    let mut failures = 0;
    let mut note = |failure: Option<tower_keycard::store::StoreError>| {
        if let Some(error) = failure {
            seen.error(&error);
            seen.error(&tower_keycard::SessionError::from(error));
            failures += 1;
        }
    };
    note(store.load(key).await.err());
    let write = &Write::new(record, ttl);
    note(store.create(key, write).await.err());
    note(store.replace(key, other.revision(), write).await.err());
    note(store.touch(key, record.revision(), ttl, None).await.err());
    note(store.delete(key, None).await.err());
    assert!(failures > 0);
}
