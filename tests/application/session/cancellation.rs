//! Clients that hang up, handlers that panic, servers that stop.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http::header::SET_COOKIE;
use http::{Request, Response, StatusCode};
use tower::{Layer, Service, service_fn};
use tower_keycard::store::StoreCall;
use tower_keycard::store::testing::fault::{Fault, FaultStore, Faults};
use tower_keycard::{MemoryStore, Session, SessionLayer};

use crate::support::client::{Body, Client, IntoAnswer};

fn faulty() -> (Client, Faults) {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    (Client::with(SessionLayer::new(store)), faults)
}

/// Begins a request, polls it once, and drops it; the handler never ends.
async fn hang_up(client: &Client, handler: impl AsyncFnOnce(Session)) {
    let mut handler = Some(handler);
    let mut service = client.layer.layer(service_fn(|request: Request<Body>| {
        let handler = handler.take().unwrap();
        async move {
            let session = Session::load(request.extensions()).await.unwrap();
            handler(session).await;
            std::future::pending::<()>().await;
            Ok::<_, Infallible>(Response::new(Body::new()))
        }
    }));
    let mut request = pin!(service.call(client.new_request()));
    let mut context = Context::from_waker(Waker::noop());
    assert!(request.as_mut().poll(&mut context).is_pending());
}

#[tokio::test]
async fn a_logout_is_carried_out_though_the_client_hangs_up_and_a_write_is_not() {
    let client = Client::new();
    client.request(async |session| session.insert("n", 1)).await;
    hang_up(&client, async |session| session.insert("n", 2).unwrap()).await;
    client.layer.drain().await;
    client
        .request(async |session| assert_eq!(session.get::<u32>("n").unwrap(), Some(1)))
        .await;

    hang_up(&client, async |session| {
        session.logout().unwrap();
        session.insert("fresh", 1).unwrap();
    })
    .await;
    tokio::task::yield_now().await;
    client.layer.drain().await;
    client
        .request(async |session| assert!(session.is_empty() && !session.exists()))
        .await;
}

#[tokio::test]
async fn all_sessions_of_a_user_are_ended_though_the_client_hangs_up() {
    for everywhere in [false, true] {
        let (client, faults) = faulty();
        let other = Client::with(client.layer.clone());
        for device in [&client, &other] {
            device.request(async |session| session.login("alice")).await;
        }
        faults.next(StoreCall::DeleteSessionsOf, Fault::Hold);
        hang_up(&client, async |session| {
            match everywhere {
                true => session.logout_everywhere().await.map(drop),
                false => session.end_other_sessions().await.map(drop),
            }
            .unwrap();
        })
        .await;
        assert_eq!(faults.waiting(), 1);
        faults.release().await;
        client.layer.drain().await;
        other
            .request(async |session| assert_eq!(session.user(), None))
            .await;
    }
}

#[tokio::test]
async fn an_administrator_who_hangs_up_leaves_no_session_of_the_user_behind() {
    let (client, faults) = faulty();
    client.request(async |session| session.login("alice")).await;
    faults.next(StoreCall::DeleteSessionsOf, Fault::Hold);
    let users = client.layer.users();
    {
        let mut ends = pin!(users.end_all("alice"));
        let mut context = Context::from_waker(Waker::noop());
        assert!(ends.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(faults.waiting(), 1);
    faults.release().await;
    client.layer.drain().await;
    client
        .request(async |session| assert_eq!(session.user(), None))
        .await;
}

#[tokio::test]
async fn a_commit_that_the_client_leaves_behind_is_finished_and_waited_for() {
    let (client, faults) = faulty();
    client.request(async |session| session.insert("n", 1)).await;
    faults.next(StoreCall::Replace, Fault::Hold);
    {
        let mut service = client
            .layer
            .layer(service_fn(async |request: Request<Body>| {
                let session = Session::load(request.extensions()).await.unwrap();
                session.insert("n", 2).unwrap();
                Ok::<_, Infallible>(Response::new(Body::new()))
            }));
        let mut request = pin!(service.call(client.new_request()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(request.as_mut().poll(&mut context).is_pending());
        assert_eq!(faults.waiting(), 1);
    }
    let mut drained = pin!(client.layer.drain());
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(drained.as_mut().poll(&mut context), Poll::Pending);
    faults.release().await;
    drained.await;
    client
        .request(async |session| assert_eq!(session.get::<u32>("n").unwrap(), Some(2)))
        .await;
}

#[tokio::test]
async fn a_save_that_is_dropped_half_way_is_finished_and_its_cookie_still_sent() {
    let (client, faults) = faulty();
    let response = client
        .request(async move |session| {
            session.insert("n", 1).unwrap();
            faults.next(StoreCall::Create, Fault::Hold);
            {
                let mut save = pin!(session.save());
                let mut context = Context::from_waker(Waker::noop());
                assert!(save.as_mut().poll(&mut context).is_pending());
            }
            faults.until_waiting(1).await;
            tokio::spawn(async move { faults.release().await });
        })
        .await;
    assert!(response.headers().contains_key(SET_COOKIE));
    client
        .request(async |session| assert_eq!(session.get::<u32>("n").unwrap(), Some(1)))
        .await;
}

/// Runs a request whose handler panics; returns whether it did.
async fn panics(client: &Client, handler: impl AsyncFnOnce(Session)) -> bool {
    use std::future::poll_fn;
    let mut handler = Some(handler);
    let mut service = client.layer.layer(service_fn(|request: Request<Body>| {
        let handler = handler.take().unwrap();
        async move {
            let session = Session::load(request.extensions()).await.unwrap();
            handler(session).await;
            Ok::<_, Infallible>(StatusCode::OK.into_answer())
        }
    }));
    let mut request = Box::pin(service.call(client.new_request()));
    poll_fn(|context| {
        match std::panic::catch_unwind(AssertUnwindSafe(|| request.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(_)) => Poll::Ready(false),
            Err(_) => Poll::Ready(true),
        }
    })
    .await
}

#[tokio::test]
async fn a_logout_is_carried_out_though_the_handler_panics_and_a_write_is_not() {
    let client = Client::new();
    client.request(async |session| session.insert("n", 1)).await;
    assert!(
        panics(&client, async |session| {
            session.insert("n", 2).unwrap();
            panic!("after a write");
        })
        .await
    );
    client
        .request(async |session| assert_eq!(session.get::<u32>("n").unwrap(), Some(1)))
        .await;
    assert!(
        panics(&client, async |session| {
            session.logout().unwrap();
            panic!("after a logout");
        })
        .await
    );
    tokio::task::yield_now().await;
    client.layer.drain().await;
    client
        .request(async |session| assert!(!session.exists()))
        .await;
}

#[tokio::test]
async fn what_a_handlers_locals_do_as_they_are_dropped_still_counts() {
    struct LogoutOnDrop(Session);
    impl Drop for LogoutOnDrop {
        fn drop(&mut self) {
            self.0.logout().unwrap();
        }
    }
    let client = Client::new();
    client.request(async |session| session.insert("n", 1)).await;
    hang_up(&client, async |session| {
        let on_drop = LogoutOnDrop(session);
        std::future::pending::<()>().await;
        drop(on_drop);
    })
    .await;
    tokio::task::yield_now().await;
    client.layer.drain().await;
    client
        .request(async |session| assert!(!session.exists()))
        .await;
}

#[tokio::test]
async fn what_panics_as_it_is_dropped_with_its_request_keeps_no_other_handle_waiting() {
    struct Grenade;
    impl Drop for Grenade {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("as an application's destructor might");
            }
        }
    }
    let client = Client::new();
    client.request(async |session| session.insert("n", 1)).await;
    let kept = Arc::new(std::sync::Mutex::new(None));
    let keep = kept.clone();
    let mut service = client
        .layer
        .layer(service_fn(move |request: Request<Body>| {
            let keep = keep.clone();
            async move {
                let session = Session::load(request.extensions()).await.unwrap();
                let grenade = Grenade;
                let update = move |n: Option<u32>| {
                    let _carried = &grenade;
                    n.unwrap_or(0) + 1
                };
                session.update("n", update).unwrap();
                *keep.lock().unwrap() = Some(session);
                std::future::pending::<()>().await;
                Ok::<_, Infallible>(Response::new(Body::new()))
            }
        }));
    let mut request = Box::pin(service.call(client.new_request()));
    let mut context = Context::from_waker(Waker::noop());
    assert!(request.as_mut().poll(&mut context).is_pending());
    assert!(std::panic::catch_unwind(AssertUnwindSafe(|| drop(request))).is_err());

    let session: Session = kept.lock().unwrap().take().unwrap();
    let reloaded = tokio::time::timeout(std::time::Duration::from_secs(2), session.reload()).await;
    reloaded.expect("nobody has the turn any more").unwrap();
    assert_eq!(session.get::<u32>("n").unwrap(), Some(1));
}

#[tokio::test]
async fn an_update_that_panics_as_it_is_replayed_stores_nothing_and_leaves_the_session_whole() {
    let (client, faults) = faulty();
    client.request(async |session| session.insert("n", 1)).await;
    let cookie = client.cookie();
    faults.next(StoreCall::Replace, Fault::Hold);
    let other = Client::with(client.layer.clone());
    other.set_cookie(cookie);
    let replayed = panics(&client, async move |session| {
        session
            .update("n", |n: Option<u32>| match n {
                Some(1) => 2,
                _ => panic!("as it is replayed"),
            })
            .unwrap();
    });
    let overtake = async {
        faults.until_waiting(1).await;
        other
            .request(async |session| session.insert("n", 100))
            .await;
        faults.release().await;
    };
    let (panicked, ()) = tokio::join!(replayed, overtake);
    assert!(panicked);
    client.layer.drain().await;
    client
        .request(async |session| assert_eq!(session.get::<u32>("n").unwrap(), Some(100)))
        .await;
}

#[test]
fn a_client_that_hangs_up_leaves_nothing_behind_and_needs_no_runtime() {
    let client = Client::new();
    let witness = Arc::new(());
    let held = witness.clone();
    let hung_up = hang_up(&client, async move |session| {
        // It holds the very session that it waits in.
        let own = session.clone();
        session
            .update("n", move |n: Option<u32>| {
                assert!(own.contains_key("n") || Arc::strong_count(&held) > 0);
                n.unwrap_or(0) + 1
            })
            .unwrap();
    });
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(pin!(hung_up).poll(&mut context), Poll::Ready(()));
    assert_eq!(Arc::strong_count(&witness), 1);
}
