//! How long a request waits for a store that says nothing: to the millisecond, on a clock that stands still otherwise.

use tokio::time::Instant;
use tower_keycard::store::fault::{Fault, FaultStore, Faults, Operation};
use tower_keycard::{MemoryStore, SessionLayer};

use super::*;
use crate::support::app::App;
use crate::support::cookie::Cookie;

async fn start() -> (App, Faults, String) {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let layer = SessionLayer::builder(store).store_timeout(DEADLINE);
    let app = App::new(layer.build().unwrap());
    let card = app.logged_in("alice").await;
    (app, faults, card)
}

fn always(faults: &Faults, fault: Fault) {
    for operation in Operation::ALL {
        faults.always(operation, fault);
    }
}

const SILENCE: [Fault; 2] = [Fault::Hang, Fault::HoldReply];

#[tokio::test(start_paused = true)]
async fn a_request_on_a_store_that_never_answers_takes_its_deadline_and_no_more() {
    for fault in SILENCE {
        for path in ["/read", "/write", "/rotate", "/login/alice", "/logout"] {
            let (app, faults, card) = start().await;
            always(&faults, fault);
            let start = Instant::now();
            let answer = app.get(path, Some(&card)).await;
            assert_eq!((answer.status, &answer.cookie), (503, &Cookie::Untouched));
            assert_eq!(start.elapsed(), DEADLINE, "{path} {fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_not_answered_is_not_followed_by_another_time_out() {
    for fault in SILENCE {
        for path in ["/write", "/rotate", "/login/alice", "/login/bob", "/logout"] {
            for card in [false, true] {
                let (app, faults, own) = start().await;
                let card = card.then_some(&own[..]);
                always(&faults, fault);
                faults.next(Operation::Load, Fault::Pass);
                let start = Instant::now();
                let answer = app.get(path, card).await;
                if card.is_none() && ["/rotate", "/logout"].contains(&path) {
                    assert_eq!(answer.status, 200, "nothing to commit");
                    continue;
                }
                assert_eq!((answer.status, &answer.cookie), (503, &Cookie::Untouched));
                assert_eq!(start.elapsed(), DEADLINE, "{path} {card:?} {fault:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_became_of_a_lost_answer_is_found_out_within_the_same_deadline() {
    for path in ["/write", "/rotate", "/logout"] {
        let (app, faults, card) = start().await;
        always(&faults, Fault::Hang);
        faults.next(Operation::Load, Fault::Pass);
        // Lost at once, as a connection that is reset; then silence.
        faults.next(Operation::Replace, Fault::LostReply);
        faults.next(Operation::Delete, Fault::LostReply);
        let start = Instant::now();
        let answer = app.get(path, Some(&card)).await;
        assert_eq!((answer.status, &answer.cookie), (503, &Cookie::Untouched));
        assert_eq!(start.elapsed(), DEADLINE, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_whose_touch_is_not_answered_is_answered_all_the_same() {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let layer = SessionLayer::builder(store).store_timeout(DEADLINE);
    let app = App::new(layer.save_every_request(true).build().unwrap());
    let card = app.logged_in("alice").await;
    faults.always(Operation::Touch, Fault::Hang);
    let start = Instant::now();
    let answer = app.get("/read", Some(&card)).await;
    assert_eq!((answer.status, &answer.body[..]), (200, "alice"));
    assert_eq!(answer.cookie, Cookie::Untouched);
    assert_eq!(start.elapsed(), DEADLINE);
}
