//! An application with a login, and browsers that use it.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::header::COOKIE;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_keycard::middleware::SessionLayerBuilder;
use tower_keycard::store::testing::fault::{FaultStore, Faults};
use tower_keycard::store::{AnyStore, RedisStore};
use tower_keycard::{
    Login, MemoryStore, Session, SessionConfig, SessionError, SessionId, SessionLayer,
};

use crate::support::cookie;
pub(crate) use crate::support::cookie::NAME as COOKIE_NAME;
use crate::support::redis_server::RedisServer;
use crate::support::reply::Reply;

/// Runs a test on a store in memory, and on a real Redis of its own.
pub(crate) async fn on_every_store(test: impl AsyncFn(AnyStore)) {
    test(AnyStore::new(MemoryStore::new())).await;
    let server = RedisServer::start();
    test(redis(&server).await).await;
}

pub(crate) async fn redis(server: &RedisServer) -> AnyStore {
    AnyStore::new(RedisStore::connect(server.patiently()).await.unwrap())
}

/// The application; clones share its store.
#[derive(Clone)]
pub(crate) struct App {
    router: Router,
    pub(crate) faults: Faults,
}

impl App {
    pub(crate) fn new(store: AnyStore) -> Self {
        Self::with(store, |layer| layer)
    }

    pub(crate) fn in_memory() -> Self {
        Self::new(AnyStore::new(MemoryStore::new()))
    }

    pub(crate) fn configured(store: AnyStore, config: SessionConfig) -> Self {
        Self::with(store, |layer| layer.config(config))
    }

    pub(crate) fn with(
        store: AnyStore,
        configure: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder,
    ) -> Self {
        crate::support::log::listen();
        let store = FaultStore::new(store);
        let faults = store.faults();
        let layer = configure(SessionLayer::builder(store)).build().unwrap();
        let router = routes().layer(layer);
        Self { router, faults }
    }

    /// With something around the session layer.
    pub(crate) fn around(self, wrap: impl FnOnce(Router) -> Router) -> Self {
        Self {
            router: wrap(self.router),
            faults: self.faults,
        }
    }

    /// Sends a request with these headers.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &[u8])]) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        Reply::of(self.router.clone().oneshot(request).await.unwrap()).await
    }

    pub(crate) fn browser(&self) -> Browser {
        self.with_token(None)
    }

    /// A browser that holds this token, wherever it got it.
    pub(crate) fn with_token(&self, token: impl Into<Option<String>>) -> Browser {
        Browser {
            app: self.clone(),
            token: token.into(),
        }
    }
}

fn routes() -> Router {
    Router::new()
        .route("/untouched", get(async || "ok"))
        .route("/read", get(read))
        .route("/write/{value}", post(write))
        .route("/add", post(add))
        .route("/visit", get(add))
        .route("/login/{user}", post(login))
        .route(
            "/stamp/{user}/{stamp}",
            post(
                async |session: Session, Path((user, stamp)): Path<(String, String)>| {
                    session.login(Login::new(user).stamp(stamp))
                },
            ),
        )
        .route(
            "/check/{stamp}",
            post(async |session: Session, Path(stamp): Path<String>| session.check_stamp(stamp)),
        )
        .route(
            "/change/{stamp}",
            post(async |session: Session, Path(stamp): Path<String>| {
                session.credential_changed(stamp).await.map(drop)
            }),
        )
        .route(
            "/reauthenticate",
            post(async |session: Session| session.reauthenticate()),
        )
        .route(
            "/sensitive",
            post(async |session: Session| session.require_fresh(Duration::from_secs(300))),
        )
        .route("/sessions", get(sessions))
        .route("/end/{id}", post(end))
        .route(
            "/end-others",
            post(async |session: Session| {
                session
                    .end_other_sessions()
                    .await
                    .map(|ended| ended.to_string())
            }),
        )
        .route(
            "/logout-everywhere",
            post(async |session: Session| {
                session
                    .logout_everywhere()
                    .await
                    .map(|ended| ended.to_string())
            }),
        )
        .route(
            "/rotate",
            post(async |session: Session| session.rotate_token()),
        )
        .route("/logout", post(async |session: Session| session.logout()))
        .route("/fail", post(fail))
        .route("/save-and-read", post(save_and_read))
        .route("/logout-and-fail", post(logout_and_fail))
        .route("/logout-and-panic", post(logout_and_panic))
        .route(
            "/headers",
            get(async |headers: HeaderMap| format!("{headers:?}")),
        )
}

async fn read(session: Session) -> Result<String, SessionError> {
    let cart: Option<String> = session.get("cart")?;
    let authenticated = session.authenticated_at().map(|at| {
        let since = at.duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::try_from(since.as_millis()).unwrap()
    });
    let answer = json!({
        "exists": session.exists(),
        "id": session.id().map(|id| id.to_string()),
        "user": session.user(),
        "cart": cart,
        "authenticated": authenticated,
    });
    Ok(answer.to_string())
}

async fn sessions(session: Session) -> Result<String, SessionError> {
    let sessions = session.sessions().await?;
    let ids: Vec<_> = sessions
        .iter()
        .map(|session| session.id.to_string())
        .collect();
    Ok(json!(ids).to_string())
}

async fn end(session: Session, Path(id): Path<SessionId>) -> Result<String, SessionError> {
    let theirs = session.end_session(id).await?;
    Ok(json!(theirs).to_string())
}

async fn write(session: Session, Path(value): Path<String>) -> Result<(), SessionError> {
    session.insert("cart", value)
}

async fn add(session: Session) -> Result<(), SessionError> {
    session.update("sum", |sum: Option<u32>| sum.unwrap_or(0) + 1)?;
    Ok(())
}

async fn login(session: Session, Path(user): Path<String>) -> Result<(), SessionError> {
    session.login(user)
}

async fn fail(session: Session) -> Result<StatusCode, SessionError> {
    session.insert("cart", "of a failed request")?;
    session.rotate_token()?;
    Ok(StatusCode::INTERNAL_SERVER_ERROR)
}

async fn save_and_read(session: Session) -> Result<String, SessionError> {
    session.insert("cart", "saved")?;
    session.save().await?;
    read(session).await
}

async fn logout_and_fail(session: Session) -> Result<StatusCode, SessionError> {
    session.logout()?;
    Ok(StatusCode::INTERNAL_SERVER_ERROR)
}

async fn logout_and_panic(session: Session) -> StatusCode {
    session.logout().unwrap();
    panic!("as handlers do");
}

/// A browser with one cookie.
#[derive(Clone)]
pub(crate) struct Browser {
    app: App,
    pub(crate) token: Option<String>,
}

impl Browser {
    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.send("GET", path).await
    }

    pub(crate) async fn post(&mut self, path: &str) -> Reply {
        self.send("POST", path).await
    }

    /// A post that must succeed.
    pub(crate) async fn does(&mut self, path: &str) -> Reply {
        let reply = self.post(path).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {reply:?}");
        reply
    }

    /// What the session says of itself.
    pub(crate) async fn session(&mut self) -> Value {
        let reply = self.get("/read").await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        reply.json()
    }

    /// The token, which there must be.
    pub(crate) fn token(&self) -> String {
        self.token.clone().expect("a token")
    }

    async fn send(&mut self, method: &str, path: &str) -> Reply {
        let cookie = self.token.as_deref().map(cookie::header);
        let headers: Vec<(&str, &[u8])> = cookie
            .iter()
            .map(|cookie| (COOKIE.as_str(), cookie.as_bytes()))
            .collect();
        let reply = self.app.send(method, path, &headers).await;
        if reply.set_cookie().is_some() {
            self.token = reply.token();
        }
        reply
    }
}
