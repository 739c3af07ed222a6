//! S1 to S17: the cookie, and the headers for caches.

use std::collections::BTreeMap;

use axum::routing::get;
use http::Method;
use tower_keycard::config::{FormerCookie, Persistence, SameSite};
use tower_keycard::session::Timestamp;
use tower_keycard::store::testing::fault::Fault;
use tower_keycard::store::{DecodeError, Loaded, StoreCall};
use tower_keycard::{Session, SessionConfig};

use super::harness::{
    Browser, COOKIE_NAME, DAY, HOST, HOUR, MINUTE, Place, Reply, SECOND, STRANGER, SetCookie,
    config, on_every_store, selector,
};
use crate::Admin;

/// A token whose session ended by its absolute limit.
async fn expired(place: &Place) -> Browser {
    let browser = place.open().await;
    browser.get("/insert:a:1").await.ok();
    let token = browser.token().unwrap();
    place.pass_for_the_layer(15 * DAY);
    // The browser has forgotten it as well: it comes from a client that has not.
    browser.with_token(&token)
}

fn is_untouched(reply: &Reply) {
    assert!(reply.lines("set-cookie").is_empty());
    assert!(reply.lines("vary").is_empty());
    assert!(reply.lines("cache-control").is_empty());
}

fn varies_only(reply: &Reply) {
    assert!(reply.lines("set-cookie").is_empty());
    assert_eq!(reply.lines("vary"), ["Cookie"]);
    assert!(reply.lines("cache-control").is_empty());
}

on_every_store![
    s01_without_a_cookie_an_untouched_session_leaves_no_trace,
    s02_without_a_cookie_reading_creates_nothing,
    s03_the_first_write_creates_a_record_and_sets_the_cookie,
    s03_the_cookie_has_every_attribute_of_its_template,
    s04_with_a_valid_token_an_untouched_session_leaves_no_trace,
    s05_reading_a_session_slides_its_idle_limit,
    s05_a_session_in_constant_use_is_touched_once_a_minute,
    s05_what_does_not_count_as_activity_slides_nothing,
    s06_writing_keeps_the_token_and_sends_no_cookie,
    s06_writing_sends_the_same_token_again_where_its_lifetime_moved,
    s06_an_unconfirmed_write_sends_no_cookie,
    s06_a_write_that_does_not_count_as_activity_leaves_the_end_where_it_is,
    s06_a_write_that_does_not_count_as_activity_takes_back_no_slide_made_meanwhile,
    s07_an_unknown_token_is_left_alone_while_nobody_asks,
    s07_an_unknown_token_is_left_alone_on_a_read,
    s07_a_slow_read_does_not_remove_the_cookie_of_a_login_made_meanwhile,
    s07_an_unknown_token_is_never_adopted,
    s07_a_known_selector_with_a_wrong_verifier_opens_nothing,
    s08_a_malformed_value_is_no_token,
    s09_of_several_tokens_the_one_that_opens_a_session_is_it,
    s09_of_several_tokens_that_open_nothing_all_are_one_unknown_token,
    s09_with_tokens_of_two_sessions_readers_see_none_and_writes_are_400,
    s09_with_tokens_of_two_sessions_a_page_goes_out_without_what_it_wrote,
    s09_a_login_with_tokens_of_two_sessions_succeeds_and_ends_both,
    s09_a_logout_with_tokens_of_two_sessions_ends_both,
    s09_a_session_that_goes_on_under_a_newer_token_counts_as_alive,
    s09_beside_a_record_of_a_newer_version_no_session_is_certain,
    s09_more_than_four_tokens_are_not_looked_up,
    s09_a_user_whose_cookie_was_set_for_another_domain_can_log_in_and_out,
    s09_the_same_token_twice_is_one_token,
    s09_malformed_values_beside_a_token_are_ignored,
    s10_the_removal_repeats_the_template,
    s10_former_cookies_are_expired_with_every_cookie_that_is_set_or_removed,
    s10_a_former_cookie_is_expired_by_its_name_as_it_was,
    s11_a_logout_without_a_cookie_sets_nothing,
    s11_a_logout_removes_a_token_that_opens_nothing,
    s11_a_logout_with_a_token_just_rotated_out_ends_the_session,
    s12_a_session_that_ends_with_the_browser_has_no_lifetime,
    s13_every_method_and_status_that_answers_is_a_response_like_any_other,
    s14_vary_is_appended_once_and_in_order,
    s15_a_response_with_our_cookie_is_kept_out_of_caches,
    s15_a_response_for_a_user_is_kept_out_of_shared_caches,
    s15_a_cookie_goes_out_with_no_store_whatever_a_layer_further_in_said,
    s16_other_cookies_survive_and_ours_appears_once,
    s17_asking_which_token_came_is_no_access,
];

async fn s01_without_a_cookie_an_untouched_session_leaves_no_trace(place: Place) {
    let reply = place.open().await.get("/untouched").await.ok();
    is_untouched(&reply);
    assert_eq!(place.faults.all_calls(), 0);
    assert_eq!(place.records(), 0);
}

async fn s02_without_a_cookie_reading_creates_nothing(place: Place) {
    let reply = place
        .open()
        .await
        .get("/get:a/keys/option/exists")
        .await
        .ok();
    varies_only(&reply);
    assert_eq!(reply.text, "-  none false");
    assert_eq!(place.faults.all_calls(), 0);
    assert_eq!(place.records(), 0);
}

async fn s03_the_first_write_creates_a_record_and_sets_the_cookie(place: Place) {
    let browser = place.open().await;
    let reply = browser.get("/insert:a:1").await.ok();
    let line = reply.lines("set-cookie")[0];
    let (pair, attributes) = line.split_once("; ").unwrap();
    let (name, token) = pair.split_once('=').unwrap();
    assert_eq!((name, token.len()), (COOKIE_NAME, 44));
    let mut attributes: Vec<_> = attributes.split("; ").collect();
    attributes.sort_unstable();
    let template = [
        "HttpOnly",
        "Max-Age=1209600",
        "Path=/",
        "SameSite=Lax",
        "Secure",
    ];
    assert_eq!(attributes, template);
    assert_eq!(reply.lines("vary"), ["Cookie"]);
    let (record, _) = place.record(selector(token)).await;
    assert_eq!(record.json(), r#"{"a":"1"}"#);
    place.keeps_for(selector(token), HOUR).await;
    browser.get("/get:a").await.ok().says("1");
}

async fn s03_the_cookie_has_every_attribute_of_its_template(place: Place) {
    let browser = place.open_with(embedded).await;
    let cookie = browser.get("/untouched/insert:a:1").await;
    let cookie = cookie.ok().set_cookie_named("__Secure-shop").unwrap();
    let (_, attributes) = cookie.template();
    let expected = [
        ("domain", "example.com"),
        ("httponly", ""),
        ("partitioned", ""),
        ("path", "/untouched"),
        ("samesite", "None"),
        ("secure", ""),
    ];
    assert_eq!(attributes.into_iter().collect::<Vec<_>>(), expected);
    browser.get("/untouched/get:a").await.ok().says("1");
}

async fn s04_with_a_valid_token_an_untouched_session_leaves_no_trace(place: Place) {
    let browser = place.open().await;
    browser.begin("/insert:a:1").await;
    place.pass(HOUR);
    let calls = place.faults.all_calls();
    is_untouched(&browser.get("/untouched").await.ok());
    assert_eq!(place.faults.all_calls(), calls);
    place
        .keeps_for(browser.selector().unwrap(), 23 * HOUR)
        .await;
}

async fn s05_reading_a_session_slides_its_idle_limit(place: Place) {
    let browser = place.open().await;
    browser.begin("/insert:a:1").await;
    for _ in 0..3 {
        place.pass(23 * HOUR);
        let reply = browser.get("/get:a").await.ok();
        varies_only(&reply);
        assert_eq!(reply.text, "1");
        place.keeps_for(browser.selector().unwrap(), DAY).await;
    }
    assert_eq!(
        (
            place.calls(StoreCall::Touch),
            place.calls(StoreCall::Replace)
        ),
        (1 + 3, 0)
    );
}

async fn s05_a_session_in_constant_use_is_touched_once_a_minute(place: Place) {
    let browser = place.open().await;
    browser.begin("/insert:a:1").await;
    for _ in 0..5 {
        varies_only(&browser.get("/get:a").await.ok());
    }
    assert_eq!(place.calls(StoreCall::Touch), 1);
    place.pass(MINUTE + SECOND);
    for _ in 0..5 {
        varies_only(&browser.get("/get:a").await.ok());
    }
    assert_eq!(place.calls(StoreCall::Touch), 2);
}

/// A browser on a layer for which a request with the query `poll` is no activity.
async fn polled(place: &Place, configure: impl FnOnce(SessionConfig) -> SessionConfig) -> Browser {
    let layer = place.builder().config(configure(config()));
    let layer = layer.activity(|request| request.uri.query() != Some("poll"));
    place.open_layer(layer.build().unwrap()).await
}

async fn s05_what_does_not_count_as_activity_slides_nothing(place: Place) {
    for every in [false, true] {
        let browser = polled(&place, |config| config.save_every_request(every)).await;
        browser.get("/insert:a:1").await.ok();
        browser.get("/read").await.ok();
        let id = browser.selector().unwrap();
        let (before, touches) = (place.faults.all_calls(), place.calls(StoreCall::Touch));
        for hour in 1..=3 {
            place.pass(HOUR);
            is_untouched(&browser.get("/untouched?poll").await.ok());
            let left = (DAY - hour * HOUR).as_secs();
            for path in ["/get:a/left?poll", "/get:a/save/reload/left?poll"] {
                let reply = browser.get(path).await.ok();
                varies_only(&reply);
                let told: u64 = reply.text.strip_prefix("1 ").unwrap().parse().unwrap();
                assert!((left - 60..=left).contains(&told), "{told} of {left}");
            }
            place.keeps_for(id, DAY - hour * HOUR).await;
        }
        assert_eq!(place.calls(StoreCall::Touch), touches);
        assert_eq!(place.faults.all_calls(), before + 9, "three loads an hour");
        browser.get("/get:a").await.ok();
        place.keeps_for(id, DAY).await;
        place.pass(23 * HOUR);
        browser.get("/get:a?poll").await.ok().says("1");
        place.pass(HOUR + SECOND);
        browser.get("/get:a?poll").await.ok().says("-");
    }
    // A function that panics says nothing.
    let layer = place.builder().activity(|_| panic!("as the test wants"));
    let browser = place.open_layer(layer.build().unwrap()).await;
    browser.get("/insert:a:1").await.ok();
    browser.get("/get:a").await.ok();
    place.pass(HOUR);
    browser.get("/get:a").await.ok();
    place.keeps_for(browser.selector().unwrap(), DAY).await;
    assert_eq!(place.log.count("hook_panicked"), 3);
}

async fn s06_a_write_that_does_not_count_as_activity_takes_back_no_slide_made_meanwhile(
    place: Place,
) {
    for (gate, writes) in [
        ("one", "insert:b:2"),
        ("two", "insert:b:2/save/insert:b:3"),
        ("three", "rotate"),
    ] {
        let browser = polled(&place, |config| config).await;
        browser.begin("/insert:a:1").await;
        let (id, poll) = (browser.selector().unwrap(), browser.twin());
        place.pass(23 * HOUR);
        let click = async {
            place.gate(gate).arrived().await;
            browser.get("/get:a").await.ok().says("1");
            place.keeps_for(id, DAY).await;
            place.gate(gate).open();
        };
        let path = format!("/read/wait:{gate}/{writes}?poll");
        let (polled, ()) = tokio::join!(poll.get(&path), click);
        polled.ok();
        place.keeps_for(id, DAY).await;
        place.pass(2 * HOUR);
        poll.get("/get:a?poll").await.ok().says("1");
        place.keeps_for(id, DAY - 2 * HOUR).await;
    }
}

async fn s06_a_write_that_does_not_count_as_activity_leaves_the_end_where_it_is(place: Place) {
    // Without an absolute limit, and under save-every-request, activity would send the cookie again.
    for (every, absolute) in [(false, None), (true, None), (true, Some(14 * DAY))] {
        let configure = |config: SessionConfig| config.save_every_request(every).absolute(absolute);
        let browser = polled(&place, configure).await;
        browser.get("/insert:a:1").await.ok();
        browser.get("/read").await.ok();
        let id = browser.selector().unwrap();
        place.pass(HOUR);
        varies_only(&browser.get("/insert:b:2?poll").await.ok());
        varies_only(
            &browser
                .get("/insert:b:3/save/insert:b:4/save?poll")
                .await
                .ok(),
        );
        place.keeps_for(id, DAY - HOUR).await;
        // Two that meet, so that one writes what the other has left.
        let twin = browser.twin();
        let one = (&browser, "/update:n?poll");
        for reply in place.interleave(one, (&twin, "/update:n?poll")).await {
            varies_only(&reply.ok());
        }
        browser.get("/get:b/get:n?poll").await.ok().says("4 2");
        place.keeps_for(id, DAY - HOUR).await;
        browser.get("/rotate?poll").await.ok().new_cookie();
        place.keeps_for(id, DAY - HOUR).await;
        browser.get("/insert:b:5").await.ok();
        place.keeps_for(id, DAY).await;
        // What says how long the session lives is no mere activity.
        place.pass(HOUR);
        browser.get("/login:ann?poll").await.ok().new_cookie();
        place.keeps_for(id, DAY).await;
        place.pass(HOUR);
        browser.get("/reauthenticate?poll").await.ok().new_cookie();
        place.keeps_for(id, DAY).await;
        browser
            .get("/expiry:idle:600000?poll")
            .await
            .ok()
            .new_cookie();
        place.keeps_for(id, 10 * MINUTE).await;
    }
}

async fn s06_writing_keeps_the_token_and_sends_no_cookie(place: Place) {
    let browser = place.open().await;
    browser.get("/insert:a:1").await.ok();
    let token = browser.token();
    varies_only(&browser.get("/insert:a:2").await.ok());
    assert_eq!(browser.token(), token);
    browser.get("/get:a").await.ok().says("2");
}

async fn s06_writing_sends_the_same_token_again_where_its_lifetime_moved(place: Place) {
    let browser = place.open_with(|config| config.absolute(None)).await;
    let first = browser.get("/insert:a:1").await.ok().new_cookie();
    place.pass(MINUTE);
    let second = browser.get("/insert:a:2").await.ok().new_cookie();
    assert_eq!(first, second);
    assert_eq!(second.max_age(), Some(86_400));
}

async fn s06_an_unconfirmed_write_sends_no_cookie(place: Place) {
    let browser = place.open_with(|config| config.absolute(None)).await;
    browser.get("/insert:a:1").await.ok();
    place.faults.next(StoreCall::Replace, Fault::LostReply);
    varies_only(&browser.get("/insert:a:2").await.ok());
    browser.get("/get:a").await.ok().says("2");
}

async fn s07_an_unknown_token_is_left_alone_while_nobody_asks(place: Place) {
    let browser = place.open().await.with_token(STRANGER);
    is_untouched(&browser.get("/untouched").await.ok());
    assert_eq!(place.faults.all_calls(), 0);
}

async fn s07_an_unknown_token_is_left_alone_on_a_read(place: Place) {
    let browser = place.open().await.with_token(STRANGER);
    let reply = browser.get("/get:a/exists").await.ok();
    varies_only(&reply);
    assert_eq!(reply.text, "- false");
    assert_eq!(browser.token().as_deref(), Some(STRANGER));
    assert_eq!(place.records(), 0);
}

async fn s07_a_slow_read_does_not_remove_the_cookie_of_a_login_made_meanwhile(place: Place) {
    let long_ago = place.open().await;
    long_ago.get("/insert:a:1").await.ok();
    let rotated = long_ago.token().unwrap();
    long_ago.get("/rotate").await.ok();
    place.pass(MINUTE);
    let unreadable = place.open().await;
    unreadable.get("/insert:a:1").await.ok();
    place.spoil(unreadable.selector().unwrap(), DecodeError::Corrupt);
    for token in [
        STRANGER.to_owned(),
        format!("{}{}", long_ago.selector().unwrap(), &STRANGER[20..]),
        rotated,
        unreadable.token().unwrap(),
        expired(&place).await.token().unwrap(),
    ] {
        for read in ["/get:a", "/get:a/expiry:browser/rotate", "/option"] {
            let browser = place.open().await.with_token(&token);
            let slow = format!("{read}/wait:slow");
            let login = async {
                place.gate("slow").arrived().await;
                browser.post("/login:ann").await.ok().new_cookie();
                place.gate("slow").open();
            };
            let (slow, ()) = tokio::join!(browser.get(&slow), login);
            slow.ok().sets_nothing();
            browser.get("/user").await.ok().says("ann");
        }
    }
}

async fn s07_an_unknown_token_is_never_adopted(place: Place) {
    for path in ["/insert:a:1", "/login:ann"] {
        let browser = place.open().await.with_token(STRANGER);
        let token = browser.get(path).await.ok().new_cookie().value;
        assert_ne!(selector(&token), selector(STRANGER));
        assert_ne!(token[20..], STRANGER[20..]);
    }
    assert_eq!(place.records(), 2);
}

async fn s07_a_known_selector_with_a_wrong_verifier_opens_nothing(place: Place) {
    let owner = place.open().await;
    owner.get("/insert:a:1").await.ok();
    let forged = format!("{}{}", owner.selector().unwrap(), &STRANGER[20..]);
    let thief = owner.twin().with_token(&forged);
    thief.get("/get:a").await.ok().sets_nothing().says("-");
    let thief = owner.twin().with_token(&forged);
    let token = thief.get("/insert:a:2").await.ok().new_cookie().value;
    assert_ne!(Some(selector(&token)), owner.selector());
    let thief = owner.twin().with_token(&forged);
    assert!(thief.get("/logout").await.ok().removes_the_cookie());
    owner.get("/get:a").await.ok().says("1");
}

async fn s08_a_malformed_value_is_no_token(place: Place) {
    let browser = place.open().await;
    let long = "A".repeat(64 << 10);
    let values = [
        "",
        "x",
        &STRANGER[1..],
        &format!("{STRANGER}A"),
        &STRANGER.replace('0', "+"),
        &STRANGER.replace('0', "%30"),
        &format!("\"{STRANGER}\""),
        &long,
    ];
    for value in values {
        let cookie = format!("{COOKIE_NAME}={value}");
        let cookie = [("cookie", cookie.as_str())];
        let reply = browser
            .ask(Method::GET, "/get:a/exists", &cookie)
            .await
            .ok();
        varies_only(&reply);
        assert_eq!(reply.text, "- false");
        assert_eq!(place.faults.all_calls(), 0, "{value}");
    }
    assert_eq!(place.log.count("malformed"), values.len());
    for (count, value) in values.into_iter().enumerate() {
        let cookie = format!("{COOKIE_NAME}={value}");
        let reply = browser
            .ask(Method::GET, "/insert:a:1", &[("cookie", &cookie)])
            .await;
        reply.ok().new_cookie();
        assert_eq!(place.records(), count + 1);
    }
}

/// Asks with these tokens under the cookie's name, in this order.
async fn ask_with(browser: &Browser, method: Method, path: &str, tokens: &[&str]) -> Reply {
    let pairs: Vec<_> = tokens
        .iter()
        .map(|token| format!("{COOKIE_NAME}={token}"))
        .collect();
    let cookie = pairs.join("; ");
    browser.ask(method, path, &[("cookie", &cookie)]).await
}

/// Tokens that open nothing: made up, ended long ago or just now, and of a session of another user.
async fn dead_tokens(place: &Place) -> [String; 4] {
    let long_ago = expired(place).await.token().unwrap();
    let ended = place.open().await;
    ended.get("/insert:a:ended").await.ok();
    let just_ended = ended.token().unwrap();
    ended.post("/logout").await.ok();
    let owner = place.open().await;
    owner.get("/login:bob").await.ok();
    let forged = format!("{}{}", owner.selector().unwrap(), &STRANGER[20..]);
    [STRANGER.to_owned(), long_ago, just_ended, forged]
}

async fn s09_of_several_tokens_the_one_that_opens_a_session_is_it(place: Place) {
    let dead = dead_tokens(&place).await;
    let browser = place.open().await;
    browser.get("/insert:a:1").await.ok();
    let older = browser.token().unwrap();
    browser.get("/rotate").await.ok();
    let [one, two, three, four] = dead.each_ref().map(String::as_str);
    for others in [
        &[one][..],
        &[two],
        &[three],
        &[four],
        &[&older],
        &[one, &older, three],
        &[two, three, four],
    ] {
        for turned in [false, true] {
            let ours = browser.token().unwrap();
            let mut tokens = [&[ours.as_str()], others].concat();
            if turned {
                tokens.reverse();
            }
            let ask = async |path| ask_with(&browser, Method::POST, path, &tokens).await.ok();
            let calls = place.faults.all_calls();
            is_untouched(&ask("/untouched").await);
            assert_eq!(place.faults.all_calls(), calls);
            varies_only(&ask("/get:a/exists/option").await.says("1 true some"));
            assert_eq!(place.faults.all_calls(), calls + tokens.len());
            varies_only(&ask("/update:n").await);
            let id = browser.selector();
            ask("/rotate").await.new_cookie();
            assert_eq!(browser.selector(), id);
        }
    }
    assert_eq!(place.log.count("ambiguous"), 0);
    // A login and a logout are those of this session.
    let (id, ours) = (browser.selector().unwrap(), browser.token().unwrap());
    let login = ask_with(&browser, Method::POST, "/login:ann/get:a", &[one, &ours]).await;
    login.ok().says("1").new_cookie();
    assert_eq!(browser.selector(), Some(id));
    let ours = browser.token().unwrap();
    let logout = ask_with(&browser, Method::POST, "/logout", &[two, &ours]).await;
    assert!(logout.ok().removes_the_cookie());
    assert!(matches!(place.stored(id).await, Loaded::Tombstone));
}

async fn s09_of_several_tokens_that_open_nothing_all_are_one_unknown_token(place: Place) {
    let [made_up, long_ago, just_ended, forged] = dead_tokens(&place).await;
    let browser = place.open().await;
    let tokens = [&*made_up, &long_ago, &forged];
    let ask = async |path| {
        ask_with(&browser.twin(), Method::POST, path, &tokens)
            .await
            .ok()
    };
    let (calls, deleted) = (place.faults.all_calls(), place.calls(StoreCall::Delete));
    varies_only(&ask("/get:a/exists").await.says("- false"));
    assert_eq!(place.faults.all_calls(), calls + tokens.len());
    assert!(ask("/logout").await.removes_the_cookie());
    for write in ["/insert:a:1", "/login:ann", "/logout/insert:a:1"] {
        let token = ask(write).await.new_cookie().value;
        assert!(tokens.iter().all(|sent| sent[..20] != token[..20]));
    }
    assert_eq!(place.calls(StoreCall::Delete), deleted);
    // Late requests of a browser that has just logged out change nothing.
    let tokens = [&*made_up, &just_ended];
    let late = ask_with(&browser, Method::POST, "/insert:a:1", &tokens).await;
    late.is(409).sets_nothing();
}

/// Browsers with a session of ann and one of bob, which both open, and the two tokens.
async fn two_sessions(place: &Place) -> ([Browser; 2], [String; 2]) {
    let (ann, bob) = (place.open().await, place.open().await);
    ann.post("/insert:a:anns/login:ann").await.ok();
    bob.post("/insert:a:bobs/login:bob").await.ok();
    let tokens = [ann.token().unwrap(), bob.token().unwrap()];
    ([ann, bob], tokens)
}

async fn s09_with_tokens_of_two_sessions_readers_see_none_and_writes_are_400(place: Place) {
    let ([ann, bob], [one, two]) = two_sessions(&place).await;
    let one = format!("{COOKIE_NAME}={one}");
    let two = format!("{COOKIE_NAME}={two}");
    let (joined, turned) = (format!("{one}; {two}"), format!("{two};x=y;{one}"));
    let headers: [&[_]; 3] = [
        &[("cookie", joined.as_str())],
        &[("cookie", turned.as_str())],
        &[("cookie", one.as_str()), ("cookie", two.as_str())],
    ];
    let browser = place.open().await;
    for headers in headers {
        is_untouched(&browser.ask(Method::GET, "/untouched", headers).await.ok());
        let events = place.log.count("ambiguous");
        let reply = browser
            .ask(Method::GET, "/get:a/user/exists", headers)
            .await
            .ok();
        varies_only(&reply.says("- - false"));
        assert_eq!(place.log.count("ambiguous"), events + 1);
        for path in ["/insert:a:2", "/update:n"] {
            let reply = browser.ask(Method::POST, path, headers).await;
            reply.is(400).sets_nothing().says("");
        }
    }
    ann.get("/get:a/user").await.ok().says("anns ann");
    bob.get("/get:a/user").await.ok().says("bobs bob");
}

async fn s09_with_tokens_of_two_sessions_a_page_goes_out_without_what_it_wrote(place: Place) {
    let ([ann, bob], [one, two]) = two_sessions(&place).await;
    let many: Vec<_> = ('a'..='e')
        .map(|letter| letter.to_string().repeat(44))
        .collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let browser = place.open().await;
    for tokens in [&[&*one, &two][..], &many] {
        let ask = async |method, path| ask_with(&browser, method, path, tokens).await;
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            let events = place.log.count("discarded");
            let reply = ask(method.clone(), "/ambiguous/update:views").await.ok();
            let body = if method == Method::HEAD { "" } else { "true 1" };
            assert_eq!(reply.sets_nothing().text, body, "{method}");
            assert_eq!(place.log.count("discarded"), events + 1);
        }
        // A form of this page could not be accepted, and the page can say so.
        ask(Method::GET, "/csrf").await.is(400).sets_nothing();
        let reply = ask(Method::GET, "/try:csrf/ambiguous").await.ok();
        reply.sets_nothing().says("Ambiguous true");
        ask(Method::POST, "/update:views")
            .await
            .is(400)
            .sets_nothing();
    }
    // No page goes out that says that a login or a logout was carried out, and it was not.
    for path in ["/login:ann", "/logout", "/logout/insert:a:1"] {
        let reply = ask_with(&browser, Method::GET, path, &many).await;
        reply.is(400).sets_nothing();
    }
    ann.get("/get:a/user").await.ok().says("anns ann");
    bob.get("/get:a/user").await.ok().says("bobs bob");
    let path = "/login:ann/ambiguous/csrf";
    let reply = ask_with(&browser, Method::GET, path, &[&one, &two])
        .await
        .ok();
    let (said, token) = reply.text.split_once(' ').unwrap();
    assert_eq!(said, "false");
    browser.post(&format!("/verify:{token}")).await.ok();
}

async fn s09_a_login_with_tokens_of_two_sessions_succeeds_and_ends_both(place: Place) {
    for login in [
        "/login:ann",
        "/login:eve",
        "/logout/login:ann",
        "/login:ann/save",
    ] {
        let ([ann, bob], [one, two]) = two_sessions(&place).await;
        let browser = place.open().await;
        let path = format!("{login}/insert:b:2/get:a");
        let failing = format!("{path}/status:500");
        // A handler that fails, and a store that does, end nothing.
        let ask = async |path| ask_with(&browser, Method::POST, path, &[&one, &two]).await;
        if !login.contains("out") && !login.contains("save") {
            ask(&failing).await.is(500).sets_nothing();
        }
        place.faults.next(StoreCall::Delete, Fault::Refused);
        ask(&path).await.is(503).sets_nothing();
        let events = place.log.count("destroyed");
        ask(&path).await.ok().says("-").new_cookie();
        assert!(![&one, &two].contains(&&browser.token().unwrap()));
        let user = if login.contains("eve") { "eve" } else { "ann" };
        let seen = browser.get("/user/get:b/get:a").await;
        seen.ok().says(&format!("{user} 2 -"));
        for (ended, token, user) in [(ann, one, "ann"), (bob, two, "bob")] {
            assert!(matches!(
                place.stored(selector(&token)).await,
                Loaded::Tombstone
            ));
            ended.get("/exists").await.ok().says("false");
            let reason = if login.contains("out") {
                "logout"
            } else {
                "ambiguous"
            };
            let destroyed = place.log.events("destroyed").split_off(events);
            assert_eq!(destroyed.len(), 2);
            let is_theirs = |event: &BTreeMap<String, String>| event["user"].contains(user);
            let event = destroyed.into_iter().find(is_theirs).unwrap();
            assert_eq!(event["reason"], reason);
        }
    }
}

async fn s09_a_logout_with_tokens_of_two_sessions_ends_both(place: Place) {
    for (logout, status) in [
        ("/logout", 200),
        ("/logout/save", 200),
        ("/logout/status:500", 500),
        ("/expiry:past", 200),
    ] {
        let (_, [one, two]) = two_sessions(&place).await;
        let browser = place.open().await;
        let ask =
            async |path| ask_with(&browser, Method::POST, path, &[&one, STRANGER, &two]).await;
        assert!(
            ask(logout).await.is(status).removes_the_cookie(),
            "{logout}"
        );
        for token in [&one, &two] {
            assert!(matches!(
                place.stored(selector(token)).await,
                Loaded::Tombstone
            ));
        }
        ask("/exists").await.ok().sets_nothing().says("false");
        ask("/login:eve").await.ok().new_cookie();
        browser.get("/user").await.ok().says("eve");
    }
}

async fn s09_a_session_that_goes_on_under_a_newer_token_counts_as_alive(place: Place) {
    let ([ann, bob], [one, two]) = two_sessions(&place).await;
    bob.post("/rotate").await.ok();
    let browser = place.open().await;
    let ask = async |path| ask_with(&browser, Method::POST, path, &[&one, &two]).await;
    ask("/user").await.ok().sets_nothing().says("-");
    ask("/insert:a:2").await.is(400).sets_nothing();
    place.pass(MINUTE);
    // The browser would have sent the newer token by now.
    ask("/user").await.ok().sets_nothing().says("ann");
    bob.get("/user").await.ok().says("bob");
    bob.post("/rotate").await.ok();
    ann.post("/rotate").await.ok();
    let tokens = [ann.token().unwrap(), bob.token().unwrap()];
    bob.post("/rotate").await.ok();
    let tokens = tokens.each_ref().map(String::as_str);
    let logout = ask_with(&browser, Method::POST, "/logout", &tokens).await;
    assert!(logout.ok().removes_the_cookie());
    for ended in [ann, bob] {
        ended.get("/exists").await.ok().says("false");
    }
}

async fn s09_beside_a_record_of_a_newer_version_no_session_is_certain(place: Place) {
    let ([ann, bob], [one, two]) = two_sessions(&place).await;
    place.spoil(bob.selector().unwrap(), DecodeError::FutureFormat);
    let browser = place.open().await;
    let ask = async |path| ask_with(&browser, Method::POST, path, &[&one, &two]).await;
    ask("/user").await.ok().sets_nothing().says("-");
    ask("/insert:a:2").await.is(400).sets_nothing();
    // What this version cannot read it cannot end, so nobody is logged out.
    ask("/logout").await.is(503).sets_nothing();
    ann.get("/user").await.ok().says("ann");
    ask("/login:ann").await.ok().new_cookie();
    ann.get("/exists").await.ok().says("false");
    let found = place.stored(selector(&two)).await;
    assert!(matches!(
        found,
        Loaded::Unreadable(DecodeError::FutureFormat)
    ));
}

async fn s09_more_than_four_tokens_are_not_looked_up(place: Place) {
    let browser = place.open().await;
    browser.get("/insert:a:1").await.ok();
    let ours = browser.token().unwrap();
    let made_up: Vec<_> = ('a'..='d')
        .map(|letter| letter.to_string().repeat(44))
        .collect();
    let mut tokens: Vec<&str> = made_up.iter().map(String::as_str).collect();
    tokens.push(&ours);
    let calls = place.faults.all_calls();
    let ask = async |path, tokens: &[&str]| ask_with(&browser, Method::POST, path, tokens).await;
    let reply = ask("/get:a/exists", &tokens).await.ok();
    varies_only(&reply.says("- false"));
    assert_eq!(place.log.count("ambiguous"), 1);
    for path in ["/insert:a:2", "/login:ann", "/logout", "/logout/insert:a:3"] {
        ask(path, &tokens).await.is(400).sets_nothing().says("");
    }
    assert_eq!(place.faults.all_calls(), calls);
    // The same one twice does not count twice.
    let repeated = [&tokens[1..], &tokens[1..]].concat();
    ask("/get:a", &repeated).await.ok().says("1");
}

/// A browser that has the cookies of another, and talks to another server.
fn moved(browser: &Browser, to: Browser) -> Browser {
    *to.jar() = browser.jar().clone();
    to
}

async fn s09_a_user_whose_cookie_was_set_for_another_domain_can_log_in_and_out(place: Place) {
    let former = |config: SessionConfig| config.cookie_domain("example.com");
    let present = |config: SessionConfig| config.cookie_domain(HOST);
    let before = place.open_with(former).await;
    before.get("/insert:a:1/login:ann").await.ok();
    let browser = moved(&before, place.open_with(present).await);
    browser.get("/get:a/user").await.ok().says("1 ann");
    browser.post("/login:ann").await.ok();
    browser.get("/get:a/user").await.ok().says("1 ann");
    browser.post("/logout").await.ok();
    browser.get("/user").await.ok().says("-");
    browser.post("/login:bob").await.ok();
    browser.get("/user").await.ok().says("bob");
    // Another server, with the former settings, logs the browser in too: now it has two sessions.
    let elsewhere = place.open_with(former).await.post("/login:eve").await;
    let line = elsewhere.lines("set-cookie")[0];
    browser.jar().take(line, place.now()).unwrap();
    browser.get("/user").await.ok().says("-");
    browser.post("/insert:a:2").await.is(400).sets_nothing();
    browser.post("/login:bob").await.ok();
    browser.get("/user").await.ok().says("bob");
    browser.post("/logout").await.ok();
    browser.get("/user").await.ok().says("-");
}

async fn s09_the_same_token_twice_is_one_token(place: Place) {
    let browser = place.open().await;
    browser.get("/insert:a:1").await.ok();
    let pair = format!("{COOKIE_NAME}={}", browser.token().unwrap());
    let joined = format!("{pair}; {pair}");
    for headers in [
        &[("cookie", joined.as_str())][..],
        &[("cookie", &pair), ("cookie", &pair)],
    ] {
        browser
            .ask(Method::GET, "/get:a", headers)
            .await
            .ok()
            .says("1");
        browser
            .ask(Method::GET, "/insert:b:1", headers)
            .await
            .ok()
            .sets_nothing();
    }
}

async fn s09_malformed_values_beside_a_token_are_ignored(place: Place) {
    let browser = place.open().await;
    browser.get("/insert:a:1").await.ok();
    let token = browser.token().unwrap();
    for cookie in [
        format!("{COOKIE_NAME}=x; {COOKIE_NAME}={token}; {COOKIE_NAME}="),
        format!("{COOKIE_NAME}={token}; {COOKIE_NAME}=\"{STRANGER}\""),
    ] {
        let headers = [("cookie", cookie.as_str())];
        browser
            .ask(Method::GET, "/get:a", &headers)
            .await
            .ok()
            .says("1");
        browser
            .ask(Method::GET, "/update:n", &headers)
            .await
            .ok()
            .sets_nothing();
    }
    browser.get("/get:n").await.ok().says("2");
}

async fn s10_the_removal_repeats_the_template(place: Place) {
    for (configure, name) in [
        (plain as fn(SessionConfig) -> SessionConfig, COOKIE_NAME),
        (embedded, "__Secure-shop"),
        (bare, "id"),
    ] {
        let browser = place.open_with(configure).await;
        let set = browser.get("/untouched/insert:a:1").await.ok();
        let removed = browser.get("/untouched/logout").await.ok();
        let cookie = |reply: &Reply| reply.set_cookie_named(name).unwrap();
        let (set, removed): (SetCookie, SetCookie) = (cookie(&set), cookie(&removed));
        assert_eq!(set.template(), removed.template());
        assert_eq!((removed.value.as_str(), removed.max_age()), ("", Some(0)));
        assert!(removed.expires().unwrap() < Timestamp::from_millis(1_000));
        assert_eq!(browser.jar().value(name), None);
    }
}

async fn s10_former_cookies_are_expired_with_every_cookie_that_is_set_or_removed(place: Place) {
    let before = place
        .open_with(|config| config.cookie_domain("example.com"))
        .await;
    before.get("/insert:a:1").await.ok();
    let old = "__Secure-id";
    let former = [
        FormerCookie::new(old).domain("example.com"),
        FormerCookie::new("__Secure-sid").path("/get:a"),
    ];
    let present = |config: SessionConfig| config.cookie_domain(HOST).former_cookies(former);
    let browser = moved(&before, place.open_with(present).await);
    browser.get("/get:a").await.ok().sets_nothing().says("1");
    for (path, removes) in [("/rotate", false), ("/login:ann", false), ("/logout", true)] {
        let planted = format!("/header:set-cookie:{old}=planted");
        let reply = browser.post(&format!("{path}{planted}")).await.ok();
        let lines: Vec<_> = reply.lines("set-cookie");
        let lines: Vec<_> = lines.into_iter().map(SetCookie::parse).collect();
        let names: Vec<_> = lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, [old, "__Secure-sid", old]);
        assert_eq!(lines[0].attribute("domain"), Some("example.com"));
        assert_eq!(lines[1].attribute("path"), Some("/get:a"));
        assert_eq!(lines[2].attribute("domain"), Some(HOST));
        let removed: Vec<_> = lines.iter().map(SetCookie::removes).collect();
        assert_eq!(removed, [true, true, removes]);
        assert!(
            lines
                .iter()
                .all(|line| line.has("secure") && line.has("httponly"))
        );
        let sent = browser.jar().header("/get:a", place.now(), false);
        assert_eq!(
            sent.map_or(0, |sent| sent.matches(old).count()),
            usize::from(!removes)
        );
    }
}

async fn s10_a_former_cookie_is_expired_by_its_name_as_it_was(place: Place) {
    let partitioned = |config: SessionConfig| config.same_site(SameSite::None).partitioned(true);
    let browser = place
        .open_with(|config| {
            config.former_cookies([
                FormerCookie::new("id"),
                FormerCookie::new("__Host-id").partitioned(true),
                FormerCookie::new("__Http-sid").path("/old"),
            ])
        })
        .await;
    let before = place.open_with(|config| config.secure(false)).await;
    let embedded = place
        .open_with(|config| partitioned(config).cookie_name("id"))
        .await;
    let set = async |browser: &Browser| {
        let reply = browser.get("/insert:a:1").await.ok();
        let lines: Vec<_> = reply.lines("set-cookie");
        lines.into_iter().map(SetCookie::parse).collect::<Vec<_>>()
    };
    let (now, before, embedded) = (
        set(&browser).await,
        set(&before).await,
        set(&embedded).await,
    );
    for (line, set) in [(&now[0], &before[0]), (&now[1], &embedded[0])] {
        assert!(line.removes());
        assert_eq!(line.name, set.name);
        for attribute in ["path", "domain"] {
            assert_eq!(line.attribute(attribute), set.attribute(attribute));
        }
        assert_eq!(line.has("partitioned"), set.has("partitioned"));
    }
    // A label is part of a former name only if it is written there, and a prefix too.
    enum Staff {}
    let layer = place
        .builder()
        .config(config().former_cookies([FormerCookie::new("id"), FormerCookie::new("id-staff")]))
        .marked::<Staff>("staff");
    let layer = layer.build().unwrap();
    let app = axum::Router::new().route(
        "/",
        get(async |session: Session<Staff>| session.insert("a", 1)),
    );
    let reply = place.browse(app.layer(layer)).await.get("/").await.ok();
    let names = reply.lines("set-cookie");
    let names: Vec<_> = names.into_iter().map(SetCookie::parse).collect();
    let names: Vec<_> = names.iter().map(|line| line.name.as_str()).collect();
    assert_eq!(names, ["id", "id-staff", "__Host-id-staff"]);
}

async fn s11_a_logout_without_a_cookie_sets_nothing(place: Place) {
    let reply = place.open().await.post("/logout").await.ok();
    varies_only(&reply);
    assert_eq!(place.faults.all_calls(), 0);
}

async fn s11_a_logout_removes_a_token_that_opens_nothing(place: Place) {
    let browser = place.open().await.with_token(STRANGER);
    assert!(browser.post("/logout").await.ok().removes_the_cookie());
    assert!(
        expired(&place)
            .await
            .post("/logout")
            .await
            .ok()
            .removes_the_cookie()
    );
    assert_eq!(place.calls(StoreCall::Delete), 0);
}

async fn s11_a_logout_with_a_token_just_rotated_out_ends_the_session(place: Place) {
    let browser = place.open().await;
    browser.get("/insert:a:1").await.ok();
    let old = browser.twin();
    browser.get("/rotate").await.ok();
    place.pass(59 * SECOND);
    assert!(old.post("/logout").await.ok().removes_the_cookie());
    browser.get("/get:a/exists").await.ok().says("- false");
}

async fn s12_a_session_that_ends_with_the_browser_has_no_lifetime(place: Place) {
    let persistence = Persistence::BrowserSession;
    for every in [false, true] {
        let configure =
            |config: SessionConfig| config.persistence(persistence).save_every_request(every);
        let browser = place.open_with(configure).await;
        for path in ["/insert:a:1", "/rotate", "/login:ann"] {
            let cookie = browser.get(path).await.ok().new_cookie();
            assert!(!cookie.has("max-age") && !cookie.has("expires"), "{path}");
        }
    }
}

async fn s13_every_method_and_status_that_answers_is_a_response_like_any_other(place: Place) {
    let browser = place.open().await;
    for method in [
        Method::HEAD,
        Method::OPTIONS,
        Method::GET,
        Method::PUT,
        Method::DELETE,
    ] {
        for status in [200, 201, 301, 303, 304, 307, 404, 410] {
            let fresh = browser.twin();
            let path = format!("/insert:a:1/status:{status}");
            let reply = fresh.ask(method.clone(), &path, &[]).await.is(status);
            reply.new_cookie();
            assert_eq!(reply.lines("vary"), ["Cookie"]);
            let path = format!("/get:a/status:{status}");
            varies_only(&fresh.ask(method.clone(), &path, &[]).await.is(status));
            fresh.get("/get:a").await.ok().says("1");
            let path = format!("/logout/status:{status}");
            let reply = fresh.ask(method.clone(), &path, &[]).await.is(status);
            assert!(reply.removes_the_cookie());
        }
    }
}

async fn s14_vary_is_appended_once_and_in_order(place: Place) {
    let browser = place.open().await;
    for (set, expected) in [
        (&["Accept"][..], &["Accept", "Cookie"][..]),
        (&["b,a", "c"], &["b,a", "c", "Cookie"]),
        (&["COOKIE"], &["COOKIE"]),
        (&["Accept,cookie"], &["Accept,cookie"]),
        (&["*"], &["*"]),
        (&["X-Cookie"], &["X-Cookie", "Cookie"]),
    ] {
        let headers: String = set
            .iter()
            .map(|line| format!("/header:vary:{line}"))
            .collect();
        for command in ["/read", "/insert:a:1", "/logout"] {
            let reply = browser.get(&format!("{command}{headers}")).await.ok();
            assert_eq!(reply.lines("vary"), expected);
        }
    }
}

async fn s15_a_response_with_our_cookie_is_kept_out_of_caches(place: Place) {
    let browser = place
        .open_with(|config| config.save_every_request(true))
        .await;
    let with_cookie = async |path: &str, browser: &Browser| {
        for (header, expected) in [
            ("", "no-store"),
            (
                "/header:cache-control:private,max-age=60",
                "private,max-age=60",
            ),
        ] {
            let reply = browser.twin().get(&format!("{path}{header}")).await;
            assert!(reply.set_cookie().is_some(), "{path}");
            assert_eq!(reply.lines("vary"), ["Cookie"]);
            assert_eq!(reply.lines("cache-control"), [expected]);
        }
    };
    with_cookie("/insert:a:1", &browser).await;
    with_cookie("/insert:a:1/save/status:500", &browser).await;
    browser.get("/insert:a:1").await.ok();
    with_cookie("/untouched", &browser).await;
    with_cookie("/read", &browser).await;
    with_cookie("/logout", &browser.twin().with_token(STRANGER)).await;
    let rotated = browser.get("/rotate").await.ok();
    assert_eq!(rotated.lines("cache-control"), ["no-store"]);
    let ended = browser.get("/logout").await.ok();
    assert_eq!(
        (ended.lines("cache-control"), ended.lines("vary")),
        (vec!["no-store"], vec!["Cookie"])
    );
}

async fn s15_a_cookie_goes_out_with_no_store_whatever_a_layer_further_in_said(place: Place) {
    let outer = place.builder().build().unwrap();
    let inner = place.builder().marked::<Admin>("admin").build().unwrap();
    let login = async |admin: Session<Admin>| admin.login("ann");
    let both = async |main: Session, admin: Session<Admin>| {
        main.insert("a", "1").unwrap();
        admin.user().unwrap()
    };
    let own = async |main: Session, admin: Session<Admin>| {
        main.rotate_token().unwrap();
        ([("cache-control", "private")], admin.user().unwrap())
    };
    let application = axum::Router::new()
        .route("/login", get(login))
        .route("/both", get(both))
        .route("/own", get(own))
        .layer(inner)
        .layer(outer);
    let browser = place.browse(application).await;
    browser.get("/login").await.ok();
    let reply = browser.get("/both").await.ok().says("ann");
    assert!(reply.set_cookie().is_some());
    assert_eq!(reply.lines("cache-control"), ["no-store"]);
    browser.get("/both").await.ok();
    let reply = browser.get("/both").await.ok().sets_nothing();
    assert_eq!(reply.lines("cache-control"), ["private"]);
    // What the application says is left alone.
    let reply = browser.get("/own").await.ok();
    assert!(reply.set_cookie().is_some());
    assert_eq!(reply.lines("cache-control"), ["private"]);
}

async fn s15_a_response_for_a_user_is_kept_out_of_shared_caches(place: Place) {
    let browser = place.open().await;
    browser.post("/login:ann").await.ok();
    let cached = async |path: &str| {
        let reply = browser.get(path).await.sets_nothing();
        let lines = reply.lines("cache-control").into_iter();
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    for path in [
        "/user",
        "/read",
        "/option",
        "/insert:a:1",
        "/user/status:404",
    ] {
        assert_eq!(cached(path).await, ["private"], "{path}");
    }
    let own = "/user/header:cache-control:public,max-age=60";
    assert_eq!(cached(own).await, ["public,max-age=60"]);
    assert_eq!(cached("/untouched").await, [""; 0]);
    // What the handler saw was the user's, though another request has ended the session meanwhile.
    let slow = browser.twin();
    let ends = (&browser, "/logout");
    let page = (&slow, Method::GET, "/user/reload/user");
    let [_, page] = place.interleave_as(ends, page).await;
    let page = page.ok().sets_nothing();
    assert_eq!(
        (&*page.text, page.lines("cache-control")),
        ("ann -", vec!["private"])
    );
    browser.post("/login:ann").await.ok();
    // Nobody is logged in: a visitor without a session, one with a session, and one who logged out.
    let visitor = place.open().await;
    for path in ["/read", "/insert:a:1", "/user"] {
        let reply = visitor.get(path).await.ok();
        let expected: &[&str] = if reply.set_cookie().is_some() {
            &["no-store"]
        } else {
            &[]
        };
        assert_eq!(reply.lines("cache-control"), expected, "{path}");
    }
    // An application may want the old way.
    let off = place.open_with(|config| config.cache_private(false)).await;
    let off = off.with_token(&browser.token().unwrap());
    varies_only(&off.get("/user").await.ok().says("ann"));
}

async fn s16_other_cookies_survive_and_ours_appears_once(place: Place) {
    let browser = place.open().await;
    let others = ["theme=dark", "__Host=x", "id=7"];
    let headers = others
        .map(|line| format!("/header:set-cookie:{line}"))
        .concat();
    let reply = browser.get(&format!("/read{headers}")).await.ok();
    assert_eq!(reply.lines("set-cookie"), others);
    for path in [
        "/insert:a:1",
        "/insert:a:2/save/rotate/save/login:ann",
        "/logout",
    ] {
        // A line of our name that the application wrote itself gives way to ours.
        let planted = format!("/header:set-cookie:{COOKIE_NAME}=planted");
        let reply = browser.get(&format!("{path}{planted}{headers}")).await.ok();
        let lines = reply.lines("set-cookie");
        assert_eq!(lines[..3], others, "{path}");
        assert_eq!(lines.len(), 4, "{path}");
        assert_ne!(reply.set_cookie().unwrap().value, "planted");
    }
}

async fn s17_asking_which_token_came_is_no_access(place: Place) {
    let browser = place.open().await;
    browser.get("/insert:a:1").await.ok();
    let calls = place.faults.all_calls();
    let reply = browser.get("/presented").await.ok();
    is_untouched(&reply);
    assert_eq!(reply.text, browser.selector().unwrap().to_string());
    let nobody = browser.twin().with_token("x").get("/presented").await.ok();
    is_untouched(&nobody);
    assert_eq!(nobody.text, "-");
    assert_eq!(place.faults.all_calls(), calls);
}

fn plain(config: SessionConfig) -> SessionConfig {
    config
}

/// As embedded into other sites, and shared with the hosts of a domain.
fn embedded(config: SessionConfig) -> SessionConfig {
    config
        .cookie_name("shop")
        .cookie_domain("example.com")
        .cookie_path("/untouched")
        .same_site(SameSite::None)
        .partitioned(true)
}

/// With as few attributes as possible.
fn bare(config: SessionConfig) -> SessionConfig {
    config
        .secure(false)
        .http_only(false)
        .same_site(SameSite::Strict)
}
