//! Which sessions are listed.

use super::super::context::{Context, LONG, ensure, failed, must_succeed, run_together};
use super::super::harness::Harness;
use super::super::report::CaseResult;
use super::super::sample::{
    data, sample_key, sample_login, sample_login_of, sample_of, sample_revision_of,
};
use crate::record::VerifierHash;
use crate::store::{
    Created, PIECE, Record, RecordKey, Replaced, SessionStore, TOMBSTONE_LIFETIME, UserIndex,
};

/// More than a store handles in one round trip.
const MANY: usize = 10_000;

pub(super) async fn a_store_with_an_index_returns_it<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let key = sample_key();
    cx.created(&key, &sample_login("alice", LONG), LONG).await?;
    let Some(index) = SessionStore::user_index(&cx.store) else {
        return failed("user_index returned None");
    };
    let listed = index.sessions_of("id", "alice", None);
    let listed = must_succeed("sessions_of", listed).await?.sessions;
    ensure!(
        listed.len() == 1 && listed[0].key == key,
        "user_index returned another index"
    );
    Ok(())
}

pub(super) async fn no_session_is_listed_before_a_login<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    cx.created(&sample_key(), &sample_of(None), LONG).await?;
    cx.lists("alice", &[]).await?;
    cx.lists("", &[]).await
}

pub(super) async fn a_session_that_begins_with_a_login_is_listed<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, login) = (sample_key(), sample_login("alice", LONG * 2));
    cx.created(&key, &login, LONG).await?;
    cx.lists("alice", &[&key]).await?;
    let listed = cx.only_session_of("alice").await?;
    ensure!(
        listed.header.revision() == login.revision(),
        "the listed session is a different one"
    );
    ensure!(
        !listed.remaining.is_zero() && listed.remaining <= LONG,
        "{:?} remain of {LONG:?}",
        listed.remaining
    );
    Ok(())
}

pub(super) async fn a_session_that_logs_in_later_is_listed<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, anonymous) = (sample_key(), sample_of(None));
    cx.created(&key, &anonymous, LONG).await?;
    let login = sample_login_of(&anonymous, "alice", LONG);
    cx.replaced(&key, anonymous.revision(), &login, LONG)
        .await?;
    cx.lists("alice", &[&key]).await?;
    // Once more, as the same user.
    let again = sample_login_of(&login, "alice", LONG);
    cx.replaced(&key, login.revision(), &again, LONG).await?;
    cx.lists("alice", &[&key]).await
}

pub(super) async fn a_list_is_the_same_on_every_clone<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let clone = Context {
        store: cx.store.clone(),
        harness: cx.harness,
    };
    let (one, other) = (sample_key(), sample_key());
    cx.created(&one, &sample_login("alice", LONG), LONG).await?;
    clone
        .created(&other, &sample_login("alice", LONG), LONG)
        .await?;
    cx.lists("alice", &[&one, &other]).await?;
    clone.lists("alice", &[&one, &other]).await?;
    // Another store has another index.
    let other_store = Context {
        store: cx.harness.store().await,
        harness: cx.harness,
    };
    other_store.lists("alice", &[]).await
}

pub(super) async fn a_list_shows_the_sessions_as_they_are_now<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, login) = (sample_key(), sample_login("alice", LONG));
    cx.created(&key, &login, LONG).await?;
    let next = sample_revision_of(&login, r#"{"n":1}"#);
    cx.replaced(&key, login.revision(), &next, LONG).await?;
    let listed = cx.only_session_of("alice").await?;
    ensure!(
        listed.header.revision() == next.revision(),
        "the list shows an old revision of the session"
    );
    Ok(())
}

pub(super) async fn a_rotation_keeps_the_entry<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, login) = (sample_key(), sample_login("alice", LONG));
    cx.created(&key, &login, LONG).await?;
    let mut header = login.header().clone();
    let next = sample_revision_of(&login, "{}");
    header.revise(next.revision());
    header.rotate(VerifierHash([7; 32]), header.created, TOMBSTONE_LIFETIME);
    let rotated = Record::new(header, data("{}")).into();
    cx.replaced(&key, login.revision(), &rotated, LONG).await?;
    cx.lists("alice", &[&key]).await
}

pub(super) async fn a_logout_removes_the_entry<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let keys = [sample_key(), sample_key(), sample_key()];
    for key in &keys {
        cx.created(key, &sample_login("alice", LONG), LONG).await?;
    }
    must_succeed("delete", cx.store.delete(&keys[0], Some("alice"))).await?;
    cx.holds_a_tombstone(&keys[0]).await?;
    cx.lists("alice", &[&keys[1], &keys[2]]).await?;
    // By a caller that does not know the user.
    must_succeed("delete", cx.store.delete(&keys[1], None)).await?;
    cx.lists("alice", &[&keys[2]]).await?;
    // A second time, and for a session that never existed.
    must_succeed("delete", cx.store.delete(&keys[0], Some("alice"))).await?;
    must_succeed("delete", cx.store.delete(&sample_key(), Some("alice"))).await?;
    cx.lists("alice", &[&keys[2]]).await
}

pub(super) async fn sessions_of_another_user_are_not_listed<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (alices, bobs) = (sample_key(), sample_key());
    cx.created(&alices, &sample_login("alice", LONG), LONG)
        .await?;
    cx.created(&bobs, &sample_login("bob", LONG), LONG).await?;
    cx.lists("alice", &[&alices]).await?;
    cx.lists("bob", &[&bobs]).await?;
    cx.lists("carol", &[]).await
}

pub(super) async fn sessions_of_another_namespace_are_not_listed<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    // Keys that are concatenated without escaping would make some of these equal.
    let places = [
        ("id", "alice"),
        ("id:alice", "alice"),
        ("id:user", "alice"),
        ("id", "user:alice"),
        ("id", "user=alice"),
        ("id:user=alice", "alice"),
        ("id:user=", "alice"),
        ("", "id:alice"),
        ("ID", "alice"),
    ];
    let keys = places.map(|(namespace, _)| RecordKey::new(namespace, sample_key().id()));
    for (key, (_, user)) in keys.iter().zip(places) {
        cx.created(key, &sample_login(user, LONG), LONG).await?;
    }
    for (key, (namespace, user)) in keys.iter().zip(places) {
        cx.lists_in(namespace, user, &[key]).await?;
    }
    // Ending the sessions of one ends none of the others.
    for (index, (namespace, user)) in places.into_iter().enumerate() {
        cx.end_all(namespace, user, None).await?;
        cx.lists_in(namespace, user, &[]).await?;
        for (key, (namespace, user)) in keys.iter().zip(places).skip(index + 1) {
            cx.lists_in(namespace, user, &[key]).await?;
        }
    }
    Ok(())
}

pub(super) async fn a_session_that_belongs_to_another_user_is_not_listed<
    H: Harness<Store: UserIndex>,
>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, login) = (sample_key(), sample_login("alice", LONG));
    cx.created(&key, &login, LONG).await?;
    let bobs = sample_login_of(&login, "bob", LONG);
    cx.replaced(&key, login.revision(), &bobs, LONG).await?;
    for _ in 0..2 {
        cx.lists("alice", &[]).await?;
        cx.lists("bob", &[&key]).await?;
    }
    Ok(())
}

pub(super) async fn user_ids_of_any_text_are_distinct<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (long, longer) = ("x".repeat(254), "x".repeat(255));
    let control: String = (0..=0x20).filter_map(char::from_u32).collect();
    let wide = "é".repeat(127);
    let users = [
        "a",
        "A",
        " a",
        "a ",
        ":",
        "a:b",
        "a:",
        ":a",
        "{a}",
        "{}",
        "*",
        "a*",
        "?",
        "[a]",
        "\\",
        "%3A",
        "%",
        "=",
        "\"'",
        "\0",
        "a\0",
        "\r\n",
        "ålîçé",
        "a\u{30a}",
        "å",
        "\u{1f36a}",
        "+a",
        "!",
        "!a",
        "user:=a",
        "a@b.example",
        &long,
        &longer,
        &control,
        &wide,
    ];
    let keys: Vec<_> = users.iter().map(|_| sample_key()).collect();
    for (key, user) in keys.iter().zip(users) {
        cx.created(key, &sample_login(user, LONG), LONG).await?;
    }
    for (key, user) in keys.iter().zip(users) {
        cx.lists(user, &[key]).await?;
    }
    // Ending the sessions of one user ends none of another.
    for (index, user) in users.iter().enumerate() {
        cx.end_all("id", user, None).await?;
        cx.lists(user, &[]).await?;
        if let (Some(key), Some(next)) = (keys.get(index + 1), users.get(index + 1)) {
            cx.lists(next, &[key]).await?;
        }
    }
    Ok(())
}

pub(super) async fn a_login_whose_record_was_not_written_is_not_listed<
    H: Harness<Store: UserIndex>,
>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let login = || sample_login("alice", LONG);
    // The id is taken: by a session of nobody, by one of another user, by a tombstone.
    let (anonymous, bobs, dead, moved) = (sample_key(), sample_key(), sample_key(), sample_key());
    let first = sample_of(None);
    cx.created(&anonymous, &first, LONG).await?;
    cx.created(&bobs, &sample_login("bob", LONG), LONG).await?;
    cx.delete(&dead).await?;
    cx.created(&moved, &first, LONG).await?;
    let second = sample_revision_of(&first, "{}");
    cx.replaced(&moved, first.revision(), &second, LONG).await?;
    for key in [&anonymous, &bobs, &dead] {
        let created = cx.create(key, &login(), LONG).await?;
        ensure!(
            created == Created::Exists,
            "create overwrote an existing record or tombstone"
        );
    }
    let overtaken = sample_login_of(&first, "alice", LONG);
    cx.conflict(&moved, first.revision(), &overtaken, LONG)
        .await?;
    for _ in 0..2 {
        cx.lists("alice", &[]).await?;
    }
    // They do not prevent the next login either.
    let login = sample_login_of(&second, "alice", LONG);
    cx.replaced(&moved, second.revision(), &login, LONG).await?;
    cx.lists("alice", &[&moved]).await?;
    cx.lists("bob", &[&bobs]).await
}

pub(super) async fn a_list_says_which_login_came_later<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let keys = [sample_key(), sample_key(), sample_key()];
    let first = sample_login("alice", LONG);
    cx.created(&keys[0], &first, LONG).await?;
    for key in &keys[1..] {
        cx.created(key, &sample_login("alice", LONG), LONG).await?;
    }
    // The first one logs in once more, and is the last one now.
    let again = sample_login_of(&first, "alice", LONG);
    cx.replaced(&keys[0], first.revision(), &again, LONG)
        .await?;
    let mut listed = cx.sessions_of("id", "alice").await?;
    listed.sort_by_key(|session| session.bound);
    let order: Vec<_> = listed.iter().map(|session| &session.key).collect();
    let expected = [&keys[1], &keys[2], &keys[0]];
    ensure!(
        order == expected,
        "the logins are in the order {order:?}, not {expected:?}"
    );
    Ok(())
}

pub(super) async fn a_login_says_how_many_entries_there_are_at_least<
    H: Harness<Store: UserIndex>,
>(
    cx: &Context<'_, H>,
) -> CaseResult {
    for number in 1..=5 {
        let login = sample_login("alice", LONG);
        cx.created(&sample_key(), &login, LONG).await?;
        // A store that does not count says nothing.
        let entries = login.entries().get().unwrap_or(usize::MAX);
        ensure!(entries >= number, "{entries} entries for {number} sessions");
    }
    Ok(())
}

pub(super) async fn ten_thousand_sessions_of_one_user_are_listed<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let tasks = run_together((0..20).map(|_| {
        let store = cx.store.clone();
        async move {
            let mut keys = Vec::with_capacity(MANY / 20);
            for _ in 0..MANY / 20 {
                let (key, login) = (sample_key(), sample_login("alice", LONG));
                must_succeed("create", store.create(&key, &login.write(LONG))).await?;
                keys.push(key);
            }
            Ok(keys)
        }
    }));
    let keys: Vec<_> = tasks.await?.into_iter().flatten().collect();
    cx.lists("alice", &keys.iter().collect::<Vec<_>>()).await?;
    let first = must_succeed("sessions_of", cx.store.sessions_of("id", "alice", None));
    let first = first.await?.sessions.len();
    ensure!(first <= 4 * PIECE, "a piece had {first} sessions");
    let ended = cx.end_all("id", "alice", Some(keys[0].id())).await?;
    ensure!(
        ended.len() == MANY - 1,
        "{} of {MANY} sessions were ended",
        ended.len()
    );
    cx.lists("alice", &[&keys[0]]).await?;
    for key in keys.iter().skip(1).step_by(977) {
        cx.holds_a_tombstone(key).await?;
    }
    let record = sample_login("alice", LONG);
    let replaced = cx
        .replace(&keys[1], record.revision(), &sample_of(None), LONG)
        .await?;
    ensure!(
        matches!(replaced, Replaced::Conflict(_)),
        "a session was written after it had ended"
    );
    Ok(())
}
