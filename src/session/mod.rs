//! What a handler holds.

mod credential;
mod identity;
mod values;

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::Extensions;

use crate::client::ClientFacts;
use crate::clock::Timestamp;
use crate::completion::Completion;
use crate::desk::Desk;
use crate::error::{SessionError, SessionRejection};
use crate::event;
use crate::lifetime::Lifetime;
use crate::plan::Outcome;
use crate::record::{Expiry, Header};
use crate::token::{SessionId, Token};
use crate::visit::{Phase, State, Visit};

/// Marks the session of an application that has only one. See [`Session`] for several.
#[derive(Clone, Copy, Debug)]
pub enum Main {}

/// A visitor's session: values by key, and who they are.
///
/// A cheap handle: all handles of one request, clones included, are the same session, loaded once. Reading is synchronous;
/// so is writing, which is queued, and committed when the response is ready: before the client sees it, in one conditional
/// store call. Changes of parallel requests are joined, and [`update`](Session::update) loses no increment. A response with a
/// 5xx status stores nothing.
///
/// ```
/// use tower_keycard::{Session, SessionError};
///
/// async fn home(session: Session) -> Result<String, SessionError> {
///     let visits = session.update("visits", |n: Option<u32>| n.unwrap_or(0) + 1)?;
///     Ok(format!("visit {visits}"))
/// }
/// ```
///
/// # Several sessions in one application
///
/// An admin area beside a shop has a session of its own: mark its layer with a type, and name the type in the handle.
///
/// ```
/// use tower_keycard::{MemoryStore, Session, SessionLayer};
///
/// enum Admin {}
///
/// # fn layers() -> Result<(), tower_keycard::ConfigError> {
/// let store = MemoryStore::new();
/// let shop = SessionLayer::new(store.clone());
/// let admin = SessionLayer::builder(store).marked::<Admin>().cookie_name("admin").build()?;
/// # Ok(())
/// # }
/// async fn panel(admin: Session<Admin>, shop: Session) {}
/// ```
pub struct Session<M = Main> {
    visit: Arc<Visit>,
    marker: PhantomData<fn() -> M>,
}

impl<M> Clone for Session<M> {
    fn clone(&self) -> Self {
        Self {
            visit: self.visit.clone(),
            marker: PhantomData,
        }
    }
}

impl<M> fmt::Debug for Session<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

/// What the layer puts into a request's extensions.
pub(crate) struct Slot<M> {
    pub(crate) visit: Arc<Visit>,
    pub(crate) marker: PhantomData<fn() -> M>,
}

impl<M> Clone for Slot<M> {
    fn clone(&self) -> Self {
        Self {
            visit: self.visit.clone(),
            marker: PhantomData,
        }
    }
}

/// # Getting hold of it
impl Session {
    /// The session of the request with these extensions, loaded: one store call, and none if it is loaded already.
    ///
    /// For services without axum; with axum, take `Session` as an argument.
    ///
    /// # Errors
    ///
    /// There is no layer around the service, or its store failed.
    pub async fn load(extensions: &Extensions) -> Result<Self, SessionRejection> {
        Self::load_as(extensions).await
    }

    /// The public id that the request's cookie names, if it names one. No access: nothing is loaded, and nothing proved.
    #[must_use]
    pub fn presented(extensions: &Extensions) -> Option<SessionId> {
        Self::presented_as(extensions)
    }
}

/// # Getting hold of a marked one
impl<M: 'static> Session<M> {
    /// As [`load`](Session::load), of the layer marked `M`.
    ///
    /// # Errors
    ///
    /// There is no such layer around the service, or its store failed.
    pub async fn load_as(extensions: &Extensions) -> Result<Self, SessionRejection> {
        let Some(Slot { visit, marker }) = extensions.get::<Slot<M>>().cloned() else {
            let marker = type_name::<M>();
            event::missing_layer(marker);
            return Err(SessionRejection::MissingLayer { marker });
        };
        visit.load().await?;
        Ok(Self { visit, marker })
    }

    /// As [`presented`](Session::presented), of the layer marked `M`.
    #[must_use]
    pub fn presented_as(extensions: &Extensions) -> Option<SessionId> {
        extensions.get::<Slot<M>>()?.visit.presented()
    }
}

impl State {
    fn header(&self) -> Option<&Header> {
        self.intent.header(&self.card)
    }

    /// Whether values may be written now.
    fn writable(&self) -> Result<(), SessionError> {
        match self.phase {
            _ if self.saving => Err(SessionError::Saving),
            Phase::Open => Ok(()),
            Phase::Sealing | Phase::Sealed => Err(SessionError::Sealed),
            // A session that does not exist would need a cookie.
            Phase::Reopened if self.header().is_none() => Err(SessionError::HeadSent),
            Phase::Reopened => Ok(()),
        }
    }

    /// Whether what needs a new cookie may be asked for now.
    fn open(&self) -> Result<(), SessionError> {
        match self.phase {
            _ if self.saving => Err(SessionError::Saving),
            Phase::Open => Ok(()),
            Phase::Sealing | Phase::Sealed => Err(SessionError::Sealed),
            Phase::Reopened => Err(SessionError::HeadSent),
        }
    }
}

impl<M> Session<M> {
    pub(crate) fn desk(&self) -> Arc<Desk> {
        self.visit.desk.clone()
    }

    pub(crate) fn shared_client(&self) -> Option<Arc<ClientFacts>> {
        self.visit.client.clone()
    }

    /// Whose session it is, and the card that says so; `None` for a login that is not stored yet.
    pub(crate) fn identity(&self) -> Option<(Arc<str>, Option<Token>)> {
        let state = self.visit.state();
        let user = state.intent.user(&state.card)?.clone();
        let stored = state.card.held().filter(|_| state.intent.login.is_none());
        Some((user, stored.map(|held| held.token.clone())))
    }
}

/// # The session itself
impl<M> Session<M> {
    /// Whether the request's cookie opened a session that has not been ended since.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.visit.state().header().is_some()
    }

    /// The session's public id: fit for logs and support pages, and the same for as long as the session lives. `None`
    /// while there is no session, as before the first write is committed.
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        let state = self.visit.state();
        state.header()?;
        state.card.held().map(|held| held.token.selector())
    }

    /// Who sent this request, as far as the application's [own function](crate::SessionLayerBuilder::client) says so.
    #[must_use]
    pub fn client(&self) -> Option<&ClientFacts> {
        self.visit.client.as_deref()
    }

    /// Rotates the token: the session stays, with all its data and its public id; the old cookie is dead. To be called
    /// whenever rights change; [`login`](Session::login) does it by itself. Without a session nothing happens.
    ///
    /// # Errors
    ///
    /// The response has begun.
    pub fn cycle_id(&self) -> Result<(), SessionError> {
        let mut state = self.visit.state();
        state.open()?;
        state.intent.rotate = true;
        Ok(())
    }

    /// Sets when this session ends, in place of the layer's idle limit or persistence: a [`Duration`] without activity, a
    /// [`SystemTime`], or an [`Expiry`]. The absolute limit holds whatever is set; a time already past ends the session.
    ///
    /// # Errors
    ///
    /// The response has begun.
    pub fn set_expiry(&self, expiry: impl Into<Expiry>) -> Result<(), SessionError> {
        let expiry = expiry.into();
        let now = self.visit.desk.clock.now();
        let over = match expiry {
            Expiry::At(at) => at <= now,
            Expiry::Idle(idle) => idle < Duration::from_millis(1),
            Expiry::Default | Expiry::BrowserClose => false,
        };
        let mut state = self.visit.state();
        state.open()?;
        if over {
            drop(state);
            return self.flush();
        }
        state.intent.expiry = Some(expiry);
        Ok(())
    }

    /// When the session ends if nobody uses it until then; `None` while there is no session.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        let desk = &self.visit.desk;
        let now = desk.clock.now();
        let state = self.visit.state();
        let mut header = state.header()?.clone();
        header.expiry = state.intent.expiry.unwrap_or(header.expiry);
        drop(state);
        let left = Lifetime::new(&desk.config, &header, now).ends_in();
        Some(SystemTime::from(now.plus(left)))
    }

    /// Commits now what was written so far, rather than with the response. Its cookie goes with the response, whatever that
    /// response's status. Dropping the future does not stop the commit.
    ///
    /// While it is under way, writes are refused with [`SessionError::Saving`].
    ///
    /// # Errors
    ///
    /// [`SessionError::Interrupted`], [`SessionError::Store`] and [`SessionError::Ambiguous`]: nothing was stored, or nobody
    /// knows. The response will tell so too, unless [`reload`](Session::reload) is called first.
    pub async fn save(&self) -> Result<(), SessionError> {
        let phase = self.visit.state().phase;
        if phase.is_sealed() {
            return Err(SessionError::Sealed);
        }
        Completion::new(self.visit.clone().commit(Outcome::Answered)).await
    }

    /// Reads the session anew; what was written and not saved is dropped, but for a flush or logout, which stands.
    ///
    /// After the response's head (in a stream, SSE, a WebSocket) it opens the session again: values can be written and the
    /// session ended, and [`save`](Session::save) commits it. What would need a new cookie is [`SessionError::HeadSent`].
    ///
    /// # Errors
    ///
    /// [`SessionError::Store`]; [`SessionError::Saving`] while the response's own commit is under way.
    pub async fn reload(&self) -> Result<(), SessionError> {
        self.visit.reload().await
    }
}

impl From<Duration> for Expiry {
    fn from(idle: Duration) -> Self {
        Self::Idle(idle)
    }
}

impl From<SystemTime> for Expiry {
    fn from(at: SystemTime) -> Self {
        Self::At(Timestamp::from(at))
    }
}
