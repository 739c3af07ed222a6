//! S28 to S33: how long a session lives.

use std::time::Duration;

use tower_keycard::store::{Loaded, StoreCall};

use super::harness::{Browser, DAY, HOUR, MINUTE, Place, SECOND, on_every_store};

on_every_store![
    s28_an_idle_limit_of_its_own_runs_from_each_activity,
    s28_an_instant_is_not_moved_by_activity,
    s28_an_instant_takes_the_place_of_the_idle_limit,
    s28_an_instant_already_past_ends_the_session_now,
    s29_a_session_can_end_with_the_browser,
    s29_the_default_takes_back_what_was_set,
    s29_a_login_says_whether_it_outlives_the_browser,
    s30_what_was_set_survives_a_rotation,
    s30_what_was_set_ends_with_the_session,
    s31_the_absolute_limit_ends_a_session_in_constant_use,
    s31_the_absolute_limit_holds_whatever_the_store_says,
    s31_a_shorter_limit_holds_at_once,
    s31_only_a_login_moves_the_absolute_limit,
    s31_a_shorter_limit_runs_from_the_login_whatever_its_user_proved_since,
    s31_no_cookie_outlives_the_absolute_limit,
    s32_no_cookie_is_kept_for_more_than_400_days,
    s32_a_cookies_lifetime_is_rounded_up,
    s33_an_expired_session_is_an_unknown_token,
    s33_an_expired_session_is_never_written,
];

async fn s28_an_idle_limit_of_its_own_runs_from_each_activity(place: Place) {
    let browser = place.open().await;
    let cookie = browser
        .get("/insert:a:1/expiry:idle:100000")
        .await
        .ok()
        .new_cookie();
    assert_eq!(cookie.max_age(), Some(100));
    for path in ["/get:a", "/update:n", "/read"] {
        place.pass(90 * SECOND);
        let refreshed = browser.get(path).await.ok().new_cookie();
        assert_eq!(refreshed, cookie, "{path}");
        let (_, remaining) = place.record(browser.selector().unwrap()).await;
        assert!((80 * SECOND..=100 * SECOND).contains(&remaining));
    }
    // A moment later there is nothing to refresh.
    browser.get("/get:a").await.ok().sets_nothing();
    let token = browser.token().unwrap();
    place.pass(100 * SECOND);
    assert_eq!(
        browser.token(),
        Some(token.clone()),
        "kept, though not sent any more"
    );
    let late = browser.with_token(&token);
    late.get("/get:a").await.ok().says("-").sets_nothing();
}

async fn s28_an_instant_is_not_moved_by_activity(place: Place) {
    let browser = place.open().await;
    let cookie = browser
        .get("/insert:a:1/expiry:in:100000")
        .await
        .ok()
        .new_cookie();
    assert_eq!(cookie.max_age(), Some(100));
    for path in ["/get:a", "/insert:a:2", "/update:n"] {
        place.pass(30 * SECOND);
        browser.get(path).await.ok().sets_nothing();
    }
    let (_, remaining) = place.record(browser.selector().unwrap()).await;
    assert!(remaining <= 10 * SECOND + 90 * SECOND / 100);
    // A new token has what is left.
    let cookie = browser.get("/rotate").await.ok().new_cookie();
    assert_eq!(cookie.max_age(), Some(10));
    place.pass_for_the_layer(10 * SECOND);
    let late = browser.twin().with_token(&cookie.value);
    late.get("/get:a").await.ok().says("-").sets_nothing();
}

async fn s28_an_instant_takes_the_place_of_the_idle_limit(place: Place) {
    // Beyond the idle limit, and before it. Beyond the absolute limit, that one applies.
    for (set, granted) in [(3 * DAY, 3 * DAY), (HOUR, HOUR), (60 * DAY, 14 * DAY)] {
        let browser = place.open().await;
        let path = format!("/insert:a:1/expiry:in:{}", set.as_millis());
        let cookie = browser.get(&path).await.ok().new_cookie();
        assert_eq!(cookie.max_age(), i64::try_from(granted.as_secs()).ok());
        browser.get("/read").await.ok();
        place.keeps_for(browser.selector().unwrap(), granted).await;
        // Nobody uses it until just before.
        place.pass(granted - SECOND);
        browser.get("/get:a").await.ok().says("1");
        place.pass(SECOND);
        let late = browser.twin().with_token(&cookie.value);
        late.get("/get:a").await.ok().says("-").sets_nothing();
    }
}

async fn s28_an_instant_already_past_ends_the_session_now(place: Place) {
    for command in ["/expiry:past", "/expiry:idle:0"] {
        let browser = place.open().await;
        browser.get("/insert:a:1").await.ok();
        let id = browser.selector().unwrap();
        let reply = browser
            .get(&format!("{command}/get:a"))
            .await
            .ok()
            .says("-");
        assert!(reply.removes_the_cookie());
        assert!(matches!(place.stored(id).await, Loaded::Tombstone));
    }
}

async fn s29_a_session_can_end_with_the_browser(place: Place) {
    let browser = place.open().await;
    let cookie = browser.get("/insert:a:1").await.ok().new_cookie();
    assert!(cookie.has("max-age"));
    let cookie = browser.get("/expiry:browser").await.ok().new_cookie();
    assert!(!cookie.has("max-age") && !cookie.has("expires"));
    place.keeps_for(browser.selector().unwrap(), DAY).await;
    // The limits of the server hold all the same.
    place.pass(23 * HOUR);
    browser.get("/get:a").await.ok().sets_nothing().says("1");
    place.pass(DAY);
    browser.get("/get:a").await.ok().sets_nothing().says("-");
}

async fn s29_the_default_takes_back_what_was_set(place: Place) {
    let browser = place.open().await;
    for set in [
        "/expiry:browser",
        "/expiry:idle:100000",
        "/expiry:in:100000",
    ] {
        browser
            .get(&format!("/insert:a:1{set}"))
            .await
            .ok()
            .new_cookie();
        let cookie = browser.get("/expiry:default").await.ok().new_cookie();
        assert_eq!(cookie.max_age(), Some(14 * 24 * 60 * 60));
        place.keeps_for(browser.selector().unwrap(), DAY).await;
    }
}

async fn s29_a_login_says_whether_it_outlives_the_browser(place: Place) {
    let browser = place.open().await;
    let cookie = browser
        .get("/login-unremembered:ann")
        .await
        .ok()
        .new_cookie();
    assert!(!cookie.has("max-age") && !cookie.has("expires"));
    place.keeps_for(browser.selector().unwrap(), DAY).await;

    let cookie = browser.get("/login-remembered:ann").await.ok().new_cookie();
    assert_eq!(cookie.max_age(), Some(30 * 24 * 60 * 60));
    place.keeps_for(browser.selector().unwrap(), 14 * DAY).await;
    // Two weeks without a request are too long, and so are thirty days with.
    let idle = place.open().await;
    idle.get("/login-remembered:ann").await.ok();
    let (active, unused) = (browser.token().unwrap(), idle.token().unwrap());
    for day in (10..=30).step_by(10) {
        place.pass(10 * DAY);
        if day < 30 {
            browser.get("/user").await.ok().says("ann");
        }
    }
    for (token, late) in [(active, browser), (unused, idle)] {
        let late = late.with_token(&token);
        late.get("/user").await.ok().says("-").sets_nothing();
    }
}

async fn s30_what_was_set_survives_a_rotation(place: Place) {
    let browser = place.open().await;
    browser.get("/insert:a:1/expiry:idle:100000").await.ok();
    for rotate in ["/rotate", "/login:ann", "/reauthenticate"] {
        let cookie = browser.get(rotate).await.ok().new_cookie();
        assert_eq!(cookie.max_age(), Some(100), "{rotate}");
    }
    browser.get("/expiry:browser").await.ok();
    assert!(
        !browser
            .get("/rotate")
            .await
            .ok()
            .new_cookie()
            .has("max-age")
    );
}

async fn s30_what_was_set_ends_with_the_session(place: Place) {
    let browser = place.open().await;
    browser.get("/insert:a:1/expiry:browser").await.ok();
    let cookie = browser.get("/logout/insert:a:2").await.ok().new_cookie();
    assert_eq!(cookie.max_age(), Some(14 * 24 * 60 * 60));
    browser.get("/expiry:browser").await.ok();
    browser.get("/logout").await.ok();
    assert!(
        browser
            .get("/insert:a:1")
            .await
            .ok()
            .new_cookie()
            .has("max-age")
    );
}

async fn s31_the_absolute_limit_ends_a_session_in_constant_use(place: Place) {
    let browser = place.open().await;
    browser.begin("/insert:a:1").await;
    let token = browser.token().unwrap();
    for _ in 0..16 {
        place.pass(20 * HOUR);
        browser.get("/update:n").await.ok().sets_nothing();
    }
    // 16 hours are left. The store keeps it for longer by a hundredth of what its limit cuts off.
    place
        .keeps_for(browser.selector().unwrap(), 16 * HOUR + 8 * HOUR / 100)
        .await;
    place.pass(16 * HOUR);
    let late = browser.with_token(&token);
    late.get("/get:a").await.ok().says("-").sets_nothing();
}

async fn s31_the_absolute_limit_holds_whatever_the_store_says(place: Place) {
    let browser = place.open().await;
    browser.get("/insert:a:1").await.ok();
    let (id, token) = (browser.selector().unwrap(), browser.token().unwrap());
    place.pass_for_the_layer(14 * DAY - SECOND);
    browser.get("/get:a").await.ok().says("1");
    place.pass_for_the_layer(SECOND);
    // Another program keeps it alive in the store.
    let (record, _) = place.record(id).await;
    place.keep(id, &record, DAY).await;
    let late = browser.with_token(&token);
    late.get("/get:a").await.ok().says("-").sets_nothing();
}

async fn s31_a_shorter_limit_holds_at_once(place: Place) {
    let browser = place.open().await;
    browser.begin("/insert:a:1").await;
    place.pass(2 * HOUR);
    let shorter = place.open_with(|config| config.absolute(2 * HOUR)).await;
    let shorter = shorter.with_token(&browser.token().unwrap());
    shorter.get("/get:a").await.ok().sets_nothing().says("-");
    browser.get("/get:a").await.ok().says("1");
    // Set anew, a shorter idle limit is the store's with the next activity.
    let idle = place.open_with(|config| config.idle(HOUR)).await;
    let idle = idle.with_token(&browser.token().unwrap());
    idle.get("/get:a").await.ok().says("1");
    place.keeps_for(browser.selector().unwrap(), HOUR).await;
}

async fn s31_only_a_login_moves_the_absolute_limit(place: Place) {
    let browser = place.open_with(|config| config.idle(14 * DAY)).await;
    browser.get("/insert:a:1/login:ann").await.ok();
    let left = async |path: &str, browser: &Browser| {
        let cookie = browser.get(path).await.ok().new_cookie();
        cookie.max_age().unwrap() / (24 * 60 * 60)
    };
    place.pass(4 * DAY);
    assert_eq!(left("/rotate", &browser).await, 10);
    place.pass(4 * DAY);
    assert_eq!(left("/reauthenticate", &browser).await, 6);
    assert_eq!(left("/expiry:idle:1728000000", &browser).await, 6);
    assert_eq!(left("/expiry:default", &browser).await, 6);
    assert_eq!(left("/login:ann", &browser).await, 14);
    place.pass(13 * DAY);
    browser.get("/get:a").await.ok().says("1");
}

async fn s31_a_shorter_limit_runs_from_the_login_whatever_its_user_proved_since(place: Place) {
    let browser = place.open().await;
    let login = place.now();
    browser.get("/login:ann").await.ok();
    place.pass(HOUR / 2);
    browser.get("/reauthenticate").await.ok();
    let since = browser.get("/since/login-time").await.ok();
    let since = since.text.split_once(' ').unwrap();
    assert_eq!(since.0, place.now().as_millis().to_string());
    assert_eq!(since.1, login.as_millis().to_string());
    let shorter = place.open_with(|config| config.absolute(HOUR)).await;
    let shorter = shorter.with_token(&browser.token().unwrap());
    place.pass(HOUR / 4);
    let cookie = shorter.get("/reauthenticate").await.ok().new_cookie();
    assert_eq!(cookie.max_age(), Some(15 * 60));
    place.pass(HOUR / 4);
    let late = shorter.with_token(&cookie.value);
    late.get("/user").await.ok().says("-").sets_nothing();
}

async fn s31_no_cookie_outlives_the_absolute_limit(place: Place) {
    let browser = place.open().await;
    browser.get("/insert:a:1").await.ok();
    for (command, days) in [("idle", 20_u64), ("in", 20)] {
        let millis = days * 24 * 60 * 60 * 1_000;
        let reply = browser
            .get(&format!("/expiry:{command}:{millis}"))
            .await
            .ok();
        assert_eq!(reply.new_cookie().max_age(), Some(14 * 24 * 60 * 60));
        place.keeps_for(browser.selector().unwrap(), 14 * DAY).await;
    }
    assert_eq!(place.log.count("expiry_capped"), 2);
}

async fn s32_no_cookie_is_kept_for_more_than_400_days(place: Place) {
    let browser = place
        .open_with(|config| config.idle(600 * DAY).absolute(600 * DAY))
        .await;
    let cookie = browser.get("/insert:a:1").await.ok().new_cookie();
    assert_eq!(cookie.max_age(), Some(400 * 24 * 60 * 60));
    browser.get("/read").await.ok();
    place
        .keeps_for(browser.selector().unwrap(), 600 * DAY)
        .await;
}

async fn s32_a_cookies_lifetime_is_rounded_up(place: Place) {
    let browser = place.open().await;
    for (millis, seconds) in [(1_001, 2), (1_999, 2), (2_000, 2), (999, 1), (1, 1)] {
        let path = format!("/insert:a:1/expiry:idle:{millis}");
        let cookie = browser.twin().get(&path).await.ok().new_cookie();
        assert_eq!(cookie.max_age(), Some(seconds), "{millis} ms");
    }
}

async fn s33_an_expired_session_is_an_unknown_token(place: Place) {
    // Gone from the store, just or long ago; and kept by the store beyond its limit.
    for (store, layer) in [
        (DAY, Duration::ZERO),
        (3 * DAY, Duration::ZERO),
        (MINUTE, 14 * DAY),
    ] {
        let browser = place.open().await;
        browser.get("/insert:a:1/login:ann").await.ok();
        let token = browser.token().unwrap();
        place.pass(store);
        place.pass_for_the_layer(layer);
        for seconds in [0, 1] {
            place.pass(seconds * SECOND);
            let late = browser.twin().with_token(&token);
            late.get("/untouched").await.ok().sets_nothing();
            let reply = late.get("/get:a/user/exists").await.ok().says("- - false");
            reply.sets_nothing();
            assert!(late.post("/logout").await.ok().removes_the_cookie());
            assert_eq!(late.token(), None);
        }
    }
}

async fn s33_an_expired_session_is_never_written(place: Place) {
    let browser = place.open().await;
    browser.get("/insert:a:1").await.ok();
    let (id, token) = (browser.selector().unwrap(), browser.token().unwrap());
    let (before, _) = place.record(id).await;
    place.pass_for_the_layer(14 * DAY);
    let late = browser.with_token(&token);
    let cookie = late.get("/insert:b:2").await.ok().new_cookie();
    assert_ne!(late.selector(), Some(id));
    assert_ne!(cookie.value, token);
    late.get("/get:a/get:b").await.ok().says("- 2");
    let (after, _) = place.record(id).await;
    assert_eq!(after.revision(), before.revision());
    assert_eq!(place.calls(StoreCall::Replace), 0);
}
