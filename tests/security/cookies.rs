//! R9, R12, R16, R17, R18: the cookie, and what surrounds it.

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, VARY};
use tower_http::csrf::CsrfLayer;
use tower_keycard::config::SameSite;
use tower_keycard::store::AnyStore;
use tower_keycard::{MemoryStore, SessionConfig, SessionLayer};

use crate::app::{App, COOKIE_NAME};

fn build(configure: impl FnOnce(SessionConfig) -> SessionConfig) -> Result<(), String> {
    SessionLayer::builder(MemoryStore::new())
        .config(configure(SessionConfig::new()))
        .build()
        .map(drop)
        .map_err(|error| error.option().to_owned())
}

fn with(configure: impl FnOnce(SessionConfig) -> SessionConfig) -> App {
    let store = AnyStore::new(MemoryStore::new());
    App::configured(store, configure(SessionConfig::new()))
}

#[tokio::test]
async fn r09_the_default_cookie_has_every_defence() {
    let mut browser = App::in_memory().browser();
    let reply = browser.does("/write/x").await;
    let line = reply.set_cookie().unwrap();
    let (pair, attributes) = line.split_once("; ").unwrap();
    assert_eq!(pair, format!("{COOKIE_NAME}={}", browser.token()));
    let mut attributes: Vec<_> = attributes.split("; ").collect();
    attributes.sort_unstable();
    let max_age = format!("Max-Age={}", 14 * 86_400);
    assert_eq!(
        attributes,
        ["HttpOnly", &max_age, "Path=/", "SameSite=Lax", "Secure"]
    );
    assert!(line.len() <= 4_096);
    assert!(SessionConfig::default().check().is_empty());
}

#[test]
fn r09_a_cookie_that_a_browser_would_refuse_fails_when_the_layer_is_built() {
    let refused = |option: &str, result: Result<(), String>| {
        assert_eq!(result, Err(option.to_owned()));
    };
    refused(
        "cookie.name",
        build(|config| config.cookie_name("__Host-id").secure(false)),
    );
    refused(
        "cookie.name",
        build(|config| config.cookie_name("__hOsT-id").cookie_domain("example.com")),
    );
    refused(
        "cookie.name",
        build(|config| config.cookie_name("__Secure-id").secure(false)),
    );
    refused(
        "cookie.name",
        build(|config| config.cookie_name("a\r\nSet-Cookie: b")),
    );
    refused(
        "cookie.name",
        build(|config| config.cookie_name("n".repeat(5_000)).namespace("n")),
    );
    refused(
        "cookie.same_site",
        build(|config| config.same_site(SameSite::None).secure(false)),
    );
    refused(
        "cookie.path",
        build(|config| config.cookie_path("/; Domain=evil.example")),
    );
    refused(
        "cookie.domain",
        build(|config| config.cookie_domain("example.com\r\nX: y")),
    );
}

#[tokio::test]
async fn r12_a_page_of_a_user_is_for_their_browser_alone() {
    let app = App::in_memory();
    let mut browser = app.browser();
    browser.does("/login/alice").await;
    let read = browser.get("/read").await;
    assert_eq!(read.headers[CACHE_CONTROL], "private");
    assert_eq!(read.headers[VARY], "Cookie");
    let mut visitor = app.browser();
    visitor.does("/write/x").await;
    let read = visitor.get("/read").await;
    assert!(!read.headers.contains_key(CACHE_CONTROL));
}

#[tokio::test]
async fn r12_no_response_shows_the_token_but_in_the_cookie_and_none_with_it_is_stored() {
    let app = App::in_memory();
    let mut browser = app.browser();
    for path in ["/write/x", "/login/alice", "/reauthenticate", "/rotate"] {
        let reply = browser.does(path).await;
        assert_eq!(reply.headers[CACHE_CONTROL], "no-store", "{path}");
        assert_eq!(reply.headers[VARY], "Cookie");
        let secret = browser.token()[20..].to_owned();
        for (name, value) in &reply.headers {
            let shown = value.to_str().unwrap().contains(&secret);
            assert_eq!(shown, name == "set-cookie", "{name}");
        }
        assert!(!reply.body.contains(&secret));
    }
    let read = browser.get("/read").await;
    assert_eq!(read.headers[VARY], "Cookie");
    assert!(!read.body.contains(&browser.token()[20..]));
    let removed = browser.does("/logout").await;
    assert_eq!(removed.headers[CACHE_CONTROL], "no-store");
    // A token in the URL is nobody's token.
    let token = app.browser().does("/write/x").await.token().unwrap();
    let mut stranger = app.browser();
    let reply = stranger.get(&format!("/read?{COOKIE_NAME}={token}")).await;
    assert_eq!(reply.json()["exists"], false);
}

#[tokio::test]
async fn r12_a_logout_has_the_browser_drop_what_it_stored_where_that_is_wanted() {
    for wanted in [false, true] {
        let store = AnyStore::new(MemoryStore::new());
        let app = App::configured(store, SessionConfig::new().clear_site_data(wanted));
        let mut browser = app.browser();
        let login = browser.does("/login/alice").await;
        assert!(!login.headers.contains_key("clear-site-data"));
        let token = browser.token();
        let logout = browser.does("/logout").await;
        let sent = logout.headers.get("clear-site-data");
        assert_eq!(
            sent.map(|sent| sent.as_bytes()),
            wanted.then_some(&br#""cache", "storage""#[..])
        );
        // With a token that opens nothing, nobody has logged out before somebody asks for it.
        let stranger = token.replace(&token[..20], &"A".repeat(20));
        let read = app.with_token(stranger.clone()).get("/read").await;
        assert_eq!(read.set_cookie(), None);
        assert!(!read.headers.contains_key("clear-site-data"));
        let logout = app.with_token(stranger).post("/logout").await;
        assert_eq!(logout.headers.contains_key("clear-site-data"), wanted);
        assert!(logout.removes_the_cookie());
    }
}

#[tokio::test]
async fn r12_what_serves_inside_the_layer_cannot_print_the_token_from_the_headers() {
    let app = App::in_memory();
    let mut browser = app.browser();
    browser.does("/login/alice").await;
    let printed = browser.get("/headers").await.body;
    assert!(printed.contains("cookie"), "{printed}");
    assert!(!printed.contains(&browser.token()[20..]), "{printed}");
}

#[tokio::test]
async fn r16_the_cookie_is_read_by_exact_bytes_from_all_lines_in_any_order() {
    let app = App::in_memory();
    let mut browser = app.browser();
    browser.does("/login/alice").await;
    let pair = format!("{COOKIE_NAME}={}", browser.token());
    let other = format!("{COOKIE_NAME}={}", "A".repeat(44));
    let user = async |lines: &[&str]| {
        let headers: Vec<_> = lines
            .iter()
            .map(|line| ("cookie", line.as_bytes()))
            .collect();
        app.send("GET", "/read", &headers).await.json()["user"] == "alice"
    };
    assert!(user(&[&pair]).await);
    assert!(user(&["a=b", &pair, "c=d"]).await);
    assert!(user(&[&format!("a=b;\t{pair} ; c=d")]).await);
    assert!(user(&[&pair, &pair]).await);
    assert!(!user(&[&pair.to_lowercase()]).await);
    assert!(!user(&[&pair.replace("__Host", "__host")]).await);
    assert!(user(&[&pair, &other]).await);
    assert!(user(&[&other, &pair]).await);
}

#[tokio::test]
async fn r16_a_cookie_lives_for_400_days_at_most_and_stands_once() {
    let app = with(|config| {
        config
            .idle(Duration::from_secs(600 * 86_400))
            .absolute(None)
    });
    let reply = app.browser().does("/write/x").await;
    let line = reply.set_cookie().unwrap();
    assert!(line.ends_with("; Max-Age=34560000"), "{line}");
    let mut names: Vec<_> = line
        .split("; ")
        .map(|attribute| attribute.split('=').next().unwrap().to_lowercase())
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), line.split("; ").count());
}

#[tokio::test]
async fn r17_partitioned_needs_secure_and_same_site_none() {
    let refused = Err("cookie.partitioned".to_owned());
    assert_eq!(build(|config| config.partitioned(true)), refused);
    assert_eq!(
        build(|config| config.partitioned(true).same_site(SameSite::Strict)),
        refused
    );
    let insecure = build(|config| config.partitioned(true).secure(false).cookie_prefix(false));
    assert_eq!(insecure, refused);
    let app = with(|config| config.partitioned(true).same_site(SameSite::None));
    let reply = app.send("POST", "/write/x", &[]).await;
    let line = reply.set_cookie().unwrap();
    assert!(line.starts_with("__Host-idp="), "a name of its own: {line}");
    for attribute in ["; Partitioned", "; Secure", "; SameSite=None"] {
        assert!(line.contains(attribute), "{line}");
    }
}

#[tokio::test]
async fn r18_a_csrf_layer_around_the_sessions_keeps_forged_requests_out() {
    let app = App::in_memory().around(|router| router.layer(CsrfLayer::new()));
    let mut browser = app.browser();
    browser.does("/login/alice").await;
    let cookie = format!("{COOKIE_NAME}={}", browser.token());
    for (site, status) in [
        ("cross-site", StatusCode::FORBIDDEN),
        ("same-origin", StatusCode::OK),
    ] {
        let headers: [(&str, &[u8]); 3] = [
            ("cookie", cookie.as_bytes()),
            ("sec-fetch-site", site.as_bytes()),
            ("host", b"shop.example"),
        ];
        let reply = app.send("POST", "/logout", &headers).await;
        assert_eq!(reply.status, status, "{site}");
    }
}
