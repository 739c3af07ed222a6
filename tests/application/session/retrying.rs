//! How often a commit is tried, and for how long: on a clock that moves only when everybody waits.

use std::future::pending;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use http::StatusCode;
use http::header::SET_COOKIE;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};
use tower_keycard::store::StoreCall;
use tower_keycard::store::testing::fault::{Fault, FaultStore, Faults};
use tower_keycard::{MemoryStore, SessionConfig, SessionLayer};

use crate::support::client::Client;

const DEADLINE: Duration = Duration::from_secs(1);

/// A browser with a session, before a store that fails on command.
async fn faulty() -> (Client, Faults) {
    let (client, _, faults) = faulty_twice().await;
    (client, faults)
}

/// The same, and the browser before another process that shares the store: writers of one take turns, those of two do not.
async fn faulty_twice() -> (Client, Client, Faults) {
    let store = FaultStore::new(MemoryStore::new());
    let process = || {
        let layer = SessionLayer::builder(store.clone())
            .config(SessionConfig::new().store_timeout(DEADLINE));
        Client::with(layer.build().unwrap())
    };
    let (client, elsewhere) = (process(), process());
    client.request(async |session| session.insert("n", 0)).await;
    elsewhere.set_cookie(client.cookie());
    (client, elsewhere, store.faults())
}

async fn write(client: &Client, key: &str) -> StatusCode {
    let response = client.request(async |session| session.insert(key, 1)).await;
    response.status()
}

async fn keys(client: &Client) -> Vec<String> {
    let mut keys = Vec::new();
    client.request(async |session| keys = session.keys()).await;
    keys
}

/// Lets a request come to its end beside what others do meanwhile.
async fn beside<T>(others: impl Future<Output = ()>, request: impl Future<Output = T>) -> T {
    let others = async {
        others.await;
        pending().await
    };
    tokio::select! {
        ended = request => ended,
        never = others => never,
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_whom_others_get_ahead_of_gives_up_after_eight_attempts() {
    for (crowded, status) in [(7, StatusCode::OK), (8, StatusCode::SERVICE_UNAVAILABLE)] {
        let (client, elsewhere, faults) = faulty_twice().await;
        faults.next(StoreCall::Replace, Fault::Hold);
        let others = async {
            for attempt in 1..=crowded {
                // The writer's own calls, and those that got ahead of them.
                while faults.calls(StoreCall::Replace) < attempt + (attempt - 1) {
                    yield_now().await;
                }
                elsewhere
                    .request(async |session| session.insert("n", attempt))
                    .await;
                if attempt < crowded {
                    faults.next(StoreCall::Replace, Fault::Hold);
                }
                faults.release().await;
            }
        };
        assert_eq!(beside(others, write(&client, "mine")).await, status);
        assert_eq!(faults.calls(StoreCall::Replace), crowded + 8);
        let stored = keys(&client).await.contains(&"mine".to_owned());
        assert_eq!(stored, status == StatusCode::OK);
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_whom_others_get_ahead_of_gives_up_after_two_seconds() {
    const SLOW: Duration = Duration::from_millis(700);
    let (client, elsewhere, faults) = faulty_twice().await;
    faults.next(StoreCall::Replace, Fault::Delay(SLOW));
    let others = async {
        sleep(SLOW / 2).await;
        for n in 1..=4 {
            elsewhere
                .request(async |session| session.insert("n", n))
                .await;
            faults.next(StoreCall::Replace, Fault::Delay(SLOW));
            sleep(SLOW).await;
        }
    };
    let writer = async {
        let start = Instant::now();
        assert_eq!(
            write(&client, "mine").await,
            StatusCode::SERVICE_UNAVAILABLE
        );
        start.elapsed()
    };
    assert_eq!(beside(others, writer).await, 3 * SLOW);
}

#[tokio::test(start_paused = true)]
async fn what_became_of_an_unanswered_call_is_found_out() {
    for fault in [Fault::LostReply, Fault::LostRequest] {
        let (client, faults) = faulty().await;
        faults.next(StoreCall::Replace, fault);
        assert_eq!(write(&client, "written").await, StatusCode::OK);
        assert_eq!(keys(&client).await, ["n", "written"]);

        faults.next(StoreCall::Delete, fault);
        let response = client.request(async |session| session.logout()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers().contains_key(SET_COOKIE));
        assert_eq!(faults.calls(StoreCall::Delete), 2);

        let before = faults.calls(StoreCall::Create);
        faults.next(StoreCall::Create, fault);
        assert_eq!(write(&client, "created").await, StatusCode::OK);
        assert_eq!(keys(&client).await, ["created"]);
        let calls = faults.calls(StoreCall::Create) - before;
        assert_eq!(calls, if fault == Fault::LostReply { 1 } else { 2 });
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_deadline_nothing_is_asked_any_more() {
    for fault in [Fault::Hang, Fault::HoldReply] {
        let (client, faults) = faulty().await;
        faults.next(StoreCall::Replace, fault);
        let (start, before) = (Instant::now(), faults.all_calls());
        assert_eq!(
            write(&client, "lost").await,
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert_eq!(start.elapsed(), DEADLINE);
        assert_eq!(faults.all_calls(), before + 2, "a load and a replace");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_never_arrives_is_given_up_after_eight_attempts() {
    let (client, faults) = faulty().await;
    client.set_cookie(None);
    faults.always(StoreCall::Create, Fault::LostRequest);
    let before = faults.calls(StoreCall::Create);
    assert_eq!(
        write(&client, "lost").await,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(faults.calls(StoreCall::Create), before + 8);
    assert_eq!(client.cookie(), None);
}

#[tokio::test(start_paused = true)]
async fn a_login_whose_reply_was_lost_gets_its_cookie_all_the_same() {
    let (client, faults) = faulty().await;
    let old = client.cookie();
    faults.next(StoreCall::Replace, Fault::LostReply);
    let response = client
        .request(async |session| {
            session.login("alice")?;
            session.save().await?;
            assert_eq!(session.user().as_deref(), Some("alice"));
            Ok(())
        })
        .await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_ne!(client.cookie(), old);
    client
        .request(async |session| assert_eq!(session.user().as_deref(), Some("alice")))
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_update_that_may_have_arrived_is_not_done_again_on_what_others_wrote() {
    for (update, status) in [
        (false, StatusCode::OK),
        (true, StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let (client, faults) = faulty().await;
        faults.next(StoreCall::Replace, Fault::Hang);
        let writer = client.request(async |session| {
            match update {
                true => session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1),
                false => session.insert("n", 5).map(|()| 5),
            }
            .map(drop)
        });
        let other = async {
            faults.until_waiting(1).await;
            write(&client, "other").await;
            faults.release().await;
        };
        assert_eq!(beside(other, writer).await.status(), status);
        assert_eq!(keys(&client).await, ["n", "other"]);
    }
}

#[tokio::test]
async fn an_id_that_is_taken_is_left_to_whom_it_belongs() {
    // The second draw is the first one again, token and revision, as in a copy of the process.
    let draws = AtomicU8::new(0);
    let random = move |bytes: &mut [u8]| {
        bytes.fill(draws.fetch_add(1, Ordering::SeqCst).max(1));
        true
    };
    let layer = SessionLayer::builder(MemoryStore::new()).random(random);
    let client = Client::with(layer.build().unwrap());
    assert_eq!(write(&client, "first").await, StatusCode::OK);
    let first = client.cookie();
    client.set_cookie(None);
    assert_eq!(write(&client, "second").await, StatusCode::OK);
    assert_ne!(client.cookie(), first);
    assert_eq!(keys(&client).await, ["second"]);
    client.set_cookie(first);
    assert_eq!(keys(&client).await, ["first"]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_arrives_late_is_the_one_that_was_created_meanwhile() {
    let store = FaultStore::new(MemoryStore::new());
    let (client, faults) = (
        Client::with(SessionLayer::new(store.clone())),
        store.faults(),
    );
    faults.next(StoreCall::Create, Fault::AppliedLate);
    assert_eq!(write(&client, "n").await, StatusCode::OK);
    faults.release().await;
    assert_eq!(store.inner().len(), 1);
}
