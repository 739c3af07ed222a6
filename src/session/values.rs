//! Values: read from what was loaded, written as queued changes.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Session;
use crate::changes::{Changes, RESERVED, Update};
use crate::data::{self, Data, Place};
use crate::error::SessionError;
use crate::key::SessionKey;
use crate::plan::Ended;
use crate::record::Record;
use crate::visit::State;

/// A value's JSON, held without a lock.
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
    fn raw(&self, key: &str) -> Option<Raw> {
        if let Some(written) = self.intent.changes.written(key) {
            return written.map(|value| Raw::Written(value.to_owned()));
        }
        let place = self
            .intent
            .changes
            .base(self.intent.base(&self.card), key)?;
        Some(Raw::Stored(self.card.held()?.record.clone(), place))
    }

    /// The queued changes, and the stored data that they stand on.
    fn changes(&mut self) -> (&mut Changes, Option<&Data>) {
        let base = match self.intent.ended {
            Ended::No => self.card.held().map(|held| held.record.data()),
            Ended::Asked | Ended::BySwitch => None,
        };
        (&mut self.intent.changes, base)
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
        decode(name, raw.as_ref().map(Raw::as_json))
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
        let name = key.name();
        check_key(name)?;
        let update = Arc::new(Updater {
            change,
            value: PhantomData,
        });
        self.revise(&data::key_text(name), update, |update, present| {
            let (value, json) = update.compute(name, present)?;
            Ok((value, Some(json)))
        })
    }

    /// Queues what `update` makes of the value under a key, which is in its JSON form; `compute` runs it, and says besides
    /// what is to be returned.
    pub(crate) fn revise<U: Update + 'static, R>(
        &self,
        text: &str,
        update: Arc<U>,
        compute: impl Fn(&U, Option<&str>) -> Result<(R, Option<String>), SessionError>,
    ) -> Result<R, SessionError> {
        loop {
            // The application's code runs on a copy, without the lock; what it saw must still be there afterwards.
            let seen = {
                let state = self.visit.state();
                state.writable()?;
                state.raw(text)
            };
            let before = seen.as_ref().map(Raw::as_json);
            let (returned, json) = compute(&update, before)?;
            let mut state = self.visit.state();
            state.writable()?;
            let unchanged = {
                let (changes, base) = state.changes();
                changes.get(base, text) == before
            };
            if !unchanged {
                continue;
            }
            if let Some(json) = &json {
                self.check_room(&mut state, text, json)?;
            }
            let (changes, base) = state.changes();
            let displaced = changes.update(base, text, update, json);
            drop(state);
            drop(displaced);
            return Ok(returned);
        }
    }

    /// The JSON under a key of this crate's own.
    pub(crate) fn reserved(&self, key: &str) -> Option<String> {
        let raw = self.visit.state().raw(key)?;
        Some(raw.as_json().to_owned())
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
        self.keys().is_empty()
    }

    /// Removes all values. The session stays, with its user and its times, and with what this crate itself keeps there: messages
    /// for the next page, the secret of its forms. Where there is none, nothing happens.
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

/// What an application's closure does to one value, so that it can be done again.
struct Updater<T, F> {
    change: F,
    value: PhantomData<fn(T) -> T>,
}

impl<T: Serialize + DeserializeOwned, F: Fn(Option<T>) -> T> Updater<T, F> {
    fn compute(&self, name: &str, present: Option<&str>) -> Result<(T, String), SessionError> {
        let value = (self.change)(decode(name, present)?);
        let json = encode(name, &value)?;
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
