//! The session as a handler uses it, and the types around it.
//!
//! Begin with [`Session`]. The most common names are also at the root of the crate.

mod authentication;
mod credential;
mod csrf;
mod devices;
mod flash;
mod json;
mod key;
mod login;
mod marker;
mod slot;
mod users;
mod values;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::Extensions;

pub use self::csrf::CsrfToken;
pub use self::flash::{Flash, FlashLevel};
pub use self::key::{Key, SessionKey};
pub use self::login::Login;
pub use self::marker::Main;
use self::marker::marker_name;
pub(crate) use self::slot::{Entry, Slot};
pub use self::users::{UserSession, Users};
use crate::client::ClientFacts;
pub use crate::clock::Timestamp;
pub use crate::error::SessionError;
use crate::event::{Ending, diagnostics};
use crate::lifecycle::{
    Lifetime, Outcome, Pending, Phase, RequestSession, Requester, Saving, SessionManager, State,
};
use crate::record::Header;
pub use crate::record::{Expiry, ParseSessionIdError, SessionId};
use crate::sync::Background;

/// The session of the present request: the values of one visitor, and the user who is logged in.
///
/// Take it as an argument of a handler (feature `axum`), or [load](Session::load) it from the extensions of the request. Put
/// a [`SessionLayer`](crate::SessionLayer) around the service.
///
/// ```
/// use tower_keycard::{Session, SessionError};
///
/// async fn home(session: Session) -> Result<String, SessionError> {
///     let pages = session.update("pages", |n: Option<u32>| n.unwrap_or(0) + 1)?;
///     let name = session.user().unwrap_or_else(|| "visitor".to_owned());
///     Ok(format!("Hello, {name}. Pages you have seen: {pages}."))
/// }
/// ```
///
/// | you want to | methods |
/// |---|---|
/// | read and write values | [`get`](Session::get), [`insert`](Session::insert), [`update`](Session::update), [`remove`](Session::remove) |
/// | log a user in and out | [`login`](Session::login), [`logout`](Session::logout) |
/// | find out who is logged in | [`user`](Session::user), [`require_user`](Session::require_user) |
/// | ask for the password again | [`require_fresh`](Session::require_fresh), [`reauthenticate`](Session::reauthenticate) |
/// | list and end the user's other sessions | [`sessions`](Session::sessions), [`end_session`](Session::end_session), [`end_other_sessions`](Session::end_other_sessions) |
/// | end sessions when the password changes | [`credential_changed`](Session::credential_changed), [`check_stamp`](Session::check_stamp) |
/// | show a message after a redirect | [`flash`](Session::flash), [`take_flashes`](Session::take_flashes) |
/// | protect a form | [`csrf_token`](Session::csrf_token), [`verify_csrf`](Session::verify_csrf) |
/// | write in a stream or a WebSocket | [`reload`](Session::reload), [`save`](Session::save) |
///
/// # How it works
///
/// A `Session` is a cheap handle. All handles of one request, clones included, share one session, which is loaded once. Reads
/// and writes are synchronous.
///
/// Writes are queued. They are committed when the response is ready and before the client sees it, in one conditional store
/// call. Changes of parallel requests are merged, and [`update`](Session::update) never loses an increment. A response with a
/// 5xx status stores nothing; only a [`logout`](Session::logout) is carried out all the same. So do 408 and 499, with which a
/// layer cuts a handler off: a time limit with another status stores what the handler has done so far.
///
/// # In an extractor of your own
///
/// `Session::from_request_parts` (feature `axum`) works in an extractor of your own, and its error passes on with `?`. A
/// [marked](#several-sessions-in-one-application) session is loaded by [`load_as`](Session::load_as).
///
#[cfg_attr(feature = "axum", doc = "```")]
#[cfg_attr(not(feature = "axum"), doc = "```text")]
/// use axum::extract::FromRequestParts;
/// use axum::http::request::Parts;
/// use tower_keycard::{Session, SessionError};
///
/// struct Member {
///     id: u64,
///     session: Session,
/// }
///
/// impl<S: Send + Sync> FromRequestParts<S> for Member {
///     type Rejection = SessionError;
///
///     async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, SessionError> {
///         let session = Session::from_request_parts(parts, state).await?;
///         let id = session.user_as().ok_or(SessionError::NotLoggedIn)?;
///         Ok(Self { id, session })
///     }
/// }
///
/// async fn page(member: Member) -> String {
///     format!("number {}", member.id)
/// }
/// # fn router() -> axum::Router { axum::Router::new().route("/", axum::routing::get(page)) }
/// ```
///
/// A `Session` is never in the extensions of a request: `extensions().get::<Session>()` compiles, and is always `None`. The
/// session is loaded from the store when you ask for it, with one of these functions.
///
/// # When a write is refused
///
/// - [`SessionError::Sealed`]: the response has begun. [`reload`](Session::reload) the session first.
/// - [`SessionError::HeadSent`]: the session was reloaded after the response began, and the change needs a new cookie.
/// - [`SessionError::Saving`]: a [`save`](Session::save) is running. Await it first.
///
/// # Several sessions in one application
///
/// An admin area next to a shop has a session of its own. Mark its layer with a type and a label, and name the type in the
/// handle. The label is part of the cookie's name.
///
/// ```
/// use tower_keycard::{MemoryStore, Session, SessionLayer};
///
/// enum Admin {}
///
/// # fn layers() -> Result<(), tower_keycard::ConfigError> {
/// let store = MemoryStore::new();
/// let shop = SessionLayer::new(store.clone());
/// let admin = SessionLayer::builder(store)
///     .marked::<Admin>("admin")
///     .build()?;
/// # Ok(())
/// # }
/// async fn panel(admin: Session<Admin>, shop: Session) {}
/// ```
pub struct Session<M = Main> {
    request: Arc<RequestSession>,
    marker: PhantomData<fn() -> M>,
}

impl<M> Clone for Session<M> {
    fn clone(&self) -> Self {
        Self {
            request: self.request.clone(),
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

/// # Access to the session
impl Session {
    /// Loads the session of the request with these extensions. It costs one store call, or none if it is loaded already.
    ///
    /// Use it in services without axum. With axum, take `Session` as an argument of the handler. The extensions themselves hold
    /// no `Session`: `extensions.get::<Session>()` is always `None`.
    ///
    /// ```
    /// use http::Request;
    /// use tower_keycard::{Session, SessionError};
    ///
    /// async fn greeting<B>(request: Request<B>) -> Result<String, SessionError> {
    ///     let session = Session::load(request.extensions()).await?;
    ///     Ok(format!("Hello, {}!", session.user().unwrap_or_default()))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::MissingLayer`] if there is no layer around the service. [`SessionError::Store`] if the store fails.
    pub async fn load(extensions: &Extensions) -> Result<Self, SessionError> {
        Self::load_as(extensions).await
    }

    /// The public id in the cookie of the request, for logs. `None` if there is no cookie, if its value is not a token, or if
    /// the request carries several different tokens.
    ///
    /// It makes no store call, and does not count as an access. Anybody can send such an id: it does not show that the
    /// session exists.
    #[must_use]
    pub fn presented(extensions: &Extensions) -> Option<SessionId> {
        Self::presented_as(extensions)
    }
}

/// # Access to a marked session
impl<M: 'static> Session<M> {
    /// Loads the session of the layer that is marked `M`, as [`load`](Session::load) does for the layer without a marker.
    ///
    /// # Errors
    ///
    /// [`SessionError::MissingLayer`] if there is no such layer around the service. [`SessionError::Store`] if the store fails.
    pub async fn load_as(extensions: &Extensions) -> Result<Self, SessionError> {
        let Some(request) = Slot::find::<M>(extensions).cloned() else {
            let marker = marker_name::<M>();
            let error = SessionError::MissingLayer { marker };
            diagnostics::missing_layer(marker.unwrap_or("none"), &error);
            return Err(error);
        };
        request.load().await?;
        Ok(Self {
            request,
            marker: PhantomData,
        })
    }

    /// The public id in the cookie of the layer that is marked `M`, as [`presented`](Session::presented) returns it for the
    /// layer without a marker.
    #[must_use]
    pub fn presented_as(extensions: &Extensions) -> Option<SessionId> {
        Slot::find::<M>(extensions)?.presented()
    }
}

impl State {
    fn header(&self) -> Option<&Header> {
        self.pending.header(&self.lookup)
    }

    /// Checks that values can be written now.
    fn writable(&self) -> Result<(), SessionError> {
        match self.phase {
            _ if matches!(self.saving, Saving::Running) => Err(SessionError::Saving),
            Phase::Open => Ok(()),
            Phase::Sealing | Phase::Sealed => Err(SessionError::Sealed),
            // A session that does not exist would need a cookie.
            Phase::Reopened if self.header().is_none() => Err(SessionError::HeadSent),
            Phase::Reopened => Ok(()),
        }
    }

    /// Checks that a change that needs a new cookie can be made now.
    fn open(&self) -> Result<(), SessionError> {
        match self.phase {
            _ if matches!(self.saving, Saving::Running) => Err(SessionError::Saving),
            Phase::Open => Ok(()),
            Phase::Sealing | Phase::Sealed => Err(SessionError::Sealed),
            Phase::Reopened => Err(SessionError::HeadSent),
        }
    }
}

impl<M> Session<M> {
    pub(crate) fn manager(&self) -> Arc<SessionManager> {
        self.request.manager.clone()
    }

    /// The session's user, with the token of the session. There is no token if the login is not stored yet.
    fn requester(&self) -> Result<Requester, SessionError> {
        let state = self.request.state();
        let user = state.pending.user(&state.lookup);
        let user = user.ok_or(SessionError::NotLoggedIn)?.clone();
        let stored = state
            .lookup
            .open()
            .filter(|_| state.pending.login.is_none());
        Ok(Requester {
            user,
            token: stored.map(|open| open.token.clone()),
            client: self.request.client.clone(),
        })
    }

    /// Ends the session, and drops the pending work.
    fn end(&self, ending: Ending) -> Result<(), SessionError> {
        let mut state = self.request.state();
        if state.phase.is_sealed() {
            return Err(SessionError::Sealed);
        }
        // A running save goes on. A later commit ends what it stores.
        if matches!(state.saving, Saving::Running) {
            state.saving = Saving::No;
        }
        let ended = Pending {
            ending: Some(ending),
            ..Pending::default()
        };
        let dropped = std::mem::replace(&mut state.pending, ended);
        drop(state);
        drop(dropped);
        Ok(())
    }
}

/// # The session itself
impl<M> Session<M> {
    /// Whether there is a stored session: the request's cookie opened it, or a [`save`](Session::save) created it, and this
    /// request has not ended it.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.request.state().header().is_some()
    }

    /// Whether the browser withheld the session cookie from this cross-site request, because of
    /// [SameSite](crate::SessionConfig::same_site). The session is then empty, whether or not the user has one, and lives for
    /// this request only: what the handler writes is dropped, and reported as
    /// [`Discarded`](crate::event::EventKind::Discarded). Only a [`login`](Session::login) is stored.
    ///
    /// With `Strict`, the first page after a link from another site is such a request. With `Lax`, only a form that another
    /// site sent is, and a page in a frame of another site. If the page needs the session, let the browser ask again: a page
    /// that loads itself comes from this site, with the cookie.
    ///
    /// ```
    /// use tower_keycard::Session;
    ///
    /// async fn form(session: Session) -> String {
    ///     if session.is_withheld() {
    ///         return r#"<!doctype html><meta http-equiv="refresh" content="0">"#.to_owned();
    ///     }
    ///     format!("Hello, {}!", session.user().unwrap_or_default())
    /// }
    /// ```
    ///
    /// It relies on the headers `Sec-Fetch-Site` and `Sec-Fetch-Dest`, which browsers send to secure addresses. Without them it
    /// is `false`.
    #[must_use]
    pub fn is_withheld(&self) -> bool {
        let refusal = self.request.state().refusal();
        matches!(refusal, Some(SessionError::Withheld))
    }

    /// Whether the request carries the cookies of several sessions, one of which may have been planted, or more than four
    /// different session cookies. The session is then empty, and what the handler writes is dropped and reported as
    /// [`Discarded`](crate::event::EventKind::Discarded): after a safe method the page goes out, after any other the response is
    /// [`Failure::Ambiguous`](crate::middleware::Failure::Ambiguous).
    ///
    /// With the cookies of several sessions, a [`login`](Session::login) and a [`logout`](Session::logout) end all of them, and
    /// are stored; from then on it is `false`. [`csrf_token`](Session::csrf_token) is an error. So a login page whose form has a
    /// token first offers to log out, by a form without one. `tower_http::csrf::CsrfLayer` protects it.
    ///
    /// ```
    /// use tower_keycard::{Session, SessionError};
    ///
    /// async fn login_page(session: Session) -> Result<String, SessionError> {
    ///     if session.is_ambiguous() {
    ///         return Ok(r#"<form method="post" action="/logout"><button>Log out first</button></form>"#.to_owned());
    ///     }
    ///     let token = session.csrf_token()?;
    ///     Ok(format!(r#"<form method="post"><input type="hidden" name="csrf" value="{token}">…</form>"#))
    /// }
    /// ```
    ///
    /// Of more than four cookies none is looked up, and a logout is refused, too: the user must delete them.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        let refusal = self.request.state().refusal();
        matches!(refusal, Some(SessionError::Ambiguous))
    }

    /// The public id of the session, for logs and support pages. It stays the same for as long as the session lives, and it
    /// opens nothing. `None` while there is no session, as before the first write is committed.
    #[doc(alias = "session_key")]
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        let state = self.request.state();
        state.header()?;
        state.lookup.open().map(|open| open.id())
    }

    /// The client that sent this request, as the layer's
    /// [`client`](crate::middleware::SessionLayerBuilder::client) function describes it. `None` if the layer has no such
    /// function, or if it panicked.
    #[must_use]
    pub fn client(&self) -> Option<&ClientFacts> {
        self.request.client.as_deref()
    }

    /// Rotates the token: the browser gets a new cookie, and the old one is dead. The session stays, with all its values and
    /// its public id.
    ///
    /// Call it whenever the rights of the user change. [`login`](Session::login) and
    /// [`reauthenticate`](Session::reauthenticate) do it by themselves. Without a session nothing happens.
    ///
    /// # Errors
    ///
    /// [When a write is refused](Session#when-a-write-is-refused).
    #[doc(alias = "cycle_id")]
    #[doc(alias = "cycle_key")]
    #[doc(alias = "regenerate")]
    #[doc(alias = "renew")]
    #[doc(alias = "rotate")]
    pub fn rotate_token(&self) -> Result<(), SessionError> {
        let mut state = self.request.state();
        state.open()?;
        state.pending.rotate = true;
        Ok(())
    }

    /// Sets when this session ends, in place of the layer's idle limit or persistence: after a [`Duration`] without activity, at
    /// a [`SystemTime`] whatever the activity, or as an [`Expiry`] says. The cookie and the record follow.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_keycard::{Session, SessionError};
    ///
    /// async fn open_account(session: Session) -> Result<(), SessionError> {
    ///     session.set_expiry(Duration::from_secs(10 * 60)) // ends after ten minutes without a request
    /// }
    /// ```
    ///
    /// The layer's absolute limit holds in any case. A time in the past ends the session, as a logout does.
    ///
    /// # Errors
    ///
    /// [When a write is refused](Session#when-a-write-is-refused).
    pub fn set_expiry(&self, expiry: impl Into<Expiry>) -> Result<(), SessionError> {
        let expiry = expiry.into();
        let now = self.request.manager.now();
        let over = match expiry {
            Expiry::At(at) => at <= now,
            Expiry::Idle(idle) => idle < Duration::from_millis(1),
            Expiry::Default | Expiry::BrowserClose => false,
        };
        let mut state = self.request.state();
        state.open()?;
        if over {
            drop(state);
            return self.end(Ending::Logout);
        }
        state.pending.expiry = Some(expiry);
        Ok(())
    }

    /// When the session ends if nobody uses it until then. `None` while there is no session.
    ///
    /// A page that shows how long the session still lives asks for it in a request that does not count as
    /// [`activity`](crate::middleware::SessionLayerBuilder::activity).
    ///
    /// In the request that creates a session without a login, this is when it ends unless the client sends its cookie again:
    /// after [`unconfirmed_idle`](crate::SessionConfig::unconfirmed_idle) at the latest.
    #[doc(alias = "get_expiry_date")]
    #[doc(alias = "get_expiry_age")]
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        let manager = &self.request.manager;
        let now = manager.now();
        let state = self.request.state();
        let mut header = state.header()?.clone();
        header.expiry = state.pending.expiry.unwrap_or(header.expiry);
        let (mut unconfirmed, mut unmoved) = (false, None);
        if let Some(open) = state.lookup.open() {
            unconfirmed = open.unconfirmed && state.pending.login.is_none();
            unmoved = (!open.slides && !state.pending.sets_lifetime()).then_some(open.kept_until);
        }
        drop(state);
        let lifetime = Lifetime::new(&manager.config, &header, now);
        let end = now.plus(match unconfirmed {
            true => lifetime.ends_unconfirmed_in(),
            false => lifetime.ends_in(),
        });
        Some(unmoved.map_or(end, |unmoved| unmoved.min(end)).into())
    }

    /// Commits the changes so far now, instead of with the response.
    ///
    /// Most handlers do not need it. Use it before work that must not happen unless the changes are stored, and in a stream
    /// or a WebSocket, after [`reload`](Session::reload). The cookie still goes with the response, whatever its status.
    ///
    /// While it runs, writes are refused with [`SessionError::Saving`]. Once it has begun it goes on by itself: neither dropping
    /// the future nor not polling it, as beside another branch of a `select!`, stops the commit.
    ///
    /// # Errors
    ///
    /// [`SessionError::Sealed`] if the response has begun and the session was not reloaded. [`SessionError::Saving`] if another
    /// save of this request did not end within 20 times the [`store_timeout`](crate::SessionConfig::store_timeout).
    ///
    /// After any other error nothing was stored, or the outcome is unknown: [`SessionError::Interrupted`],
    /// [`SessionError::Store`], [`SessionError::Ambiguous`], [`SessionError::TooManySessions`],
    /// [`SessionError::NoRandomness`], or an error of a change that was applied again to a newer record, such as
    /// [`SessionError::TooLarge`]. The response reports the failure too, unless [`reload`](Session::reload) is called first.
    pub async fn save(&self) -> Result<(), SessionError> {
        let phase = self.request.state().phase;
        if phase.is_sealed() {
            return Err(SessionError::Sealed);
        }
        Background::new(self.request.clone().commit(Outcome::Answered)).await
    }

    /// Loads the session again. Changes that are not saved are dropped, except a [`logout`](Session::logout).
    ///
    /// It counts as activity, as a request does: it slides the idle limit if that is due. So call it when the user has done
    /// something. A connection that reloads by itself keeps its session alive for as long as it is open, unless the layer's
    /// [`activity`](crate::middleware::SessionLayerBuilder::activity) function refuses its request.
    ///
    /// After the response's head was sent (in a stream, SSE, or a WebSocket), it opens the session for writing again. You can
    /// write values and end the session, and [`save`](Session::save) commits it. A change that needs a new cookie is
    /// [`SessionError::HeadSent`].
    ///
    /// ```
    /// use tower_keycard::{Session, SessionError};
    ///
    /// async fn on_message(session: &Session, text: String) -> Result<(), SessionError> {
    ///     session.reload().await?; // what other requests wrote, and whether the session still lives
    ///     session.insert("last message", text)?;
    ///     session.save().await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Store`] if the store fails. [`SessionError::Saving`] while the response's own commit is running, or if
    /// other saves of this request did not let it come to its end.
    pub async fn reload(&self) -> Result<(), SessionError> {
        self.request.reload().await
    }
}
