//! Concurrent logins, and logins while another call lists or ends the user's sessions.

use super::super::context::{Context, LONG, ensure, must_succeed, run_together};
use super::super::harness::Harness;
use super::super::races::poll_once;
use super::super::report::CaseResult;
use super::super::sample::{sample_key, sample_login, sample_login_of, sample_of};
use super::context::{can_log_in_on, is_revoked};
use crate::store::testing::whole::{all_sessions_of, end_all};
use crate::store::{Loaded, SessionStore, UserIndex};

const TASKS: usize = 12;
const ROUNDS: usize = 8;

pub(super) async fn concurrent_logins_are_all_listed<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let tasks = run_together((0..TASKS).map(|_| {
        let store = cx.store.clone();
        async move {
            let mut keys = Vec::new();
            for _ in 0..ROUNDS {
                let (key, login) = (sample_key(), sample_login("alice", LONG));
                must_succeed("create", store.create(&key, &login.write(LONG))).await?;
                keys.push(key);
            }
            Ok(keys)
        }
    }));
    let keys: Vec<_> = tasks.await?.into_iter().flatten().collect();
    cx.lists("alice", &keys.iter().collect::<Vec<_>>()).await
}

pub(super) async fn lists_leave_the_entries_of_logins_in_progress<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let tasks = run_together((0..TASKS).map(|task| {
        let store = cx.store.clone();
        async move {
            let mut keys = Vec::new();
            for round in 0..ROUNDS {
                if task % 2 == 0 {
                    // Any list will do, but the call must remove no entry that is needed.
                    let list = all_sessions_of(&store, "id", "alice");
                    must_succeed("sessions_of", list).await?;
                    continue;
                }
                let key = sample_key();
                if round % 2 == 0 {
                    let login = sample_login("alice", LONG);
                    must_succeed("create", store.create(&key, &login.write(LONG))).await?;
                } else {
                    let anonymous = sample_of(None);
                    must_succeed("create", store.create(&key, &anonymous.write(LONG))).await?;
                    let login = sample_login_of(&anonymous, "alice", LONG);
                    let write = login.write(LONG);
                    let call = store.replace(&key, anonymous.revision(), &write);
                    must_succeed("replace", call).await?;
                }
                keys.push(key);
            }
            Ok(keys)
        }
    }));
    let keys: Vec<_> = tasks.await?.into_iter().flatten().collect();
    cx.lists("alice", &keys.iter().collect::<Vec<_>>()).await
}

pub(super) async fn no_login_survives_a_concurrent_revocation<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    for round in 0..ROUNDS {
        let user = format!("alice {round}");
        let tasks = run_together((0..TASKS).map(|task| {
            let (store, user) = (cx.store.clone(), user.clone());
            async move {
                let key = sample_key();
                if task == 0 {
                    for _ in 0..round {
                        tokio::task::yield_now().await;
                    }
                    let call = end_all(&store, "id", &user, None);
                    must_succeed("a revocation", call).await?;
                } else if task % 2 == 0 {
                    let login = sample_login(&user, LONG);
                    // The create may also meet a tombstone.
                    is_revoked("create", store.create(&key, &login.write(LONG)).await)?;
                } else {
                    let anonymous = sample_of(None);
                    must_succeed("create", store.create(&key, &anonymous.write(LONG))).await?;
                    let login = sample_login_of(&anonymous, &user, LONG);
                    can_log_in_on(&store, &key, &anonymous, &login, LONG).await?;
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
                    "a login survived, and is not listed"
                );
            }
        }
    }
    Ok(())
}

pub(super) async fn a_dropped_login_is_listed_if_it_was_made<H: Harness<Store: UserIndex>>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let mut made = Vec::new();
    for _ in 0..ROUNDS {
        let (key, login) = (sample_key(), sample_login("alice", LONG));
        poll_once(cx.store.create(&key, &login.write(LONG))).await;
        // When this call returns, the dropped one has arrived.
        cx.holds_nothing(&sample_key()).await?;
        if let Loaded::Record { .. } = cx.load(&key).await? {
            made.push(key);
        }
    }
    cx.lists("alice", &made.iter().collect::<Vec<_>>()).await
}
