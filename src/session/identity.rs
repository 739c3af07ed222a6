//! Who the session belongs to: login, logout, and proofs asked for again.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Session;
use crate::changes::{Changes, Displaced, FLASHES, RESERVED};
use crate::client::ClientFacts;
use crate::data;
use crate::error::SessionError;
use crate::intent::{self, Intent};
use crate::login::Login;
use crate::plan::Ended;
use crate::record::{Header, Terms};
use crate::store::TOMBSTONE_LIFETIME;

/// # Who it is
impl<M> Session<M> {
    /// Logs `user` in: binds the session to them, rotates its token, and marks the time.
    ///
    /// What the visitor gathered before (a cart, say) stays, and messages for the next page; only what else this crate itself
    /// put there goes. If the session
    /// belongs to somebody else, it is ended first, and nothing of it stays. Whatever other requests do meanwhile, this
    /// response carries a card of this user: a login never fails over a lost race.
    ///
    /// `user` is whatever names a user for good: a number, a UUID, never something that can be given to another. A [`Login`]
    /// says more: what their credential is, and whether the browser is to remember them.
    ///
    /// Over a store with an index of users it is to be committed within a minute
    /// ([`LOGIN_LIFETIME`](crate::store::LOGIN_LIFETIME)): a handler that takes longer [saves](Session::save) the session
    /// first.
    ///
    /// # Errors
    ///
    /// The id is empty or longer than 255 bytes, or the response has begun.
    pub fn login(&self, user: impl Into<Login>) -> Result<(), SessionError> {
        self.log_in(user.into(), Changes::drop_reserved)
    }

    /// As [`login`](Session::login), but of what was in the session only these keys stay.
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
        let desk = &self.visit.desk;
        let terms = Terms {
            stamp: stamp.map(|stamp| desk.stamp(&user, &stamp)),
            remember,
            client: self.client().and_then(ClientFacts::shared_description),
            ..Terms::default()
        };
        let user: Arc<str> = user.into();
        let at = desk.clock.now();
        let mut state = self.visit.state();
        state.open()?;
        let before = state.intent.user(&state.card);
        let mut dropped = Intent::default();
        let mut displaced = Displaced::default();
        if before.is_some_and(|before| *before != user) {
            let ended = match state.intent.ended {
                Ended::Asked => Ended::Asked,
                Ended::No | Ended::BySwitch => Ended::BySwitch,
            };
            // What this very request has to say is for whoever sees its answer.
            let changes = state.intent.changes.alone(FLASHES);
            dropped = std::mem::replace(
                &mut state.intent,
                Intent {
                    ended,
                    changes,
                    ..Intent::default()
                },
            );
        } else {
            displaced = keep(&mut state.intent.changes);
        }
        state.intent.login = Some(Box::new(intent::Login { user, at, terms }));
        drop(state);
        drop((dropped, displaced));
        Ok(())
    }

    /// Marks that the user has just proved once more who they are, and rotates the token. The absolute limit stays.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotLoggedIn`], or the response has begun.
    pub fn reauthenticate(&self) -> Result<(), SessionError> {
        let at = self.visit.desk.clock.now();
        let mut state = self.visit.state();
        state.open()?;
        if state.intent.user(&state.card).is_none() {
            return Err(SessionError::NotLoggedIn);
        }
        state.intent.reauthenticated = Some(at);
        Ok(())
    }

    /// Whom the session belongs to, or an error that answers for itself.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotLoggedIn`]; as a response (feature `axum`) 401.
    pub fn require_user(&self) -> Result<String, SessionError> {
        self.user().ok_or(SessionError::NotLoggedIn)
    }

    /// Lets only those go on who proved less than `within` ago who they are, by [`login`](Session::login) or
    /// [`reauthenticate`](Session::reauthenticate): to be called before what is worth asking for the password again. ASVS
    /// 5.0, 7.5.1 and 7.5.3. A time more than a minute ahead counts as no proof, nor does any while the session
    /// [is doubted](Session::is_doubted).
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
    /// # Errors
    ///
    /// [`SessionError::NotLoggedIn`] and [`SessionError::NotFresh`]; as responses (feature `axum`) 401, and 403 with the body
    /// `{"error":"reauthentication_required"}`.
    pub fn require_fresh(&self, within: Duration) -> Result<(), SessionError> {
        let now = self.visit.desk.clock.now();
        let state = self.visit.state();
        if state.intent.user(&state.card).is_none() {
            return Err(SessionError::NotLoggedIn);
        }
        let proved = state.intent.authenticated(&state.card);
        let fresh = proved
            .is_some_and(|at| at.since(now) <= TOMBSTONE_LIFETIME && now.since(at) < within)
            && !state.intent.doubted(&state.card);
        if fresh {
            Ok(())
        } else {
            Err(SessionError::NotFresh)
        }
    }

    /// Ends the session: the record is deleted, the browser forgets the cookie.
    ///
    /// It is carried out even if the handler fails afterwards, or the client is gone. From here on this request sees an
    /// empty session; what it writes there goes to a fresh one.
    ///
    /// # Errors
    ///
    /// [`SessionError::Sealed`]: the response has begun, and the session was not [reloaded](Session::reload).
    pub fn logout(&self) -> Result<(), SessionError> {
        self.flush()
    }

    /// As [`logout`](Session::logout), under the name that Django gives it.
    ///
    /// # Errors
    ///
    /// As for [`logout`](Session::logout).
    pub fn flush(&self) -> Result<(), SessionError> {
        let mut state = self.visit.state();
        if state.phase.is_sealed() {
            return Err(SessionError::Sealed);
        }
        // A save under way goes on; the commit that ends what it stored comes after it.
        state.saving = false;
        let ended = Intent {
            ended: Ended::Asked,
            ..Intent::default()
        };
        let dropped = std::mem::replace(&mut state.intent, ended);
        drop(state);
        drop(dropped);
        Ok(())
    }

    /// Whom the session belongs to: what [`login`](Session::login) was given.
    #[must_use]
    pub fn user(&self) -> Option<String> {
        let state = self.visit.state();
        state.intent.user(&state.card).map(ToString::to_string)
    }

    /// Whom the session belongs to, as the type that the application names users by: `session.user_as::<u64>()?`.
    ///
    /// # Errors
    ///
    /// [`SessionError::InvalidUser`]: the id is none of this type.
    pub fn user_as<T: FromStr>(&self) -> Result<Option<T>, SessionError> {
        let user = self.user().map(|user| user.parse());
        user.transpose().map_err(|_| SessionError::InvalidUser)
    }

    /// Whether the layer's [monitor](crate::monitor) has doubts that the session is still its user's. Until they
    /// [prove](Session::reauthenticate) it, on whatever server, they get past no [`require_fresh`](Session::require_fresh).
    #[must_use]
    pub fn is_doubted(&self) -> bool {
        let state = self.visit.state();
        state.intent.doubted(&state.card)
    }

    /// When the user last proved who they are.
    #[must_use]
    pub fn authenticated_at(&self) -> Option<SystemTime> {
        let state = self.visit.state();
        state
            .intent
            .authenticated(&state.card)
            .map(SystemTime::from)
    }
}
