//! An application, and a client that keeps one cookie.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{Request, StatusCode, header};
use axum::routing::post;
use tower::ServiceExt;
use tower_keycard::session::Timestamp;
use tower_keycard::{Clock, MemoryStore, Session, SessionError, SessionLayer};

use crate::support::cookie;
use crate::support::reply::Reply;

pub(crate) const FIVE_MINUTES: Duration = Duration::from_secs(300);

/// These routes, and two to log in and to authenticate again, inside of sessions whose clock stands still.
pub(crate) struct Site {
    router: Router,
    pub(crate) clock: Clock,
    cookie: Option<String>,
}

impl Site {
    /// The layers around the routes are those that `around` puts there, inside of the sessions.
    pub(crate) fn new(routes: Router, around: impl FnOnce(Router) -> Router) -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_000));
        let store = MemoryStore::builder().clock(clock.clone()).build();
        let sessions = SessionLayer::builder(store)
            .clock(clock.clone())
            .build()
            .unwrap();
        let open = Router::new()
            .route("/login/{user}", post(login))
            .route("/reauthenticate", post(reauthenticate));
        Self {
            router: around(routes.merge(open)).layer(sessions),
            clock,
            cookie: None,
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.send(Request::get(path)).await
    }

    pub(crate) async fn post(&mut self, path: &str) -> Reply {
        self.send(Request::post(path)).await
    }

    pub(crate) async fn send(&mut self, mut request: http::request::Builder) -> Reply {
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let request = request.body(Body::empty()).unwrap();
        let reply = Reply::of(self.router.clone().oneshot(request).await.unwrap()).await;
        cookie::keep(&mut self.cookie, &reply.headers);
        reply
    }

    pub(crate) async fn log_in(&mut self) {
        assert_eq!(self.post("/login/alice").await.status, StatusCode::OK);
    }
}

async fn login(session: Session, Path(user): Path<String>) -> Result<(), SessionError> {
    session.login(user)
}

async fn reauthenticate(session: Session) -> Result<(), SessionError> {
    session.reauthenticate()
}
