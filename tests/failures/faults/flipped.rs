//! Flips each bit of a record in Redis in turn.

use super::stage::Stage;
use crate::alone;
use crate::support::app::Answer;
use crate::support::cookie::Cookie;

/// Whether the client sees its own session, or none.
fn is_own_or_nobodys(answer: &Answer) -> bool {
    answer.status == 200
        && match answer.cookie {
            Cookie::Untouched => ["alice", "nobody"].contains(&&answer.body[..]),
            Cookie::Removed => answer.body == "nobody",
            Cookie::Set(_) => false,
        }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_flipped_bit_makes_a_request_fail_or_opens_another_session_but_in_the_users_id() {
    let _alone = alone().await;
    let stage = Stage::start(&[], false).await;
    let token = stage.app.logged_in("alice").await;
    let record = stage.record(&token);
    let user = record.windows(5).position(|bytes| bytes == b"alice");
    let user = user.unwrap()..user.unwrap() + 5;
    for byte in 0..record.len() {
        for bit in 0..8 {
            let mut flipped = record.clone();
            flipped[byte] ^= 1 << bit;
            stage.replace_record(&token, &flipped);
            let answer = stage.app.get("/read", Some(&token)).await;
            // A record has no checksum: see "What is not noticed" in docs/faults.md. Invalid UTF-8 is noticed.
            let other = user.contains(&byte) && bit < 7;
            assert_ne!(is_own_or_nobodys(&answer), other, "{byte} {bit} {answer:?}");
        }
    }
    stage.replace_record(&token, &record);
    assert_eq!(stage.app.get("/read", Some(&token)).await.body, "alice");
}
