//! Cuts an answer at each of its bytes, and then closes or resets the connection.

use super::stage::Stage;
use crate::alone;
use crate::support::app::Answer;
use crate::support::cookie::Cookie;
use crate::support::eventually;
use crate::support::proxy::Network;

fn is_unaffected(answer: &Answer) {
    assert_eq!((answer.status, &answer.body[..]), (200, "alice"));
    assert_eq!(answer.cookie, Cookie::Untouched);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_cut_anywhere_is_made_again_and_never_half_a_session() {
    let _alone = alone().await;
    let stage = Stage::start(&[], true).await;
    let token = stage.app.logged_in("alice").await;
    // The answer to a load has the record's length, the record, and its remaining lifetime.
    let length = stage.record(&token).len() + 30;
    for reset in [false, true] {
        for after in 0..length {
            stage.proxy.cut_once(after, reset);
            is_unaffected(&stage.app.get("/read", Some(&token)).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_answer_is_cut_anywhere_is_made_once() {
    let _alone = alone().await;
    let stage = Stage::start(&[], true).await;
    let token = stage.app.logged_in("alice").await;
    stage.app.get("/write", Some(&token)).await;
    let mut writes = 1;
    for reset in [false, true] {
        for after in 0..="+OK\r\n".len() {
            stage.app.gate.close();
            let (app, own) = (stage.app.clone(), token.clone());
            let write = tokio::spawn(async move { app.get("/write", Some(&own)).await });
            stage.app.gate.gathered(1).await;
            stage.proxy.cut_once(after, reset);
            stage.app.gate.open(1);
            is_unaffected(&write.await.unwrap());
            writes += 1;
            let count = stage.app.get("/count", Some(&token)).await;
            assert_eq!(count.body, writes.to_string(), "{after} {reset}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_that_a_full_server_did_not_confirm_leaves_the_session_in_the_index() {
    let _alone = alone().await;
    let stage = Stage::start(&["--maxmemory-policy", "noeviction"], true).await;
    let token = stage.app.logged_in("alice").await;
    stage.app.gate.close();
    let (app, own) = (stage.app.clone(), token.clone());
    let logout = tokio::spawn(async move { app.get("/logout", Some(&own)).await });
    stage.app.gate.gathered(1).await;
    // The server has no memory for the tombstone, and nobody hears of it.
    stage.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    stage.proxy.set(Network::Cut {
        after: 0,
        reset: false,
    });
    stage.app.gate.open(1);
    let answer = logout.await.unwrap();
    assert_eq!((answer.status, answer.cookie), (503, Cookie::Untouched));
    stage.proxy.set(Network::Fine);
    let index = "keycard:__Host-id:user=alice";
    let entry = stage.ask(&["ZSCORE", index, &token[..20]]);
    assert_ne!(entry, redis::Value::Nil, "the session goes on");
    // The store reconnects after a pause.
    let read = async || {
        let answer = stage.app.get("/read", Some(&token)).await;
        (answer.status == 200).then_some(answer)
    };
    let (answer, _) = eventually("the store is back", read).await;
    is_unaffected(&answer);
    // So whoever logs out everywhere ends it.
    stage.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    let other = stage.app.logged_in("alice").await;
    let everywhere = stage.app.get("/logout_everywhere", Some(&other)).await;
    assert_eq!(everywhere.status, 200);
    assert_eq!(stage.app.get("/read", Some(&token)).await.body, "nobody");
}
