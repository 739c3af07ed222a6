//! An application without sessions, and one with a minimal layer.

use std::sync::Arc;

use axum::Router;
use axum::extract::Extension;
use axum::http::HeaderName;
use axum::http::header::SET_COOKIE;
use axum::routing::get;

use crate::visitor::App;

/// A cookie as long as those of the other subjects.
const SESSION_COOKIE: &str = "__Host-id=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

async fn seed() -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(SET_COOKIE, SESSION_COOKIE)], "ok")
}

async fn work() -> &'static str {
    "ok"
}

fn router() -> Router {
    Router::new()
        .route("/seed", get(seed))
        .route("/work", get(work))
}

pub(super) fn axum() -> App {
    App::Axum(router().with_state(()))
}

pub(super) fn with_extension() -> App {
    let layer = Extension(Arc::new(1_u64));
    App::Axum(router().layer(layer).with_state(()))
}
