//! What a handler holds.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::Extensions;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::changes::{Changes, Displaced, RESERVED, Update};
use crate::clock::Timestamp;
use crate::completion::Completion;
use crate::data::{self, Data};
use crate::desk::Desk;
use crate::error::{SessionError, SessionRejection};
use crate::event;
use crate::intent::{Intent, Login};
use crate::key::SessionKey;
use crate::lifetime::Lifetime;
use crate::plan::{Ended, Outcome};
use crate::record::{Expiry, Header, Record};
use crate::store::TOMBSTONE_LIFETIME;
use crate::token::SessionId;
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

/// A value's JSON, held without a lock.
enum Raw {
    Written(String),
    Stored(Record),
}

impl Raw {
    fn as_json<'a>(&'a self, key: &str) -> Option<&'a str> {
        match self {
            Self::Written(value) => Some(value),
            Self::Stored(record) => record.data().get(key),
        }
    }
}

impl State {
    fn raw(&self, key: &str) -> Option<Raw> {
        if let Some(written) = self.intent.changes.written(key) {
            return written.map(|value| Raw::Written(value.to_owned()));
        }
        self.intent.changes.get(self.intent.base(&self.card), key)?;
        Some(Raw::Stored(self.card.held()?.record.clone()))
    }

    /// The queued changes, and the stored data that they stand on.
    fn changes(&mut self) -> (&mut Changes, Option<&Data>) {
        let base = match self.intent.ended {
            Ended::No => self.card.held().map(|held| held.record.data()),
            Ended::Asked | Ended::BySwitch => None,
        };
        (&mut self.intent.changes, base)
    }

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

/// # Values
impl<M> Session<M> {
    /// The value under `key`, if there is one.
    ///
    /// # Errors
    ///
    /// [`SessionError::Decode`]: the value is there, but is no `T`.
    pub fn get<T: DeserializeOwned>(
        &self,
        key: impl SessionKey<T>,
    ) -> Result<Option<T>, SessionError> {
        let name = key.name();
        let text = data::key_text(name);
        let raw = self.visit.state().raw(&text);
        decode(name, raw.as_ref().and_then(|raw| raw.as_json(&text)))
    }

    /// Puts `value` under `key`, in place of what was there. A value equal to the one there is no change.
    ///
    /// # Errors
    ///
    /// The value cannot be written as JSON, the data would grow too large or too deep, or the response has begun.
    pub fn insert<T: Serialize>(
        &self,
        key: impl SessionKey<T>,
        value: T,
    ) -> Result<(), SessionError> {
        let name = key.name();
        check_key(name)?;
        let text = data::key_text(name);
        let json = encode(name, &value)?;
        let displaced = {
            let mut state = self.visit.state();
            state.writable()?;
            self.check_room(&mut state, &text, &json)?;
            let (changes, base) = state.changes();
            changes.set(base, &text, json)
        };
        drop(displaced);
        Ok(())
    }

    /// Puts what `change` makes of the value under `key` in its place, and returns it.
    ///
    /// No update is lost: if another request wrote meanwhile, `change` runs again on the newer value when the response is
    /// committed. So it may run more than once, and the value returned here is provisional. It must not block.
    ///
    /// # Errors
    ///
    /// The value there is no `T`, or as for [`insert`](Session::insert).
    pub fn update<T>(
        &self,
        key: impl SessionKey<T>,
        change: impl Fn(Option<T>) -> T + Send + Sync + 'static,
    ) -> Result<T, SessionError>
    where
        T: Serialize + DeserializeOwned + 'static,
    {
        let name = key.name().to_owned();
        check_key(&name)?;
        let update = Arc::new(Updater {
            name,
            change,
            value: PhantomData,
        });
        let text = data::key_text(&update.name);
        loop {
            // The application's code runs on a copy, without the lock; what it saw must still be there afterwards.
            let seen = {
                let state = self.visit.state();
                state.writable()?;
                state.raw(&text)
            };
            let before = seen.as_ref().and_then(|raw| raw.as_json(&text));
            let (value, json) = update.compute(before)?;
            let mut state = self.visit.state();
            state.writable()?;
            let unchanged = {
                let (changes, base) = state.changes();
                changes.get(base, &text) == before
            };
            if !unchanged {
                continue;
            }
            self.check_room(&mut state, &text, &json)?;
            let (changes, base) = state.changes();
            let displaced = changes.update(base, &text, update.clone(), json);
            drop(state);
            drop(displaced);
            return Ok(value);
        }
    }

    /// Removes the value under `key`, and says whether there was one.
    ///
    /// # Errors
    ///
    /// The response has begun.
    pub fn remove(&self, key: impl AsRef<str>) -> Result<bool, SessionError> {
        let key = key.as_ref();
        check_key(key)?;
        let text = data::key_text(key);
        let (was_there, displaced) = {
            let mut state = self.visit.state();
            state.writable()?;
            let (changes, base) = state.changes();
            changes.remove(base, &text)
        };
        drop(displaced);
        Ok(was_there)
    }

    /// Removes the value under `key`, and returns it. One that does not decode stays.
    ///
    /// # Errors
    ///
    /// The value is no `T`, or the response has begun.
    pub fn take<T: DeserializeOwned>(
        &self,
        key: impl SessionKey<T>,
    ) -> Result<Option<T>, SessionError> {
        let name = key.name().to_owned();
        let value = self.get(key)?;
        if value.is_some() {
            self.remove(&name)?;
        }
        Ok(value)
    }

    /// Whether there is a value under `key`.
    #[must_use]
    pub fn contains_key(&self, key: impl AsRef<str>) -> bool {
        self.visit
            .state()
            .raw(&data::key_text(key.as_ref()))
            .is_some()
    }

    /// The keys that have a value, sorted by their JSON form.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let state = self.visit.state();
        let base = state.intent.base(&state.card);
        let own = |key: &&str| !key.starts_with(RESERVED);
        state
            .intent
            .changes
            .view(base)
            .map(|(key, _)| key)
            .filter(own)
            .map(data::key_name)
            .collect()
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let state = self.visit.state();
        let base = state.intent.base(&state.card);
        state.intent.changes.view(base).next().is_none()
    }

    /// Removes all values. The session stays, with its user and its times; where there is none, nothing happens.
    ///
    /// # Errors
    ///
    /// The response has begun.
    pub fn clear(&self) -> Result<(), SessionError> {
        let displaced = {
            let mut state = self.visit.state();
            state.writable()?;
            state.intent.changes.clear()
        };
        drop(displaced);
        Ok(())
    }

    fn check_room(&self, state: &mut State, text: &str, json: &str) -> Result<(), SessionError> {
        // The object around the value is a level of its own.
        if data::depth(json.as_bytes()) >= Record::MAX_DEPTH {
            return Err(SessionError::TooDeep {
                key: data::key_name(text),
            });
        }
        let limit = self.visit.desk.config.max_data_size;
        let (changes, base) = state.changes();
        if changes.len_with(base, text, json.len()) > limit {
            return Err(SessionError::TooLarge { limit });
        }
        Ok(())
    }
}

/// # Who it is
impl<M> Session<M> {
    /// Logs `user` in: binds the session to them, rotates its token, and marks the time.
    ///
    /// What the visitor gathered before (a cart, say) stays; only what this crate itself put there goes. If the session
    /// belongs to somebody else, it is ended first, and nothing of it stays. Whatever other requests do meanwhile, this
    /// response carries a card of this user: a login never fails over a lost race.
    ///
    /// `user` is whatever names a user for good: a number, a UUID, never something that can be given to another.
    ///
    /// # Errors
    ///
    /// The id is empty or longer than 255 bytes, or the response has begun.
    pub fn login(&self, user: impl fmt::Display) -> Result<(), SessionError> {
        self.log_in(user.to_string(), Changes::drop_reserved)
    }

    /// As [`login`](Session::login), but of what was in the session only these keys stay.
    ///
    /// # Errors
    ///
    /// As for [`login`](Session::login).
    pub fn login_keeping(
        &self,
        user: impl fmt::Display,
        keys: &[&str],
    ) -> Result<(), SessionError> {
        let keys = keys
            .iter()
            .filter(|key| !key.starts_with(RESERVED))
            .map(|key| data::key_text(key).into_owned())
            .collect();
        self.log_in(user.to_string(), |changes| changes.retain(keys))
    }

    fn log_in(
        &self,
        user: String,
        keep: impl FnOnce(&mut Changes) -> Displaced,
    ) -> Result<(), SessionError> {
        if user.is_empty() || user.len() > Header::MAX_USER_LEN {
            return Err(SessionError::InvalidUser);
        }
        let user: Arc<str> = user.into();
        let at = self.visit.desk.clock.now();
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
            dropped = std::mem::replace(
                &mut state.intent,
                Intent {
                    ended,
                    ..Intent::default()
                },
            );
        } else {
            displaced = keep(&mut state.intent.changes);
        }
        state.intent.login = Some(Login { user, at });
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
    /// 5.0, 7.5.1 and 7.5.3. A time more than a minute ahead counts as no proof.
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
        let fresh =
            proved.is_some_and(|at| at.since(now) <= TOMBSTONE_LIFETIME && now.since(at) < within);
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

impl<M> Session<M> {
    pub(crate) fn desk(&self) -> Arc<Desk> {
        self.visit.desk.clone()
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
        self.visit.state().open()?;
        if over {
            return self.flush();
        }
        self.visit.state().intent.expiry = Some(expiry);
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
        let left = Lifetime::new(&desk.config, &header, now).time_to_live();
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

/// What an application's closure does to one value, so that it can be done again.
struct Updater<T, F> {
    name: String,
    change: F,
    value: PhantomData<fn(T) -> T>,
}

impl<T: Serialize + DeserializeOwned, F: Fn(Option<T>) -> T> Updater<T, F> {
    fn compute(&self, present: Option<&str>) -> Result<(T, String), SessionError> {
        let value = (self.change)(decode(&self.name, present)?);
        let json = encode(&self.name, &value)?;
        Ok((value, json))
    }
}

impl<T, F> Update for Updater<T, F>
where
    T: Serialize + DeserializeOwned,
    F: Fn(Option<T>) -> T + Send + Sync,
{
    fn run(&self, present: Option<&str>) -> Result<String, SessionError> {
        self.compute(present).map(|(_, json)| json)
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

fn check_key(name: &str) -> Result<(), SessionError> {
    if name.starts_with(RESERVED) {
        return Err(SessionError::ReservedKey {
            key: name.to_owned(),
        });
    }
    Ok(())
}

fn decode<T: DeserializeOwned>(name: &str, json: Option<&str>) -> Result<Option<T>, SessionError> {
    let decode = |json| {
        serde_json::from_str(json).map_err(|source| SessionError::Decode {
            key: name.to_owned(),
            source: Arc::new(source),
        })
    };
    json.map(decode).transpose()
}

fn encode<T: Serialize>(name: &str, value: &T) -> Result<String, SessionError> {
    serde_json::to_string(value).map_err(|source| SessionError::Encode {
        key: name.to_owned(),
        source: Arc::new(source),
    })
}
