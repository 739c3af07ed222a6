//! An application with a session, whose handlers do one thing each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Method, Request, header};
use axum::routing::any;
use tokio::sync::Semaphore;
use tower::ServiceExt;
use tower_keycard::{Session, SessionError, SessionLayer};

use super::cookie::{self, Cookie};
use super::reply::Reply;

/// An application that needs no socket.
#[derive(Clone)]
pub(crate) struct App {
    router: Router,
    pub(crate) gate: Gate,
}

/// What a client gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) cookie: Cookie,
    /// The user of the session that the handler saw, if it ran and asked.
    pub(crate) body: String,
}

impl Answer {
    /// The token that came with it; panics if none did.
    pub(crate) fn token(&self) -> &str {
        match &self.cookie {
            Cookie::Set(token) => token,
            _ => panic!("no token: {self:?}"),
        }
    }
}

impl App {
    pub(crate) fn new(layer: SessionLayer) -> Self {
        let gate = Gate::default();
        let router = Router::new()
            .route("/untouched", any(untouched))
            .route("/read", any(read))
            .route("/count", any(count))
            .route("/write", any(write))
            .route("/rotate", any(rotate))
            .route("/login/{user}", any(login))
            .route("/logout", any(logout))
            .route("/logout_everywhere", any(logout_everywhere))
            .layer(layer)
            .with_state(gate.clone());
        Self { router, gate }
    }

    /// A GET with this token, or without any. What it writes for an interrupted session is dropped without a word.
    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        self.send(Method::GET, path, token).await
    }

    /// A POST with this token, or without any.
    pub(crate) async fn post(&self, path: &str, token: Option<&str>) -> Answer {
        self.send(Method::POST, path, token).await
    }

    async fn send(&self, method: Method, path: &str, token: Option<&str>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header(header::COOKIE, cookie::header(token));
        }
        let request = request.body(Body::empty()).unwrap();
        let reply = Reply::of(self.router.clone().oneshot(request).await.unwrap()).await;
        let status = reply.status.as_u16();
        let again = reply.header(header::RETRY_AFTER);
        assert_eq!(again, (status == 503).then_some("1"));
        Answer {
            status,
            cookie: Cookie::of(&reply.headers),
            body: reply.body,
        }
    }

    /// The token of a user who has just logged in.
    pub(crate) async fn logged_in(&self, user: &str) -> String {
        let answer = self.get(&format!("/login/{user}"), None).await;
        answer.token().to_owned()
    }
}

/// Where handlers wait before they answer, while it is closed.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<Inner>);

struct Inner {
    closed: AtomicBool,
    waiting: Semaphore,
    let_through: Semaphore,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            closed: AtomicBool::new(false),
            waiting: Semaphore::new(0),
            let_through: Semaphore::new(0),
        }
    }
}

impl Gate {
    pub(crate) fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
    }

    /// Returns when this many handlers wait.
    pub(crate) async fn gathered(&self, handlers: u32) {
        let waiting = self.0.waiting.acquire_many(handlers).await;
        waiting.unwrap().forget();
    }

    /// Opens it, for those who wait as well.
    pub(crate) fn open(&self, waiting: u32) {
        self.0.closed.store(false, Ordering::SeqCst);
        self.0.let_through.add_permits(waiting as usize);
    }

    async fn pass(&self) {
        if self.0.closed.load(Ordering::SeqCst) {
            self.0.waiting.add_permits(1);
            self.0.let_through.acquire().await.unwrap().forget();
        }
    }
}

/// The user of the session, as the handler saw it before it did anything.
fn owner(session: &Session) -> String {
    session.user().unwrap_or_else(|| "nobody".to_owned())
}

async fn untouched(State(gate): State<Gate>) -> &'static str {
    gate.pass().await;
    "untouched"
}

async fn read(State(gate): State<Gate>, session: Session) -> Result<String, SessionError> {
    gate.pass().await;
    Ok(owner(&session))
}

/// How often it was written.
async fn count(session: Session) -> Result<String, SessionError> {
    Ok(session.get::<u32>("count")?.unwrap_or(0).to_string())
}

async fn write(State(gate): State<Gate>, session: Session) -> Result<String, SessionError> {
    gate.pass().await;
    session.update("count", |count: Option<u32>| count.unwrap_or(0) + 1)?;
    Ok(owner(&session))
}

async fn rotate(State(gate): State<Gate>, session: Session) -> Result<String, SessionError> {
    gate.pass().await;
    session.rotate_token()?;
    Ok(owner(&session))
}

async fn login(
    State(gate): State<Gate>,
    Path(user): Path<String>,
    session: Session,
) -> Result<String, SessionError> {
    gate.pass().await;
    session.login(user)?;
    Ok(owner(&session))
}

async fn logout(State(gate): State<Gate>, session: Session) -> Result<String, SessionError> {
    gate.pass().await;
    let owner = owner(&session);
    session.logout()?;
    Ok(owner)
}

async fn logout_everywhere(session: Session) -> Result<String, SessionError> {
    let owner = owner(&session);
    session.logout_everywhere().await?;
    Ok(owner)
}
