//! `RequireLoginLayer` and `RequireFreshLayer`.

use std::convert::Infallible;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_keycard::middleware::Required;
use tower_keycard::store::StoreCall;
use tower_keycard::store::testing::fault::{Fault, FaultStore};
use tower_keycard::{MemoryStore, RequireFreshLayer, RequireLoginLayer, SessionLayer};

use super::site::{FIVE_MINUTES, Site};
use crate::Admin;

async fn page() -> &'static str {
    "within"
}

#[tokio::test]
async fn a_user_who_is_not_logged_in_gets_401_and_why() {
    let routes = Router::new()
        .route("/", get(page))
        .route_layer(RequireLoginLayer::new());
    let mut site = Site::new(routes, |routes| routes);
    let answer = site.get("/").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.body, r#"{"error":"login_required"}"#);
    assert_eq!(
        answer.header(header::CONTENT_TYPE),
        Some("application/json")
    );
    assert_eq!(answer.header(header::CACHE_CONTROL), Some("no-store"));
    assert_eq!(answer.header(header::VARY), Some("Cookie"));
    assert_eq!(answer.header(header::SET_COOKIE), None);

    site.log_in().await;
    assert_eq!(site.get("/").await.body, "within");
}

#[tokio::test]
async fn a_user_who_authenticated_too_long_ago_gets_403_and_why() {
    let fresh = RequireFreshLayer::new(FIVE_MINUTES);
    let routes = Router::new().route("/", get(page)).route_layer(fresh);
    let mut site = Site::new(routes, |routes| routes);
    assert_eq!(site.get("/").await.status, StatusCode::UNAUTHORIZED);
    site.log_in().await;
    assert_eq!(site.get("/").await.body, "within");

    site.clock.advance(FIVE_MINUTES);
    let answer = site.get("/").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.body, r#"{"error":"reauthentication_required"}"#);
    assert_eq!(answer.header(header::CACHE_CONTROL), Some("no-store"));
    assert_eq!(answer.header(header::VARY), Some("Cookie"));

    site.post("/reauthenticate").await;
    assert_eq!(site.get("/").await.body, "within");
}

/// A service of no framework, inside of a layer.
async fn plain<L, S>(layer: L) -> Response<String>
where
    L: Layer<RequireInner, Service = S>,
    S: tower::Service<Request<String>, Response = Response<String>, Error = Infallible>,
{
    layer
        .layer(inner())
        .oneshot(Request::new(String::new()))
        .await
        .unwrap()
}

type RequireInner = tower_keycard::middleware::RequireService<Inner, tower_keycard::session::Main>;
type Inner = tower::util::BoxCloneService<Request<String>, Response<String>, Infallible>;

fn inner() -> RequireInner {
    let within = service_fn(async |_: Request<String>| Ok(Response::new("within".to_owned())));
    RequireLoginLayer::new().layer(Inner::new(within))
}

#[tokio::test]
async fn it_stands_around_any_service_and_nothing_fails_open() {
    let sessions = SessionLayer::new(MemoryStore::new());
    let response = plain(sessions).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.extensions().get(), Some(&Required::Login));

    let response = plain(tower::layer::util::Identity::new()).await;
    assert_eq!(
        response.status(),
        StatusCode::INTERNAL_SERVER_ERROR,
        "no session layer"
    );
    assert_eq!(response.body(), "");
}

#[tokio::test]
async fn a_store_that_fails_is_503() {
    let store = FaultStore::new(MemoryStore::new());
    store.faults().always(StoreCall::Load, Fault::Unavailable);
    let mut request = Request::new(String::new());
    let cookie = format!("__Host-id={}", "A".repeat(44));
    request
        .headers_mut()
        .insert(header::COOKIE, cookie.parse().unwrap());
    let response = SessionLayer::new(store)
        .layer(inner())
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    assert_eq!(response.body(), "");
}

#[tokio::test]
async fn a_marked_layers_login_is_not_that_of_another() {
    let admin = SessionLayer::builder(MemoryStore::new()).marked::<Admin>("admin");
    let admin = admin.build().unwrap();
    let routes = Router::new()
        .route("/admin", get(page))
        .route_layer(RequireLoginLayer::<Admin>::marked())
        .route_layer(RequireFreshLayer::<Admin>::marked(FIVE_MINUTES))
        .route("/shop", get(page).layer(RequireLoginLayer::new()))
        .layer(admin);
    let mut site = Site::new(routes, |routes| routes);
    site.log_in().await;
    assert_eq!(site.get("/shop").await.status, StatusCode::OK);
    assert_eq!(site.get("/admin").await.status, StatusCode::UNAUTHORIZED);
}
