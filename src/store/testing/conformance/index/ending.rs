//! Ending all sessions of a user.

use std::collections::BTreeSet;
use std::time::Instant;

use super::super::context::{
    Context, LONG, LONGER_THAN_SHORT, SHORT, ensure, failed, must_succeed,
};
use super::super::harness::Harness;
use super::super::report::CaseResult;
use super::super::sample::{
    sample_key, sample_login, sample_login_of, sample_of, sample_slow_login,
};
use super::context::{can_log_in_on, is_revoked, new_login_is_revoked};
use crate::store::testing::owned_write::OwnedWrite;
use crate::store::{
    Created, LOGIN_LIFETIME, MetMarker, PIECE, REVOCATION_LIFETIME, RecordKey, SessionStore,
    UserIndex,
};

async fn logged_in<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
    user: &str,
) -> CaseResult<RecordKey> {
    let key = sample_key();
    cx.created(&key, &sample_login(user, LONG), LONG).await?;
    Ok(key)
}

pub(super) async fn a_revocation_ends_every_session_and_leaves_tombstones<
    H: Harness<Store: UserIndex>,
>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let keys = [logged_in(cx, "alice").await?, logged_in(cx, "alice").await?];
    let ended = cx.end_all("id", "alice", None).await?;
    let each = keys.iter().all(|key| ended.contains(&key.id()));
    ensure!(
        each && ended.len() == 2,
        "{ended:?} were ended, not {keys:?}"
    );
    for key in &keys {
        cx.holds_a_tombstone(key).await?;
    }
    cx.lists("alice", &[]).await?;
    let ended = cx.end_all("id", "alice", None).await?;
    ensure!(ended.is_empty(), "{ended:?} were ended again");
    Ok(())
}

pub(super) async fn a_revocation_keeps_the_excepted_session<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (excepted, other) = (logged_in(cx, "alice").await?, logged_in(cx, "alice").await?);
    for expected in [&[other.id()][..], &[]] {
        let ended = cx.end_all("id", "alice", Some(excepted.id())).await?;
        ensure!(ended == expected, "{ended:?} were ended, not {expected:?}");
        cx.lists("alice", &[&excepted]).await?;
        cx.holds_a_tombstone(&other).await?;
    }
    Ok(())
}

pub(super) async fn a_revocation_of_a_user_without_sessions_ends_nothing<
    H: Harness<Store: UserIndex>,
>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let key = logged_in(cx, "alice").await?;
    for except in [None, Some(sample_key().id()), Some(key.id())] {
        let ended = cx.end_all("id", "bob", except).await?;
        ensure!(
            ended.is_empty(),
            "{ended:?} were ended, but the user had no sessions"
        );
    }
    cx.lists("bob", &[]).await?;
    cx.lists("alice", &[&key]).await
}

pub(super) async fn a_revocation_leaves_other_users_and_namespaces_alone<
    H: Harness<Store: UserIndex>,
>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (alices, bobs) = (logged_in(cx, "alice").await?, logged_in(cx, "bob").await?);
    let admin = RecordKey::new("admin", sample_key().id());
    cx.created(&admin, &sample_login("alice", LONG), LONG)
        .await?;
    cx.end_all("id", "alice", None).await?;
    cx.holds_a_tombstone(&alices).await?;
    cx.lists("bob", &[&bobs]).await?;
    cx.lists_in("admin", "alice", &[&admin]).await?;
    // Their logins are not refused either.
    let other = RecordKey::new("admin", sample_key().id());
    cx.created(&other, &sample_login("alice", LONG), LONG)
        .await?;
    logged_in(cx, "bob").await.map(drop)
}

pub(super) async fn a_revocation_leaves_a_session_that_belongs_to_another_user<
    H: Harness<Store: UserIndex>,
>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, login) = (sample_key(), sample_login("bob", LONG));
    cx.created(&key, &login, LONG).await?;
    // A login of alice that lost against bob's has left an entry.
    let lost = sample_login_of(&sample_of(None), "alice", LONG);
    cx.conflict(&key, lost.revision(), &lost, LONG).await?;
    let ended = cx.end_all("id", "alice", None).await?;
    ensure!(
        ended.is_empty(),
        "{ended:?} were ended, but alice had no session"
    );
    cx.lists("bob", &[&key]).await
}

pub(super) async fn a_login_right_after_a_revocation_is_refused<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (fresh, old, anonymous) = (sample_key(), sample_key(), sample_of(None));
    cx.created(&old, &anonymous, LONG).await?;
    cx.end_all("id", "alice", None).await?;
    let refused =
        new_login_is_revoked(&cx.store, &fresh, &sample_login("alice", LONG), LONG).await?;
    ensure!(refused, "a login on a new session was not refused");
    cx.holds_nothing(&fresh).await?;
    let login = sample_login_of(&anonymous, "alice", LONG);
    let made = can_log_in_on(&cx.store, &old, &anonymous, &login, LONG).await?;
    ensure!(!made, "a login on an existing session was not refused");
    cx.holds(&old, &anonymous).await?;
    cx.lists("alice", &[]).await
}

pub(super) async fn the_excepted_session_may_log_in_again<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, login) = (sample_key(), sample_login("alice", LONG));
    cx.created(&key, &login, LONG).await?;
    cx.end_all("id", "alice", Some(key.id())).await?;
    let again = sample_login_of(&login, "alice", LONG);
    let made = can_log_in_on(&cx.store, &key, &login, &again, LONG).await?;
    ensure!(made, "the excepted session could not log in again");
    cx.lists("alice", &[&key]).await?;
    let other = sample_login("alice", LONG);
    let refused = new_login_is_revoked(&cx.store, &sample_key(), &other, LONG).await?;
    ensure!(refused, "a login on another session was not refused");
    Ok(())
}

pub(super) async fn a_later_revocation_keeps_only_its_own_exception<
    H: Harness<Store: UserIndex>,
>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, anonymous) = (sample_key(), sample_of(None));
    cx.created(&key, &anonymous, LONG).await?;
    cx.end_all("id", "alice", Some(key.id())).await?;
    // In real time, two markers of the same millisecond would look the same.
    cx.pass(SHORT / 100).await?;
    cx.end_all("id", "alice", None).await?;
    let login = sample_login_of(&anonymous, "alice", LONG);
    let made = can_log_in_on(&cx.store, &key, &anonymous, &login, LONG).await?;
    ensure!(
        !made,
        "the session that the first call excepted could log in after the second"
    );
    Ok(())
}

pub(super) async fn logins_are_possible_again_after_a_while<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let key = logged_in(cx, "alice").await?;
    cx.end_all("id", "alice", None).await?;
    cx.pass(REVOCATION_LIFETIME / 2).await?;
    let login = sample_login("alice", LONG);
    if !new_login_is_revoked(&cx.store, &sample_key(), &login, LONG).await? {
        return failed("a login was no longer refused");
    }
    cx.pass(REVOCATION_LIFETIME / 2 + SHORT).await?;
    let again = logged_in(cx, "alice").await?;
    cx.lists("alice", &[&again]).await?;
    cx.holds_a_tombstone(&key).await
}

pub(super) async fn a_slow_login_does_not_outlast_the_marker<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, anonymous) = (sample_key(), sample_of(None));
    cx.created(&key, &anonymous, LONG).await?;
    cx.end_all("id", "alice", Some(key.id())).await?;
    for _ in 0..2 {
        cx.pass(REVOCATION_LIFETIME / 2 + SHORT).await?;
    }
    let refused_at_age = async |age| {
        let login = sample_slow_login("alice", LONG, age);
        new_login_is_revoked(&cx.store, &sample_key(), &login, LONG).await
    };
    ensure!(
        refused_at_age(REVOCATION_LIFETIME + 2 * SHORT).await?,
        "a login that began when all sessions were ended was made afterwards"
    );
    ensure!(
        refused_at_age(LOGIN_LIFETIME).await?,
        "a login that began before all sessions were ended was made afterwards"
    );
    ensure!(
        !refused_at_age(SHORT / 2).await?,
        "a login that began long enough after all sessions were ended was refused"
    );
    // The excepted session may log in, however long ago that login began.
    let login = sample_login_of(&anonymous, "alice", LONG).for_login(LONG, LOGIN_LIFETIME);
    let made = can_log_in_on(&cx.store, &key, &anonymous, &login, LONG).await?;
    ensure!(made, "the excepted session could not log in");
    Ok(())
}

pub(super) async fn the_oldest_possible_login_does_not_outlast_the_marker<
    H: Harness<Store: UserIndex>,
>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let login = sample_slow_login("alice", LONG, LOGIN_LIFETIME);
    cx.end_all("id", "alice", None).await?;
    cx.pass(LOGIN_LIFETIME).await?;
    let refused = new_login_is_revoked(&cx.store, &sample_key(), &login, LONG).await?;
    ensure!(refused, "the marker ended too early");
    cx.pass(REVOCATION_LIFETIME).await?;
    let refused = new_login_is_revoked(&cx.store, &sample_key(), &login, LONG).await?;
    ensure!(!refused, "the marker lasted too long");
    Ok(())
}

pub(super) async fn a_login_that_began_before_a_revocation_does_not_survive_it<
    H: Harness<Store: UserIndex>,
>(
    cx: &Context<'_, H>,
) -> CaseResult {
    // One login lost against another write, and tries again. The session of the other expired, and it tries again, too.
    let (overtaken, gone) = (sample_key(), sample_key());
    let first = sample_of(None);
    cx.created(&overtaken, &first, LONG).await?;
    let lost = sample_login_of(&sample_of(None), "alice", LONG);
    cx.conflict(&overtaken, lost.revision(), &lost, LONG)
        .await?;
    cx.created(&gone, &sample_login("alice", LONG), SHORT)
        .await?;
    cx.pass(LONGER_THAN_SHORT).await?;

    cx.end_all("id", "alice", None).await?;
    let login = sample_login_of(&first, "alice", LONG);
    let made = can_log_in_on(&cx.store, &overtaken, &first, &login, LONG).await?;
    ensure!(!made, "the second attempt of a login survived");
    let created = cx
        .store
        .create(&gone, &sample_login("alice", LONG).write(LONG))
        .await;
    if let Ok(Created::Created) = created {
        return failed("a login on an expired session survived");
    }
    is_revoked("create", created)?;
    cx.lists("alice", &[]).await
}

/// Tries to log in, and returns the marker that refused it.
async fn marker_of_a_refused_login<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
    login: &OwnedWrite,
) -> CaseResult<MetMarker> {
    match cx.store.create(&sample_key(), &login.write(LONG)).await {
        Ok(_) => failed("a login was not refused"),
        Err(error) => error
            .marker()
            .map_or_else(|| failed("the error names no marker"), Ok),
    }
}

pub(super) async fn a_refused_login_is_told_when_the_marker_was_left<
    H: Harness<Store: UserIndex>,
>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let passed = Instant::now();
    cx.end_all("id", "alice", None).await?;
    let login = sample_login("alice", LONG);
    let first = marker_of_a_refused_login(cx, &login).await?;
    ensure!(
        first.age <= passed.elapsed(),
        "the marker is said to be older than it is: {:?}",
        first.age
    );
    cx.pass(2 * SHORT).await?;
    let second = marker_of_a_refused_login(cx, &login).await?;
    let (aged, longest) = (second.age, 2 * SHORT + passed.elapsed());
    ensure!(
        (SHORT..=longest).contains(&aged),
        "after {longest:?} the marker is said to be {aged:?} old"
    );
    Ok(())
}

pub(super) async fn a_login_that_is_known_to_have_begun_after_the_marker_is_made<
    H: Harness<Store: UserIndex>,
>(
    cx: &Context<'_, H>,
) -> CaseResult {
    cx.end_all("id", "alice", None).await?;
    let met = marker_of_a_refused_login(cx, &sample_login("alice", LONG)).await?;
    let after = || sample_login("alice", LONG).after(met.left);
    let key = sample_key();
    cx.created(&key, &after(), LONG).await?;
    cx.lists("alice", &[&key]).await?;
    // In real time, two markers of the same moment would look the same.
    cx.pass(SHORT / 100).await?;
    cx.end_all("id", "alice", None).await?;
    let newer = marker_of_a_refused_login(cx, &after()).await?;
    ensure!(newer.left != met.left, "two markers are the same");
    Ok(())
}

pub(super) async fn a_revocation_leaves_the_logins_that_came_after_it<
    H: Harness<Store: UserIndex>,
>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let before = logged_in(cx, "alice").await?;
    let marker = must_succeed("revoke_user", cx.store.revoke_user("id", "alice", None)).await?;
    // The marker alone ends nothing.
    cx.lists("alice", &[&before]).await?;
    let met = marker_of_a_refused_login(cx, &sample_login("alice", LONG)).await?;
    ensure!(met.left == marker.left, "another marker refused the login");
    let (key, login) = (sample_key(), sample_login("alice", LONG).after(met.left));
    cx.created(&key, &login, LONG).await?;
    let piece = cx.store.delete_sessions_of("id", "alice", &marker, None);
    let piece = must_succeed("delete_sessions_of", piece).await?;
    ensure!(
        piece.ended == [before.id()] && piece.next.is_none(),
        "{:?} were ended, not only {before:?}",
        piece.ended
    );
    cx.lists("alice", &[&key]).await
}

pub(super) async fn a_revocation_that_was_given_up_is_continued_by_the_next<
    H: Harness<Store: UserIndex>,
>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let mut keys = BTreeSet::new();
    for _ in 0..3 * PIECE {
        keys.insert(logged_in(cx, "alice").await?.id());
    }
    let marker = must_succeed("revoke_user", cx.store.revoke_user("id", "alice", None)).await?;
    // The first pieces may have no session.
    let (mut all, mut after) = (BTreeSet::new(), None);
    while all.is_empty() {
        let piece = cx
            .store
            .delete_sessions_of("id", "alice", &marker, after.as_ref());
        let piece = must_succeed("delete_sessions_of", piece).await?;
        ensure!(
            piece.ended.len() <= 2 * PIECE && piece.next.is_some(),
            "{} sessions of {} were ended, and no piece follows",
            piece.ended.len(),
            keys.len()
        );
        all.extend(piece.ended);
        after = piece.next;
    }
    all.extend(cx.end_all("id", "alice", None).await?);
    ensure!(
        all == keys,
        "{} of {} sessions were ended",
        all.len(),
        keys.len()
    );
    cx.lists("alice", &[]).await
}
