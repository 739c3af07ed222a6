//! R4 and R23: what handlers do with the handle, and what is left of it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use futures_poll::once;
use tower::{Layer, Service, ServiceExt};
use tower_keycard::store::AnyStore;
use tower_keycard::{MemoryStore, Session, SessionLayer};

use crate::app::{App, COOKIE_NAME};

mod futures_poll {
    use std::pin::Pin;
    use std::task::Poll;

    /// Polls once.
    pub(super) async fn once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
        std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context))).await
    }
}

/// A store with one session in it, and the request of its token.
async fn logged_in(store: &MemoryStore) -> Request<Body> {
    let app = App::new(AnyStore::new(store.clone()));
    let mut browser = app.browser();
    browser.does("/login/alice").await;
    let cookie = format!("{COOKIE_NAME}={}", browser.token());
    let request = Request::post("/").header("cookie", cookie);
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn r04_a_reload_takes_no_logout_back() {
    let store = MemoryStore::new();
    let request = logged_in(&store).await;
    let service = SessionLayer::new(store.clone()).layer(tower::service_fn(
        async |request: Request<Body>| {
            let session = Session::load(request.extensions()).await.unwrap();
            session.insert("dropped", 1).unwrap();
            session.logout().unwrap();
            session.reload().await.unwrap();
            assert_eq!((session.exists(), session.user()), (false, None));
            Ok::<_, Infallible>(Response::new(Body::empty()))
        },
    ));
    let response = service.oneshot(request).await.unwrap();
    let line = response.headers()["set-cookie"].to_str().unwrap();
    assert!(line.starts_with("__Host-id=;"), "{line}");
    assert!(store.is_empty());
}

#[tokio::test]
async fn r04_a_logout_whose_client_is_gone_is_waited_for_at_shutdown() {
    let store = MemoryStore::new();
    let request = logged_in(&store).await;
    let layer = SessionLayer::new(store.clone());
    let mut service = layer.layer(tower::service_fn(async |request: Request<Body>| {
        let session = Session::load(request.extensions()).await.unwrap();
        session.logout().unwrap();
        std::future::pending::<Result<Response<Body>, Infallible>>().await
    }));
    let mut future = Box::pin(service.call(request));
    assert!(once(&mut future).await.is_pending());
    drop(future);
    assert_eq!(store.len(), 1, "the runtime has not come to it yet");
    layer.drain().await;
    assert!(store.is_empty());
}

#[tokio::test]
async fn r23_nothing_is_left_of_a_request_whose_changes_hold_its_own_session() {
    let marker = Arc::new(());
    let status = |status: StatusCode, marker: &Arc<()>| {
        let marker = marker.clone();
        SessionLayer::new(MemoryStore::new()).layer(tower::service_fn(
            move |request: Request<Body>| {
                let marker = marker.clone();
                async move {
                    let session = Session::load(request.extensions()).await.unwrap();
                    let held = (session.clone(), marker);
                    let update = move |n: Option<u32>| {
                        let _held = &held;
                        n.unwrap_or(0) + 1
                    };
                    let _ = session.update("n", update);
                    if status == StatusCode::REQUEST_TIMEOUT {
                        std::future::pending::<()>().await;
                    }
                    let mut response = Response::new(Body::empty());
                    *response.status_mut() = status;
                    Ok::<_, Infallible>(response)
                }
            },
        ))
    };
    let conflicting = ["A", "B", "C", "D", "E"]
        .map(|letter| format!("{COOKIE_NAME}={}", letter.repeat(44)))
        .join("; ");
    for (answer, header) in [
        (StatusCode::OK, ("accept", "*/*")),
        (StatusCode::INTERNAL_SERVER_ERROR, ("accept", "*/*")),
        (StatusCode::OK, ("sec-fetch-site", "cross-site")),
        (StatusCode::OK, ("cookie", conflicting.as_str())),
        (StatusCode::REQUEST_TIMEOUT, ("accept", "*/*")),
    ] {
        let request = Request::post("/").header(header.0, header.1);
        let mut service = status(answer, &marker);
        let mut future = Box::pin(service.call(request.body(Body::empty()).unwrap()));
        let done = once(&mut future).await.is_ready();
        assert_eq!(done, answer != StatusCode::REQUEST_TIMEOUT);
        drop((future, service));
        assert_eq!(Arc::strong_count(&marker), 1, "{answer} {header:?}");
    }
}
