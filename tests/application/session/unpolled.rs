//! Futures that are alive and not polled, as beside another branch of a `select!`: nobody waits for them.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use tokio::time::{Instant, timeout};
use tower::{Layer, ServiceExt, service_fn};
use tower_keycard::store::StoreCall;
use tower_keycard::store::testing::fault::{Fault, FaultStore, Faults};
use tower_keycard::{MemoryStore, Session, SessionConfig, SessionError, SessionLayer};

use crate::support::client::{Body, Client};

const STORE_TIMEOUT: Duration = Duration::from_secs(1);
const SLOW: Duration = Duration::from_millis(100);

/// Futures that outlive the handler that began them.
type Kept<T> = Arc<Mutex<Vec<Pin<Box<dyn Future<Output = T> + Send>>>>>;

fn faulty() -> (Client, Faults) {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let layer = SessionLayer::builder(store)
        .config(SessionConfig::new().store_timeout(STORE_TIMEOUT))
        .build()
        .unwrap();
    (Client::with(layer), faults)
}

async fn with_session() -> (Client, Faults) {
    let (client, faults) = faulty();
    client.request(async |session| session.insert("n", 1)).await;
    (client, faults)
}

/// Begins something that then waits, and is not polled any more.
fn begin<F: Future>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    let mut context = Context::from_waker(Waker::noop());
    let polled = future.as_mut().poll(&mut context);
    assert!(polled.is_pending(), "it must wait for something");
    future
}

/// What waits for ever fails the test: on this clock, which moves only when everybody waits, a day is over at once.
async fn ends<T>(what: impl Future<Output = T>) -> T {
    let day = Duration::from_secs(24 * 60 * 60);
    timeout(day, what).await.expect("it must come to an end")
}

#[tokio::test(start_paused = true)]
async fn a_save_that_nobody_polls_goes_on_and_keeps_nobody_waiting() {
    let (client, faults) = with_session().await;
    let response = client.request(async move |session| {
        session.insert("n", 2).unwrap();
        faults.next(StoreCall::Replace, Fault::Delay(SLOW));
        let save = begin(session.save());
        ends(session.reload()).await.unwrap();
        assert_eq!(session.get::<u32>("n").unwrap(), Some(2));
        session.insert("n", 3).unwrap();
        ends(session.save()).await.unwrap();
        assert_eq!(faults.calls(StoreCall::Replace), 2);
        save.await.unwrap();
    });
    assert_eq!(ends(response).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn saves_that_nobody_polls_keep_no_save_waiting() {
    let (client, faults) = with_session().await;
    let response = client.request(async move |session| {
        session.insert("n", 2).unwrap();
        faults.always(StoreCall::Replace, Fault::Delay(SLOW));
        let saves = [(); 10].map(|()| begin(session.save()));
        ends(session.save()).await.unwrap();
        for save in saves {
            save.await.unwrap();
        }
        assert_eq!(faults.calls(StoreCall::Replace), 1);
    });
    assert_eq!(ends(response).await.status(), StatusCode::OK);
}

/// A response waits for a save that was begun and left somewhere, and is sent with its cookie.
#[tokio::test(start_paused = true)]
async fn a_save_that_outlives_its_handler_keeps_no_response_waiting() {
    let (client, faults) = faulty();
    let kept = Kept::<Result<(), SessionError>>::default();
    let keep = kept.clone();
    let response = client.request(async move |session| {
        session.insert("n", 1).unwrap();
        faults.next(StoreCall::Create, Fault::Delay(SLOW));
        let save = begin(async move { session.save().await });
        keep.lock().unwrap().push(save);
    });
    assert_eq!(ends(response).await.status(), StatusCode::OK);
    assert!(client.cookie().is_some());
    ends(client.layer.drain()).await;
    assert_eq!(kept.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_nobody_polls_keeps_nobody_waiting_and_sees_what_was_saved_meanwhile() {
    let (client, faults) = with_session().await;
    let response = client.request(async move |session| {
        faults.next(StoreCall::Load, Fault::HoldReply);
        let reload = begin(session.reload());
        session.insert("n", 2).unwrap();
        ends(session.save()).await.unwrap();
        ends(session.reload()).await.unwrap();
        faults.release().await;
        ends(reload).await.unwrap();
        // It had read the session as it was before the save, and read it again.
        assert_eq!(session.get::<u32>("n").unwrap(), Some(2));
    });
    assert_eq!(ends(response).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_nobody_polls_keeps_the_next_one_waiting_for_one_store_timeout() {
    let (client, faults) = with_session().await;
    let kept = Kept::<()>::default();
    let (keep, held) = (kept.clone(), faults.clone());
    let service = client
        .layer
        .layer(service_fn(move |request: Request<Body>| {
            let (keep, faults) = (keep.clone(), held.clone());
            async move {
                let extensions = request.extensions().clone();
                faults.next(StoreCall::Load, Fault::Hold);
                let load = begin(async move { drop(Session::load(&extensions).await) });
                keep.lock().unwrap().push(load);
                let start = Instant::now();
                let session = ends(Session::load(request.extensions())).await.unwrap();
                assert_eq!(start.elapsed(), STORE_TIMEOUT);
                session.insert("n", 2).unwrap();
                ends(session.save()).await.unwrap();
                ends(session.reload()).await.unwrap();
                Ok::<_, Infallible>(Response::new(Body::new()))
            }
        }));
    let response = ends(service.oneshot(client.new_request())).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    // What it finds out at last changes nothing.
    faults.release().await;
    let loads = std::mem::take(&mut *kept.lock().unwrap());
    for load in loads {
        ends(load).await;
    }
    client
        .request(async |session| assert_eq!(session.get::<u32>("n").unwrap(), Some(2)))
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_ending_of_sessions_that_nobody_polls_goes_on_and_keeps_nobody_waiting() {
    for everywhere in [false, true] {
        let (client, faults) = faulty();
        let other = Client::with(client.layer.clone());
        for device in [&client, &other] {
            device.request(async |session| session.login("alice")).await;
        }
        let layer = client.layer.clone();
        let response = client.request(async move |session| {
            faults.always(StoreCall::Replace, Fault::Delay(SLOW));
            faults.always(StoreCall::RevokeUser, Fault::Delay(SLOW));
            faults.always(StoreCall::DeleteSessionsOf, Fault::Delay(SLOW));
            let ending = begin(async {
                match everywhere {
                    true => session.logout_everywhere().await,
                    false => session.end_other_sessions().await,
                }
            });
            ends(session.reload()).await.unwrap();
            // The server could stop, and all would be done.
            ends(layer.drain()).await;
            ending.await.unwrap();
        });
        assert_eq!(ends(response).await.status(), StatusCode::OK);
        other
            .request(async |session| assert_eq!(session.user(), None))
            .await;
        let users = client.layer.users();
        let _alive = begin(users.end_all("alice"));
        ends(client.layer.drain()).await;
    }
}
