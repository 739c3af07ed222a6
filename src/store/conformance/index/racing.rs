//! Logins at the same time, and while somebody lists or ends the user's sessions.

use super::super::cases::{LONG, ensure, together};
use super::super::races::poll_once;
use super::super::sample::sample_of;
use super::super::{Context, Harness, Verdict, answer, sample_key, sample_login, sample_login_of};
use super::{is_revoked, logs_in_on};
use crate::store::{Loaded, SessionStore, UserIndex};

const TASKS: usize = 12;
const ROUNDS: usize = 8;

pub(super) async fn concurrent_logins_are_all_listed<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> Verdict {
    let tasks = together((0..TASKS).map(|_| {
        let store = cx.store.clone();
        async move {
            let mut keys = Vec::new();
            for _ in 0..ROUNDS {
                let (key, login) = (sample_key(), sample_login("alice", LONG));
                answer("create", store.create(&key, &login, LONG)).await?;
                keys.push(key);
            }
            Ok(keys)
        }
    }));
    let keys: Vec<_> = tasks.await?.into_iter().flatten().collect();
    cx.lists("alice", &keys.iter().collect::<Vec<_>>()).await
}

pub(super) async fn lists_leave_the_entries_of_logins_under_way<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> Verdict {
    let tasks = together((0..TASKS).map(|task| {
        let store = cx.store.clone();
        async move {
            let mut keys = Vec::new();
            for round in 0..ROUNDS {
                if task % 2 == 0 {
                    // What it sees may be anything; what it removes must not be needed.
                    answer("sessions_of", store.sessions_of("id", "alice")).await?;
                    continue;
                }
                let key = sample_key();
                if round % 2 == 0 {
                    let login = sample_login("alice", LONG);
                    answer("create", store.create(&key, &login, LONG)).await?;
                } else {
                    let anonymous = sample_of(None);
                    answer("create", store.create(&key, &anonymous, LONG)).await?;
                    let login = sample_login_of(&anonymous, "alice", LONG);
                    let call = store.replace(&key, anonymous.revision(), &login, LONG);
                    answer("replace", call).await?;
                }
                keys.push(key);
            }
            Ok(keys)
        }
    }));
    let keys: Vec<_> = tasks.await?.into_iter().flatten().collect();
    cx.lists("alice", &keys.iter().collect::<Vec<_>>()).await
}

pub(super) async fn no_login_survives_a_concurrent_delete_user<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> Verdict {
    for round in 0..ROUNDS {
        let user = format!("alice {round}");
        let tasks = together((0..TASKS).map(|task| {
            let (store, user) = (cx.store.clone(), user.clone());
            async move {
                let key = sample_key();
                if task == 0 {
                    for _ in 0..round {
                        tokio::task::yield_now().await;
                    }
                    let call = store.delete_user("id", &user, None);
                    answer("delete_user", call).await?;
                } else if task % 2 == 0 {
                    let login = sample_login(&user, LONG);
                    // A tombstone may be there already.
                    is_revoked("create", store.create(&key, &login, LONG).await)?;
                } else {
                    let anonymous = sample_of(None);
                    answer("create", store.create(&key, &anonymous, LONG)).await?;
                    let login = sample_login_of(&anonymous, &user, LONG);
                    logs_in_on(&store, &key, &anonymous, &login, LONG).await?;
                }
                Ok(key)
            }
        }));
        let keys = tasks.await?;
        cx.lists(&user, &[]).await?;
        for key in keys {
            if let Loaded::Record { record, .. } = cx.load(&key).await? {
                ensure!(
                    record.user().is_none(),
                    "a login survived, and is in no list"
                );
            }
        }
    }
    Ok(())
}

pub(super) async fn a_login_that_was_given_up_is_listed_if_it_was_made<
    H: Harness<Store: UserIndex>,
>(
    cx: &Context<'_, H>,
) -> Verdict {
    let mut made = Vec::new();
    for _ in 0..ROUNDS {
        let (key, login) = (sample_key(), sample_login("alice", LONG));
        poll_once(cx.store.create(&key, &login, LONG)).await;
        // What was sent has arrived once this is answered.
        cx.holds_nothing(&sample_key()).await?;
        if let Loaded::Record { .. } = cx.load(&key).await? {
            made.push(key);
        }
    }
    cx.lists("alice", &made.iter().collect::<Vec<_>>()).await
}
