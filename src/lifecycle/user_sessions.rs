//! Lists and ends the sessions of a user.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::context::ClientContext;
use super::manager::SessionManager;
use super::timed_store::TimedIndex;
use crate::client::ClientFacts;
use crate::error::SessionError;
use crate::event::{Event, EventKind, Revocation};
use crate::record::{SessionId, Token};
use crate::store::{Indexed, Loaded, StoreCall, StoreError, StoreErrorKind, no_index};
use crate::sync::Turn;

/// For how long a revocation goes on: a store distinguishes the logins before it from those after it for a minute.
const LONGEST_REVOCATION: Duration = Duration::from_secs(50);

/// Sorts sessions by their logins, the newest first.
pub(crate) fn newest_first(mut sessions: Vec<Indexed>) -> Vec<Indexed> {
    sessions.sort_by_key(|indexed| Reverse(indexed.header.0.last_login()));
    sessions
}

/// For what the sessions of a user are listed.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    /// To show them. Such lists of one user are read one piece after the other: whoever asks for many of them keeps neither
    /// other users nor logins waiting.
    Show,
    /// To enforce the session limit at a login, in at most so many pieces, of which none begins later than this.
    LogIn { pieces: usize, until: Instant },
}

/// The error of work that was given up before its next store call.
fn too_long(why: &'static str) -> StoreError {
    StoreError::caused_by(StoreErrorKind::Unavailable, why)
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
    /// The user's sessions that have not ended, each once.
    pub(crate) async fn sessions_of(self, user: &str) -> Result<Vec<Indexed>, StoreError> {
        self.list(user, Purpose::Show).await
    }

    /// The same, for a purpose.
    pub(crate) async fn list(
        self,
        user: &str,
        purpose: Purpose,
    ) -> Result<Vec<Indexed>, StoreError> {
        let index = self.user_index()?;
        let (mut found, mut after) = (Vec::new(), None);
        for number in 0.. {
            if matches!(purpose, Purpose::LogIn { pieces, .. } if number == pieces) {
                break;
            }
            let piece = async {
                let _turn = match purpose {
                    Purpose::Show => Some(self.turn_to_read(user).await?),
                    Purpose::LogIn { until, .. } if number > 0 && Instant::now() >= until => {
                        return Err(too_long("a login may not list sessions for longer"));
                    }
                    Purpose::LogIn { .. } => None,
                };
                index
                    .sessions_of(self.namespace(), user, after.as_ref())
                    .await
            };
            let piece = piece.await.inspect_err(|error| {
                self.report(Event::store_failed(StoreCall::SessionsOf, error));
            })?;
            found.extend(piece.sessions);
            after = piece.next;
            if after.is_none() {
                break;
            }
        }
        // A session that was moved meanwhile is in two pieces, and as it is now in the later one.
        let mut seen = HashSet::with_capacity(found.len());
        found.reverse();
        found.retain(|indexed: &Indexed| seen.insert(indexed.key.id()));
        let now = self.now();
        found.retain(|indexed| !self.lifetime_of(&indexed.header.0, now).is_over());
        Ok(found)
    }

    /// Waits until nobody else reads a piece of this user's list to show it. Without a wait it needs no timer.
    async fn turn_to_read(&self, user: &str) -> Result<Turn<'_, u64>, StoreError> {
        let queue = self.readers(user);
        if let Some(turn) = queue.try_turn() {
            return Ok(turn);
        }
        let waited = timeout(self.config.store_timeout, queue.turn()).await;
        waited.map_err(|_| too_long("too many lists of this user's sessions are being read"))
    }

    /// Whether there is such a session of this user. Loads one record.
    pub(crate) async fn is_session_of(self, id: SessionId, user: &str) -> Result<bool, StoreError> {
        let loaded = self.store().load_latest(&self.key(id)).await;
        let loaded = loaded.inspect_err(|error| {
            let event = Event::store_failed(StoreCall::Load, error);
            self.report(event.session(id));
        })?;
        Ok(match loaded {
            Loaded::Record { record, .. } => {
                record.user() == Some(user) && !self.lifetime(&record, self.now()).is_over()
            }
            _ => false,
        })
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
    ///
    /// It goes on piece by piece. Each piece is complete before the next one begins, so that nothing is lost if the store fails,
    /// or if this work stops.
    pub(crate) async fn end_user(
        self,
        user: &Arc<str>,
        except: Option<SessionId>,
        by: Revocation,
    ) -> Result<usize, StoreError> {
        let failed = |call, error: &StoreError| {
            self.report(Event::store_failed(call, error).user(Some(user)));
        };
        let (index, begun) = (self.user_index()?, Instant::now());
        let marker = index.revoke_user(self.namespace(), user, except).await;
        let marker = marker.inspect_err(|error| failed(StoreCall::RevokeUser, error))?;
        let (mut count, mut after, mut replicated) = (0, None, marker.replicated);
        loop {
            let piece = index.delete_sessions_of(self.namespace(), user, &marker, after.as_ref());
            let piece = piece.await;
            let piece = piece.inspect_err(|error| failed(StoreCall::DeleteSessionsOf, error))?;
            for id in &piece.ended {
                let event = Event::new(EventKind::Revoked(by)).session(*id);
                self.report(event.user(Some(user)));
            }
            count += piece.ended.len();
            replicated &= piece.replicated;
            after = piece.next;
            if after.is_none() {
                break;
            }
            if begun.elapsed() > LONGEST_REVOCATION {
                let error =
                    too_long("the user has too many sessions to end them at once: try again");
                failed(StoreCall::DeleteSessionsOf, &error);
                return Err(error);
            }
        }
        if !replicated {
            let error = StoreError::new(StoreErrorKind::Unreplicated);
            failed(StoreCall::DeleteSessionsOf, &error);
            return Err(error);
        }
        Ok(count)
    }
}
