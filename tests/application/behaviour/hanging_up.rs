//! S43: clients that hang up.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::Response;
use http::Request;
use tower_keycard::Session;
use tower_keycard::store::testing::fault::Fault;
use tower_keycard::store::{Loaded, StoreCall};
use tower_layer::Layer;
use tower_service::Service;

use super::harness::{Browser, COOKIE_NAME, Place, on_every_store};

on_every_store![
    s43_a_client_that_hangs_up_before_the_commit_changes_nothing,
    s43_a_commit_that_began_is_finished_without_its_client,
    s43_a_rotation_without_its_client_is_whole,
    s43_a_logout_is_carried_out_without_its_client,
    s43_a_rotation_whose_answer_is_lost_is_whole,
    s43_a_server_that_stops_waits_for_what_clients_left_behind,
];

async fn with_session(place: &Place) -> Browser {
    let browser = place.open().await;
    browser.get("/insert:a:1").await.ok();
    browser
}

async fn s43_a_client_that_hangs_up_before_the_commit_changes_nothing(place: Place) {
    let browser = with_session(&place).await;
    let (before, _) = place.record(browser.selector().unwrap()).await;
    for write in ["insert:a:2", "rotate", "login:ann", "clear"] {
        let connection = browser.send_only(&format!("/{write}/wait:handler")).await;
        place.gate("handler").arrived().await;
        drop(connection);
        place.stage.gone.taken().await;

        place.faults.next(StoreCall::Load, Fault::Hold);
        let connection = browser.send_only(&format!("/{write}")).await;
        place.faults.until_waiting(1).await;
        drop(connection);
        place.stage.gone.taken().await;
        place.faults.release().await;
    }
    let (after, _) = place.record(browser.selector().unwrap()).await;
    assert_eq!(after.revision(), before.revision());
    assert_eq!(place.calls(StoreCall::Replace), 0);
    browser.get("/get:a/user").await.ok().says("1 -");
}

/// Sends a request, and hangs up while the store works on this call. Comes back when all commits are done.
async fn hang_up(place: &Place, browser: &Browser, path: &str, at: StoreCall, how: Fault) {
    place.faults.next(at, how);
    let connection = browser.send_only(path).await;
    place.faults.until_waiting(1).await;
    drop(connection);
    place.stage.gone.taken().await;
    place.faults.release().await;
}

async fn s43_a_commit_that_began_is_finished_without_its_client(place: Place) {
    let layer = place.builder().build().unwrap();
    let browser = place.open_layer(layer.clone()).await;
    for how in [Fault::Hold, Fault::HoldReply] {
        let before = place.records();
        hang_up(&place, &browser, "/insert:a:1", StoreCall::Create, how).await;
        layer.drain().await;
        assert_eq!(place.records(), before + 1);
    }
    browser.get("/insert:a:1").await.ok();
    for (count, path) in ["/update:n", "/update:n/save/wait:never"]
        .into_iter()
        .enumerate()
    {
        for how in [Fault::Hold, Fault::HoldReply] {
            // The first attempt is lost; the second is under way when the client leaves.
            place.faults.next(StoreCall::Replace, Fault::LostRequest);
            hang_up(&place, &browser, path, StoreCall::Replace, how).await;
            layer.drain().await;
        }
        browser
            .get("/get:n")
            .await
            .ok()
            .says(&(2 * (count + 1)).to_string());
    }
}

async fn s43_a_rotation_without_its_client_is_whole(place: Place) {
    let layer = place.builder().build().unwrap();
    let browser = place.open_layer(layer.clone()).await;
    for how in [Fault::Hold, Fault::HoldReply] {
        for rotate in ["/rotate/insert:b:2", "/login:ann/insert:b:2"] {
            let browser = browser.twin();
            browser.get("/insert:a:1").await.ok();
            hang_up(&place, &browser, rotate, StoreCall::Replace, how).await;
            layer.drain().await;
            // All of it was done: the data is there, and the old token is dead.
            let (record, _) = place.record(browser.selector().unwrap()).await;
            assert_eq!(record.json(), r#"{"a":"1","b":"2"}"#);
            assert_eq!(record.user(), (rotate.contains("login")).then_some("ann"));
            browser
                .get("/get:a/exists")
                .await
                .ok()
                .sets_nothing()
                .says("- false");
        }
    }
}

async fn s43_a_logout_is_carried_out_without_its_client(place: Place) {
    let layer = place.builder().build().unwrap();
    let browser = place.open_layer(layer.clone()).await;
    for path in ["/logout/wait:never", "/logout"] {
        let browser = browser.twin();
        browser.get("/insert:a:1").await.ok();
        let id = browser.selector().unwrap();
        if path == "/logout" {
            hang_up(&place, &browser, path, StoreCall::Delete, Fault::Hold).await;
        } else {
            let connection = browser.send_only(path).await;
            place.gate("never").arrived().await;
            drop(connection);
            place.stage.gone.taken().await;
        }
        layer.drain().await;
        assert!(
            matches!(place.stored(id).await, Loaded::Tombstone),
            "{path}"
        );
    }
}

async fn s43_a_rotation_whose_answer_is_lost_is_whole(place: Place) {
    for rotate in ["/rotate", "/login:ann"] {
        for fault in [Fault::LostReply, Fault::LostRequest] {
            let browser = with_session(&place).await;
            let old = browser.twin();
            place.faults.next(StoreCall::Replace, fault);
            browser.post(rotate).await.ok().new_cookie();
            browser.get("/get:a").await.ok().says("1");
            old.get("/exists").await.ok().says("false");
        }
        let browser = with_session(&place).await;
        place.faults.always(StoreCall::Replace, Fault::LostRequest);
        browser.post(rotate).await.is(503).sets_nothing();
        place.faults.always(StoreCall::Replace, Fault::Pass);
        browser.get("/get:a/user").await.ok().says("1 -");
    }
}

/// Without a connection between them: nothing runs from the moment the request is dropped until the server waits.
async fn s43_a_server_that_stops_waits_for_what_clients_left_behind(place: Place) {
    let browser = with_session(&place).await;
    let layer = place.builder().build().unwrap();
    let gate = place.gate("handler");
    let mut service = layer.layer(tower::service_fn(async |request: Request<Body>| {
        let session = Session::load(request.extensions()).await.unwrap();
        session.logout().unwrap();
        gate.pass().await;
        Ok::<_, Infallible>(Response::<Body>::default())
    }));
    let cookie = format!("{COOKIE_NAME}={}", browser.token().unwrap());
    let request = Request::get("/").header("cookie", cookie);
    let request = request.body(Body::empty()).unwrap();
    tokio::select! {
        _ = service.call(request) => panic!("the handler waits"),
        () = gate.arrived() => {}
    }
    layer.drain().await;
    let stored = place.stored(browser.selector().unwrap()).await;
    assert!(matches!(stored, Loaded::Tombstone), "{stored:?}");
}
