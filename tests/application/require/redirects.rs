//! `LoginRedirectLayer`.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, Request, StatusCode, header};
use axum::routing::{any, get};
use tower::ServiceExt;
use tower_keycard::{
    LoginRedirectLayer, MemoryStore, RequireFreshLayer, RequireLoginLayer, Session, SessionError,
    SessionLayer,
};

use super::site::{FIVE_MINUTES, Site};
use crate::support::reply::Reply;

const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");

async fn page() -> &'static str {
    "within"
}

async fn handler(session: Session) -> Result<String, SessionError> {
    session.require_user()
}

async fn sensitive(session: Session) -> Result<(), SessionError> {
    session.require_fresh(FIVE_MINUTES)
}

fn site() -> Site {
    let inner = Router::new()
        .route("/account", any(page))
        .route("/{*rest}", get(page))
        .route_layer(RequireLoginLayer::new());
    let fresh = Router::new()
        .route("/email", any(page))
        .route_layer(RequireFreshLayer::new(FIVE_MINUTES));
    let routes = Router::new()
        .nest("/in", inner)
        .merge(fresh)
        .route("/handler", any(handler))
        .route("/sensitive", any(sensitive))
        .route("/login", get(handler))
        .route("/own", get(async || (StatusCode::UNAUTHORIZED, "own")));
    let pages = LoginRedirectLayer::new("/login?lang=en").unwrap();
    let pages = pages.reauthenticate_at("/confirm").unwrap();
    Site::new(routes, |routes| routes.layer(pages))
}

#[tokio::test]
async fn an_anonymous_user_is_sent_to_log_in_with_the_way_back() {
    let mut site = site();
    for (asked, next) in [
        ("/handler", "/handler"),
        ("/in/account", "/in/account"),
        ("/in/account?a=b&c=%20", "/in/account%3Fa%3Db%26c%3D%2520"),
        ("/in/@alice", "/in/%40alice"),
    ] {
        let answer = site.get(asked).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        let target = format!("/login?lang=en&next={next}");
        assert_eq!(answer.location(), Some(&*target));
        assert_eq!(answer.header(header::CACHE_CONTROL), Some("no-store"));
        assert_eq!(answer.header(header::VARY), Some("Cookie"));
        assert_eq!(answer.header(header::CONTENT_TYPE), None);
        assert_eq!(answer.body, "");
    }
    let answer = site.send(Request::head("/handler")).await;
    assert_eq!(answer.location(), Some("/login?lang=en&next=/handler"));
}

#[tokio::test]
async fn what_no_link_can_repeat_has_no_way_back() {
    let mut site = site();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let request = Request::builder().method(method).uri("/in/account");
        let answer = site.send(request).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert_eq!(answer.location(), Some("/login?lang=en"), "{method}");
    }
}

#[tokio::test]
async fn a_path_that_leads_elsewhere_is_no_way_back() {
    let mut site = site();
    for hostile in [
        "/in//evil.example",
        "/in/%2fevil.example",
        "/in/x%5cy",
        "/in/%0d%0aX:1",
    ] {
        let answer = site.get(hostile).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{hostile}");
        assert_eq!(answer.location(), Some("/login?lang=en"), "{hostile}");
    }
}

#[tokio::test]
async fn a_user_who_is_to_reauthenticate_is_sent_to_the_page_for_that() {
    let mut site = site();
    let answer = site.get("/email").await;
    assert_eq!(
        answer.location(),
        Some("/login?lang=en&next=/email"),
        "to log in first"
    );
    site.log_in().await;
    assert_eq!(site.get("/email").await.status, StatusCode::OK);
    site.clock.advance(FIVE_MINUTES);
    for path in ["/email", "/sensitive"] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        let target = format!("/confirm?next={path}");
        assert_eq!(answer.location(), Some(&*target));
        assert_eq!(site.post(path).await.location(), Some("/confirm"));
    }
}

#[tokio::test]
async fn without_a_page_for_that_the_answer_stays() {
    let routes = Router::new().route("/sensitive", get(sensitive));
    let pages = LoginRedirectLayer::new("/login").unwrap();
    let mut site = Site::new(routes, |routes| routes.layer(pages));
    site.log_in().await;
    site.clock.advance(FIVE_MINUTES);
    let answer = site.get("/sensitive").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.body, r#"{"error":"reauthentication_required"}"#);
}

#[tokio::test]
async fn a_script_gets_the_status_and_is_not_redirected() {
    let mut site = site();
    for mode in ["cors", "same-origin", "no-cors", "websocket"] {
        let request = Request::get("/handler").header("sec-fetch-mode", mode);
        let answer = site.send(request).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{mode}");
        assert_eq!(answer.body, r#"{"error":"login_required"}"#);
    }
    let request = Request::get("/handler").header("sec-fetch-mode", "navigate");
    assert_eq!(site.send(request).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn within_a_nested_router_the_way_back_has_its_prefix() {
    let pages = LoginRedirectLayer::new("/login").unwrap();
    let inner = Router::new().route("/handler", get(handler)).layer(pages);
    let nested = || Router::new().nest("/shop", Router::new().nest("/in", inner.clone()));
    let sessions = SessionLayer::new(MemoryStore::new());
    // The session layer is outside of the nest, or inside of it.
    let outside = nested().layer(sessions.clone());
    let inside = Router::new().nest("/shop", Router::new().nest("/in", inner.layer(sessions)));
    for site in [outside, inside] {
        let request = Request::get("/shop/in/handler?a=b").body(Body::empty());
        let answer = Reply::of(site.oneshot(request.unwrap()).await.unwrap()).await;
        assert_eq!(
            answer.location(),
            Some("/login?next=/shop/in/handler%3Fa%3Db")
        );
    }
}

#[tokio::test]
async fn a_client_that_wants_no_page_gets_the_status() {
    let mut site = site();
    for (accept, redirected) in [
        ("application/json", false),
        ("application/json, text/plain, */*", false),
        ("image/avif,image/webp,*/*;q=0.8", false),
        ("text/event-stream", false),
        ("*/*", true),
        ("text/*;q=0.5, */*", true),
        ("text/html", true),
        ("application/json, TEXT/HTML;q=0.1", true),
        ("application/xhtml+xml", true),
        (
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            true,
        ),
    ] {
        let answer = site
            .send(Request::get("/handler").header("accept", accept))
            .await;
        let status = match redirected {
            true => StatusCode::SEE_OTHER,
            false => StatusCode::UNAUTHORIZED,
        };
        assert_eq!(answer.status, status, "{accept}");
    }
    // What the browser says of the navigation counts for more.
    let request = Request::get("/handler").header("accept", "application/json");
    let request = request.header("sec-fetch-mode", "navigate");
    assert_eq!(site.send(request).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn htmx_gets_the_status_and_the_page_to_open() {
    let mut site = site();
    let hx = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("hx-request", "true");
        let request = request.header("sec-fetch-mode", "cors");
        let mut request = request.header("accept", "*/*");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request
    };
    let on = |url: &'static str| [("hx-current-url", url)];
    let boosted = [
        ("hx-current-url", "https://shop.example/"),
        ("hx-boosted", "true"),
    ];
    for (request, target) in [
        (
            hx(
                "GET",
                "/handler",
                &on("https://shop.example/list?page=2#top"),
            ),
            "/login?lang=en&next=/list%3Fpage%3D2",
        ),
        (
            hx("DELETE", "/in/account", &on("https://shop.example/list")),
            "/login?lang=en&next=/list",
        ),
        (
            hx("GET", "/in/account?a=b", &boosted),
            "/login?lang=en&next=/in/account%3Fa%3Db",
        ),
        (hx("POST", "/in/account", &boosted), "/login?lang=en&next=/"),
        (
            hx("GET", "/handler", &on("https://shop.example//evil.example")),
            "/login?lang=en",
        ),
        (hx("GET", "/handler", &on("about:blank")), "/login?lang=en"),
        (hx("GET", "/handler", &[]), "/login?lang=en"),
    ] {
        let answer = site.send(request).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.body, r#"{"error":"login_required"}"#);
        assert_eq!(answer.location(), None);
        assert_eq!(answer.header(HX_REDIRECT), Some(target));
    }
    site.log_in().await;
    site.clock.advance(FIVE_MINUTES);
    let answer = site
        .send(hx("GET", "/email", &on("https://shop.example/list")))
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.header(HX_REDIRECT), Some("/confirm?next=/list"));
    // Only htmx says `true`.
    let request = Request::get("/handler").header("hx-request", "false");
    assert_eq!(site.send(request).await.header(HX_REDIRECT), None);
}

#[tokio::test]
async fn a_login_page_that_asks_for_itself_sends_nobody_in_circles() {
    let mut site = site();
    assert_eq!(
        site.get("/login?x=y").await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn an_answer_of_the_applications_own_is_left_alone() {
    let answer = site().get("/own").await;
    assert_eq!(
        (answer.status, &*answer.body),
        (StatusCode::UNAUTHORIZED, "own")
    );
}

#[tokio::test]
async fn a_page_elsewhere_is_refused_when_the_layer_is_built() {
    for elsewhere in [
        "login",
        "https://evil.example/",
        "//evil.example",
        "",
        "/a b",
    ] {
        let error = LoginRedirectLayer::new(elsewhere).unwrap_err();
        assert_eq!(error.option(), "login_page");
        assert!(
            error.to_string().contains("is not a path of this site"),
            "{error}"
        );
        let layer = LoginRedirectLayer::new("/login").unwrap();
        let error = layer.reauthenticate_at(elsewhere).unwrap_err();
        assert_eq!(error.option(), "reauthentication_page");
    }
}
