//! S25, and parts of S2, S5 and S15: a session that is used where the response has begun already, in a stream, server-sent
//! events, or a connection of another protocol.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use http_body_util::channel::Channel;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_keycard::Session;
use tower_keycard::store::StoreCall;
use tower_keycard::store::testing::fault::Fault;

use super::harness::{
    Browser, COOKIE_NAME, DAY, HOST, HOUR, Place, Stage, command, on_every_store, variant,
};

on_every_store![
    s25_in_a_stream_a_write_is_an_error_until_the_session_is_reloaded,
    s25_in_a_stream_what_needs_a_cookie_stays_an_error,
    s25_a_stream_sees_what_others_wrote_and_loses_to_a_rotation,
    s25_a_stream_can_log_out,
    s25_server_sent_events_write_like_any_stream,
    s25_an_upgraded_connection_writes_after_a_reload,
    s05_a_session_first_asked_for_after_the_head_slides,
    s05_a_reload_after_the_head_slides,
    s02_a_body_that_can_still_ask_for_the_session_varies,
    s15_a_body_that_can_still_show_a_user_is_kept_out_of_shared_caches,
];

/// Carries out a script; an error is a word of the answer, and the script goes on.
async fn play(session: &Session, stage: &Stage, script: &str) -> String {
    let mut words = Vec::new();
    for step in script.split('/') {
        let (name, rest) = step.split_once(':').unwrap_or((step, ""));
        if let Some(gate) = step.strip_prefix("wait:") {
            stage.gates.named(gate).pass().await;
        } else if let Err(error) = command(session, &stage.clock, name, rest, &mut words).await {
            words.push(variant(&error));
        }
    }
    words.join(" ")
}

/// Sends the head, and carries out the script once the client says that it has come.
async fn stream(
    State(stage): State<Stage>,
    Path(script): Path<String>,
    session: Session,
) -> Response {
    let (mut sender, body) = Channel::<Bytes>::new(1);
    tokio::spawn(async move {
        stage.gates.named("head").pass().await;
        let words = play(&session, &stage, &script).await;
        sender.send_data(words.into()).await.unwrap();
    });
    Body::new(body).into_response()
}

/// Sends the head, and asks for the session only then: as a page does that is rendered while it is sent.
async fn late(
    State(stage): State<Stage>,
    Path(script): Path<String>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let (mut sender, body) = Channel::<Bytes>::new(1);
    tokio::spawn(async move {
        stage.gates.named("head").pass().await;
        let session = Session::load(&parts.extensions).await.unwrap();
        let words = play(&session, &stage, &script).await;
        sender.send_data(words.into()).await.unwrap();
    });
    Body::new(body).into_response()
}

/// The same with a status that says that the handler failed.
async fn failed(stage: State<Stage>, script: Path<String>, request: Request) -> Response {
    let mut response = late(stage, script, request).await;
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

/// The same as server-sent events, one for each step.
async fn events(
    State(stage): State<Stage>,
    Path(script): Path<String>,
    session: Session,
) -> Response {
    let (mut sender, body) = Channel::<Bytes>::new(1);
    tokio::spawn(async move {
        stage.gates.named("head").pass().await;
        for step in script.split('/') {
            let words = play(&session, &stage, step).await;
            sender
                .send_data(format!("data: {words}\n\n").into())
                .await
                .unwrap();
        }
    });
    let mut response = Body::new(body).into_response();
    let kind = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert("content-type", kind);
    response
}

/// The same on a connection that has changed its protocol, as a WebSocket does.
async fn upgrade(
    State(stage): State<Stage>,
    Path(script): Path<String>,
    session: Session,
    mut request: Request,
) -> Response {
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut connection = TokioIo::new(upgraded.await.unwrap());
        let words = play(&session, &stage, &script).await;
        connection.write_all(words.as_bytes()).await.unwrap();
        connection.shutdown().await.unwrap();
    });
    let headers = [("connection", "upgrade"), ("upgrade", "keycard-test")];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// A browser on the streams, and one on the scripts, with the same session.
async fn open(place: &Place) -> (Browser, Browser) {
    // A request with the query `poll` is no activity.
    let layer = place.builder();
    let layer = layer.activity(|request| request.uri.query() != Some("poll"));
    let layer = layer.build().unwrap();
    let streams = Router::new()
        .route("/stream/{*script}", get(stream))
        .route("/late/{*script}", get(late))
        .route("/failed/{*script}", get(failed))
        .route("/events/{*script}", get(events))
        .route("/upgrade/{*script}", get(upgrade))
        .with_state(place.stage.clone())
        .layer(layer);
    let scripts = place.open().await;
    scripts.get("/insert:a:1").await.ok();
    scripts.get("/read").await.ok();
    let streams = place
        .browse(streams)
        .await
        .with_token(&scripts.token().unwrap());
    (streams, scripts)
}

/// What a stream says when its head has come.
async fn read(place: &Place, browser: &Browser, path: &str) -> String {
    read_all(place, browser, path).await.1
}

/// The same, with the headers for caches.
async fn read_all(place: &Place, browser: &Browser, path: &str) -> ([Option<String>; 2], String) {
    let response = browser.open(Method::GET, path, &[]).await.unwrap();
    assert!(response.headers().get("set-cookie").is_none());
    let headers = ["vary", "cache-control"].map(|name| {
        let line = response.headers().get(name);
        line.map(|line| line.to_str().unwrap().to_owned())
    });
    place.gate("head").open();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn s25_in_a_stream_a_write_is_an_error_until_the_session_is_reloaded(place: Place) {
    let (streams, scripts) = open(&place).await;
    let script = "/stream/get:a/insert:a:2/update:n/remove:a/clear/login:ann/logout/save/get:a";
    let words = read(&place, &streams, script).await;
    assert_eq!(
        words,
        "1 Sealed Sealed Sealed Sealed Sealed Sealed Sealed 1"
    );
    let words = read(
        &place,
        &streams,
        "/stream/reload/insert:a:2/update:n/get:a/save/get:n",
    )
    .await;
    assert_eq!(words, "1 2 1");
    scripts.get("/get:a/get:n").await.ok().says("2 1");
    // Without a save nothing is stored, and a second save finds nothing to do.
    read(&place, &streams, "/stream/reload/insert:a:3").await;
    read(
        &place,
        &streams,
        "/stream/reload/update:n/save/save/update:n/save",
    )
    .await;
    scripts.get("/get:a/get:n").await.ok().says("2 3");
}

async fn s25_in_a_stream_what_needs_a_cookie_stays_an_error(place: Place) {
    let (streams, scripts) = open(&place).await;
    let script = "/stream/reload/login:ann/rotate/expiry:browser/reauthenticate/save/get:a";
    let words = read(&place, &streams, script).await;
    assert_eq!(words, "HeadSent HeadSent HeadSent HeadSent 1");
    scripts.get("/get:a/user").await.ok().says("1 -");
    let nobody = streams.twin().with_token("none");
    let words = read(
        &place,
        &nobody,
        "/stream/insert:a:1/reload/insert:a:1/save/exists",
    )
    .await;
    assert_eq!(words, "Sealed HeadSent false");
    assert_eq!(place.records(), 1);
}

async fn s25_a_stream_sees_what_others_wrote_and_loses_to_a_rotation(place: Place) {
    let (streams, scripts) = open(&place).await;
    let script = "/stream/get:a/wait:x/get:a/reload/get:a/insert:b:1/wait:x/insert:c:1/save/exists";
    let others = async {
        place.gate("x").arrived().await;
        scripts.get("/insert:a:2").await.ok();
        place.gate("x").open();
        place.gate("x").arrived().await;
        scripts.get("/rotate").await.ok();
        place.gate("x").open();
    };
    let (words, ()) = tokio::join!(read(&place, &streams, script), others);
    assert_eq!(words, "1 1 2 Interrupted true");
    scripts.get("/keys").await.ok().says("a");
}

async fn s25_a_stream_can_log_out(place: Place) {
    let (streams, scripts) = open(&place).await;
    let words = read(
        &place,
        &streams,
        "/stream/reload/logout/exists/save/reload/exists",
    )
    .await;
    assert_eq!(words, "false false");
    scripts
        .get("/exists")
        .await
        .ok()
        .sets_nothing()
        .says("false");
}

async fn s25_server_sent_events_write_like_any_stream(place: Place) {
    let (streams, scripts) = open(&place).await;
    let script = "/events/insert:a:2/get:a/reload/insert:a:2/save/get:a";
    let words = read(&place, &streams, script).await;
    let data: Vec<_> = words
        .split("\n\n")
        .filter_map(|line| line.strip_prefix("data: "))
        .collect();
    assert_eq!(data, ["Sealed", "1", "", "", "", "2"]);
    scripts.get("/get:a").await.ok().says("2");
}

async fn s25_an_upgraded_connection_writes_after_a_reload(place: Place) {
    let (streams, scripts) = open(&place).await;
    let token = scripts.token().unwrap();
    let request = format!(
        "GET /upgrade/get:a/insert:a:2/reload/rotate/insert:a:2/save/get:a HTTP/1.1\r\nHost: {HOST}\r\n\
         Cookie: {COOKIE_NAME}={token}\r\nConnection: upgrade\r\nUpgrade: keycard-test\r\n\r\n"
    );
    let mut connection = streams.connect().await;
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    let (head, words) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert_eq!(words, "1 Sealed HeadSent 2");
    scripts.get("/get:a").await.ok().says("2");
}

async fn s05_a_session_first_asked_for_after_the_head_slides(place: Place) {
    let (streams, scripts) = open(&place).await;
    let id = scripts.selector().unwrap();
    let confirmed = place.calls(StoreCall::Touch);
    for touches in 1..=2 {
        place.pass(HOUR);
        for _ in 0..2 {
            assert_eq!(read(&place, &streams, "/late/get:a").await, "1");
        }
        place.keeps_for(id, DAY).await;
        assert_eq!(place.calls(StoreCall::Touch) - confirmed, touches);
    }
    place.pass(HOUR);
    assert_eq!(read(&place, &streams, "/late/get:a?poll").await, "1");
    place.keeps_for(id, DAY - HOUR).await;
    // A slide that fails is not the client's trouble.
    place.faults.next(StoreCall::Touch, Fault::Unavailable);
    assert_eq!(read(&place, &streams, "/late/get:a").await, "1");
    assert_eq!(place.calls(StoreCall::Touch) - confirmed, 3);
    // What fails is no activity.
    assert_eq!(read(&place, &streams, "/failed/get:a").await, "1");
    place.keeps_for(id, DAY - HOUR).await;
}

async fn s05_a_reload_after_the_head_slides(place: Place) {
    let (streams, scripts) = open(&place).await;
    let id = scripts.selector().unwrap();
    let script = "wait:x/reload/get:a/wait:x/reload/get:a";
    for (poll, left) in [("", DAY), ("?poll", DAY - 2 * HOUR)] {
        scripts.get("/read").await.ok();
        let touches = place.calls(StoreCall::Touch);
        let path = format!("/stream/{script}{poll}");
        let time = async {
            for _ in 0..2 {
                place.gate("x").arrived().await;
                place.pass(HOUR);
                place.gate("x").open();
            }
        };
        let (words, ()) = tokio::join!(read(&place, &streams, &path), time);
        assert_eq!(words, "1 1");
        place.keeps_for(id, left).await;
        let slid = if poll.is_empty() { 2 } else { 0 };
        assert_eq!(place.calls(StoreCall::Touch) - touches, slid);
    }
}

async fn s02_a_body_that_can_still_ask_for_the_session_varies(place: Place) {
    let (streams, _) = open(&place).await;
    let nobody = streams.twin().with_token("none");
    let (headers, words) = read_all(&place, &nobody, "/late/get:a/exists").await;
    assert_eq!(
        (headers, &*words),
        ([Some("Cookie".to_owned()), None], "- false")
    );
    let (headers, _) = read_all(&place, &streams, "/late/get:a").await;
    assert_eq!(headers[0].as_deref(), Some("Cookie"));
}

async fn s15_a_body_that_can_still_show_a_user_is_kept_out_of_shared_caches(place: Place) {
    let (streams, scripts) = open(&place).await;
    scripts.get("/login:ann").await.ok();
    let streams = streams.with_token(&scripts.token().unwrap());
    for path in ["/late/user", "/stream/user", "/events/user"] {
        let ([vary, cache], words) = read_all(&place, &streams, path).await;
        assert!(words.contains("ann"), "{path}: {words}");
        assert_eq!(vary.as_deref(), Some("Cookie"), "{path}");
        assert_eq!(cache.as_deref(), Some("private"), "{path}");
    }
}
