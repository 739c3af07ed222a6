//! How long an entry of the user index lives.

use std::time::Duration;

use super::super::context::{Context, LONG, LONGER_THAN_SHORT, SHORT, ensure, must_succeed};
use super::super::harness::Harness;
use super::super::report::CaseResult;
use super::super::sample::{
    sample_key, sample_login, sample_login_of, sample_of, sample_revision_of,
};
use crate::store::{IndexEntry, SessionStore, UserIndex};

pub(super) async fn an_expired_session_is_not_listed<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, other) = (sample_key(), sample_key());
    // The session ends at its idle limit; its entry would live longer.
    cx.created(&key, &sample_login("alice", LONG), SHORT)
        .await?;
    cx.created(&other, &sample_login("alice", LONG), LONG)
        .await?;
    cx.pass(LONGER_THAN_SHORT).await?;
    for _ in 0..2 {
        cx.lists("alice", &[&other]).await?;
    }
    let ended = cx.end_all("id", "alice", None).await?;
    ensure!(
        ended.len() == 1,
        "{ended:?} were ended, not the one live session"
    );
    Ok(())
}

pub(super) async fn an_entry_outlives_those_of_shorter_sessions<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let keys = [sample_key(), sample_key(), sample_key()];
    for (key, life) in keys.iter().zip([SHORT, LONG, SHORT]) {
        cx.created(key, &sample_login("alice", life), life).await?;
    }
    cx.pass(LONGER_THAN_SHORT).await?;
    cx.lists("alice", &[&keys[1]]).await
}

pub(super) async fn an_entry_lives_as_long_as_the_login_said<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, login) = (sample_key(), sample_login("alice", LONG));
    // Activity extends the record, and does not concern the index.
    cx.created(&key, &login, SHORT).await?;
    let touched = cx.touch(&key, login.revision(), LONG).await?;
    ensure!(touched, "touch did not find the current revision");
    cx.pass(LONGER_THAN_SHORT).await?;
    cx.lists("alice", &[&key]).await
}

pub(super) async fn a_second_login_does_not_end_the_entry_of_the_first_earlier<
    H: Harness<Store: UserIndex>,
>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, first) = (sample_key(), sample_login("alice", LONG));
    cx.created(&key, &first, LONG).await?;
    // The record of the second login is not written, so that of the first remains.
    let second = sample_login_of(&sample_of(Some("alice")), "alice", SHORT);
    cx.conflict(&key, second.revision(), &second, SHORT).await?;
    cx.pass(LONGER_THAN_SHORT).await?;
    cx.lists("alice", &[&key]).await
}

pub(super) async fn a_touch_lets_the_entry_live_on<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, login) = (sample_key(), sample_login("alice", SHORT));
    cx.created(&key, &login, SHORT).await?;
    for lifetime in [LONG, SHORT] {
        // A later, shorter lifetime does not end the entry before the record.
        let entry = IndexEntry {
            user: "alice",
            lifetime,
        };
        let call = cx.store.touch(&key, login.revision(), LONG, Some(entry));
        let touched = must_succeed("touch", call).await?;
        ensure!(touched, "touch did not find the current revision");
    }
    cx.pass(LONGER_THAN_SHORT).await?;
    cx.lists("alice", &[&key]).await
}

pub(super) async fn a_write_lets_the_entry_live_on<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, login) = (sample_key(), sample_login("alice", SHORT));
    cx.created(&key, &login, SHORT).await?;
    let next = sample_revision_of(&login, r#"{"n":1}"#).extending_entry(LONG);
    cx.replaced(&key, login.revision(), &next, LONG).await?;
    let half = LONGER_THAN_SHORT / 2 + Duration::from_millis(1);
    for _ in 0..2 {
        cx.pass(half).await?;
        cx.lists("alice", &[&key]).await?;
    }
    Ok(())
}
