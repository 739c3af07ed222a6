//! Assertions about the user index.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::context::{Context, ensure, failed, must_succeed};
use super::super::harness::Harness;
use super::super::report::CaseResult;
use crate::store::testing::owned_write::OwnedWrite;
use crate::store::testing::whole::{all_sessions_of, end_all};
use crate::store::{
    Created, Indexed, Record, RecordKey, Replaced, SessionId, SessionStore, StoreError,
    StoreErrorKind, UserIndex,
};

impl<H: Harness<Store: UserIndex>> Context<'_, H> {
    pub(super) async fn sessions_of(
        &self,
        namespace: &str,
        user: &str,
    ) -> CaseResult<Vec<Indexed>> {
        let listed = all_sessions_of(&self.store, namespace, user);
        must_succeed("sessions_of", listed).await
    }

    /// Asserts that exactly one session of a user is listed, in the namespace of the samples, and returns it.
    pub(super) async fn only_session_of(&self, user: &str) -> CaseResult<Indexed> {
        let mut listed = self.sessions_of("id", user).await?;
        match (listed.pop(), listed.is_empty()) {
            (Some(session), true) => Ok(session),
            _ => failed(format!("{user:?} has not exactly one listed session")),
        }
    }

    pub(super) async fn end_all(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> CaseResult<Vec<SessionId>> {
        let ended = end_all(&self.store, namespace, user, except);
        must_succeed("revoke_user or delete_sessions_of", ended).await
    }

    /// Asserts that exactly these sessions of a user are listed, in the namespace of the samples.
    pub(super) async fn lists(&self, user: &str, keys: &[&RecordKey]) -> CaseResult {
        self.lists_in("id", user, keys).await
    }

    pub(super) async fn lists_in(
        &self,
        namespace: &str,
        user: &str,
        keys: &[&RecordKey],
    ) -> CaseResult {
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
            "the sessions {found:?} of {user:?} are listed, not {expected:?}"
        );
        let all_of_user = listed
            .iter()
            .all(|session| session.header.user() == Some(user));
        ensure!(all_of_user, "a listed record does not belong to {user:?}");
        Ok(())
    }
}

/// Whether a login was refused because all sessions were ended a moment ago. With any other error the case fails.
pub(super) fn is_revoked<T>(name: &str, login: Result<T, StoreError>) -> CaseResult<bool> {
    match login {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == StoreErrorKind::Revoked => Ok(true),
        Err(error) => failed(format!("{name} failed: {error:?}")),
    }
}

/// Logs in on a new session, and returns whether that was refused.
pub(super) async fn new_login_is_revoked<S: SessionStore>(
    store: &S,
    key: &RecordKey,
    login: &OwnedWrite,
    ttl: Duration,
) -> CaseResult<bool> {
    let created = store.create(key, &login.write(ttl)).await;
    if let Ok(Created::Exists) = created {
        return failed("create returned Exists, but there was no record");
    }
    is_revoked("create", created)
}

/// Logs in on an existing session, and returns whether the login was made.
pub(super) async fn can_log_in_on<S: SessionStore>(
    store: &S,
    key: &RecordKey,
    before: &Record,
    login: &OwnedWrite,
    ttl: Duration,
) -> CaseResult<bool> {
    let replaced = store
        .replace(key, before.revision(), &login.write(ttl))
        .await;
    let made = matches!(replaced, Ok(Replaced::Replaced));
    is_revoked("replace", replaced).map(|_| made)
}
