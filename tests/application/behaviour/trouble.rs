//! S41 to S46: what happens when something fails.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use http::Method;
use tower_keycard::config::SameSite;
use tower_keycard::store::testing::fault::Fault;
use tower_keycard::store::{DecodeError, Loaded, RedisConfig, RedisStore, StoreCall};
use tower_keycard::{MemoryStore, Session, SessionConfig, SessionError, SessionLayer};

use super::harness::{
    Browser, COOKIE_NAME, Place, Reply, SECOND, SetCookie, Stage, application, command, config,
    on_every_store,
};
use crate::Admin;
use crate::support::redis_server::RedisServer;

on_every_store![
    s41_a_store_that_is_down_costs_only_what_needs_it,
    s41_a_commit_that_fails_is_503_without_a_cookie,
    s41_a_touch_that_fails_is_not_the_clients_trouble,
    s41_a_store_that_hangs_is_given_up,
    s42_an_unreadable_record_is_an_unknown_token,
    s42_an_unreadable_record_is_never_overwritten,
    s42_a_record_of_a_newer_version_is_left_alone,
    s44_without_a_layer_there_is_a_500_and_a_line_in_the_log,
    s44_two_layers_are_two_sessions,
    s44_a_token_of_one_layer_opens_nothing_in_the_other,
    s44_whatever_is_configured_no_token_opens_a_session_of_another_marker,
    s44_a_label_belongs_to_one_marker,
    s44_a_layer_applied_twice_is_one_session,
    s44_two_layers_with_one_marker_are_refused,
    s44_two_layers_that_read_one_cookie_are_refused,
    s45_a_withheld_cookie_is_not_overwritten,
    s45_a_withheld_cookie_does_not_stop_a_login,
    s45_a_handler_learns_that_the_cookie_was_withheld,
    s45_no_form_gets_a_token_that_could_never_be_accepted,
    s45_only_a_cross_site_request_without_a_cookie_is_withheld,
    s46_a_logout_that_fails_can_be_tried_again,
];

async fn with_session(place: &Place) -> Browser {
    let browser = place.open().await;
    browser.get("/insert:a:1").await.ok();
    browser
}

async fn s41_a_store_that_is_down_costs_only_what_needs_it(place: Place) {
    let browser = with_session(&place).await;
    let nobody = place.open().await;
    place.faults.down();
    browser.get("/untouched").await.ok().sets_nothing();
    nobody.get("/get:a").await.ok().sets_nothing().says("-");
    for path in ["/read", "/option", "/logout", "/insert:a:2", "/login:ann"] {
        let reply = browser.get(path).await.is(503).sets_nothing().says("");
        assert_eq!(reply.lines("retry-after"), ["1"]);
    }
    assert_eq!(place.log.count("store_failed"), 5);
    // Under save-every-request, too: nobody asked for the session.
    let every = place
        .open_with(|config| config.save_every_request(true))
        .await;
    let every = every.with_token(&browser.token().unwrap());
    every.get("/untouched").await.ok().sets_nothing();
    place.faults.up();
    browser.get("/get:a/user").await.ok().says("1 -");
}

async fn s41_a_commit_that_fails_is_503_without_a_cookie(place: Place) {
    let browser = with_session(&place).await;
    let nobody = place.open().await;
    let faults = [Fault::Unavailable, Fault::Refused, Fault::Full];
    for fault in faults {
        for path in ["/insert:a:2", "/rotate", "/login:ann"] {
            place.faults.next(StoreCall::Replace, fault);
            let reply = browser.post(path).await.is(503).sets_nothing().says("");
            assert_eq!(reply.lines("retry-after"), ["1"]);
            assert_eq!(reply.lines("vary"), ["Cookie"]);
            place.faults.next(StoreCall::Create, fault);
            nobody
                .post("/insert:a:2/login:ann")
                .await
                .is(503)
                .sets_nothing();
        }
    }
    assert_eq!(place.records(), 1);
    browser.get("/get:a/user").await.ok().says("1 -");
    nobody.post("/insert:a:2/login:ann").await.ok().new_cookie();
}

async fn s41_a_touch_that_fails_is_not_the_clients_trouble(place: Place) {
    let browser = place
        .open_with(|config| config.save_every_request(true))
        .await;
    browser.get("/insert:a:1").await.ok();
    place.faults.next(StoreCall::Touch, Fault::Unavailable);
    browser.get("/get:a").await.ok().sets_nothing().says("1");
    assert_eq!(place.log.count("store_failed"), 1);
    browser.get("/get:a").await.ok().says("1").new_cookie();
}

async fn s41_a_store_that_hangs_is_given_up(place: Place) {
    let timeout = Duration::from_millis(50);
    let browser = place
        .open_with(|config| config.store_timeout(timeout))
        .await;
    while browser.get("/insert:a:1").await.status != 200 {}
    place.faults.next(StoreCall::Load, Fault::Hang);
    browser.get("/read").await.is(503).sets_nothing();
    place.faults.release().await;
}

#[tokio::test]
async fn s41_after_its_return_redis_serves_within_a_second() {
    let place = Place::new(super::harness::Memory::open().await);
    let mut server = RedisServer::start();
    let store = RedisStore::connect(RedisConfig::new(server.url()))
        .await
        .unwrap();
    let layer = SessionLayer::new(store);
    let browser = place.open_layer(layer).await;
    browser.get("/insert:a:1").await.ok();
    server.kill();
    browser.get("/untouched").await.ok();
    browser.get("/read").await.is(503).sets_nothing();
    let nobody = browser.twin().with_token("none");
    nobody.get("/insert:a:1").await.is(503).sets_nothing();
    server.restart();
    let back = Instant::now();
    while nobody.get("/insert:a:1").await.status != 200 {
        assert!(back.elapsed() < SECOND);
    }
    nobody.get("/get:a").await.ok().says("1");
}

/// A browser whose session's record has become unreadable.
async fn spoilt(place: &Place, how: DecodeError) -> Browser {
    let browser = with_session(place).await;
    place.spoil(browser.selector().unwrap(), how);
    browser
}

const UNREADABLE: [DecodeError; 3] = [
    DecodeError::Corrupt,
    DecodeError::ForeignType,
    DecodeError::TooLarge,
];

async fn s42_an_unreadable_record_is_an_unknown_token(place: Place) {
    for (count, how) in UNREADABLE.into_iter().enumerate() {
        let browser = spoilt(&place, how).await;
        let reply = browser.get("/get:a/exists").await.ok().says("- false");
        reply.sets_nothing();
        assert_eq!(place.log.count("unreadable"), 2 * count + 1, "{how:?}");
        assert!(browser.post("/logout").await.ok().removes_the_cookie());
    }
}

async fn s42_an_unreadable_record_is_never_overwritten(place: Place) {
    for how in UNREADABLE {
        for write in ["/insert:a:2", "/login:ann/insert:a:2", "/logout/insert:a:2"] {
            let browser = spoilt(&place, how).await;
            let id = browser.selector().unwrap();
            browser.post(write).await.ok().new_cookie();
            assert_ne!(browser.selector(), Some(id));
            browser.get("/get:a").await.ok().says("2");
            let found = place.stored(id).await;
            assert!(
                matches!(found, Loaded::Unreadable(found) if found == how),
                "{found:?}"
            );
        }
    }
}

async fn s42_a_record_of_a_newer_version_is_left_alone(place: Place) {
    let how = DecodeError::FutureFormat;
    let browser = spoilt(&place, how).await;
    let id = browser.selector().unwrap();
    browser
        .get("/get:a/exists")
        .await
        .ok()
        .sets_nothing()
        .says("- false");
    browser.post("/insert:a:2").await.is(409).sets_nothing();
    browser.post("/logout").await.is(503).sets_nothing();
    assert_eq!(place.log.count("unreadable"), 0);
    browser.post("/login:ann").await.ok().new_cookie();
    assert_ne!(browser.selector(), Some(id));
    assert!(matches!(place.stored(id).await, Loaded::Unreadable(found) if found == how));
}

async fn s44_without_a_layer_there_is_a_500_and_a_line_in_the_log(place: Place) {
    let browser = place.browse(application(place.stage.clone())).await;
    browser.get("/untouched").await.ok();
    for path in ["/read", "/option"] {
        let lines = place.log.count("missing_layer");
        browser.get(path).await.is(500).sets_nothing().says("");
        let events = place.log.events("missing_layer");
        assert_eq!(events.len(), lines + 1);
        assert_eq!(events[lines]["marker"], "none");
        assert_eq!(events[lines]["level"], "ERROR");
    }
    // A layer with another marker is not the one that was asked for.
    let layer = place.builder().marked::<Admin>("admin").build().unwrap();
    let application = application(place.stage.clone()).layer(layer);
    place.browse(application).await.get("/read").await.is(500);
}

const ADMIN: &str = "__Host-id-admin";

/// `/shop/…` and `/admin/…` are commands for one session each.
fn shop_and_admin(place: &Place) -> [Router; 2] {
    async fn play<M>(
        session: Session<M>,
        stage: Stage,
        step: &str,
    ) -> Result<String, SessionError> {
        let (name, rest) = step.split_once(':').unwrap_or((step, ""));
        let mut words = Vec::new();
        command(&session, &stage.clock, name, rest, &mut words).await?;
        Ok(words.join(" "))
    }
    async fn shop(
        session: Session,
        State(stage): State<Stage>,
        Path(step): Path<String>,
    ) -> Result<String, SessionError> {
        play(session, stage, &step).await
    }
    async fn admin(
        session: Session<Admin>,
        State(stage): State<Stage>,
        Path(step): Path<String>,
    ) -> Result<String, SessionError> {
        play(session, stage, &step).await
    }
    [
        Router::new().route("/shop/{step}", get(shop)),
        Router::new().route("/admin/{step}", get(admin)),
    ]
    .map(|routes| routes.with_state(place.stage.clone()))
}

/// Both layers around both parts.
async fn two_layers(place: &Place) -> Browser {
    let shop_layer = place.builder().build().unwrap();
    let admin_layer = place.builder().marked::<Admin>("admin").build().unwrap();
    let [shop, admin] = shop_and_admin(place);
    let application = shop.merge(admin).layer(shop_layer).layer(admin_layer);
    place.browse(application).await
}

async fn s44_two_layers_are_two_sessions(place: Place) {
    let browser = two_layers(&place).await;
    let reply = browser.get("/shop/insert:a:1").await.ok();
    assert_eq!(
        (reply.lines("set-cookie").len(), reply.lines("vary")),
        (1, vec!["Cookie"])
    );
    let reply = browser.get("/admin/insert:a:2").await.ok();
    assert!(reply.set_cookie_named(ADMIN).is_some() && reply.set_cookie().is_none());
    browser.get("/shop/get:a").await.ok().says("1");
    browser.get("/admin/login:ann").await.ok();
    browser.get("/shop/user").await.ok().says("-");
    browser.get("/shop/logout").await.ok();
    browser.get("/admin/user").await.ok().says("ann");
    assert_eq!(browser.token(), None);
}

async fn s44_a_token_of_one_layer_opens_nothing_in_the_other(place: Place) {
    let browser = two_layers(&place).await;
    browser.get("/shop/insert:a:1").await.ok();
    browser.get("/admin/insert:a:2").await.ok();
    let shop = browser.token().unwrap();
    let admin = browser.jar().value(ADMIN).unwrap().to_owned();
    let thief = browser.twin();
    thief.jar().put(ADMIN, &shop);
    thief.jar().put(COOKIE_NAME, &admin);
    for path in ["/admin/get:a", "/shop/get:a"] {
        thief.get(path).await.ok().sets_nothing().says("-");
    }
    browser.get("/shop/get:a").await.ok().says("1");
    browser.get("/admin/get:a").await.ok().says("2");
}

async fn s44_whatever_is_configured_no_token_opens_a_session_of_another_marker(place: Place) {
    type Configure = fn(SessionConfig) -> SessionConfig;
    let both: [Configure; 4] = [
        |config| config,
        |config| config.cookie_name("both"),
        |config| config.namespace("both"),
        |config| config.cookie_name("both").namespace("both"),
    ];
    // The cookie of the one is made to look like that of the other.
    let shops: [Configure; 2] = [
        |config| config,
        |config| config.cookie_name("id-admin").namespace("__Host-id-admin"),
    ];
    for configure in both {
        for shops in shops {
            let shop_layer = place.builder().config(shops(configure(config())));
            let admin_layer = place.builder().config(configure(config()));
            let admin_layer = admin_layer.marked::<Admin>("admin");
            let [shop, admin] = shop_and_admin(&place);
            let shop = shop.layer(shop_layer.build().unwrap());
            let admin = admin.layer(admin_layer.build().unwrap());
            let browser = place.browse(shop.merge(admin)).await;
            let set = |reply: &Reply| SetCookie::parse(reply.lines("set-cookie")[0]);
            let shop = set(&browser.get("/shop/login:ann").await.ok());
            let admin = set(&browser.get("/admin/login:root").await.ok());
            for (part, name, token) in [
                ("shop", &shop.name, &admin.value),
                ("admin", &admin.name, &shop.value),
            ] {
                let thief = browser.twin();
                thief.jar().put(name, token);
                let path = format!("/{part}/user");
                thief.get(&path).await.ok().sets_nothing().says("-");
            }
        }
    }
}

/// A part of a site that has a layer too, and around both a middleware that writes.
fn nested(place: &Place, inner: SessionLayer, outer: SessionLayer) -> Router {
    async fn write(session: Session, request: Request, next: Next) -> Response {
        let count = |count: Option<u32>| count.unwrap_or(0) + 1;
        session.update("outside", count).unwrap();
        let response = next.run(request).await;
        session.update("afterwards", count).unwrap();
        response
    }
    let part = application(place.stage.clone()).layer(inner);
    let site = Router::new().nest("/part", part);
    site.layer(from_fn(write)).layer(outer)
}

async fn s44_a_label_belongs_to_one_marker(place: Place) {
    enum Shop {}
    enum Office {}
    let builder = || place.builder().config(config());
    for _ in 0..2 {
        builder().marked::<Shop>("part").build().unwrap();
    }
    // Other settings change nothing, as long as the namespace is the same.
    let others = config().cookie_path("/office").secure(true);
    let others = others.namespace("__Host-id");
    let error = place.builder().config(others).marked::<Office>("part");
    let error = error.build().unwrap_err();
    assert_eq!(error.option(), "marked");
    let shown = error.to_string();
    assert!(
        shown.contains("Shop") && shown.contains("Office"),
        "{shown}"
    );
    builder().marked::<Office>("office").build().unwrap();
    let separate = place.builder().config(config().namespace("office"));
    separate.marked::<Office>("part").build().unwrap();
}

async fn s44_a_layer_applied_twice_is_one_session(place: Place) {
    let layer = place.builder().build().unwrap();
    let site = nested(&place, layer.clone(), layer);
    let browser = place.browse(site).await;
    let reply = browser.get("/part/insert:a:1/login:ann").await.ok();
    assert_eq!(reply.lines("set-cookie").len(), 1);
    assert_eq!(reply.lines("vary"), ["Cookie"]);
    assert_eq!((place.records(), place.faults.all_calls()), (1, 1));
    let reply = browser.get("/part/user/get:a/get:outside/option").await;
    reply.ok().sets_nothing().says("ann 1 2 some");
    assert_eq!(place.faults.all_calls(), 3, "one load and one write");
    browser.get("/part/get:afterwards").await.ok().says("2");
    // A login replaces the token once, and what was written outside stays.
    let old = browser.token();
    browser.post("/part/login:ann").await.ok().new_cookie();
    assert_ne!(browser.token(), old);
    let reply = browser.get("/part/user/get:outside").await;
    reply.ok().says("ann 5");
    assert!(place.log.events("conflicting_layers").is_empty());
    assert_eq!(place.records(), 1);
}

/// Asks for what nobody may get, and returns the line in the log.
async fn refused(place: &Place, browser: &Browser, path: &str) -> BTreeMap<String, String> {
    let (lines, calls) = (
        place.log.count("conflicting_layers"),
        place.faults.all_calls(),
    );
    browser.get(path).await.is(500).sets_nothing().says("");
    assert_eq!(place.faults.all_calls(), calls);
    let mut events = place.log.events("conflicting_layers");
    assert_eq!(events.len(), lines + 1);
    let line = events.remove(lines);
    assert_eq!(line["level"], "ERROR");
    line
}

async fn s44_two_layers_with_one_marker_are_refused(place: Place) {
    let outer = || place.builder().build().unwrap();
    let other_cookie = config().cookie_name("other").namespace("other");
    for inner in [
        SessionLayer::new(MemoryStore::new()),
        place.builder().config(other_cookie).build().unwrap(),
        // The same store and configuration, and yet another layer.
        outer(),
    ] {
        let browser = place.browse(nested(&place, inner, outer())).await;
        let line = refused(&place, &browser, "/part/untouched").await;
        assert!(line["outer"].contains("cookie __Host-id, namespace __Host-id,"));
        assert!(line["inner"].contains("store prefix"), "{line:?}");
        assert!(line["message"].contains("the same marker"), "{line:?}");
    }
}

async fn s44_two_layers_that_read_one_cookie_are_refused(place: Place) {
    let [shop, admin] = shop_and_admin(&place);
    let shop_layer = place.builder().config(config().cookie_name("id-admin"));
    let admin_layer = place.builder().marked::<Admin>("admin");
    let application = shop
        .merge(admin)
        .layer(shop_layer.build().unwrap())
        .layer(admin_layer.build().unwrap());
    let browser = place.browse(application).await;
    for path in ["/shop/read", "/admin/login:root"] {
        let line = refused(&place, &browser, path).await;
        assert!(line["outer"].contains("namespace __Host-id/admin,"));
        assert!(line["inner"].contains("namespace __Host-id-admin,"));
        assert!(line["message"].contains("the same cookie"), "{line:?}");
    }
}

const CROSS_SITE: &[(&str, &str)] = &[("sec-fetch-site", "cross-site")];

async fn s45_a_withheld_cookie_is_not_overwritten(place: Place) {
    for same_site in [SameSite::Lax, SameSite::Strict] {
        let browser = place.open_with(|config| config.same_site(same_site)).await;
        browser.get("/insert:a:1/login:ann").await.ok();
        let calls = place.faults.all_calls();
        let methods = match same_site {
            SameSite::Strict => vec![Method::GET, Method::POST, Method::PUT],
            _ => vec![Method::POST, Method::PUT, Method::DELETE],
        };
        for method in methods {
            let path = "/get:a/insert:a:2/get:a/update:n/rotate/expiry:browser/user";
            let reply = browser.ask(method, path, CROSS_SITE).await.ok();
            assert_eq!(reply.sets_nothing().text, "- 2 1 -");
        }
        browser.post("/read").await.ok();
        let reply = browser
            .ask(Method::POST, "/logout/get:a", CROSS_SITE)
            .await
            .ok();
        assert_eq!(reply.sets_nothing().lines("vary"), ["Cookie"]);
        assert_eq!(place.faults.all_calls(), calls + 1);
        browser.get("/get:a/user").await.ok().says("1 ann");
    }
    assert!(place.log.count("discarded") > 0);
}

/// The requests from which each mode withholds the cookie, and from which it does not.
const WITHHELD: [(SameSite, Method, &str, bool); 8] = [
    (SameSite::Lax, Method::GET, "document", false),
    (SameSite::Lax, Method::GET, "iframe", true),
    (SameSite::Lax, Method::POST, "document", true),
    (SameSite::Strict, Method::GET, "document", true),
    (SameSite::Strict, Method::GET, "iframe", true),
    (SameSite::Strict, Method::POST, "document", true),
    (SameSite::None, Method::GET, "iframe", false),
    (SameSite::None, Method::POST, "document", false),
];

async fn s45_a_handler_learns_that_the_cookie_was_withheld(place: Place) {
    for (same_site, method, dest, withheld) in WITHHELD {
        let browser = place.open_with(|config| config.same_site(same_site)).await;
        let from_elsewhere = [("sec-fetch-site", "cross-site"), ("sec-fetch-dest", dest)];
        let ask = async |path: &str| {
            browser
                .ask(method.clone(), path, &from_elsewhere)
                .await
                .ok()
        };
        let reply = ask("/withheld/insert:a:1/withheld").await;
        assert_eq!(reply.text, format!("{withheld} {withheld}"));
        assert_eq!(reply.set_cookie().is_none(), withheld);
        // A link within the site brings the cookie again.
        let here = [("sec-fetch-site", "same-origin"), ("sec-fetch-dest", dest)];
        let reply = browser.ask(method.clone(), "/withheld", &here).await.ok();
        reply.says("false");
        // A login is stored, and all that comes with it.
        let reply = ask("/login:ann/withheld/csrf/insert:b:2").await;
        let (said, token) = reply.text.split_once(' ').unwrap();
        assert_eq!(said, "false");
        let check = format!("/user/get:b/verify:{token}");
        browser.post(&check).await.ok().says("ann 2");
    }
}

async fn s45_no_form_gets_a_token_that_could_never_be_accepted(place: Place) {
    for (same_site, method, dest, withheld) in WITHHELD {
        let browser = place.open_with(|config| config.same_site(same_site)).await;
        let from_elsewhere = [("sec-fetch-site", "cross-site"), ("sec-fetch-dest", dest)];
        let reply = browser.ask(method.clone(), "/csrf", &from_elsewhere).await;
        if withheld {
            reply.is(403).sets_nothing();
            let reply = browser
                .ask(method.clone(), "/try:csrf", &from_elsewhere)
                .await;
            reply.ok().sets_nothing().says("Withheld");
        } else {
            let token = reply.ok().text;
            browser.post(&format!("/verify:{token}")).await.ok();
        }
        // The page that loads itself has a token that is accepted.
        let here = [("sec-fetch-site", "same-origin"), ("sec-fetch-dest", dest)];
        let token = browser.ask(Method::GET, "/csrf", &here).await.ok().text;
        browser.post(&format!("/verify:{token}")).await.ok();
    }
}

async fn s45_a_withheld_cookie_does_not_stop_a_login(place: Place) {
    let browser = place.open().await;
    let reply = browser
        .ask(Method::POST, "/insert:b:2/login:ann", CROSS_SITE)
        .await
        .ok();
    reply.new_cookie();
    browser.get("/user/get:b").await.ok().says("ann 2");
}

async fn s45_only_a_cross_site_request_without_a_cookie_is_withheld(place: Place) {
    let browser = place.open().await;
    let ask = async |method: Method, site: &str| {
        let headers = [("sec-fetch-site", site)];
        browser
            .twin()
            .ask(method, "/insert:a:1", &headers)
            .await
            .ok()
            .new_cookie();
    };
    for site in ["same-origin", "same-site", "none"] {
        ask(Method::POST, site).await;
    }
    ask(Method::GET, "cross-site").await;
    let embedded = |config: SessionConfig| config.same_site(SameSite::None);
    let browser = place.open_with(embedded).await;
    browser
        .ask(Method::POST, "/insert:a:1", CROSS_SITE)
        .await
        .ok()
        .new_cookie();
    browser
        .ask(Method::POST, "/get:a", CROSS_SITE)
        .await
        .ok()
        .says("1");
}

async fn s46_a_logout_that_fails_can_be_tried_again(place: Place) {
    for fault in [Fault::Unavailable, Fault::Refused] {
        for command in ["/logout", "/logout/insert:b:2", "/expiry:past"] {
            let browser = place.open().await;
            browser.post("/insert:a:1/login:ann").await.ok();
            let token = browser.token();
            place.faults.next(StoreCall::Delete, fault);
            browser.post(command).await.is(503).sets_nothing();
            assert_eq!(browser.token(), token);
            browser.get("/get:a/user").await.ok().says("1 ann");
            browser.post("/logout").await.ok().removes_the_cookie();
        }
    }
    // An answer that was lost is asked for again.
    let browser = with_session(&place).await;
    place.faults.next(StoreCall::Delete, Fault::LostRequest);
    assert!(browser.post("/logout").await.ok().removes_the_cookie());
}
