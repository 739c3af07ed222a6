//! The contract of a [`UserIndex`]: the list of its cases, and what they have in common.

mod ending;
mod listing;
mod lives;
mod racing;

use std::collections::BTreeSet;
use std::time::Duration;

use super::cases::{ensure, failed};
use super::{Context, Harness, Outcome, Report, Stop, Verdict, answer, outcome_of};
use crate::store::{
    Created, Indexed, Record, RecordKey, Replaced, SessionId, SessionStore, StoreError,
    StoreErrorKind, UserIndex,
};

/// Runs every case of the index, one after the other. [`suite`](super::suite) says what there is beside the index.
pub async fn index_suite<H: Harness<Store: UserIndex>>(harness: &H) -> Report {
    let mut results = Vec::with_capacity(INDEX_CASES.len());
    for name in INDEX_CASES {
        results.push((*name, index_case(harness, name).await));
    }
    Report { results }
}

/// Runs one of the [`INDEX_CASES`].
///
/// A store that panics fails the case. A name that is not among the cases is a failure too.
pub async fn index_case<H: Harness<Store: UserIndex>>(harness: &H, name: &str) -> Outcome {
    let context = Context {
        store: harness.store().await,
        harness,
    };
    outcome_of(run(name, &context)).await
}

macro_rules! cases {
    ($($topic:ident: $($name:ident)+;)+) => {
        /// The names of all cases of the index, in the order in which [`index_suite`] runs them.
        pub const INDEX_CASES: &[&str] = &[$($(stringify!($name),)+)+];

        async fn run<H: Harness<Store: UserIndex>>(name: &str, context: &Context<'_, H>) -> Verdict {
            match name {
                $($(stringify!($name) => $topic::$name(context).await,)+)+
                _ => Err(Stop::Failed("there is no such case".to_owned())),
            }
        }
    };
}

cases! {
    listing:
        a_store_with_an_index_says_so
        nobody_is_listed_before_a_login
        a_session_that_begins_with_a_login_is_listed
        a_session_that_logs_in_later_is_listed
        a_list_is_the_same_on_every_clone
        a_list_shows_the_sessions_as_they_are_now
        a_rotation_keeps_the_entry
        a_logout_removes_the_entry
        sessions_of_another_user_are_not_listed
        sessions_of_another_namespace_are_not_listed
        a_session_that_belongs_to_somebody_else_is_not_listed
        user_ids_of_any_text_are_told_apart
        a_login_whose_record_was_not_written_lists_nobody;
    lives:
        an_expired_session_is_not_listed
        an_entry_outlives_those_of_shorter_sessions
        an_entry_lives_as_long_as_it_was_said_at_the_login
        a_second_login_does_not_end_the_entry_of_the_first_earlier
        a_touch_lets_the_entry_live_on
        a_write_lets_the_entry_live_on;
    ending:
        delete_user_ends_every_session_and_leaves_tombstones
        delete_user_keeps_the_session_it_is_told_to
        delete_user_of_somebody_without_sessions_ends_nothing
        delete_user_leaves_other_users_and_namespaces_alone
        delete_user_leaves_a_session_that_belongs_to_somebody_else
        a_login_right_after_delete_user_is_refused
        the_session_that_was_kept_may_log_in_again
        a_later_delete_user_keeps_only_what_it_is_told_to
        logins_are_possible_again_after_a_while
        a_login_that_took_long_does_not_outlast_the_marker
        the_oldest_login_that_there_can_be_does_not_outlast_the_marker
        a_login_that_began_before_delete_user_does_not_survive_it;
    racing:
        concurrent_logins_are_all_listed
        lists_leave_the_entries_of_logins_under_way
        no_login_survives_a_concurrent_delete_user
        a_login_that_was_given_up_is_listed_if_it_was_made;
    // Last, since it leaves so much behind that a harness may be slow to let time pass for.
    listing:
        ten_thousand_sessions_of_one_user_are_listed;
}

impl<H: Harness<Store: UserIndex>> Context<'_, H> {
    async fn sessions_of(&self, namespace: &str, user: &str) -> Verdict<Vec<Indexed>> {
        answer("sessions_of", self.store.sessions_of(namespace, user)).await
    }

    /// The one session of a user, in the namespace of the samples.
    async fn only_session_of(&self, user: &str) -> Verdict<Indexed> {
        let mut listed = self.sessions_of("id", user).await?;
        match (listed.pop(), listed.is_empty()) {
            (Some(session), true) => Ok(session),
            _ => failed(format!("not one session of {user:?} is listed")),
        }
    }

    async fn delete_user(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> Verdict<Vec<SessionId>> {
        let call = self.store.delete_user(namespace, user, except);
        answer("delete_user", call).await
    }

    /// Asserts that exactly these sessions of a user are listed, in the namespace of the samples.
    async fn lists(&self, user: &str, keys: &[&RecordKey]) -> Verdict {
        self.lists_in("id", user, keys).await
    }

    async fn lists_in(&self, namespace: &str, user: &str, keys: &[&RecordKey]) -> Verdict {
        let listed = self.sessions_of(namespace, user).await?;
        ensure!(
            listed.len() == keys.len(),
            "{} sessions of {user:?} are listed, not {}",
            listed.len(),
            keys.len()
        );
        let expected: BTreeSet<&RecordKey> = keys.iter().copied().collect();
        let found: BTreeSet<&RecordKey> = listed.iter().map(|session| &session.key).collect();
        ensure!(
            found == expected,
            "of {user:?} {found:?} are listed, not {expected:?}"
        );
        let all_theirs = listed
            .iter()
            .all(|session| session.record.user() == Some(user));
        ensure!(all_theirs, "a listed record does not belong to {user:?}");
        Ok(())
    }
}

/// Whether a login was refused because all sessions were ended a moment ago; any other failure ends the case.
fn is_revoked<T>(name: &str, login: Result<T, StoreError>) -> Verdict<bool> {
    match login {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == StoreErrorKind::Revoked => Ok(true),
        Err(error) => failed(format!("{name} failed: {error:?}")),
    }
}

/// Logs in on a fresh session, and says whether that was refused.
async fn login_is_revoked<S: SessionStore>(
    store: &S,
    key: &RecordKey,
    login: &Record,
    ttl: Duration,
) -> Verdict<bool> {
    let created = store.create(key, login, ttl).await;
    if let Ok(Created::Exists) = created {
        return failed("create answered Exists where nothing was");
    }
    is_revoked("create", created)
}

/// Logs in on a session that is there, and says whether the session is the user's now.
async fn logs_in_on<S: SessionStore>(
    store: &S,
    key: &RecordKey,
    before: &Record,
    login: &Record,
    ttl: Duration,
) -> Verdict<bool> {
    let replaced = store.replace(key, before.revision(), login, ttl).await;
    let made = matches!(replaced, Ok(Replaced::Replaced));
    is_revoked("replace", replaced).map(|_| made)
}
