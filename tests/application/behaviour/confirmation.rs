//! S47: a session without a login is short-lived until its token comes back.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use http_body_util::channel::Channel;
use tower_keycard::Session;
use tower_keycard::store::{Loaded, StoreCall};

use super::harness::{Browser, DAY, HOUR, MINUTE, Place, SECOND, Stage, on_every_store};

on_every_store![
    s47_a_session_ends_after_an_hour_unless_its_token_comes_back,
    s47_the_first_request_that_asks_for_the_session_confirms_it,
    s47_a_request_that_does_not_ask_or_that_fails_confirms_nothing,
    s47_a_login_needs_no_confirmation,
    s47_the_request_that_begins_it_does_not_confirm_it,
    s47_it_never_outlives_its_idle_limit_and_is_confirmed_once,
    s47_requests_at_the_same_time_confirm_it_together,
    s47_a_stream_that_began_it_does_not_shorten_its_life_again,
    s47_a_request_that_does_not_count_as_activity_confirms_it_and_slides_nothing_after,
];

impl Place {
    /// How long the store will keep the browser's session.
    async fn keeps(&self, browser: &Browser, time: std::time::Duration) {
        self.keeps_for(browser.selector().unwrap(), time).await;
    }
}

async fn s47_a_session_ends_after_an_hour_unless_its_token_comes_back(place: Place) {
    let (back, away) = (place.open().await, place.open().await);
    for browser in [&back, &away] {
        let cookie = browser.get("/insert:a:1").await.ok().new_cookie();
        // The browser keeps it for as long as any other.
        assert_eq!(cookie.max_age(), Some(14 * 24 * 60 * 60));
        place.keeps(browser, HOUR).await;
    }
    place.pass(59 * MINUTE);
    back.get("/get:a").await.ok().says("1").sets_nothing();
    place.keeps(&back, DAY).await;
    place.pass(MINUTE);
    away.get("/get:a").await.ok().says("-").sets_nothing();
    place.pass(22 * HOUR);
    back.get("/get:a").await.ok().says("1");
    // It is the only setting that this depends on.
    let ten = place
        .open_with(|config| config.unconfirmed_idle(10 * MINUTE))
        .await;
    ten.get("/insert:a:1").await.ok();
    place.keeps(&ten, 10 * MINUTE).await;
    ten.get("/read").await.ok();
    place.keeps(&ten, DAY).await;
}

async fn s47_the_first_request_that_asks_for_the_session_confirms_it(place: Place) {
    for (method, path) in [
        (Method::GET, "/read"),
        (Method::HEAD, "/read"),
        (Method::POST, "/insert:a:1"),
        (Method::POST, "/insert:a:2"),
        (Method::POST, "/rotate"),
        (Method::GET, "/read/status:404"),
    ] {
        let browser = place.open().await;
        browser.get("/insert:a:1").await.ok();
        place.keeps(&browser, HOUR).await;
        browser.ask(method.clone(), path, &[]).await;
        place.keeps(&browser, DAY).await;
        let id = browser.selector().unwrap();
        let Loaded::Record { unconfirmed, .. } = place.stored(id).await else {
            panic!("{method} {path} lost the session");
        };
        assert!(!unconfirmed, "{method} {path}");
    }
}

async fn s47_a_request_that_does_not_ask_or_that_fails_confirms_nothing(place: Place) {
    let browser = place.open().await;
    browser.get("/insert:a:1").await.ok();
    browser.get("/untouched").await.ok();
    browser.get("/insert:a:2/status:500").await.is(500);
    place.keeps(&browser, HOUR).await;
    // With this setting every request uses the session.
    let every = place.open_with(|config| config.save_every_request(true));
    let every = every.await.with_token(&browser.token().unwrap());
    every.get("/untouched").await.ok();
    place.keeps(&every, DAY).await;
}

async fn s47_a_login_needs_no_confirmation(place: Place) {
    for path in [
        "/login:ann",
        "/insert:a:1/save/login:ann",
        "/insert:a:1/login:ann/save/insert:b:1",
    ] {
        let browser = place.open().await;
        browser.get(path).await.ok();
        place.keeps(&browser, DAY).await;
    }
    // What begins after a logout is a session like any other.
    let browser = place.open().await;
    browser.get("/login:ann").await.ok();
    browser.get("/logout/insert:a:1").await.ok();
    place.keeps(&browser, HOUR).await;
}

async fn s47_the_request_that_begins_it_does_not_confirm_it(place: Place) {
    let paths = [
        "/insert:a:1/save/insert:b:2",
        "/insert:a:1/save/insert:b:2/save/read",
        "/insert:a:1/save/rotate",
        "/insert:a:1/save/reload/read",
        "/insert:a:1/save/reload/insert:b:2",
    ];
    for every in [false, true] {
        for path in paths {
            let browser = place.open_with(|config| config.save_every_request(every));
            let browser = browser.await;
            browser.get(path).await.ok();
            place.keeps(&browser, HOUR).await;
            browser.get("/read").await.ok();
            place.keeps(&browser, DAY).await;
        }
    }
}

async fn s47_it_never_outlives_its_idle_limit_and_is_confirmed_once(place: Place) {
    let browser = place.open_with(|config| config.idle(30 * MINUTE)).await;
    browser.get("/insert:a:1").await.ok();
    place.keeps(&browser, 30 * MINUTE).await;
    let touches = || place.calls(StoreCall::Touch);
    assert_eq!(touches(), 0);
    // Though it would not be due: the store must know that this session is not to be evicted.
    for _ in 0..3 {
        browser.get("/read").await.ok();
        assert_eq!(touches(), 1);
    }
    let own = place.open().await;
    own.get("/insert:a:1/expiry:idle:600000").await.ok();
    place.keeps(&own, 10 * MINUTE).await;
    let own = place.open().await;
    own.get("/insert:a:1/expiry:idle:36000000").await.ok();
    place.keeps(&own, HOUR).await;
    own.get("/read").await.ok();
    place.keeps(&own, 10 * HOUR).await;
}

async fn s47_requests_at_the_same_time_confirm_it_together(place: Place) {
    let browser = place.open().await;
    browser.get("/insert:a:1").await.ok();
    let twin = browser.twin();
    let replies = place
        .interleave((&browser, "/get:a"), (&twin, "/insert:b:2"))
        .await;
    for reply in replies {
        reply.ok();
    }
    browser.get("/keys").await.ok().says("a,b");
    place.keeps(&browser, DAY).await;
}

/// Begins a session, sends the head, and writes again once the gate opens.
async fn begin(State(stage): State<Stage>, session: Session) -> Response {
    session.insert("a", "1").unwrap();
    let (mut sender, body) = Channel::<Bytes>::new(1);
    tokio::spawn(async move {
        stage.gates.named("reload").pass().await;
        session.reload().await.unwrap();
        session.insert("b", "2").unwrap();
        stage.gates.named("save").pass().await;
        session.save().await.unwrap();
        sender.send_data("saved".into()).await.unwrap();
    });
    Body::new(body).into_response()
}

async fn s47_a_stream_that_began_it_does_not_shorten_its_life_again(place: Place) {
    let stream = Router::new()
        .route("/begin", get(begin))
        .with_state(place.stage.clone())
        .layer(place.builder().build().unwrap());
    let stream = place.browse(stream).await;
    let response = stream.open(Method::GET, "/begin", &[]).await.unwrap();
    place.keeps(&stream, HOUR).await;
    let pages = place.open().await;
    let pages = pages.with_token(&stream.token().unwrap());
    let (reload, save) = (place.gate("reload"), place.gate("save"));
    reload.open();
    save.arrived().await;
    // Its own reload confirms nothing.
    place.keeps(&stream, HOUR).await;
    pages.get("/get:a").await.ok().says("1");
    place.pass(SECOND);
    save.open();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "saved");
    place.keeps(&pages, DAY).await;
    pages.get("/keys").await.ok().says("a,b");
}

async fn s47_a_request_that_does_not_count_as_activity_confirms_it_and_slides_nothing_after(
    place: Place,
) {
    for path in ["/read?poll", "/insert:a:2?poll"] {
        let layer = place.builder();
        let layer = layer.activity(|request| request.uri.query() != Some("poll"));
        let browser = place.open_layer(layer.build().unwrap()).await;
        browser.get("/insert:a:1").await.ok();
        place.pass(MINUTE);
        browser.get(path).await.ok().sets_nothing();
        place.keeps(&browser, DAY).await;
        place.pass(HOUR);
        browser.get(path).await.ok().sets_nothing();
        place.keeps(&browser, DAY - HOUR).await;
    }
}
