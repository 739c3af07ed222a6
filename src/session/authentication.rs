//! The session's user: login, logout, and re-authentication.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Session;
use super::login::Login;
use crate::client::ClientFacts;
use crate::error::SessionError;
use crate::event::{Ending, Event, EventKind, Mismatch};
use crate::lifecycle::changes::{Changes, Displaced, FLASHES, RESERVED};
use crate::lifecycle::{Pending, PendingLogin};
use crate::record::{Header, LoginDetails, data};
use crate::store::{EntryCount, TOMBSTONE_LIFETIME};

/// # Login and logout
impl<M> Session<M> {
    /// Logs `user` in: the session belongs to this user from now on, and gets a new token. The old token is dead.
    ///
    /// Call it after you have checked the password. It also records the time, for [`require_fresh`](Session::require_fresh).
    ///
    /// ```
    /// use tower_keycard::{Session, SessionError};
    ///
    /// async fn log_in(session: Session, user_id: u64) -> Result<(), SessionError> {
    ///     // … after the password has been checked:
    ///     session.login(user_id)
    /// }
    /// ```
    ///
    /// `user` is an id that names one user for good: a number or a UUID, never a name that another user can get later. Pass a
    /// [`Login`] to say more: the user's credential, and whether the browser remembers the login.
    ///
    /// The values from before the login stay (a cart, for example), and so do messages for the next page. Other entries of
    /// this crate, such as the secret of [CSRF tokens](Session::csrf_token), are dropped. If the session belongs to another
    /// user, it is ended first, and none of its values stay.
    ///
    /// A login never fails because of a lost race: whatever other requests do at the same time, this response carries a token
    /// of this user. Only values that the same request wrote can stop it, if they no longer fit beside those of other requests, or
    /// if an update of them fails: then the response is
    /// [`Failure::Interrupted`](crate::middleware::Failure::Interrupted), whatever its method.
    ///
    /// If the store keeps an index of users, the login must be committed within a minute of the arrival of its request
    /// ([`LOGIN_LIFETIME`](crate::store::LOGIN_LIFETIME)). A handler that runs longer [saves](Session::save) the session
    /// before that.
    ///
    /// # Errors
    ///
    /// [`SessionError::InvalidUser`] if the id is empty or longer than 255 bytes. Also
    /// [when a write is refused](Session#when-a-write-is-refused).
    pub fn login(&self, user: impl Into<Login>) -> Result<(), SessionError> {
        self.log_in(user.into(), Changes::drop_reserved)
    }

    /// Logs `user` in as [`login`](Session::login) does, but of the values in the session only those under `keys` stay.
    ///
    /// Messages for the next page stay as well.
    ///
    /// # Errors
    ///
    /// As for [`login`](Session::login).
    pub fn login_keeping(&self, user: impl Into<Login>, keys: &[&str]) -> Result<(), SessionError> {
        let keys = keys
            .iter()
            .filter(|key| !key.starts_with(RESERVED))
            .map(|key| data::key_text(key).into_owned())
            .chain([FLASHES.to_owned()])
            .collect();
        self.log_in(user.into(), |changes| changes.retain(keys))
    }

    fn log_in(
        &self,
        login: Login,
        keep: impl FnOnce(&mut Changes) -> Displaced,
    ) -> Result<(), SessionError> {
        let Login {
            user,
            stamp,
            remember,
        } = login;
        if user.is_empty() || user.len() > Header::MAX_USER_LEN {
            return Err(SessionError::InvalidUser);
        }
        let manager = &self.request.manager;
        let details = LoginDetails {
            stamp: stamp.map(|stamp| manager.security_stamp(&user, &stamp)),
            remember,
            client: self.client().and_then(ClientFacts::shared_description),
            ..LoginDetails::default()
        };
        let user: Arc<str> = user.into();
        let at = manager.now();
        let mut state = self.request.state();
        state.open()?;
        let before = state.pending.user(&state.lookup);
        let mut dropped = Pending::default();
        let mut displaced = Displaced::default();
        if before.is_some_and(|before| *before != user) {
            let ending = state.pending.ending.unwrap_or(Ending::Switch);
            // Messages that this request left are for the user who sees its response.
            let changes = state.pending.changes.alone(FLASHES);
            dropped = std::mem::replace(
                &mut state.pending,
                Pending {
                    ending: Some(ending),
                    changes,
                    ..Pending::default()
                },
            );
        } else {
            displaced = keep(&mut state.pending.changes);
        }
        state.pending.login = Some(Box::new(PendingLogin {
            user,
            at,
            arrived: self.request.arrived,
            details,
            entries: EntryCount::default(),
        }));
        drop(state);
        drop((dropped, displaced));
        Ok(())
    }

    /// Records that the user has just authenticated again, and rotates the token. The time of the login and the absolute limit
    /// stay as they are.
    ///
    /// Call it after you have asked for the password again, because of [`require_fresh`](Session::require_fresh).
    ///
    /// # Errors
    ///
    /// [`SessionError::NotLoggedIn`], or [when a write is refused](Session#when-a-write-is-refused).
    pub fn reauthenticate(&self) -> Result<(), SessionError> {
        let at = self.request.manager.now();
        let mut state = self.request.state();
        state.open()?;
        if state.pending.user(&state.lookup).is_none() {
            return Err(SessionError::NotLoggedIn);
        }
        state.pending.reauthenticated = Some(at);
        Ok(())
    }

    /// The id of the logged-in user. Returns an error if nobody is logged in, so that a handler can use `?`.
    ///
    /// The extractor `RequireLogin` (feature `axum`) does the same before the handler runs.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotLoggedIn`] if nobody is logged in. As a response (feature `axum`) it is 401.
    #[doc(alias = "login_required")]
    pub fn require_user(&self) -> Result<String, SessionError> {
        self.user().ok_or(SessionError::NotLoggedIn)
    }

    /// Checks that the user authenticated less than `within` ago, by [`login`](Session::login) or
    /// [`reauthenticate`](Session::reauthenticate).
    ///
    /// Call it before an action that a thief of the session must not be able to take, such as a change of the e-mail address
    /// (ASVS 5.0, 7.5.1 and 7.5.3). If it fails, ask for the password again. The extractor `RequireFresh` (feature `axum`)
    /// does the same before the handler runs.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_keycard::{Session, SessionError};
    /// async fn change_email(session: Session) -> Result<(), SessionError> {
    ///     session.require_fresh(Duration::from_secs(5 * 60))?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// It also fails if the recorded time is more than a minute ahead of the clock, and while the session
    /// [is suspected](Session::is_suspected) of being hijacked.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotLoggedIn`], as a response (feature `axum`) 401. [`SessionError::NotFresh`], as a response 403 with
    /// the body `{"error":"reauthentication_required"}`.
    pub fn require_fresh(&self, within: Duration) -> Result<(), SessionError> {
        let now = self.request.manager.now();
        let state = self.request.state();
        if state.pending.user(&state.lookup).is_none() {
            return Err(SessionError::NotLoggedIn);
        }
        let authenticated = state.pending.authenticated(&state.lookup);
        let fresh = authenticated
            .is_some_and(|at| at.since(now) <= TOMBSTONE_LIFETIME && now.since(at) < within)
            && !state.pending.suspected(&state.lookup);
        if fresh {
            Ok(())
        } else {
            Err(SessionError::NotFresh)
        }
    }

    /// Ends the session: the store deletes the record, and the browser drops the cookie.
    ///
    /// It works with or without a logged-in user. It is carried out even if the handler fails afterwards, or if the client
    /// hangs up. From here on this request sees an empty session. What it writes goes to a new session.
    ///
    /// ```
    /// use tower_keycard::{FlashLevel, Session, SessionError};
    ///
    /// async fn log_out(session: Session) -> Result<(), SessionError> {
    ///     session.logout()?;
    ///     session.flash(FlashLevel::Info, "You are logged out.") // in the new session
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Sealed`] if the response has begun and the session was not [reloaded](Session::reload).
    #[doc(alias = "flush")]
    #[doc(alias = "destroy")]
    pub fn logout(&self) -> Result<(), SessionError> {
        self.end(Ending::Logout)
    }

    /// The id of the logged-in user, as it was given to [`login`](Session::login). `None` if nobody is logged in.
    #[doc(alias = "is_authenticated")]
    #[must_use]
    pub fn user(&self) -> Option<String> {
        let state = self.request.state();
        state.pending.user(&state.lookup).map(ToString::to_string)
    }

    /// The id of the logged-in user, parsed as the type of your ids: `session.user_as::<u64>()`. `None` if nobody is logged in.
    ///
    /// It is also `None` if the id cannot be parsed as this type, as when an older version of the application had ids of
    /// another type. Then nobody of the present application is logged in, and the user has to log in again. The event
    /// [`TypeMismatch`](crate::event::EventKind::TypeMismatch) reports it.
    #[must_use]
    pub fn user_as<T: FromStr>(&self) -> Option<T> {
        let state = self.request.state();
        let user = state.pending.user(&state.lookup)?.clone();
        drop(state);
        let parsed = user.parse().ok();
        if parsed.is_none() {
            let event = Event::new(EventKind::TypeMismatch(Mismatch::User));
            let event = event.session(self.id()).user(Some(&user));
            self.request.context().report(event);
        }
        parsed
    }

    /// Whether the layer's [monitor](crate::monitor) suspects that the session was hijacked.
    ///
    /// Until the user [authenticates again](Session::reauthenticate), every [`require_fresh`](Session::require_fresh) fails,
    /// on every server.
    #[must_use]
    pub fn is_suspected(&self) -> bool {
        let state = self.request.state();
        state.pending.suspected(&state.lookup)
    }

    /// The time when the user logged in. The absolute limit runs from here. `None` if nobody is logged in.
    #[must_use]
    pub fn logged_in_at(&self) -> Option<SystemTime> {
        let state = self.request.state();
        let logged_in = state.pending.logged_in(&state.lookup);
        logged_in.map(SystemTime::from)
    }

    /// The time when the user last authenticated, by [`login`](Session::login) or
    /// [`reauthenticate`](Session::reauthenticate), for a check like [`require_fresh`](Session::require_fresh). `None` if nobody
    /// is logged in.
    #[must_use]
    pub fn authenticated_at(&self) -> Option<SystemTime> {
        let state = self.request.state();
        state
            .pending
            .authenticated(&state.lookup)
            .map(SystemTime::from)
    }
}
