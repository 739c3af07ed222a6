//! Values: reads look into the loaded record, writes are queued changes.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Session;
use super::json::{decode, encode, reads_back, refused};
use super::key::{KeyText, SessionKey};
use crate::error::SessionError;
use crate::event::{Event, EventKind, Mismatch};
use crate::lifecycle::State;
use crate::lifecycle::changes::{Changes, RESERVED, Update};
use crate::record::Record;
use crate::record::data::{self, Data, Place};

/// The JSON of a value. It can be read without the lock.
enum Raw {
    Written(String),
    Stored(Record, Place),
}

impl Raw {
    fn as_json(&self) -> &str {
        match self {
            Self::Written(value) => value,
            Self::Stored(record, place) => record.data().at(*place),
        }
    }
}

impl State {
    fn raw(&self, key: &KeyText<'_>) -> Option<Raw> {
        let key = key.as_str();
        if let Some(written) = self.pending.changes.written(key) {
            return written.map(|value| Raw::Written(value.to_owned()));
        }
        let place = self
            .pending
            .changes
            .base(self.pending.base(&self.lookup), key)?;
        Some(Raw::Stored(self.lookup.open()?.record.clone(), place))
    }

    /// The queued changes, and the stored data under them.
    fn changes(&mut self) -> (&mut Changes, Option<&Data>) {
        let base = match self.pending.ending {
            None => self.lookup.open().map(|open| open.record.data()),
            Some(_) => None,
        };
        (&mut self.pending.changes, base)
    }
}

/// # Values
impl<M> Session<M> {
    /// Returns the value under `key`, or `None` if there is none.
    ///
    /// It reads what was loaded with the session, and what this request has written. No store call is made. A null reads as
    /// `None`, unless `T` has a null of its own, as an `Option` has.
    ///
    /// ```
    /// use tower_keycard::{Session, SessionError};
    ///
    /// async fn theme(session: Session) -> Result<String, SessionError> {
    ///     let theme: Option<String> = session.get("theme")?;
    ///     Ok(theme.unwrap_or_else(|| "light".to_owned()))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Decode`] if the value is not of type `T`. The value stays. A [`Key`](crate::Key) can say that such a value
    /// [reads as absent](crate::Key::none_on_error). [`SessionError::ReservedKey`] if the key begins with `_keycard.`: what
    /// this crate keeps for itself, such as the secret of [CSRF tokens](Session::csrf_token), cannot be read.
    pub fn get<T: DeserializeOwned>(
        &self,
        key: impl SessionKey<T>,
    ) -> Result<Option<T>, SessionError> {
        let text = KeyText::parse(key.name())?;
        self.read(&key, &text)
    }

    fn read<T: DeserializeOwned>(
        &self,
        key: &impl SessionKey<T>,
        text: &KeyText<'_>,
    ) -> Result<Option<T>, SessionError> {
        let raw = self.request.state().raw(text);
        match decode(key.name(), raw.as_ref().map(Raw::as_json)) {
            Err(error) if key.reads_errors_as_none() => {
                let event = Event::new(EventKind::TypeMismatch(Mismatch::Value));
                let user = {
                    let state = self.request.state();
                    state.pending.user(&state.lookup).cloned()
                };
                let event = event.session(self.id()).user(user.as_ref());
                self.request.context().report(event.value(&error));
                Ok(None)
            }
            value => value,
        }
    }

    /// Stores `value` under `key`, in place of the value before. An equal value is no change.
    ///
    /// It is committed with the response. A visitor without a session gets one. If the new value depends on the present one,
    /// use [`update`](Session::update).
    ///
    /// ```
    /// use tower_keycard::{Session, SessionError};
    ///
    /// async fn set_theme(session: Session) -> Result<(), SessionError> {
    ///     session.insert("theme", "dark")
    /// }
    /// ```
    ///
    /// # What JSON would lose
    ///
    /// A value that would not be read as it was written is refused now, and not when it is needed. Under any key: a number that
    /// is not finite, which JSON writes as null; a `Some` that is written as null, such as `Some(None)`; and a map with keys of
    /// text and of numbers, as a flattened map with numbers for keys makes of its struct.
    ///
    /// Under a typed [`Key`](crate::Key), and in every [`update`](Session::update), the value is also read back as its type and
    /// written again, which must give the same JSON. This finds everything else that the type does not read again, for example
    /// a `u128` in a tagged enum, or a skipped field without a default. What the type does not write is not compared. Plain text as a key does not know the type that is read.
    ///
    /// # Errors
    ///
    /// [`SessionError::Encode`] if the value cannot be written as JSON, or [would be read as another](#what-json-would-lose).
    /// [`SessionError::TooLarge`] if the data would grow
    /// beyond [`max_data_size`](crate::SessionConfig::max_data_size). [`SessionError::TooDeep`] if the value nests too deeply.
    /// [`SessionError::ReservedKey`] if the key begins with `_keycard.`. Also
    /// [when a write is refused](Session#when-a-write-is-refused).
    #[doc(alias = "set")]
    pub fn insert<T: Serialize>(
        &self,
        key: impl SessionKey<T>,
        value: T,
    ) -> Result<(), SessionError> {
        let name = key.name();
        let text = KeyText::parse(name)?;
        let json = encode(name, &value)?;
        key.reads_back(&json)
            .map_err(|source| refused(name, source))?;
        let displaced = {
            let mut state = self.request.state();
            state.writable()?;
            self.check_size(&mut state, text.as_str(), &json)?;
            let (changes, base) = state.changes();
            changes.set(base, text.as_str(), json)
        };
        drop(displaced);
        Ok(())
    }

    /// Computes a new value from the one under `key`, stores it, and returns it.
    ///
    /// No update is lost. If another request has written the session meanwhile, `change` runs again on the newer value when
    /// the response is committed. So `change` may run more than once, and the returned value is provisional. `change` must
    /// not block.
    ///
    /// ```
    /// use tower_keycard::{Key, Session, SessionError};
    ///
    /// const CART: Key<Vec<u32>> = Key::new("cart");
    ///
    /// async fn add_to_cart(session: Session) -> Result<String, SessionError> {
    ///     let cart = session.update(CART, |cart| {
    ///         let mut cart = cart.unwrap_or_default();
    ///         cart.push(7);
    ///         cart
    ///     })?;
    ///     Ok(format!("{} items", cart.len()))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Decode`] if the present value is not of type `T`, and the errors of [`insert`](Session::insert). The new
    /// value is always read back as `T`.
    #[doc(alias = "setdefault")]
    pub fn update<T>(
        &self,
        key: impl SessionKey<T>,
        change: impl Fn(Option<T>) -> T + Send + Sync + 'static,
    ) -> Result<T, SessionError>
    where
        T: Serialize + DeserializeOwned + 'static,
    {
        let name = key.name();
        let text = KeyText::parse(name)?;
        let none_on_error = key.reads_errors_as_none();
        if none_on_error {
            // Reports a value that is not of type `T`.
            self.read(&key, &text)?;
        }
        let update = Arc::new(Updater {
            change,
            none_on_error,
            value: PhantomData,
        });
        self.queue_update(&text, update, |update, present| {
            let (value, json) = update.compute(name, present)?;
            Ok((value, Some(json)))
        })
    }

    /// Queues an update of the value under a key. `compute` runs the update, and also makes the value to return.
    pub(super) fn queue_update<U: Update + 'static, R>(
        &self,
        key: &KeyText<'_>,
        update: Arc<U>,
        compute: impl Fn(&U, Option<&str>) -> Result<(R, Option<String>), SessionError>,
    ) -> Result<R, SessionError> {
        let text = key.as_str();
        loop {
            // The application's code runs on a copy, without the lock. Afterwards the value must still be the same.
            let seen = {
                let state = self.request.state();
                state.writable()?;
                state.raw(key)
            };
            let before = seen.as_ref().map(Raw::as_json);
            let (returned, json) = compute(&update, before)?;
            let mut state = self.request.state();
            state.writable()?;
            let unchanged = {
                let (changes, base) = state.changes();
                changes.get(base, text) == before
            };
            if !unchanged {
                continue;
            }
            if let Some(json) = &json {
                self.check_size(&mut state, text, json)?;
            }
            let (changes, base) = state.changes();
            let displaced = changes.update(base, text, update, json);
            drop(state);
            drop(displaced);
            return Ok(returned);
        }
    }

    /// The JSON under a reserved key.
    pub(super) fn reserved_value(&self, name: &'static str) -> Option<String> {
        let raw = self.request.state().raw(&KeyText::reserved(name))?;
        Some(raw.as_json().to_owned())
    }

    /// Removes the value under `key`. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// [`SessionError::ReservedKey`] if the key begins with `_keycard.`. Also
    /// [when a write is refused](Session#when-a-write-is-refused).
    #[doc(alias = "delete")]
    pub fn remove(&self, key: impl AsRef<str>) -> Result<bool, SessionError> {
        let text = KeyText::parse(key.as_ref())?;
        let (was_there, displaced) = {
            let mut state = self.request.state();
            state.writable()?;
            let (changes, base) = state.changes();
            changes.remove(base, text.as_str())
        };
        drop(displaced);
        Ok(was_there)
    }

    /// Removes the value under `key`, and returns it.
    ///
    /// # Errors
    ///
    /// [`SessionError::Decode`] if the value is not of type `T`. The value stays. Also the errors of
    /// [`remove`](Session::remove).
    #[doc(alias = "pop")]
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

    /// Whether there is a value under `key`. Under a key that begins with `_keycard.` there is none.
    #[must_use]
    pub fn contains_key(&self, key: impl AsRef<str>) -> bool {
        KeyText::parse(key.as_ref()).is_ok_and(|text| self.request.state().raw(&text).is_some())
    }

    /// The keys of all values, sorted by their JSON form. Keys of this crate itself are left out.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let state = self.request.state();
        let base = state.pending.base(&state.lookup);
        let own = |key: &&str| !key.starts_with(RESERVED);
        state
            .pending
            .changes
            .view(base)
            .map(|(key, _)| key)
            .filter(own)
            .map(data::key_name)
            .collect()
    }

    /// Whether the session has no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys().is_empty()
    }

    /// Removes all values. Without a session nothing happens.
    ///
    /// The session itself stays, with its user and its times. What this crate keeps in it stays too: messages for the next
    /// page, and the secret of [CSRF tokens](Session::csrf_token). To end the session use [`logout`](Session::logout).
    ///
    /// # Errors
    ///
    /// [When a write is refused](Session#when-a-write-is-refused).
    pub fn clear(&self) -> Result<(), SessionError> {
        let displaced = {
            let mut state = self.request.state();
            state.writable()?;
            state.pending.changes.clear()
        };
        drop(displaced);
        Ok(())
    }

    fn check_size(&self, state: &mut State, text: &str, json: &str) -> Result<(), SessionError> {
        // The object around the value is one more level.
        if data::depth(json.as_bytes()) >= Record::MAX_DEPTH {
            return Err(SessionError::TooDeep {
                key: data::key_name(text),
            });
        }
        let limit = self.request.manager.config.max_data_size;
        let (changes, base) = state.changes();
        if changes.len_with(base, text, json.len()) > limit {
            return Err(SessionError::TooLarge { limit });
        }
        Ok(())
    }
}

/// The application's closure for one value, so that it can run again.
struct Updater<T, F> {
    change: F,
    /// Whether a present value that is not of type `T` counts as absent.
    none_on_error: bool,
    value: PhantomData<fn(T) -> T>,
}

impl<T: Serialize + DeserializeOwned, F: Fn(Option<T>) -> T> Updater<T, F> {
    fn compute(&self, name: &str, present: Option<&str>) -> Result<(T, String), SessionError> {
        let present = match decode(name, present) {
            Err(_) if self.none_on_error => None,
            present => present?,
        };
        let value = (self.change)(present);
        let json = encode(name, &value)?;
        reads_back::<T>(&json).map_err(|source| refused(name, source))?;
        Ok((value, json))
    }
}

impl<T, F> Update for Updater<T, F>
where
    T: Serialize + DeserializeOwned,
    F: Fn(Option<T>) -> T + Send + Sync,
{
    fn run(&self, key: &str, present: Option<&str>) -> Result<Option<String>, SessionError> {
        self.compute(&data::key_name(key), present)
            .map(|(_, json)| Some(json))
    }
}
