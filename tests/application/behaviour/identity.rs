//! S34 to S40: rotation, login, logout, and what becomes of requests that they overtake.

use std::sync::atomic::{AtomicU8, Ordering};

use http::Method;
use tower_keycard::SessionConfig;
use tower_keycard::config::OnInterrupted;
use tower_keycard::store::testing::fault::Fault;
use tower_keycard::store::{Loaded, StoreCall};

use super::harness::{Browser, HOUR, MINUTE, Place, SECOND, on_every_store, selector};

on_every_store![
    s34_a_rotation_keeps_all_but_the_token,
    s34_without_a_session_there_is_nothing_to_rotate,
    s35_a_login_rotates_and_keeps_what_was_gathered,
    s35_a_login_can_keep_some_keys_only,
    s35_the_same_user_again_gets_a_new_token_all_the_same,
    s35_another_user_finds_nothing_of_the_first,
    s35_another_user_is_refused_while_the_first_ones_session_cannot_be_ended,
    s36_a_logout_deletes_the_session_and_its_cookie,
    s36_after_a_logout_the_same_request_starts_afresh,
    s36_late_requests_of_a_browser_that_logged_out_change_nothing,
    s37_an_id_that_is_taken_is_never_overwritten,
    s37_the_id_is_the_tokens_public_part,
    s38_a_write_after_a_logout_is_interrupted,
    s38_the_write_of_a_page_is_dropped_and_the_page_goes_out,
    s38_an_interrupted_write_can_be_dropped_or_refused_whatever_the_method,
    s38_no_page_goes_out_whose_login_or_form_was_lost,
    s38_an_update_that_fails_on_the_newer_value_takes_no_login_along,
    s39_no_form_gets_a_token_after_the_session_went_on_or_ended_elsewhere,
    s38_a_read_after_a_logout_is_answered,
    s39_a_rotation_overtakes_readers_and_interrupts_writers,
    s39_the_old_token_is_superseded_for_a_minute,
    s39_a_login_succeeds_with_any_token,
    s40_of_two_concurrent_logins_each_gets_its_own_user,
    s40_a_double_click_on_login_logs_in_twice,
];

async fn with_session(place: &Place) -> Browser {
    let browser = place.open().await;
    browser.begin("/insert:a:1").await;
    browser
}

fn every(config: SessionConfig) -> SessionConfig {
    config.save_every_request(true)
}

async fn s34_a_rotation_keeps_all_but_the_token(place: Place) {
    let browser = with_session(&place).await;
    browser.get("/insert:b:2/login:ann").await.ok();
    let old = browser.twin();
    let cookie = browser.get("/rotate").await.ok().new_cookie();
    assert_ne!(Some(cookie.value), old.token());
    assert_eq!(browser.selector(), old.selector());
    browser.get("/get:a/get:b/user").await.ok().says("1 2 ann");
    old.get("/get:a/exists/user")
        .await
        .ok()
        .sets_nothing()
        .says("- false -");
}

async fn s34_without_a_session_there_is_nothing_to_rotate(place: Place) {
    let browser = place.open().await;
    browser.get("/rotate").await.ok().sets_nothing();
    assert_eq!(place.records(), 0);
    browser.get("/rotate/insert:a:1").await.ok().new_cookie();
    browser.get("/get:a").await.ok().says("1");
}

async fn s35_a_login_rotates_and_keeps_what_was_gathered(place: Place) {
    let browser = with_session(&place).await;
    let old = browser.twin();
    place.pass(HOUR);
    browser
        .post("/login:ann/user")
        .await
        .ok()
        .says("ann")
        .new_cookie();
    assert_eq!(browser.selector(), old.selector());
    assert_ne!(browser.token(), old.token());
    let now = place.now().as_millis();
    place.pass(MINUTE);
    browser
        .get("/get:a/user/since")
        .await
        .ok()
        .says(&format!("1 ann {now}"));
    let (record, _) = place.record(browser.selector().unwrap()).await;
    assert_eq!(record.user(), Some("ann"));
    old.get("/user/get:a").await.ok().says("- -");

    let nobody = place.open().await;
    nobody.post("/login:bob").await.ok().new_cookie();
    nobody.get("/user").await.ok().says("bob");
}

async fn s35_a_login_can_keep_some_keys_only(place: Place) {
    let browser = with_session(&place).await;
    browser.get("/insert:b:2/insert:c:3").await.ok();
    browser
        .post("/login-keeping:ann:a,c")
        .await
        .ok()
        .new_cookie();
    browser.get("/keys/user").await.ok().says("a,c ann");
}

async fn s35_the_same_user_again_gets_a_new_token_all_the_same(place: Place) {
    let browser = with_session(&place).await;
    browser.post("/login:ann").await.ok();
    let old = browser.twin();
    place.pass(HOUR);
    browser.post("/login:ann").await.ok().new_cookie();
    assert_ne!(browser.token(), old.token());
    assert_eq!(browser.selector(), old.selector());
    let now = place.now().as_millis();
    browser
        .get("/get:a/since")
        .await
        .ok()
        .says(&format!("1 {now}"));
    old.get("/exists").await.ok().says("false");
}

async fn s35_another_user_finds_nothing_of_the_first(place: Place) {
    let browser = with_session(&place).await;
    browser.post("/login:ann").await.ok();
    let old = browser.twin();
    browser
        .post("/insert:b:2/login:bob/get:a/get:b/insert:c:3")
        .await
        .ok()
        .says("- -")
        .new_cookie();
    assert_ne!(browser.selector(), old.selector());
    browser.get("/keys/user").await.ok().says("c bob");
    assert!(matches!(
        place.stored(old.selector().unwrap()).await,
        Loaded::Tombstone
    ));
    old.get("/exists").await.ok().sets_nothing().says("false");
}

async fn s35_another_user_is_refused_while_the_first_ones_session_cannot_be_ended(place: Place) {
    let browser = with_session(&place).await;
    browser.post("/login:ann").await.ok();
    place.faults.next(StoreCall::Delete, Fault::Unavailable);
    browser.post("/login:bob").await.is(503).sets_nothing();
    browser.get("/user/get:a").await.ok().says("ann 1");
    assert_eq!(place.records(), 1);
    browser.post("/login:bob").await.ok().new_cookie();
    browser.get("/user/get:a").await.ok().says("bob -");
}

async fn s36_a_logout_deletes_the_session_and_its_cookie(place: Place) {
    let browser = with_session(&place).await;
    browser.post("/login:ann").await.ok();
    let old = browser.twin();
    let reply = browser.post("/logout/get:a/user/exists/id").await.ok();
    assert_eq!(reply.text, "- - false -");
    assert!(reply.removes_the_cookie());
    assert_eq!(browser.token(), None);
    browser.get("/get:a").await.ok().sets_nothing().says("-");
    let id = old.selector().unwrap();
    assert!(matches!(place.stored(id).await, Loaded::Tombstone));
    place.pass(MINUTE);
    assert!(matches!(place.stored(id).await, Loaded::Absent));
}

async fn s36_after_a_logout_the_same_request_starts_afresh(place: Place) {
    let browser = with_session(&place).await;
    browser.post("/login:ann").await.ok();
    let old = browser.twin();
    browser
        .post("/logout/get:a/insert:b:2/keys")
        .await
        .ok()
        .says("- b")
        .new_cookie();
    assert_ne!(browser.selector(), old.selector());
    browser.get("/keys/user").await.ok().says("b -");
    assert!(matches!(
        place.stored(old.selector().unwrap()).await,
        Loaded::Tombstone
    ));
}

async fn s36_late_requests_of_a_browser_that_logged_out_change_nothing(place: Place) {
    let browser = with_session(&place).await;
    let late = browser.twin();
    browser.post("/logout").await.ok();
    let records = place.records();
    // A store has its own clock, which goes on meanwhile.
    for time in [0, 40] {
        place.pass(time * SECOND);
        late.get("/get:a/exists")
            .await
            .ok()
            .sets_nothing()
            .says("- false");
        late.post("/insert:a:2").await.is(409).sets_nothing();
        late.post("/logout").await.ok().sets_nothing();
    }
    assert_eq!(place.records(), records);
    place.pass(20 * SECOND);
    late.get("/read").await.ok().sets_nothing();
}

async fn s37_an_id_that_is_taken_is_never_overwritten(place: Place) {
    let tokens = AtomicU8::new(0);
    // The first two tokens are the same; revisions differ, as they must.
    let builder = place.builder().random(move |bytes| {
        let drawn = tokens.fetch_add(1, Ordering::SeqCst);
        let (token, revision) = bytes.split_at_mut(33);
        token.fill(drawn / 2);
        revision.fill(drawn + 1);
        true
    });
    let first = place.open_layer(builder.build().unwrap()).await;
    let second = first.twin();
    first.get("/insert:a:1").await.ok();
    second.get("/insert:a:2").await.ok();
    assert_ne!(first.selector(), second.selector());
    assert_eq!(place.calls(StoreCall::Create), 3);
    first.get("/get:a").await.ok().says("1");
    second.get("/get:a").await.ok().says("2");
}

async fn s37_the_id_is_the_tokens_public_part(place: Place) {
    let browser = with_session(&place).await;
    let id = browser.selector().unwrap().to_string();
    browser.get("/id").await.ok().says(&id);
    for rotate in ["/rotate", "/login:ann", "/reauthenticate", "/insert:id:x"] {
        browser.get(&format!("{rotate}/id")).await.ok().says(&id);
    }
    browser.get("/id").await.ok().says(&id);
}

async fn s38_a_write_after_a_logout_is_interrupted(place: Place) {
    for configure in [every as fn(SessionConfig) -> _, |config| config] {
        let browser = place.open_with(configure).await;
        for write in [
            "insert:a:2",
            "update:n",
            "clear",
            "rotate",
            "expiry:idle:9000",
            "reauthenticate",
        ] {
            browser.post("/insert:a:1/login:ann").await.ok();
            let (id, slow) = (browser.selector().unwrap(), browser.twin());
            let path = format!("/{write}");
            let [ended, late] = place
                .interleave((&browser, "/logout"), (&slow, &path))
                .await;
            assert!(ended.ok().removes_the_cookie());
            late.is(409).sets_nothing();
            assert!(
                matches!(place.stored(id).await, Loaded::Tombstone),
                "{write}"
            );
        }
    }
}

const SAFE: [Method; 3] = [Method::GET, Method::HEAD, Method::OPTIONS];
const UNSAFE: [Method; 4] = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

async fn s38_the_write_of_a_page_is_dropped_and_the_page_goes_out(place: Place) {
    for (number, method) in SAFE.into_iter().enumerate() {
        let browser = with_session(&place).await;
        let (id, slow) = (browser.selector().unwrap(), browser.twin());
        let late = (&slow, method.clone(), "/update:views/get:a");
        let [_, late] = place.interleave_as((&browser, "/logout"), late).await;
        let late = late.ok().sets_nothing();
        let body = if method == Method::HEAD { "" } else { "1 1" };
        assert_eq!(late.text, body, "{method}");
        assert!(matches!(place.stored(id).await, Loaded::Tombstone));
        assert_eq!(place.log.count("interrupted"), number + 1);
    }
    for method in UNSAFE {
        let browser = with_session(&place).await;
        let (id, slow) = (browser.selector().unwrap(), browser.twin());
        let late = (&slow, method, "/update:views");
        let [_, late] = place.interleave_as((&browser, "/logout"), late).await;
        late.is(409).sets_nothing();
        assert!(matches!(place.stored(id).await, Loaded::Tombstone));
    }
    assert_eq!(place.log.count("interrupted"), SAFE.len() + UNSAFE.len());
}

async fn s38_no_page_goes_out_whose_login_or_form_was_lost(place: Place) {
    for on_interrupted in [
        OnInterrupted::ConflictUnlessSafe,
        OnInterrupted::DropSilently,
    ] {
        let configure = |config: SessionConfig| {
            let config = config.on_interrupted(on_interrupted);
            config.max_data_size(300)
        };
        let browser = place.open_with(configure).await;
        // After this the login no longer fits.
        let larger = format!("/insert:a:{}", "x".repeat(200));
        for (write, first) in [
            (format!("/insert:b:{}/login:ann", "y".repeat(150)), &*larger),
            (format!("/insert:b:{}/rotate", "y".repeat(150)), &larger),
            ("/csrf".to_owned(), "/rotate"),
            ("/csrf".to_owned(), "/login:ann"),
            ("/csrf".to_owned(), "/logout"),
        ] {
            for method in [Method::GET, Method::POST] {
                browser.post("/logout").await.ok();
                browser.post("/insert:a:1").await.ok();
                browser.get("/read").await.ok();
                let events = place.log.count("interrupted");
                let late = browser.twin();
                let [done, lost] = place
                    .interleave_as((&browser, first), (&late, method.clone(), &write))
                    .await;
                done.ok();
                lost.is(409).sets_nothing().says("");
                assert_eq!(place.log.count("interrupted"), events + 1);
                late.get("/get:b/user").await.ok().says("- -");
            }
        }
    }
}

async fn s38_an_update_that_fails_on_the_newer_value_takes_no_login_along(place: Place) {
    for method in [Method::GET, Method::POST] {
        let browser = place.open().await;
        browser.post("/insert:c:1").await.ok();
        browser.get("/read").await.ok();
        let late = browser.twin();
        let lost = (&late, method, "/update:n/login:ann");
        let [done, lost] = place
            .interleave_as((&browser, "/insert:n:text"), lost)
            .await;
        done.ok();
        lost.is(409).sets_nothing();
        late.get("/user/get:n").await.ok().says("- text");
    }
}

async fn s39_no_form_gets_a_token_after_the_session_went_on_or_ended_elsewhere(place: Place) {
    for elsewhere in ["/rotate", "/login:ann", "/logout"] {
        let browser = with_session(&place).await;
        let late = browser.twin();
        browser.post(elsewhere).await.ok();
        for method in [Method::GET, Method::POST] {
            let form = late.ask(method.clone(), "/csrf", &[]).await;
            form.is(409).sets_nothing();
            let form = late.ask(method, "/try:csrf", &[]).await;
            form.ok().sets_nothing().says("Interrupted");
        }
        // The page that is loaded again has a token that is accepted.
        let token = browser.get("/csrf").await.ok().text;
        browser.post(&format!("/verify:{token}")).await.ok();
        // A login makes a session of its own, with forms of its own.
        let reply = late.post("/login:eve/csrf").await.ok();
        late.post(&format!("/verify:{}", reply.text)).await.ok();
    }
}

async fn s38_an_interrupted_write_can_be_dropped_or_refused_whatever_the_method(place: Place) {
    for (on_interrupted, status) in [
        (OnInterrupted::DropSilently, 200),
        (OnInterrupted::Conflict, 409),
    ] {
        for method in [Method::GET, Method::POST] {
            let configure = |config: SessionConfig| config.on_interrupted(on_interrupted);
            let browser = place.open_with(configure).await;
            browser.get("/insert:a:1").await.ok();
            let (id, slow) = (browser.selector().unwrap(), browser.twin());
            let late = (&slow, method, "/insert:a:2/get:a");
            let [_, late] = place.interleave_as((&browser, "/logout"), late).await;
            let late = late.is(status).sets_nothing();
            assert_eq!(late.text, if status == 200 { "2" } else { "" });
            assert!(matches!(place.stored(id).await, Loaded::Tombstone));
        }
    }
    assert_eq!(place.log.count("interrupted"), 4);
}

async fn s38_a_read_after_a_logout_is_answered(place: Place) {
    for configure in [every as fn(SessionConfig) -> _, |config| config] {
        let browser = place.open_with(configure).await;
        browser.begin("/insert:a:1").await;
        place.pass(HOUR);
        let (id, slow) = (browser.selector().unwrap(), browser.twin());
        let [_, late] = place
            .interleave((&browser, "/logout"), (&slow, "/get:a"))
            .await;
        late.ok().sets_nothing().says("1");
        assert!(matches!(place.stored(id).await, Loaded::Tombstone));
    }
}

async fn s39_a_rotation_overtakes_readers_and_interrupts_writers(place: Place) {
    for rotate in ["/rotate", "/login:ann"] {
        let browser = with_session(&place).await;
        let slow = browser.twin();
        let [_, late] = place
            .interleave((&browser, rotate), (&slow, "/get:a"))
            .await;
        late.ok().sets_nothing().says("1");
        for write in ["/insert:a:2/insert:b:2", "/update:n", "/clear", "/rotate"] {
            let slow = browser.twin();
            let [_, late] = place.interleave((&browser, rotate), (&slow, write)).await;
            late.is(409).sets_nothing();
            let slow = browser.twin();
            let page = (&slow, Method::GET, write);
            let [_, late] = place.interleave_as((&browser, rotate), page).await;
            let status = if write == "/rotate" { 409 } else { 200 };
            late.is(status).sets_nothing();
            browser.get("/keys/get:a").await.ok().says("a 1");
        }
    }
}

async fn s39_the_old_token_is_superseded_for_a_minute(place: Place) {
    let browser = with_session(&place).await;
    let old = browser.twin();
    browser.post("/login:ann").await.ok();
    for seconds in [0, 59] {
        place.pass(seconds * SECOND);
        old.get("/get:a/user").await.ok().sets_nothing().says("- -");
        old.get("/untouched").await.ok().sets_nothing();
        old.get("/insert:a:2").await.ok().sets_nothing();
        old.post("/insert:a:2").await.is(409).sets_nothing();
    }
    place.pass(SECOND);
    old.get("/read").await.ok().sets_nothing();
    let cookie = old.post("/insert:a:2").await.ok().new_cookie();
    assert_ne!(Some(selector(&cookie.value)), browser.selector());
    browser.get("/get:a/user").await.ok().says("1 ann");
}

async fn s39_a_login_succeeds_with_any_token(place: Place) {
    for end in ["/rotate", "/login:ann", "/logout"] {
        for seconds in [0, 59, 61] {
            let browser = with_session(&place).await;
            let old = browser.twin();
            browser.post(end).await.ok();
            place.pass(seconds * SECOND);
            old.post("/login:bob/insert:b:2").await.ok().new_cookie();
            assert_ne!(old.selector(), browser.selector());
            old.get("/keys/user").await.ok().says("b bob");
        }
    }
}

async fn s40_of_two_concurrent_logins_each_gets_its_own_user(place: Place) {
    let browser = with_session(&place).await;
    let (old, other) = (browser.twin(), browser.twin());
    let [first, second] = place
        .interleave(
            (&browser, "/login:ann/insert:x:1"),
            (&other, "/login:bob/insert:y:1"),
        )
        .await;
    first.ok().new_cookie();
    second.ok().new_cookie();
    browser.get("/user/keys").await.ok().says("ann a,x");
    other.get("/user/keys").await.ok().says("bob y");
    old.get("/exists/user")
        .await
        .ok()
        .sets_nothing()
        .says("false -");
}

async fn s40_a_double_click_on_login_logs_in_twice(place: Place) {
    let browser = with_session(&place).await;
    let other = browser.twin();
    // The second arrives at the store while the first is on its way there.
    place.faults.next(StoreCall::Replace, Fault::Hold);
    let overtake = async {
        place.faults.until_waiting(1).await;
        other.post("/login:ann").await.ok().new_cookie();
        place.faults.release().await;
    };
    let (reply, ()) = tokio::join!(browser.post("/login:ann"), overtake);
    reply.ok().new_cookie();
    assert_ne!(browser.token(), other.token());
    for browser in [browser, other] {
        browser.get("/user").await.ok().says("ann");
    }
}
