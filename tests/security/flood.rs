//! R23: a flood of clients that keep no cookie keeps nobody else out, in whatever store.

use axum::http::StatusCode;
use tower_keycard::session::Timestamp;
use tower_keycard::store::{AnyStore, RedisStore, SessionStore};
use tower_keycard::{Clock, MemoryStore};

use crate::app::App;
use crate::support::redis_server::RedisServer;

/// Floods a store that has room for a fraction of the flood. Before it, in it and after it, others work as ever.
async fn a_flood_keeps_nobody_out(store: AnyStore, flood: usize) -> App {
    let app = App::new(store);
    let (mut visitor, mut alice) = (app.browser(), app.browser());
    visitor.does("/write/books").await;
    assert_eq!(visitor.session().await["cart"], "books");
    alice.does("/write/pens").await;
    alice.does("/login/alice").await;
    for number in 1..=flood {
        let reply = app.browser().post("/write/flood").await;
        assert_eq!(reply.status, StatusCode::OK, "{number}: {reply:?}");
        if number % (flood / 10) == 0 {
            a_newcomer_works(&app, "carol").await;
        }
    }
    assert_eq!(visitor.session().await["cart"], "books");
    visitor.does("/write/shoes").await;
    assert_eq!(visitor.session().await["cart"], "shoes");
    let seen = alice.session().await;
    assert_eq!(
        (&seen["user"], &seen["cart"]),
        (&"alice".into(), &"pens".into())
    );
    alice.does("/rotate").await;
    a_newcomer_works(&app, "bob").await;
    visitor.does("/login/dave").await;
    for (browser, user) in [(&mut visitor, "dave"), (&mut alice, "alice")] {
        assert_eq!(browser.session().await["user"], user);
        browser.does("/logout").await;
    }
    app
}

/// Comes without a cookie, and logs in, with and without a page before.
async fn a_newcomer_works(app: &App, user: &str) {
    let mut newcomer = app.browser();
    newcomer.does("/write/hats").await;
    assert_eq!(newcomer.session().await["cart"], "hats");
    let login = format!("/login/{user}");
    newcomer.does(&login).await;
    assert_eq!(newcomer.session().await["user"], user);
    let mut direct = app.browser();
    direct.does(&login).await;
    assert_eq!(direct.session().await["user"], user);
    direct.does("/logout").await;
}

#[tokio::test]
async fn r23_a_flood_of_anonymous_sessions_keeps_nobody_out_of_memory() {
    let store = MemoryStore::builder().max_sessions(500).build();
    a_flood_keeps_nobody_out(AnyStore::new(store.clone()), 5_000).await;
    assert!(store.len() <= 500);
}

#[tokio::test]
async fn r23_a_flood_of_anonymous_sessions_keeps_nobody_out_of_redis_that_evicts_by_time_to_live() {
    let server = RedisServer::with(&["--maxmemory-policy", "volatile-ttl"]);
    let store = RedisStore::connect(server.patiently()).await.unwrap();
    leave_room(&server);
    a_flood_keeps_nobody_out(AnyStore::new(store), 8_000).await;
    let evicted = stat(&server, "stats", "evicted_keys");
    assert!(
        evicted > 1_000,
        "{evicted} were evicted: the server was not full"
    );
}

#[tokio::test]
async fn r23_a_flood_of_anonymous_sessions_keeps_nobody_out_of_redis_that_evicts_nothing() {
    let server = RedisServer::with(&["--maxmemory-policy", "noeviction"]);
    let store = RedisStore::connect(server.restricted()).await.unwrap();
    leave_room(&server);
    a_flood_keeps_nobody_out(AnyStore::new(store.clone()), 8_000).await;
    let evicted = SessionStore::evicted(&store);
    assert!(
        evicted > 1_000,
        "{evicted} were evicted: the server was not full"
    );
    assert_eq!(server.denied(), "");
}

/// Leaves a server room for some thousand sessions.
fn leave_room(server: &RedisServer) {
    let used = stat(server, "memory", "used_memory");
    let most = (used + (1 << 20)).to_string();
    assert_eq!(server.cli(&["CONFIG", "SET", "maxmemory", &most]), "OK");
}

fn stat(server: &RedisServer, section: &str, name: &str) -> u64 {
    let info = server.cli(&["INFO", section]);
    let mut lines = info.lines().filter_map(|line| line.split_once(':'));
    let value = lines.find(|(found, _)| *found == name).expect("a field").1;
    value.trim().parse().unwrap()
}

#[tokio::test]
async fn r23_sessions_of_users_have_room_of_their_own_and_those_that_came_back_stay() {
    let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
    let store = MemoryStore::builder()
        .max_sessions(100)
        .reserved_for_users(40)
        .clock(clock.clone())
        .build();
    let app = App::with(AnyStore::new(store.clone()), |layer| {
        layer.clock(clock.clone())
    });
    // These clients bring their cookies back, so their sessions stay.
    let mut visitors = Vec::new();
    for _ in 0..60 {
        let mut visitor = app.browser();
        visitor.does("/write/x").await;
        assert_eq!(visitor.session().await["cart"], "x");
        visitors.push(visitor);
    }
    let reply = app.browser().post("/write/x").await;
    let refused = (StatusCode::SERVICE_UNAVAILABLE, None);
    assert_eq!((reply.status, reply.set_cookie()), refused);
    for number in 0..40 {
        app.browser().does(&format!("/login/{number}")).await;
    }
    let reply = app.browser().post("/login/41").await;
    assert_eq!((reply.status, reply.set_cookie()), refused);
    // A login on a session that is there needs no room.
    visitors[0].does("/login/42").await;
    for visitor in &mut visitors {
        assert_eq!(visitor.session().await["cart"], "x");
    }
    assert_eq!(store.len(), 100);
    // Room comes back as sessions expire.
    clock.advance(std::time::Duration::from_secs(25 * 60 * 60));
    app.browser().does("/write/x").await;
}
