//! What a request's session costs in allocations, above a layer that does no more than put something into the request's
//! extensions. Counts are the same on every machine, so they are asserted.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response};
use tower::{Layer, Service, service_fn};
use tower_keycard::{MemoryStore, Session, SessionLayer};

/// Polls a future to its end: neither these handlers nor the memory store ever wait.
fn finish<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

type Answer = Result<Response<()>, Infallible>;

fn untouched(_: Request<()>) -> Ready<Answer> {
    ready(Ok(Response::new(())))
}

async fn read(request: Request<()>) -> Answer {
    let session = Session::load(request.extensions()).await.unwrap();
    assert_eq!(session.get::<u32>("user_id").unwrap(), Some(42));
    Ok(Response::new(()))
}

async fn write(request: Request<()>) -> Answer {
    let session = Session::load(request.extensions()).await.unwrap();
    session
        .update("count", |count: Option<u32>| count.unwrap_or(0) + 1)
        .unwrap();
    Ok(Response::new(()))
}

async fn rotate(request: Request<()>) -> Answer {
    let session = Session::load(request.extensions()).await.unwrap();
    session.rotate_token().unwrap();
    Ok(Response::new(()))
}

/// A layer with one session in its store, and the cookie that opens it.
fn client() -> (SessionLayer, String) {
    let layer = SessionLayer::new(MemoryStore::new());
    let mut service = layer.layer(service_fn(async |request: Request<()>| {
        let session = Session::load(request.extensions()).await.unwrap();
        session.insert("user_id", 42).unwrap();
        session.insert("name", "abcdefghijklmnopqrst").unwrap();
        session
            .insert("csrf", "0123456789abcdef0123456789abcdef")
            .unwrap();
        Ok::<_, Infallible>(Response::new(()))
    }));
    let response = finish(service.call(Request::new(()))).unwrap();
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
    (layer, cookie.split(';').next().unwrap().to_owned())
}

fn request(cookie: Option<&str>) -> Request<()> {
    let mut request = Request::new(());
    if let Some(cookie) = cookie {
        request
            .headers_mut()
            .insert(COOKIE, cookie.parse().unwrap());
    }
    request
}

/// How many allocations a request makes, once everything that is made once has been made.
fn cost<S>(mut service: S, cookie: Option<&str>) -> u64
where
    S: Service<Request<()>, Response = Response<()>, Error = Infallible>,
{
    let mut cost = 0;
    for _ in 0..8 {
        let request = request(cookie);
        cost = measure(|| drop(finish(service.call(request)).unwrap())).count_total;
    }
    cost
}

/// What it costs to put one shared thing into a request's extensions.
fn floor(cookie: Option<&str>) -> u64 {
    let shared = Arc::new(1_u64);
    let service = service_fn(move |mut request: Request<()>| {
        request.extensions_mut().insert(shared.clone());
        untouched(request)
    });
    cost(service, cookie)
}

#[test]
fn an_untouched_request_costs_one_allocation_with_or_without_a_cookie() {
    let (layer, cookie) = client();
    for cookie in [None, Some(&*cookie)] {
        assert_eq!(
            cost(layer.layer(service_fn(untouched)), cookie),
            floor(cookie) + 1
        );
    }
}

/// What `http` allocates for the first header of a response: here `Vary`.
const FIRST_HEADER: u64 = 2;

#[test]
fn a_read_from_memory_costs_no_more_than_that_and_copies_no_record() {
    let (layer, cookie) = client();
    let read = cost(layer.layer(service_fn(read)), Some(&cookie));
    assert_eq!(read, floor(Some(&cookie)) + 1 + FIRST_HEADER);
}

#[test]
fn a_write_and_a_rotation_stay_within_their_budgets() {
    let (layer, cookie) = client();
    let above = cost(layer.layer(service_fn(write)), Some(&cookie)) - floor(Some(&cookie));
    assert!(above <= 10 + FIRST_HEADER, "a write: {above}");
    let (layer, cookie) = client();
    let mut service = layer.layer(service_fn(rotate));
    let request = request(Some(&cookie));
    let above =
        measure(|| drop(finish(service.call(request)).unwrap())).count_total - floor(Some(&cookie));
    assert!(above <= 9 + FIRST_HEADER, "a rotation: {above}");
}
