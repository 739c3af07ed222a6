//! Code of the application that panics: where it runs during a commit, and where a logout was asked for.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::header::COOKIE;
use http::{Request, Response};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_keycard::store::MemoryStore;
use tower_keycard::{Session, SessionLayer};

use crate::browser::SetCookie;
use crate::driver::{BEFORE, request};
use crate::schedules::runtime;
use crate::script::Operation::{Append, Insert, Read};
use crate::script::{Notes, Operation, Script};
use crate::support::cookie;

fn ask(token: &str) -> Request<()> {
    Request::post("/")
        .header(COOKIE, cookie::header(token))
        .body(())
        .unwrap()
}

/// A whole request, and what its handler saw at last.
async fn send(layer: &SessionLayer, operations: &[Operation], token: Option<&str>) -> Seen {
    let (script, notes) = (Script::new(operations), Notes::default());
    let answer = request(layer, BEFORE, &script, &notes, token)
        .await
        .unwrap();
    let sight = notes.sights().pop().unwrap();
    Seen {
        token: match SetCookie::of(answer.headers()) {
            Some(SetCookie::Set(token)) => Some(token),
            _ => None,
        },
        exists: sight.exists,
        entries: sight.data.iter().map(|(_, entries)| entries.len()).sum(),
    }
}

struct Seen {
    token: Option<String>,
    exists: bool,
    entries: usize,
}

async fn new_session(layer: &SessionLayer) -> String {
    send(layer, &[Insert("a")], None).await.token.unwrap()
}

/// Panics when it is dropped, unless that would end the process.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("as an application's destructor might");
        }
    }
}

#[test]
fn an_update_that_panics_when_it_runs_again_stores_nothing_and_harms_nobody() {
    runtime().block_on(async {
        let layer = SessionLayer::new(MemoryStore::new());
        let token = new_session(&layer).await;
        let runs = Arc::new(AtomicU32::new(0));
        let (beside, counter, carried) = (layer.clone(), runs.clone(), token.clone());
        let updating = layer.layer(service_fn(move |request: Request<()>| {
            let (layer, runs, token) = (beside.clone(), counter.clone(), carried.clone());
            async move {
                let session = Session::load(request.extensions()).await.unwrap();
                let update = move |value: Option<u32>| {
                    assert_eq!(runs.fetch_add(1, Ordering::Relaxed), 0, "not again");
                    value.unwrap_or_default() + 1
                };
                session.update("n", update).unwrap();
                // Another request writes meanwhile, so the update has to run again.
                send(&layer, &[Append], Some(&token)).await;
                Ok::<_, Infallible>(Response::new(()))
            }
        }));
        let panicked = tokio::spawn(updating.oneshot(ask(&token))).await;
        assert!(panicked.unwrap_err().is_panic());
        assert_eq!(runs.load(Ordering::Relaxed), 2);

        layer.drain().await;
        let after = send(&layer, &[Read], Some(&token)).await;
        assert!(after.exists);
        assert_eq!(
            after.entries, 2,
            "what was there, and what the other request wrote"
        );
        send(&layer, &[Append], Some(&token)).await;
        assert_eq!(send(&layer, &[Read], Some(&token)).await.entries, 3);
    });
}

#[test]
fn a_handler_that_panics_after_a_logout_is_logged_out() {
    runtime().block_on(async {
        let layer = SessionLayer::new(MemoryStore::new());
        let token = new_session(&layer).await;
        let service = layer.layer(service_fn(async |request: Request<()>| {
            let session = Session::load(request.extensions()).await.unwrap();
            session.logout().unwrap();
            if session.id().is_none() {
                panic!("as an application might");
            }
            Ok::<_, Infallible>(Response::new(()))
        }));
        let mut service = service;
        let call = service.call(ask(&token));
        let panicked = tokio::spawn(call).await;
        assert!(panicked.unwrap_err().is_panic());
        layer.drain().await;
        assert!(!send(&layer, &[Read], Some(&token)).await.exists);
    });
}

/// Logs out, holds a local whose destructor panics, and then waits for something that never comes, or is done.
async fn armed(request: Request<()>, waits: bool) -> Result<Response<()>, Infallible> {
    let session = Session::load(request.extensions()).await.unwrap();
    session.logout().unwrap();
    let _local = Grenade;
    if waits {
        std::future::pending::<()>().await;
    }
    Ok(Response::new(()))
}

#[test]
fn a_local_whose_destructor_panics_does_not_stop_a_logout() {
    for waits in [false, true] {
        runtime().block_on(async {
            let layer = SessionLayer::new(MemoryStore::new());
            let token = new_session(&layer).await;
            let mut service = layer.layer(service_fn(move |request| armed(request, waits)));
            let mut call = Box::pin(service.call(ask(&token)));
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                // Where the handler ends by itself, its locals are dropped as it is polled; otherwise with the request.
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                let polled = call.as_mut().poll(&mut context);
                assert!(waits && polled.is_pending());
                drop(call);
            }));
            assert!(panicked.is_err());
            layer.drain().await;
            assert!(!send(&layer, &[Read], Some(&token)).await.exists);
        });
    }
}
