//! The sessions of a user: where they are logged in, and how to end that.
//!
//! It needs a store that keeps an index of users, as [`MemoryStore`](crate::MemoryStore) and `RedisStore` do.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::client::ClientFacts;
use crate::completion::Completion;
use crate::desk::{Desk, InFlight, Teller};
use crate::error::SessionError;
use crate::event::{Event, EventKind, Revocation, StoreCall};
use crate::session::Session;
use crate::store::{BoundedIndex, Indexed, StoreError, no_index};
use crate::token::{SessionId, Token};

/// One of a user's sessions, as a page "where you are logged in" shows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UserSession {
    /// Its public id, by which it can be ended.
    pub id: SessionId,
    /// When it began, perhaps before the login.
    pub created: SystemTime,
    /// When its user last proved who they are.
    pub authenticated_at: Option<SystemTime>,
    /// When it was last used, to a [refresh interval](crate::SessionConfig::refresh_interval): it may have been used until
    /// that much later, a minute by default.
    ///
    /// It follows from how much of the record's life the store has left. So the clocks of the application's servers have to
    /// agree: where the absolute limit is nearer than the idle one, a difference counts a hundredfold. Just after limits were
    /// changed it may be off by as much as these were moved.
    pub last_seen: SystemTime,
    /// What the client from which the user logged in calls itself, where the layer [asks](crate::ClientFacts) for it. Escape it
    /// in HTML as any text of a stranger.
    pub client: Option<String>,
    /// Whether the login was to be [remembered](crate::Login::remember).
    pub remembered: bool,
    /// Whether it is the session of the request that asks. None is in an administrator's list.
    pub current: bool,
    /// When it ends if nobody uses it until then.
    pub expires_at: SystemTime,
}

/// All sessions of a layer, by user: for an administrator's task. A handler finds its own user's with
/// [`Session::sessions`].
///
/// ```
/// use tower_keycard::{MemoryStore, SessionLayer};
///
/// # async fn task() -> Result<(), tower_keycard::store::StoreError> {
/// let layer = SessionLayer::new(MemoryStore::new());
/// let users = layer.users();
/// for session in users.sessions_of("alice").await? {
///     println!("{} since {:?}", session.id, session.created);
/// }
/// users.end_all("alice").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Users(Arc<Desk>);

impl Users {
    pub(crate) fn new(desk: Arc<Desk>) -> Self {
        Self(desk)
    }

    /// The user's live sessions, the newest login first.
    ///
    /// # Errors
    ///
    /// The store fails, or keeps no index.
    pub async fn sessions_of(&self, user: &str) -> Result<Vec<UserSession>, StoreError> {
        let now = self.0.clock.now();
        let mut sessions = settled_last(self.0.serving(None).sessions_of(user).await?);
        let describe = |indexed: Indexed| {
            let header = indexed.record.header();
            let lifetime = self.0.lifetime(&indexed.record, now);
            let last_seen = now.minus(lifetime.unused_for(indexed.remaining));
            // No session is used before its login, whatever the store's time says after limits were changed.
            let login = header.authenticated.unwrap_or(header.created);
            UserSession {
                id: indexed.key.id(),
                created: header.created.into(),
                authenticated_at: header.authenticated.map(SystemTime::from),
                last_seen: last_seen.max(login.min(now)).into(),
                client: header.terms.client.as_deref().map(str::to_owned),
                remembered: header.terms.remember == Some(true),
                current: false,
                expires_at: now.plus(lifetime.ends_in().min(indexed.remaining)).into(),
            }
        };
        Ok(sessions.drain(..).map(describe).collect())
    }

    /// Ends one session, whoever it belongs to. It is dead at its next request, on every server.
    ///
    /// # Errors
    ///
    /// The store fails: the session may still live.
    pub async fn end(&self, id: SessionId) -> Result<(), StoreError> {
        let desk = self.0.serving(None);
        desk.end(id, None, Revocation::Administrator).await
    }

    /// Ends all sessions of a user, logins under way included, and says how many there were. For a few seconds nobody can
    /// log in as this user: [`REVOCATION_LIFETIME`](crate::store::REVOCATION_LIFETIME), 5 seconds, with 503. Dropping the
    /// future does not stop it.
    ///
    /// # Errors
    ///
    /// The store fails: some sessions may still live. Doing it again does no harm.
    pub async fn end_all(&self, user: &str) -> Result<usize, StoreError> {
        self.end_but(user, None).await
    }

    /// As [`end_all`](Users::end_all), but for one session, which goes on: the one that a task was asked for from, perhaps.
    ///
    /// # Errors
    ///
    /// As for [`end_all`](Users::end_all).
    pub async fn end_others(&self, user: &str, except: SessionId) -> Result<usize, StoreError> {
        self.end_but(user, Some(except)).await
    }

    async fn end_but(&self, user: &str, but: Option<SessionId>) -> Result<usize, StoreError> {
        let (desk, user) = (self.0.clone(), user.to_owned());
        let work = async move {
            let desk = desk.serving(None);
            desk.end_user(&user.into(), but, Revocation::Administrator)
                .await
        };
        self.0.finish(work).await
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Users").field(&self.0).finish()
    }
}

/// The newest login first.
pub(crate) fn settled_last(mut sessions: Vec<Indexed>) -> Vec<Indexed> {
    sessions.sort_by_key(|indexed| {
        let header = indexed.record.header();
        std::cmp::Reverse(header.authenticated.unwrap_or(header.created))
    });
    sessions
}

impl Desk {
    /// Carries out what is not to stop halfway when the client hangs up, nor when the server stops.
    fn finish<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Completion<T> {
        let counted = InFlight::enter(self.clone());
        Completion::new(async move {
            let result = work.await;
            counted.done();
            result
        })
    }

    fn index(&self) -> Result<BoundedIndex<'_>, StoreError> {
        self.store().user_index().ok_or_else(no_index)
    }
}

impl Teller<'_> {
    /// The user's sessions that are not over.
    pub(crate) async fn sessions_of(self, user: &str) -> Result<Vec<Indexed>, StoreError> {
        let found = self.index()?.sessions_of(self.namespace(), user).await;
        let mut found = found.inspect_err(|error| {
            self.tell(Event::store_failed(StoreCall::SessionsOf, error));
        })?;
        let now = self.clock.now();
        found.retain(|indexed| !self.lifetime(&indexed.record, now).is_over());
        Ok(found)
    }

    /// Lets a session do something to its user's others only if it is still the user's itself.
    async fn confirm(self, asker: &Asker) -> Result<(), SessionError> {
        let Some(token) = &asker.token else {
            return Ok(());
        };
        let card = self.examine_latest(token).await?;
        match card.held() {
            Some(held) if held.record.user() == Some(&asker.user) => Ok(()),
            _ => {
                let event = Event::new(EventKind::Interrupted).session(token.selector());
                self.tell(event.user(Some(&asker.user)));
                Err(SessionError::Interrupted)
            }
        }
    }

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
        self.tell(event.session(id).user(user));
        ended
    }

    async fn end_user(
        self,
        user: &Arc<str>,
        but: Option<SessionId>,
        by: Revocation,
    ) -> Result<usize, StoreError> {
        let ended = self.index()?.delete_user(self.namespace(), user, but).await;
        match &ended {
            Ok(ended) => {
                for id in ended {
                    self.tell(
                        Event::new(EventKind::Revoked(by))
                            .session(*id)
                            .user(Some(user)),
                    );
                }
            }
            Err(error) => {
                self.tell(Event::store_failed(StoreCall::DeleteUser, error).user(Some(user)));
            }
        }
        Ok(ended?.len())
    }
}

/// Who wants to see or end a user's sessions.
struct Asker {
    user: Arc<str>,
    /// The card that this rests on; `None` for a login that is not stored yet.
    token: Option<Token>,
    client: Option<Arc<ClientFacts>>,
}

impl Asker {
    fn at<'a>(&'a self, desk: &'a Desk) -> Teller<'a> {
        desk.serving(self.client.as_ref())
    }
}

/// # Where else the user is logged in
///
/// These need a store that keeps an index of users, as `MemoryStore` and `RedisStore` do.
///
/// They look once more whether this session still lives: one that was ended meanwhile, perhaps hours ago while a stream or a
/// WebSocket went on, sees and ends nothing.
impl<M: 'static> Session<M> {
    /// All live sessions of this session's user, the newest login first. This one is marked as the
    /// [current](UserSession::current) one. ASVS 5.0, 7.5.2.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotLoggedIn`], [`SessionError::Interrupted`], or the store fails.
    pub async fn sessions(&self) -> Result<Vec<UserSession>, SessionError> {
        let (desk, asker) = (self.desk(), self.asker()?);
        asker.at(&desk).confirm(&asker).await?;
        let mut sessions = Users::new(desk).sessions_of(&asker.user).await?;
        let own = self.id();
        for session in &mut sessions {
            session.current = Some(session.id) == own;
        }
        Ok(sessions)
    }

    /// Ends one of the user's sessions, and says whether it was one of theirs. To end this one, [log out](Session::logout).
    ///
    /// # Errors
    ///
    /// [`SessionError::NotLoggedIn`], [`SessionError::Interrupted`], or the store fails.
    pub async fn end_session(&self, id: SessionId) -> Result<bool, SessionError> {
        let (desk, asker) = (self.desk(), self.asker()?);
        let desk = asker.at(&desk);
        desk.confirm(&asker).await?;
        let theirs = desk
            .sessions_of(&asker.user)
            .await?
            .iter()
            .any(|indexed| indexed.key.id() == id);
        if theirs {
            desk.end(id, Some(&asker.user), Revocation::One).await?;
        }
        Ok(theirs)
    }

    /// Ends all other sessions of the user, logins under way included, as after a change of the password; says how many
    /// there were. Dropping the future does not stop it. ASVS 5.0, 7.4.3.
    ///
    /// This session goes on under a [new card](Session::cycle_id), so that a copy of the old one ends too; only after the
    /// response's head, where no card can be handed out, it keeps the one it has. What it has not stored yet is
    /// [saved](Session::save) first.
    ///
    /// For 5 seconds ([`REVOCATION_LIFETIME`](crate::store::REVOCATION_LIFETIME)) a login as this user elsewhere is answered
    /// with 503: [`Failure::Revoked`](crate::Failure::Revoked). Let only those ask for it who
    /// [proved a moment ago](Session::require_fresh) who they are: a stolen card could keep its owner out.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotLoggedIn`], what [`save`](Session::save) may answer, or the store fails: some sessions may still
    /// live.
    pub async fn end_other_sessions(&self) -> Result<usize, SessionError> {
        self.end_others(Revocation::Others).await
    }

    pub(crate) async fn end_others(&self, by: Revocation) -> Result<usize, SessionError> {
        self.require_user()?;
        match self.cycle_id() {
            Err(SessionError::HeadSent) => {}
            cycled => cycled?,
        }
        let (desk, session) = (self.desk(), self.clone());
        let work = async move {
            session.save().await?;
            let (desk, asker) = (session.desk(), session.asker()?);
            let desk = asker.at(&desk);
            desk.confirm(&asker).await?;
            let others = desk.end_user(&asker.user, session.id(), by);
            Ok(others.await?)
        };
        desk.finish(work).await
    }

    /// Logs the user out everywhere, here too. Dropping the future does not stop it.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotLoggedIn`], [`SessionError::Sealed`], [`SessionError::Interrupted`], or the store fails: some
    /// sessions may still live. This one ends with the response in any case.
    pub async fn logout_everywhere(&self) -> Result<usize, SessionError> {
        let (desk, asker) = (self.desk(), self.asker()?);
        self.logout()?;
        let work = async move {
            let desk = asker.at(&desk);
            desk.confirm(&asker).await?;
            let all = desk.end_user(&asker.user, None, Revocation::Everywhere);
            Ok(all.await?)
        };
        self.desk().finish(work).await
    }

    fn asker(&self) -> Result<Asker, SessionError> {
        let (user, token) = self.identity().ok_or(SessionError::NotLoggedIn)?;
        let client = self.shared_client();
        Ok(Asker {
            user,
            token,
            client,
        })
    }
}
