//! The layer in Tower stacks of other kinds than axum's.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::header::{CACHE_CONTROL, RETRY_AFTER, SET_COOKIE, VARY};
use http::{Request, Response, StatusCode};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_keycard::config::OnInterrupted;
use tower_keycard::middleware::Failure;
use tower_keycard::store::StoreCall;
use tower_keycard::store::testing::fault::{Fault, FaultStore};
use tower_keycard::{MemoryStore, Session, SessionConfig, SessionError, SessionLayer};

use crate::Admin;
use crate::support::client::{Body, Client};

/// Neither `Clone` nor `Send`, and called synchronously: it answers before its future is polled.
struct Synchronous {
    calls: std::rc::Rc<std::cell::Cell<u32>>,
}

impl Service<Request<Vec<u8>>> for Synchronous {
    type Response = Response<&'static str>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Vec<u8>>) -> Self::Future {
        assert!(Session::presented(request.extensions()).is_none());
        self.calls.set(self.calls.get() + 1);
        ready(Ok(Response::new("hello")))
    }
}

#[tokio::test]
async fn the_inner_service_is_called_synchronously_and_needs_no_clone() {
    let calls = std::rc::Rc::default();
    let inner = Synchronous {
        calls: std::rc::Rc::clone(&calls),
    };
    let mut service = SessionLayer::new(MemoryStore::new()).layer(inner);
    let response = service
        .ready()
        .await
        .unwrap()
        .call(Request::new(Vec::new()));
    assert_eq!(calls.get(), 1);
    assert_eq!(*response.await.unwrap().body(), "hello");
}

#[test]
fn an_untouched_request_needs_no_runtime_and_is_answered_at_once() {
    let service = service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(()))));
    let mut service = SessionLayer::new(MemoryStore::new()).layer(service);
    let mut response = std::pin::pin!(service.call(Request::new(())));
    let mut context = Context::from_waker(std::task::Waker::noop());
    let Poll::Ready(Ok(response)) = response.as_mut().poll(&mut context) else {
        panic!("one poll");
    };
    assert!(response.headers().is_empty());
}

#[tokio::test]
async fn an_error_of_the_inner_service_is_passed_on_and_stores_nothing() {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let service = ServiceBuilder::new()
        .layer(SessionLayer::new(store))
        .service_fn(async |request: Request<()>| {
            let session = Session::load(request.extensions()).await.unwrap();
            session.insert("n", 1).unwrap();
            Err::<Response<()>, _>("broken")
        });
    assert_eq!(
        service.oneshot(Request::new(())).await.unwrap_err(),
        "broken"
    );
    assert_eq!(faults.all_calls(), 0);
}

#[tokio::test]
async fn sessions_of_two_layers_are_distinguished_by_their_markers() {
    let store = MemoryStore::new();
    let admin = SessionLayer::builder(store.clone())
        .marked::<Admin>("admin")
        .build()
        .unwrap();
    let service = ServiceBuilder::new()
        .layer(SessionLayer::new(store))
        .layer(admin)
        .service_fn(async |request: Request<()>| {
            let shop = Session::load(request.extensions()).await.unwrap();
            let admin = Session::<Admin>::load_as(request.extensions())
                .await
                .unwrap();
            shop.insert("who", "shop").unwrap();
            admin.insert("who", "admin").unwrap();
            assert_eq!(shop.get::<String>("who").unwrap().unwrap(), "shop");
            Ok::<_, Infallible>(Response::new(()))
        });
    let response = service.oneshot(Request::new(())).await.unwrap();
    let mut names: Vec<_> = response
        .headers()
        .get_all(SET_COOKIE)
        .iter()
        .map(|cookie| cookie.to_str().unwrap().split('=').next().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["__Host-id", "__Host-id-admin"]);
    assert_eq!(response.headers().get_all(VARY).iter().count(), 1);
}

#[tokio::test]
async fn without_its_layer_a_session_is_refused_by_the_name_of_the_marker() {
    let request = Request::new(());
    let refused = Session::<Admin>::load_as(request.extensions())
        .await
        .unwrap_err();
    let SessionError::MissingLayer {
        marker: Some(marker),
    } = &refused
    else {
        panic!("{refused:?}")
    };
    assert!(marker.ends_with("Admin"), "{marker}");
    assert!(refused.to_string().contains(marker));
}

fn cookie_of(response: &Response<impl Sized>) -> String {
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

fn with_cookie(cookie: &str) -> Request<()> {
    Request::builder()
        .header("cookie", cookie)
        .body(())
        .unwrap()
}

/// A body that is not `Default`, as that of a tracing layer.
struct Text(String);

#[tokio::test]
async fn a_failure_response_of_ones_own_serves_bodies_that_are_not_default() {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let layer = SessionLayer::builder(store)
        .failure_response(|failure: Failure| {
            let mut response = Response::new(Text(format!("{failure:?}")));
            *response.status_mut() = failure.status();
            response
        })
        .build()
        .unwrap();
    let service = layer.layer(service_fn(async |request: Request<()>| {
        let session = Session::load(request.extensions()).await.unwrap();
        session
            .update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
            .unwrap();
        Ok::<_, Infallible>(Response::new(Text("fine".into())))
    }));
    let first = service.clone().oneshot(Request::new(())).await.unwrap();
    assert_eq!(first.body().0, "fine");
    faults.next(StoreCall::Replace, Fault::Unavailable);
    let failed = service
        .oneshot(with_cookie(&cookie_of(&first)))
        .await
        .unwrap();
    assert_eq!(failed.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(failed.body().0, "Unavailable");
    assert_eq!(failed.headers()[VARY], "Cookie");
    assert!(!failed.headers().contains_key(SET_COOKIE));
}

#[tokio::test]
async fn the_default_failure_response_is_a_status_and_nothing_else() {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let service = SessionLayer::new(store).layer(service_fn(async |request: Request<()>| {
        let session = Session::load(request.extensions()).await.unwrap();
        session.insert("n", 1).unwrap();
        Ok::<_, Infallible>(Response::new("an answer that is not to be seen"))
    }));
    faults.next(StoreCall::Create, Fault::Full);
    let failed = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(failed.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(failed.headers()[RETRY_AFTER], "1");
    assert_eq!(*failed.body(), "");
    assert!(!failed.headers().contains_key(CACHE_CONTROL));
}

#[tokio::test]
async fn an_interrupted_request_can_be_dropped_silently() {
    for (on_interrupted, status) in [
        (OnInterrupted::ConflictUnlessSafe, StatusCode::OK),
        (OnInterrupted::Conflict, StatusCode::CONFLICT),
        (OnInterrupted::DropSilently, StatusCode::OK),
    ] {
        let layer = SessionLayer::builder(MemoryStore::new())
            .config(SessionConfig::new().on_interrupted(on_interrupted))
            .build()
            .unwrap();
        let service = layer.layer(service_fn(async |request: Request<()>| {
            let session = Session::load(request.extensions()).await.unwrap();
            if request.headers().contains_key("logout") {
                session.logout().unwrap();
            } else {
                session
                    .update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
                    .unwrap();
            }
            Ok::<_, Infallible>(Response::new(()))
        }));
        let cookie = cookie_of(&service.clone().oneshot(Request::new(())).await.unwrap());
        let mut logout = with_cookie(&cookie);
        logout.headers_mut().insert("logout", "1".parse().unwrap());
        service.clone().oneshot(logout).await.unwrap();
        let late = service.oneshot(with_cookie(&cookie)).await.unwrap();
        assert_eq!(late.status(), status);
        assert!(!late.headers().contains_key(SET_COOKIE));
    }
}

#[tokio::test]
async fn under_save_every_request_one_that_asks_for_nothing_counts_as_activity_unless_it_fails() {
    for (every, status, touches) in [
        (true, StatusCode::OK, 1),
        (true, StatusCode::INTERNAL_SERVER_ERROR, 0),
        (false, StatusCode::OK, 0),
    ] {
        let store = FaultStore::new(MemoryStore::new());
        let faults = store.faults();
        let layer =
            SessionLayer::builder(store).config(SessionConfig::new().save_every_request(every));
        let client = Client::with(layer.build().unwrap());
        client.request(async |session| session.insert("n", 1)).await;
        let before = faults.all_calls();
        let untouched = service_fn(|_: Request<Body>| {
            let mut response = Response::new(Body::new());
            *response.status_mut() = status;
            ready(Ok::<_, Infallible>(response))
        });
        let response = client
            .layer
            .layer(untouched)
            .oneshot(client.new_request())
            .await;
        let sent = response.unwrap().headers().contains_key(SET_COOKIE);
        assert_eq!(
            (sent, faults.calls(StoreCall::Touch)),
            (touches == 1, touches)
        );
        assert_eq!(
            faults.all_calls(),
            before + 2 * touches,
            "a load, and a touch"
        );
    }
}

#[test]
fn a_label_that_fits_into_no_cookie_name_or_key_is_refused() {
    let build = |label: &str| {
        let builder = SessionLayer::builder(MemoryStore::new());
        builder.marked::<Admin>(label).build()
    };
    let long = "a".repeat(33);
    for label in ["", "a b", "a/b", "a:b", "{a}", "a;b", "é", &long] {
        assert_eq!(build(label).unwrap_err().option(), "marked", "{label:?}");
    }
    for label in ["a", "Admin-2_b", &long[1..]] {
        assert!(build(label).is_ok(), "{label:?}");
    }
}

#[tokio::test]
async fn a_layer_applied_twice_without_axum_is_one_session_with_one_commit() {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let layer = SessionLayer::new(store);
    let outside = tower::layer::layer_fn(|inner| {
        service_fn(move |request: Request<()>| {
            let inner: tower::util::BoxCloneService<_, Response<String>, Infallible> =
                Clone::clone(&inner);
            async move {
                let session = Session::load(request.extensions()).await.unwrap();
                session.insert("outside", 1).unwrap();
                let response = inner.oneshot(request).await?;
                assert_eq!(session.user().as_deref(), Some("ann"));
                session.insert("afterwards", 2).unwrap();
                Ok::<_, Infallible>(response)
            }
        })
    });
    let handler = service_fn(async |request: Request<()>| {
        let session = Session::load(request.extensions()).await.unwrap();
        session.login("ann").unwrap();
        let keys = session.keys().join(" ");
        Ok::<_, Infallible>(Response::new(keys))
    });
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(outside)
        .layer(tower::util::BoxCloneService::layer())
        .layer(layer.clone())
        .service(handler);
    let first = service.clone().oneshot(Request::new(())).await.unwrap();
    assert_eq!(first.headers().get_all(SET_COOKIE).iter().count(), 1);
    assert_eq!(
        (faults.calls(StoreCall::Create), faults.all_calls()),
        (1, 1)
    );
    let second = service.oneshot(with_cookie(&cookie_of(&first))).await;
    assert_eq!(second.unwrap().body(), "afterwards outside");
    assert_eq!(
        (faults.calls(StoreCall::Replace), faults.all_calls()),
        (1, 3)
    );
}
