//! How long a request waits for a store that never answers: to the millisecond, with tokio's clock paused.

use tokio::time::Instant;
use tower_keycard::store::StoreCall;
use tower_keycard::store::testing::fault::{Fault, FaultStore, Faults};
use tower_keycard::{MemoryStore, SessionConfig, SessionLayer};

use super::*;
use crate::support::app::App;
use crate::support::cookie::Cookie;

async fn start() -> (App, Faults, String) {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let layer = SessionLayer::builder(store).config(SessionConfig::new().store_timeout(DEADLINE));
    let app = App::new(layer.build().unwrap());
    let token = app.logged_in("alice").await;
    (app, faults, token)
}

fn always(faults: &Faults, fault: Fault) {
    for call in StoreCall::ALL.iter().copied() {
        faults.always(call, fault);
    }
}

const SILENCE: [Fault; 2] = [Fault::Hang, Fault::HoldReply];

#[tokio::test(start_paused = true)]
async fn a_request_on_a_store_that_never_answers_takes_its_deadline_and_no_more() {
    for fault in SILENCE {
        for path in ["/read", "/write", "/rotate", "/login/alice", "/logout"] {
            let (app, faults, token) = start().await;
            always(&faults, fault);
            let start = Instant::now();
            let answer = app.get(path, Some(&token)).await;
            assert_eq!((answer.status, &answer.cookie), (503, &Cookie::Untouched));
            assert_eq!(start.elapsed(), DEADLINE, "{path} {fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_not_answered_is_not_followed_by_another_time_out() {
    for fault in SILENCE {
        for path in ["/write", "/rotate", "/login/alice", "/login/bob", "/logout"] {
            for token in [false, true] {
                let (app, faults, own) = start().await;
                let token = token.then_some(&own[..]);
                always(&faults, fault);
                faults.next(StoreCall::Load, Fault::Pass);
                let start = Instant::now();
                let answer = app.get(path, token).await;
                if token.is_none() && ["/rotate", "/logout"].contains(&path) {
                    assert_eq!(answer.status, 200, "nothing to commit");
                    continue;
                }
                assert_eq!((answer.status, &answer.cookie), (503, &Cookie::Untouched));
                assert_eq!(start.elapsed(), DEADLINE, "{path} {token:?} {fault:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_became_of_a_lost_answer_is_found_out_within_the_same_deadline() {
    for path in ["/write", "/rotate", "/logout"] {
        let (app, faults, token) = start().await;
        always(&faults, Fault::Hang);
        faults.next(StoreCall::Load, Fault::Pass);
        // The first answer is lost at once, as with a reset connection; then the store does not answer.
        faults.next(StoreCall::Replace, Fault::LostReply);
        faults.next(StoreCall::Delete, Fault::LostReply);
        let start = Instant::now();
        let answer = app.get(path, Some(&token)).await;
        assert_eq!((answer.status, &answer.cookie), (503, &Cookie::Untouched));
        assert_eq!(start.elapsed(), DEADLINE, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_whose_touch_is_not_answered_is_answered_all_the_same() {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let config = SessionConfig::new().store_timeout(DEADLINE);
    let layer = SessionLayer::builder(store).config(config.save_every_request(true));
    let app = App::new(layer.build().unwrap());
    let token = app.logged_in("alice").await;
    faults.always(StoreCall::Touch, Fault::Hang);
    let start = Instant::now();
    let answer = app.get("/read", Some(&token)).await;
    assert_eq!((answer.status, &answer.body[..]), (200, "alice"));
    assert_eq!(answer.cookie, Cookie::Untouched);
    assert_eq!(start.elapsed(), DEADLINE);
}
