//! `RequireLogin`, `RequireFresh` and `Flashes`.

use axum::Router;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use tower::ServiceExt;
use tower_keycard::store::StoreCall;
use tower_keycard::store::testing::fault::{Fault, FaultStore};
use tower_keycard::{
    FlashLevel, Flashes, LoginRedirectLayer, MemoryStore, RequireFresh, RequireLogin, Session,
    SessionError, SessionLayer,
};

use super::site::{FIVE_MINUTES, Site};

async fn account(RequireLogin { user, session, .. }: RequireLogin) -> String {
    assert_eq!(session.user().as_ref(), Some(&user));
    user
}

async fn email(fresh: RequireFresh<300>) -> String {
    assert!(fresh.session.exists());
    fresh.user
}

async fn save(session: Session) -> Result<Redirect, SessionError> {
    session.flash(FlashLevel::Success, "saved")?;
    Ok(Redirect::to("/messages"))
}

async fn messages(flashes: Flashes) -> String {
    let inner = format!("{flashes:?}");
    assert_eq!(inner.contains("saved"), !flashes.is_empty());
    let lines = flashes
        .into_iter()
        .map(|flash| format!("{}: {}", flash.level, flash.content));
    lines.collect::<Vec<_>>().join("\n")
}

fn routes() -> Router {
    Router::new()
        .route("/account", get(account))
        .route("/email", get(email))
        .route("/save", post(save))
        .route("/messages", get(messages))
}

#[tokio::test]
async fn a_handler_that_takes_a_login_gets_the_user_or_is_not_called() {
    let mut site = Site::new(routes(), |routes| routes);
    let answer = site.get("/account").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.body, r#"{"error":"login_required"}"#);
    assert_eq!(answer.header(header::CACHE_CONTROL), Some("no-store"));
    assert_eq!(answer.header(header::VARY), Some("Cookie"));
    site.log_in().await;
    assert_eq!(site.get("/account").await.body, "alice");
}

#[tokio::test]
async fn a_handler_that_takes_a_fresh_login_gets_the_user_or_is_not_called() {
    let mut site = Site::new(routes(), |routes| routes);
    assert_eq!(site.get("/email").await.status, StatusCode::UNAUTHORIZED);
    site.log_in().await;
    assert_eq!(site.get("/email").await.body, "alice");
    site.clock.advance(FIVE_MINUTES);
    let answer = site.get("/email").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.body, r#"{"error":"reauthentication_required"}"#);
}

#[tokio::test]
async fn with_the_layer_around_them_they_redirect() {
    let pages = LoginRedirectLayer::new("/login").unwrap();
    let pages = pages.reauthenticate_at("/confirm").unwrap();
    let mut site = Site::new(routes(), |routes| routes.layer(pages));
    assert_eq!(
        site.get("/account").await.location(),
        Some("/login?next=/account")
    );
    assert_eq!(
        site.get("/email").await.location(),
        Some("/login?next=/email")
    );
    site.log_in().await;
    site.clock.advance(FIVE_MINUTES);
    assert_eq!(site.get("/account").await.body, "alice");
    assert_eq!(
        site.get("/email").await.location(),
        Some("/confirm?next=/email")
    );
}

#[tokio::test]
async fn the_page_after_a_redirect_shows_the_messages_once() {
    let mut site = Site::new(routes(), |routes| routes);
    assert_eq!(site.get("/messages").await.header(header::SET_COOKIE), None);
    assert_eq!(site.post("/save").await.location(), Some("/messages"));
    assert_eq!(site.get("/messages").await.body, "success: saved");
    assert_eq!(site.get("/messages").await.body, "");
}

#[tokio::test]
async fn nothing_fails_open() {
    let store = FaultStore::new(MemoryStore::new());
    store.faults().always(StoreCall::Load, Fault::Unavailable);
    let sessions = SessionLayer::new(store);
    let optional = get(async |_: Option<RequireLogin>| "fails open");
    let routes = || routes().route("/optional", optional.clone());
    for path in ["/account", "/email", "/messages", "/optional"] {
        let request = || {
            let cookie = format!("__Host-id={}", "A".repeat(44));
            let request = Request::get(path).header(header::COOKIE, cookie);
            request.body(Body::empty()).unwrap()
        };
        let response = routes().oneshot(request()).await.unwrap();
        assert_eq!(
            response.status(),
            StatusCode::INTERNAL_SERVER_ERROR,
            "no session layer"
        );
        let down = routes()
            .layer(sessions.clone())
            .oneshot(request())
            .await
            .unwrap();
        assert_eq!(down.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}

/// What an application takes out of a request, with an error of its own.
struct Own {
    user: Option<String>,
    fresh: bool,
    flashes: usize,
}

#[derive(Debug)]
struct OwnError(SessionError);

impl From<SessionError> for OwnError {
    fn from(error: SessionError) -> Self {
        Self(error)
    }
}

impl IntoResponse for OwnError {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Own {
    type Rejection = OwnError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, OwnError> {
        let session = Session::from_request_parts(parts, state).await?;
        assert!(parts.extensions.get::<Session>().is_none());
        let login = RequireLogin::from_request_parts(parts, state).await;
        let fresh = RequireFresh::<300>::from_request_parts(parts, state).await;
        let flashes: Flashes = Flashes::from_request_parts(parts, state).await?;
        let again = Session::load(&parts.extensions).await?;
        assert_eq!(again.user(), session.user());
        Ok(Self {
            user: login.ok().map(|login| login.user),
            fresh: fresh.is_ok(),
            flashes: flashes.len(),
        })
    }
}

#[tokio::test]
async fn an_extractor_of_the_applications_own_takes_any_of_them() {
    async fn own(own: Own) -> String {
        format!("{:?} {} {}", own.user, own.fresh, own.flashes)
    }
    let mut site = Site::new(routes().route("/own", get(own)), |routes| routes);
    assert_eq!(site.get("/own").await.body, "None false 0");
    site.post("/save").await;
    site.log_in().await;
    assert_eq!(site.get("/own").await.body, "Some(\"alice\") true 1");
    site.clock.advance(FIVE_MINUTES);
    assert_eq!(site.get("/own").await.body, "Some(\"alice\") false 0");
    // Without a layer, the error of the session is that of the extractor.
    let request = Request::get("/").body(Body::empty()).unwrap();
    let answer = Router::new().route("/", get(own)).oneshot(request).await;
    assert_eq!(answer.unwrap().status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_login_that_is_optional_is_none_if_nobody_is_logged_in() {
    async fn greet(login: Option<RequireLogin>) -> String {
        login.map_or("nobody".to_owned(), |login| login.user)
    }
    let mut site = Site::new(Router::new().route("/greet", get(greet)), |routes| routes);
    assert_eq!(site.get("/greet").await.body, "nobody");
    site.log_in().await;
    assert_eq!(site.get("/greet").await.body, "alice");
}

#[tokio::test]
async fn a_form_without_its_token_is_403() {
    async fn transfer(session: Session, token: String) -> Result<(), SessionError> {
        session.verify_csrf(&token)
    }
    let routes = Router::new().route("/transfer", post(transfer));
    let mut site = Site::new(routes, |routes| routes);
    let answer = site.post("/transfer").await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::FORBIDDEN, ""));
}
