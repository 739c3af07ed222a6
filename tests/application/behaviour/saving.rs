//! S18 to S24, S26 and S27: what is saved, when, and beside whom.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use axum::{Router, error_handling::HandleError};
use http::{Method, StatusCode};
use tokio::task::JoinSet;
use tower_http::timeout::TimeoutLayer;
use tower_keycard::store::StoreCall;
use tower_keycard::store::testing::fault::Fault;
use tower_keycard::{Session, SessionConfig, SessionError};
use tower_layer::Layer;

use super::harness::{
    Browser, DAY, HOUR, MINUTE, PATIENCE, Place, STRANGER, application, on_every_store,
};

on_every_store![
    s18_a_change_is_saved_with_every_status_that_answers,
    s18_what_did_not_change_is_not_saved,
    s18_what_would_be_read_as_another_value_is_refused,
    s18_a_null_and_what_its_key_forgives_read_as_absent,
    s19_a_response_that_says_that_it_failed_stores_and_sets_nothing,
    s19_a_handler_that_a_time_limit_cuts_off_stores_nothing,
    s19_a_panic_stores_nothing,
    s19_a_handlers_error_stores_nothing,
    s19_a_logout_is_done_all_the_same,
    s19_what_was_saved_explicitly_stays_and_gets_its_cookie,
    s19_a_logout_undoes_what_was_saved_before_it,
    s20_these_commands_change_the_session,
    s20_these_commands_change_nothing,
    s21_an_emptied_session_lives_on,
    s22_every_request_slides_the_session_and_its_cookie,
    s22_without_a_valid_token_nothing_is_stored,
    s22_a_token_rotated_or_deleted_meanwhile_is_not_sent_again,
    s23_writers_of_different_keys_both_win,
    s23_writers_of_one_key_leave_one_of_their_values,
    s23_an_update_whose_answer_was_lost_is_not_applied_twice,
    s24_a_reader_never_undoes_a_writer,
    s26_the_response_waits_for_the_commit,
    s27_all_handles_of_a_request_are_one_session,
    s27_nobody_waits_for_a_call_that_is_not_polled_any_more,
];

on_every_store![in parallel:
    s23_of_a_thousand_updates_none_is_lost,
    s23_of_updates_that_keep_coming_none_is_refused,
];

fn every(config: SessionConfig) -> SessionConfig {
    config.save_every_request(true)
}

/// A browser with a session that has `a` = 1.
async fn with_session(place: &Place) -> Browser {
    let browser = place.open().await;
    browser.get("/insert:a:1").await.ok();
    browser
}

async fn s18_a_change_is_saved_with_every_status_that_answers(place: Place) {
    let browser = place.open().await;
    for status in [200, 204, 226, 302, 303, 304, 400, 404, 409, 422, 451] {
        let path = format!("/insert:a:{status}/status:{status}");
        browser.post(&path).await.is(status);
        browser.get("/get:a").await.ok().says(&status.to_string());
    }
}

async fn s18_what_did_not_change_is_not_saved(place: Place) {
    let browser = with_session(&place).await;
    let (before, _) = place.record(browser.selector().unwrap()).await;
    for path in ["/read", "/get:a", "/keys/option/user/id/since", "/save"] {
        browser.get(path).await.ok().sets_nothing();
    }
    let (after, _) = place.record(browser.selector().unwrap()).await;
    assert_eq!(after.revision(), before.revision());
    assert_eq!(place.calls(StoreCall::Replace), 0);
}

async fn s18_what_would_be_read_as_another_value_is_refused(place: Place) {
    let browser = with_session(&place).await;
    let (before, _) = place.record(browser.selector().unwrap()).await;
    for write in ["insert-nan", "insert-some-none"] {
        let reply = browser.get(&format!("/try:{write}:a/get:a")).await.ok();
        reply.says("Encode 1").sets_nothing();
    }
    let (after, _) = place.record(browser.selector().unwrap()).await;
    assert_eq!(after.revision(), before.revision());
}

async fn s18_a_null_and_what_its_key_forgives_read_as_absent(place: Place) {
    let browser = with_session(&place).await;
    browser.get("/insert-none:null").await.ok();
    browser.get("/number:null").await.ok().says("-");
    browser.get("/update:null").await.ok().says("1");
    // Another version of the application wrote text, and the value stays until one that reads it so replaces it.
    browser.get("/try:number:a").await.ok().says("Decode");
    browser.get("/number-if-any:a/get:a").await.ok().says("- 1");
    browser.get("/update-if-any:a").await.ok().says("1");
    browser.get("/number:a").await.ok().says("1");
    assert_eq!(place.log.count("type_mismatch"), 2);
}

async fn s19_a_response_that_says_that_it_failed_stores_and_sets_nothing(place: Place) {
    let browser = with_session(&place).await;
    let (before, _) = place.record(browser.selector().unwrap()).await;
    for command in [
        "insert:a:2",
        "clear",
        "rotate",
        "login:ann",
        "expiry:idle:9000",
        "remove:a",
    ] {
        for status in [408, 499, 500, 503, 599] {
            let path = format!("/{command}/status:{status}");
            browser.post(&path).await.is(status).sets_nothing();
        }
    }
    let (after, _) = place.record(browser.selector().unwrap()).await;
    assert_eq!(after.revision(), before.revision());
    browser.get("/get:a/user").await.ok().says("1 -");

    let nobody = place.open().await;
    nobody
        .post("/insert:a:2/status:500")
        .await
        .is(500)
        .sets_nothing();
    assert_eq!(place.records(), 1);
}

async fn s19_a_panic_stores_nothing(place: Place) {
    let browser = with_session(&place).await;
    for command in ["insert:a:2", "rotate", "login:ann"] {
        let path = format!("/{command}/panic");
        assert!(browser.try_ask(Method::POST, &path, &[]).await.is_err());
    }
    browser.get("/get:a/user").await.ok().says("1 -");
    assert_eq!(place.calls(StoreCall::Replace), 0);
}

/// A layer that cuts the handler off lies inside of the session layer, as a time limit for some routes does.
async fn s19_a_handler_that_a_time_limit_cuts_off_stores_nothing(place: Place) {
    let scripted = with_session(&place).await;
    // 408 is the status that the layer and the documentation of axum suggest.
    let limit =
        TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_millis(300));
    let layer = place.builder().build().unwrap();
    let application = application(place.stage.clone()).layer(limit).layer(layer);
    let browser = place.browse(application).await;
    let browser = browser.with_token(&scripted.token().unwrap());
    for half_done in ["insert:a:2", "login:ann", "rotate", "expiry:browser"] {
        let path = format!("/{half_done}/wait:ever");
        browser.post(&path).await.is(408).sets_nothing();
    }
    scripted.get("/get:a/user").await.ok().says("1 -");
    assert_eq!(place.calls(StoreCall::Replace), 0);
    let reply = browser.post("/logout/wait:ever").await.is(408);
    assert!(reply.removes_the_cookie());
    scripted.get("/exists").await.ok().says("false");
}

async fn s19_a_handlers_error_stores_nothing(place: Place) {
    let failing = tower::service_fn(async |request: Request| {
        let session = Session::load(request.extensions()).await?;
        match request.uri().path() {
            "/logout" => session.logout()?,
            _ => {
                session.insert("a", "2")?;
                session.rotate_token()?;
            }
        }
        Err::<Response, _>(Box::<dyn std::error::Error + Send + Sync>::from(
            "as the test wants",
        ))
    });
    let scripted = with_session(&place).await;
    let layer = place.builder().build().unwrap();
    let caught = HandleError::new(layer.layer(failing), async |_| StatusCode::BAD_GATEWAY);
    let browser = place.browse(Router::new().fallback_service(caught)).await;
    let browser = browser.with_token(&scripted.token().unwrap());
    browser.post("/").await.is(502).sets_nothing();
    scripted.get("/get:a").await.ok().says("1");
    browser.post("/logout").await.is(502);
    scripted.get("/exists").await.ok().says("false");
}

async fn s19_a_logout_is_done_all_the_same(place: Place) {
    for command in ["/logout", "/logout/insert:a:2", "/expiry:past"] {
        let browser = with_session(&place).await;
        let other = browser.twin();
        let reply = browser.post(&format!("{command}/status:500")).await.is(500);
        assert!(reply.removes_the_cookie(), "{command}");
        other.get("/exists").await.ok().says("false");

        let browser = with_session(&place).await;
        let path = format!("{command}/panic");
        assert!(browser.try_ask(Method::POST, &path, &[]).await.is_err());
        // Carried out by the runtime, since there was nobody left to wait for it.
        place.until_deleted(browser.selector().unwrap()).await;
        browser.get("/exists").await.ok().says("false");
    }
}

async fn s19_what_was_saved_explicitly_stays_and_gets_its_cookie(place: Place) {
    let browser = place.open().await;
    browser
        .post("/insert:a:1/save/insert:a:2/status:500")
        .await
        .is(500)
        .new_cookie();
    browser.get("/get:a").await.ok().says("1");
    let old = browser.twin();
    browser
        .post("/rotate/save/insert:b:1/status:503")
        .await
        .is(503)
        .new_cookie();
    browser.get("/get:a/get:b").await.ok().says("1 -");
    old.get("/exists").await.ok().says("false");
}

async fn s19_a_logout_undoes_what_was_saved_before_it(place: Place) {
    for status in [200, 500] {
        let browser = with_session(&place).await;
        let path = format!("/rotate/insert:b:1/save/logout/status:{status}");
        assert!(browser.post(&path).await.is(status).removes_the_cookie());
        assert_eq!(browser.token(), None);
        let fresh = place.open().await;
        let path = format!("/insert:b:1/save/logout/status:{status}");
        fresh.post(&path).await.is(status);
        assert_eq!(fresh.token(), None);
    }
    place.pass(MINUTE);
    assert_eq!(place.records(), 0);
}

async fn s20_these_commands_change_the_session(place: Place) {
    for command in [
        "insert:a:2",
        "insert:b:1",
        "update:n",
        "remove:a",
        "take:a",
        "clear",
        "expiry:idle:9000",
        "expiry:browser",
        "login:ann",
        "rotate",
    ] {
        let browser = with_session(&place).await;
        let (before, _) = place.record(browser.selector().unwrap()).await;
        browser.post(&format!("/{command}")).await.ok();
        let (after, _) = place.record(browser.selector().unwrap()).await;
        assert_ne!(after.revision(), before.revision(), "{command}");
    }
}

async fn s20_these_commands_change_nothing(place: Place) {
    let browser = with_session(&place).await;
    let (before, _) = place.record(browser.selector().unwrap()).await;
    for command in [
        "get:a",
        "remove:b",
        "take:b",
        "insert:a:1",
        "insert:a:2/insert:a:1",
        "remove:a/insert:a:1",
        "insert:b:1/remove:b",
        "expiry:default",
        "try:reauthenticate",
    ] {
        browser
            .post(&format!("/{command}"))
            .await
            .ok()
            .sets_nothing();
        let (after, _) = place.record(browser.selector().unwrap()).await;
        assert_eq!(after.revision(), before.revision(), "{command}");
    }
}

async fn s21_an_emptied_session_lives_on(place: Place) {
    for command in ["/clear", "/remove:a", "/take:a"] {
        let browser = with_session(&place).await;
        let token = browser.token();
        browser.post("/login:ann").await.ok();
        let logged_in = browser.token();
        assert_ne!(token, logged_in);
        browser.post(command).await.ok().sets_nothing();
        let (record, _) = place.record(browser.selector().unwrap()).await;
        assert_eq!(record.json(), "{}");
        browser
            .get("/exists/keys/user")
            .await
            .ok()
            .says("true  ann");
        assert_eq!(browser.token(), logged_in);
    }
}

async fn s22_every_request_slides_the_session_and_its_cookie(place: Place) {
    let browser = place.open_with(every).await;
    browser.begin("/insert:a:1").await;
    let (before, _) = place.record(browser.selector().unwrap()).await;
    for path in ["/untouched", "/get:a", "/untouched/status:404"] {
        place.pass(23 * HOUR);
        let token = browser.token().unwrap();
        let reply = browser.get(path).await;
        let cookie = reply.new_cookie();
        assert_eq!(
            (cookie.value.as_str(), cookie.max_age()),
            (token.as_str(), Some(86_400))
        );
        assert_eq!(reply.lines("vary"), ["Cookie"]);
        place.keeps_for(browser.selector().unwrap(), DAY).await;
    }
    assert_eq!(place.calls(StoreCall::Replace), 0);
    let (after, _) = place.record(browser.selector().unwrap()).await;
    assert_eq!(after.revision(), before.revision());
    // Where less is left of the absolute limit, the cookie says so.
    for _ in 0..12 {
        place.pass(22 * HOUR);
        browser.get("/untouched").await.ok().new_cookie();
    }
    let cookie = browser.get("/untouched").await.ok().new_cookie();
    let left = 14 * DAY - 3 * 23 * HOUR - 12 * 22 * HOUR;
    assert_eq!(
        cookie.max_age().unwrap().unsigned_abs(),
        left.min(DAY).as_secs()
    );
    assert!(left < DAY);
}

async fn s22_without_a_valid_token_nothing_is_stored(place: Place) {
    let browser = place.open_with(every).await;
    for path in ["/untouched", "/read"] {
        browser.get(path).await.ok().sets_nothing();
    }
    assert_eq!(place.faults.all_calls(), 0);
    let stranger = browser.with_token(STRANGER);
    let reply = stranger.get("/untouched").await.ok().sets_nothing();
    assert!(reply.lines("vary").is_empty());
    stranger.get("/read").await.ok().sets_nothing();
    assert_eq!((place.records(), place.calls(StoreCall::Touch)), (0, 0));
}

async fn s22_a_token_rotated_or_deleted_meanwhile_is_not_sent_again(place: Place) {
    for other in ["/rotate", "/login:ann", "/logout"] {
        for path in ["/read", "/untouched"] {
            let browser = place.open_with(every).await;
            browser.get("/insert:a:1").await.ok();
            let slow = browser.twin();
            place.faults.next(StoreCall::Load, Fault::HoldReply);
            let overtake = async {
                place.faults.until_waiting(1).await;
                browser.post(other).await.ok();
                place.faults.release().await;
            };
            let (reply, ()) = tokio::join!(slow.get(path), overtake);
            reply.ok().sets_nothing();
            // And so it is when the old token arrives only now.
            slow.get("/untouched").await.ok().sets_nothing();
            slow.get("/read").await.ok().sets_nothing();
        }
    }
}

/// One browser, two requests, and both have loaded the session before either writes.
async fn both_succeed(place: &Place, browser: &Browser, first: &str, second: &str) {
    let replies = place.interleave((browser, first), (browser, second)).await;
    replies.into_iter().for_each(|reply| drop(reply.ok()));
}

async fn s23_writers_of_different_keys_both_win(place: Place) {
    let browser = with_session(&place).await;
    both_succeed(&place, &browser, "/insert:b:2/remove:a", "/insert:c:3").await;
    browser.get("/get:a/get:b/get:c").await.ok().says("- 2 3");
    both_succeed(
        &place,
        &browser,
        "/update:n/update:m",
        "/update:n/insert:b:4",
    )
    .await;
    browser
        .get("/get:n/get:m/get:b/get:c")
        .await
        .ok()
        .says("2 1 4 3");
}

async fn s23_writers_of_one_key_leave_one_of_their_values(place: Place) {
    let browser = with_session(&place).await;
    both_succeed(&place, &browser, "/insert:a:2", "/insert:a:3").await;
    browser.get("/get:a").await.ok().says("3");
}

async fn s23_an_update_whose_answer_was_lost_is_not_applied_twice(place: Place) {
    // Nobody, one or a crowd writes before the request can see what became of its own write. In the crowd its trace is
    // lost: what can be done twice is done again, and what cannot is refused.
    for (write, others, status) in [
        ("/update:n", 0, 200),
        ("/update:n", 1, 200),
        ("/update:n", 5, 503),
        ("/insert:a:2", 5, 200),
    ] {
        let browser = with_session(&place).await;
        let slow = browser.twin();
        place.faults.next(StoreCall::Replace, Fault::LostReply);
        let overtake = async {
            place.gate("loaded").arrived().await;
            place.faults.next(StoreCall::Load, Fault::Hold);
            place.gate("loaded").open();
            place.faults.until_waiting(1).await;
            for _ in 0..others {
                browser.post("/update:n").await.ok();
            }
            place.faults.release().await;
        };
        let path = format!("{write}/wait:loaded");
        let (reply, ()) = tokio::join!(slow.post(&path), overtake);
        reply.is(status).sets_nothing();
        let (count, value) = match write {
            "/update:n" => (others + 1, 1),
            _ => (others, 2),
        };
        let expected = format!("{count} {value}");
        browser.get("/get:n/get:a").await.ok().says(&expected);
    }
    // One that never arrives is refused in the end.
    let browser = with_session(&place).await;
    place.faults.always(StoreCall::Replace, Fault::LostRequest);
    browser.post("/update:n").await.is(503).sets_nothing();
    place.faults.always(StoreCall::Replace, Fault::Pass);
    browser.get("/get:n").await.ok().says("-");
}

async fn s23_of_a_thousand_updates_none_is_lost(place: Place) {
    let browser = Arc::new(with_session(&place).await);
    let token = browser.token();
    let mut updates = JoinSet::new();
    for _ in 0..1_000 {
        let browser = browser.clone();
        updates.spawn(async move {
            let mut refused = 0;
            while browser.post("/update:n").await.status == StatusCode::SERVICE_UNAVAILABLE {
                refused += 1;
            }
            refused
        });
    }
    // On a slow machine one may run out of time: then it gets a 503, and nothing of it is stored.
    let refused: usize = updates.join_all().await.into_iter().sum();
    assert!(refused < 1_000, "{refused} were refused");
    browser.get("/get:n/get:a").await.ok().says("1000 1");
    assert_eq!(browser.token(), token);
}

async fn s23_of_updates_that_keep_coming_none_is_refused(place: Place) {
    const WRITERS: usize = 64;
    const EACH: usize = 25;
    let browser = Arc::new(with_session(&place).await);
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let browser = browser.clone();
        writers.spawn(async move {
            for _ in 0..EACH {
                browser.post("/update:n").await.ok();
            }
        });
    }
    writers.join_all().await;
    let expected = format!("{}", WRITERS * EACH);
    browser.get("/get:n").await.ok().says(&expected);
}

async fn s24_a_reader_never_undoes_a_writer(place: Place) {
    for configure in [every as fn(SessionConfig) -> _, |config| config] {
        let browser = place.open_with(configure).await;
        browser.begin("/insert:a:1").await;
        place.pass(HOUR);
        both_succeed(&place, &browser, "/insert:a:2", "/get:a").await;
        browser.get("/get:a").await.ok().says("2");
        both_succeed(&place, &browser, "/get:a", "/insert:a:3").await;
        browser.get("/get:a").await.ok().says("3");
    }
}

async fn s26_the_response_waits_for_the_commit(place: Place) {
    let browser = place.open().await;
    place.faults.next(StoreCall::Create, Fault::Hold);
    let release = async {
        place.faults.until_waiting(1).await;
        assert!(browser.token().is_none());
        place.faults.release().await;
    };
    let (reply, ()) = tokio::join!(browser.post("/insert:a:1/see:get:a"), release);
    let location = reply.is(303).lines("location")[0].to_owned();
    browser.get(&location).await.ok().says("1");

    place.faults.next(StoreCall::Replace, Fault::Hold);
    let answered = std::cell::Cell::new(false);
    let write = async {
        let reply = browser.post("/insert:a:2/see:get:a").await;
        answered.set(true);
        reply
    };
    let release = async {
        place.faults.until_waiting(1).await;
        // The server answers others meanwhile, and this one not.
        browser.twin().get("/get:a").await.ok().says("1");
        assert!(!answered.get());
        place.faults.release().await;
    };
    let (reply, ()) = tokio::join!(write, release);
    let location = reply.is(303).lines("location")[0].to_owned();
    browser.get(&location).await.ok().says("2");
}

async fn s27_all_handles_of_a_request_are_one_session(place: Place) {
    async fn outer(session: Session, mut request: Request, next: Next) -> Response {
        session.insert("outer", 1).unwrap();
        request.extensions_mut().insert("seen by all extractors");
        let response = next.run(request).await;
        assert_eq!(session.get::<u32>("handler").unwrap(), Some(3));
        session.insert("after", 4).unwrap();
        response
    }
    async fn inner(request: Request, next: Next) -> Response {
        let session = Session::load(request.extensions()).await.unwrap();
        assert_eq!(session.get::<u32>("outer").unwrap(), Some(1));
        session.clone().insert("inner", 2).unwrap();
        next.run(request).await
    }
    async fn handler(
        one: Session,
        two: Session,
        maybe: Option<Session>,
    ) -> Result<String, SessionError> {
        one.insert("handler", 3)?;
        let keys = two.keys().join(",");
        let clone = two.clone();
        tokio::spawn(async move { clone.insert("spawned", 5) })
            .await
            .unwrap()?;
        Ok(format!(
            "{keys} {:?}",
            maybe.map(|session| session.keys().len())
        ))
    }
    let layer = place.builder().build().unwrap();
    let application = Router::new().route("/", get(handler));
    let application = application
        .layer(from_fn(inner))
        .layer(from_fn(outer))
        .layer(layer);
    let browser = place.browse(application).await;
    let scripted = with_session(&place).await;
    let browser = browser.with_token(&scripted.token().unwrap());
    let calls = place.calls(StoreCall::Load);
    browser
        .get("/")
        .await
        .ok()
        .says("a,handler,inner,outer Some(5)");
    assert_eq!(place.calls(StoreCall::Load), calls + 1);
    assert_eq!(place.calls(StoreCall::Replace), 1);
    scripted
        .get("/keys")
        .await
        .ok()
        .says("a,after,handler,inner,outer,spawned");
}

async fn s27_nobody_waits_for_a_call_that_is_not_polled_any_more(place: Place) {
    let browser = with_session(&place).await;
    for (call, other) in [("unpolled-save", "b"), ("unpolled-reload", "c")] {
        // In memory, too, the first poll is not the last.
        for delayed in [StoreCall::Load, StoreCall::Replace] {
            place
                .faults
                .always(delayed, Fault::Delay(Duration::from_millis(1)));
        }
        let path = format!("/insert:{other}:1/{call}/keys");
        let reply = tokio::time::timeout(PATIENCE, browser.post(&path)).await;
        reply.expect("nobody waits for ever").ok();
    }
    browser.get("/get:b/get:c").await.ok().says("1 1");
}
