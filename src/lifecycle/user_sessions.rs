//! Lists and ends the sessions of a user.

use std::cmp::Reverse;
use std::sync::Arc;

use super::context::ClientContext;
use super::manager::SessionManager;
use super::timed_store::TimedIndex;
use crate::client::ClientFacts;
use crate::error::SessionError;
use crate::event::{Event, EventKind, Revocation};
use crate::record::{SessionId, Token};
use crate::store::{Indexed, StoreCall, StoreError, no_index};

/// Sorts sessions by their logins, the newest first.
pub(crate) fn newest_first(mut sessions: Vec<Indexed>) -> Vec<Indexed> {
    sessions.sort_by_key(|indexed| Reverse(indexed.record.header().last_login()));
    sessions
}

/// A user who wants to see or end their sessions.
pub(crate) struct Requester {
    pub(crate) user: Arc<str>,
    /// The token of the requesting session; `None` for a login that is not stored yet.
    pub(crate) token: Option<Token>,
    pub(crate) client: Option<Arc<ClientFacts>>,
}

impl Requester {
    pub(crate) fn context<'a>(&'a self, manager: &'a SessionManager) -> ClientContext<'a> {
        ClientContext::new(manager, self.client.as_ref())
    }
}

impl<'a> ClientContext<'a> {
    fn user_index(self) -> Result<TimedIndex<'a>, StoreError> {
        self.store().user_index().ok_or_else(no_index)
    }
}

impl ClientContext<'_> {
    /// The user's sessions that have not ended.
    pub(crate) async fn sessions_of(self, user: &str) -> Result<Vec<Indexed>, StoreError> {
        let found = self.user_index()?.sessions_of(self.namespace(), user).await;
        let mut found = found.inspect_err(|error| {
            self.report(Event::store_failed(StoreCall::SessionsOf, error));
        })?;
        let now = self.now();
        found.retain(|indexed| !self.lifetime(&indexed.record, now).is_over());
        Ok(found)
    }

    /// Checks that the requesting session still belongs to its user. Only then may it list or end the user's other sessions.
    pub(crate) async fn confirm(self, requester: &Requester) -> Result<(), SessionError> {
        let Some(token) = &requester.token else {
            return Ok(());
        };
        let lookup = self.look_up_latest(token).await?;
        match lookup.open() {
            Some(open) if open.record.user() == Some(&requester.user) => Ok(()),
            _ => {
                let event = Event::new(EventKind::Interrupted).session(token.selector());
                self.report(event.user(Some(&requester.user)));
                Err(SessionError::Interrupted)
            }
        }
    }

    /// Ends one session.
    pub(crate) async fn end(
        self,
        id: SessionId,
        user: Option<&Arc<str>>,
        by: Revocation,
    ) -> Result<(), StoreError> {
        let ended = self
            .store()
            .delete(&self.key(id), user.map(|user| &**user))
            .await;
        let event = match &ended {
            Ok(()) => Event::new(EventKind::Revoked(by)),
            Err(error) => Event::store_failed(StoreCall::Delete, error),
        };
        self.report(event.session(id).user(user));
        ended
    }

    /// Ends all sessions of a user, except the one in `except`, and returns how many it ended.
    pub(crate) async fn end_user(
        self,
        user: &Arc<str>,
        except: Option<SessionId>,
        by: Revocation,
    ) -> Result<usize, StoreError> {
        let ended = self
            .user_index()?
            .delete_user(self.namespace(), user, except)
            .await;
        match &ended {
            Ok(ended) => {
                for id in ended {
                    let event = Event::new(EventKind::Revoked(by)).session(*id);
                    self.report(event.user(Some(user)));
                }
            }
            Err(error) => {
                let event = Event::store_failed(StoreCall::DeleteUser, error);
                self.report(event.user(Some(user)));
            }
        }
        Ok(ended?.len())
    }
}
