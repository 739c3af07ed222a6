//! The application says who sent a request.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::request::Parts;
use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_keycard::{ClientFacts, MemoryStore, Session, SessionLayer};

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

fn recognise(request: &Parts) -> ClientFacts {
    let agent = request.headers["user-agent"].to_str().unwrap();
    ClientFacts::new()
        .with_address(request.extensions.get::<IpAddr>().copied())
        .with_description(agent)
}

/// What the handler sees of its client, and of its request.
async fn answer(layer: SessionLayer) -> (Option<ClientFacts>, Request<String>) {
    let service = layer.layer(service_fn(async |request: Request<String>| {
        let session = Session::load(request.extensions()).await.unwrap();
        let facts = session.client().cloned();
        Ok::<_, Infallible>(Response::new(Some((facts, request))))
    }));
    let request = Request::post("/here")
        .header("user-agent", "Firefox")
        .extension(HOME)
        .body("unharmed".to_owned());
    let response = service.oneshot(request.unwrap()).await.unwrap();
    response.into_body().unwrap()
}

#[tokio::test]
async fn a_handler_sees_what_the_application_says_of_its_client() {
    let layer = SessionLayer::builder(MemoryStore::new()).client(recognise);
    let (facts, request) = answer(layer.build().unwrap()).await;
    let expected = ClientFacts::new()
        .with_address(HOME)
        .with_description("Firefox");
    assert_eq!(facts, Some(expected));
    assert_eq!(
        (request.method().as_str(), request.uri().path()),
        ("POST", "/here")
    );
    assert_eq!(request.extensions().get::<IpAddr>(), Some(&HOME));
    assert_eq!(request.body(), "unharmed");
}

#[tokio::test]
async fn without_such_a_function_nothing_is_known() {
    assert_eq!(answer(SessionLayer::new(MemoryStore::new())).await.0, None);
}

#[tokio::test]
async fn a_function_that_panics_takes_nothing_but_the_facts() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let layer = SessionLayer::builder(MemoryStore::new()).client(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        panic!("as an application's function might");
    });
    let (facts, request) = answer(layer.build().unwrap()).await;
    assert_eq!((facts, request.body().as_str()), (None, "unharmed"));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
