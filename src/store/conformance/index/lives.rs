//! How long an entry lives.

use std::time::Duration;

use super::super::cases::{LONG, LONGER_THAN_SHORT, SHORT, ensure};
use super::super::sample::sample_of;
use super::super::{
    Context, Harness, Verdict, answer, sample_key, sample_login, sample_login_of,
    sample_revision_of,
};
use crate::store::{Binding, SessionStore, UserIndex};

pub(super) async fn an_expired_session_is_not_listed<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> Verdict {
    let (key, other) = (sample_key(), sample_key());
    // The entry would live on: the session ends for want of activity.
    cx.created(&key, &sample_login("alice", LONG), SHORT)
        .await?;
    cx.created(&other, &sample_login("alice", LONG), LONG)
        .await?;
    cx.pass(LONGER_THAN_SHORT).await?;
    for _ in 0..2 {
        cx.lists("alice", &[&other]).await?;
    }
    let ended = cx.delete_user("id", "alice", None).await?;
    ensure!(
        ended.len() == 1,
        "{ended:?} were ended, not the one that lived"
    );
    Ok(())
}

pub(super) async fn an_entry_outlives_those_of_shorter_sessions<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> Verdict {
    let keys = [sample_key(), sample_key(), sample_key()];
    for (key, life) in keys.iter().zip([SHORT, LONG, SHORT]) {
        cx.created(key, &sample_login("alice", life), life).await?;
    }
    cx.pass(LONGER_THAN_SHORT).await?;
    cx.lists("alice", &[&keys[1]]).await
}

pub(super) async fn an_entry_lives_as_long_as_it_was_said_at_the_login<
    H: Harness<Store: UserIndex>,
>(
    cx: &Context<'_, H>,
) -> Verdict {
    let (key, login) = (sample_key(), sample_login("alice", LONG));
    // Activity keeps the record, and says nothing to the index.
    cx.created(&key, &login, SHORT).await?;
    let touched = cx.touch(&key, login.revision(), LONG).await?;
    ensure!(touched, "touch did not find the revision that is there");
    cx.pass(LONGER_THAN_SHORT).await?;
    cx.lists("alice", &[&key]).await
}

pub(super) async fn a_second_login_does_not_end_the_entry_of_the_first_earlier<
    H: Harness<Store: UserIndex>,
>(
    cx: &Context<'_, H>,
) -> Verdict {
    let (key, first) = (sample_key(), sample_login("alice", LONG));
    cx.created(&key, &first, LONG).await?;
    // Its record is not written, so that the first one's remains.
    let second = sample_login_of(&sample_of(Some("alice")), "alice", SHORT);
    cx.conflict(&key, second.revision(), &second, SHORT).await?;
    cx.pass(LONGER_THAN_SHORT).await?;
    cx.lists("alice", &[&key]).await
}

pub(super) async fn a_touch_lets_the_entry_live_on<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> Verdict {
    let (key, login) = (sample_key(), sample_login("alice", SHORT));
    cx.created(&key, &login, SHORT).await?;
    for life in [LONG, SHORT] {
        // The later word does not make the entry's life shorter than the record needs it.
        let entry = Binding {
            user: "alice",
            life,
        };
        let call = cx.store.touch(&key, login.revision(), LONG, Some(entry));
        let touched = answer("touch", call).await?;
        ensure!(touched, "touch did not find the revision that is there");
    }
    cx.pass(LONGER_THAN_SHORT).await?;
    cx.lists("alice", &[&key]).await
}

pub(super) async fn a_write_lets_the_entry_live_on<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> Verdict {
    let (key, login) = (sample_key(), sample_login("alice", SHORT));
    cx.created(&key, &login, SHORT).await?;
    let next = sample_revision_of(&login, r#"{"n":1}"#).prolonging(LONG);
    cx.replaced(&key, login.revision(), &next, LONG).await?;
    let half = LONGER_THAN_SHORT / 2 + Duration::from_millis(1);
    for _ in 0..2 {
        cx.pass(half).await?;
        cx.lists("alice", &[&key]).await?;
    }
    Ok(())
}
