//! The changes of a request: queued on top of a record, and replayed on a newer one.
//!
//! Changes are kept per key, so they are both the queue and the view: a read looks here first, then in the record.
//! A value that was set does not depend on the record. An update does, and keeps its function to run it again.

use std::ops::Range;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::error::SessionError;
use crate::record::Record;
use crate::record::data::{self, Data, Place, Writer};

/// The prefix of the keys that this crate reserves for itself. A login drops them, and the application cannot write them.
pub(crate) const RESERVED: &str = "_keycard.";

/// The key of the messages for the next page. It is reserved, but a login keeps it: "Welcome back" is shown after the login.
pub(crate) const FLASHES: &str = "_keycard.flashes";

/// The key of the secrets behind the CSRF tokens. A login drops them: a token from before the login is invalid after it.
pub(crate) const CSRF: &str = "_keycard.csrf";

fn ends_with_login(key: &str) -> bool {
    key.starts_with(RESERVED) && key != FLASHES
}

/// Computes a key's new value from its present one, both as JSON. `None` removes the key. It may run again on a newer record.
pub(crate) trait Update: Send + Sync {
    /// The key, in its JSON form, is for the error message.
    fn run(&self, key: &str, present: Option<&str>) -> Result<Option<String>, SessionError>;
}

/// Which keys of the record are kept.
#[derive(Clone, Debug, Default)]
enum Keep {
    #[default]
    All,
    /// All keys except those that a login drops.
    Unreserved,
    /// The reserved keys alone, after a clear.
    Reserved,
    Only(Arc<[String]>),
}

impl Keep {
    #[inline]
    fn keeps(&self, key: &str) -> bool {
        matches!(self, Self::All) || self.selects(key)
    }

    fn selects(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Unreserved => !ends_with_login(key),
            Self::Reserved => key.starts_with(RESERVED),
            Self::Only(keys) => keys.iter().any(|kept| kept == key),
        }
    }
}

fn only_flashes() -> Keep {
    Keep::Only([FLASHES.to_owned()].into())
}

/// What happened to one key.
#[derive(Clone)]
struct Change {
    /// The value as JSON, followed by the key: one allocation for both.
    text: String,
    /// Where the key begins.
    key_at: usize,
    /// Whether there is a value. If not, the key was removed.
    has_value: bool,
    /// The updates that computed the value, if it depends on the record.
    updates: Option<Updates>,
}

/// The updates of a key, in the order in which the application made them.
#[derive(Clone)]
struct Updates {
    first: Arc<dyn Update>,
    then: Vec<Arc<dyn Update>>,
}

impl Change {
    fn new(key: &str, value: Option<String>, updates: Option<Updates>) -> Self {
        let has_value = value.is_some();
        let mut text = value.unwrap_or_default();
        let key_at = text.len();
        text.push_str(key);
        Self {
            text,
            key_at,
            has_value,
            updates,
        }
    }

    fn key(&self) -> &str {
        &self.text[self.key_at..]
    }

    fn value(&self) -> Option<&str> {
        self.has_value.then(|| &self.text[..self.key_at])
    }

    /// How much the change adds to the length of the view.
    fn len(&self) -> usize {
        let value = self.value();
        value.map_or(0, |value| data::entry_len(self.key().len(), value.len()))
    }
}

/// The changes that a new one replaced. Drop it after unlocking: it may own closures of the application.
#[must_use = "drop it after unlocking"]
#[derive(Default)]
pub(crate) struct Displaced {
    _changes: Vec<Change>,
}

/// The reason that changes cannot be applied to a record, or cannot be replayed on a newer one.
pub(crate) enum ReplayError {
    /// The data would be larger than allowed.
    TooLarge,
    /// An update's function failed on the newer value.
    Update(SessionError),
}

/// The changes of one request, sorted by key. The keys are in their JSON form.
#[derive(Clone, Default)]
pub(crate) struct Changes {
    keep: Keep,
    changes: Vec<Change>,
    /// How much the view's entries add to the length of its JSON, once that was computed.
    len: Option<usize>,
}

impl Changes {
    fn place(&self, key: &str) -> Result<usize, usize> {
        self.changes
            .binary_search_by(|change| change.key().cmp(key))
    }

    /// The place of the record's value under `key`, if that value is kept.
    pub(crate) fn base(&self, data: Option<&Data>, key: &str) -> Option<Place> {
        data.filter(|_| self.keep.keeps(key))?.place(key)
    }

    fn base_value<'a>(&self, data: Option<&'a Data>, key: &str) -> Option<&'a str> {
        let place = self.base(data, key)?;
        data.map(|data| data.at(place))
    }

    /// The value that this request wrote under `key`: `None` if it did not change the key, `Some(None)` if it removed the key.
    pub(crate) fn written(&self, key: &str) -> Option<Option<&str>> {
        self.place(key)
            .ok()
            .map(|place| self.changes[place].value())
    }

    /// The value under `key` as this request sees it.
    pub(crate) fn get<'a>(&'a self, data: Option<&'a Data>, key: &str) -> Option<&'a str> {
        match self.written(key) {
            Some(value) => value,
            None => self.base_value(data, key),
        }
    }

    /// All keys as this request sees them, with their values, sorted by key.
    pub(crate) fn view<'a>(
        &'a self,
        data: Option<&'a Data>,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let kept = data
            .into_iter()
            .flat_map(Data::pairs)
            .filter(|(key, _)| self.keep.keeps(key));
        let written = self
            .changes
            .iter()
            .map(|change| (change.key(), change.value()));
        Merge {
            kept: kept.peekable(),
            written: written.peekable(),
        }
    }

    /// Whether nothing changes the record's data.
    fn are_none(&self) -> bool {
        self.changes.is_empty() && matches!(self.keep, Keep::All)
    }

    /// Whether they hold a secret that the forms of the response rely on.
    pub(crate) fn have_csrf_secret(&self) -> bool {
        matches!(self.written(CSRF), Some(Some(_)))
    }

    fn sum_len(&self, data: Option<&Data>) -> usize {
        if self.are_none() {
            return data.map_or(0, Data::entries_len);
        }
        self.view(data)
            .map(|(key, value)| data::entry_len(key.len(), value.len()))
            .sum()
    }

    /// The length of the whole view's JSON if `key` had a value of length `value`.
    pub(crate) fn len_with(&mut self, data: Option<&Data>, key: &str, value: usize) -> usize {
        let len = self.len.unwrap_or_else(|| self.sum_len(data));
        self.len = Some(len);
        data::object_len(len - self.entry_len(data, key) + data::entry_len(key.len(), value))
    }

    fn entry_len(&self, data: Option<&Data>, key: &str) -> usize {
        match self.place(key) {
            Ok(place) => self.changes[place].len(),
            Err(_) => self.base_len(data, key),
        }
    }

    /// How much the record's entry under `key` adds to the length, if it is kept.
    fn base_len(&self, data: Option<&Data>, key: &str) -> usize {
        self.base_value(data, key)
            .map_or(0, |value| data::entry_len(key.len(), value.len()))
    }

    /// Stores a change at `place`, where its key is or must be inserted.
    fn put(
        &mut self,
        data: Option<&Data>,
        place: Result<usize, usize>,
        change: Change,
    ) -> Displaced {
        if let Some(len) = self.len {
            let before = match place {
                Ok(place) => self.changes[place].len(),
                Err(_) => self.base_len(data, change.key()),
            };
            self.len = Some(len - before + change.len());
        }
        match place {
            Ok(place) => {
                let old = std::mem::replace(&mut self.changes[place], change);
                Displaced {
                    _changes: vec![old],
                }
            }
            Err(place) => {
                self.changes.insert(place, change);
                Displaced::default()
            }
        }
    }

    pub(crate) fn set(&mut self, data: Option<&Data>, key: &str, value: String) -> Displaced {
        let change = Change::new(key, Some(value), None);
        self.put(data, self.place(key), change)
    }

    /// Removes `key`, and returns whether it was there.
    pub(crate) fn remove(&mut self, data: Option<&Data>, key: &str) -> (bool, Displaced) {
        if self.get(data, key).is_none() {
            return (false, Displaced::default());
        }
        let change = Change::new(key, None, None);
        (true, self.put(data, self.place(key), change))
    }

    /// Writes the `value` that `update` computed from the present one under `key`.
    pub(crate) fn update(
        &mut self,
        data: Option<&Data>,
        key: &str,
        update: Arc<dyn Update>,
        value: Option<String>,
    ) -> Displaced {
        let place = self.place(key);
        let written = place.map(|place| &mut self.changes[place].updates);
        let updates = match written {
            Ok(Some(updates)) => {
                let mut then = std::mem::take(&mut updates.then);
                then.push(update);
                let first = updates.first.clone();
                Some(Updates { first, then })
            }
            // A key that this request set, removed or cleared does not depend on the record, and nor does an update of it.
            Ok(None) => None,
            Err(_) if !self.keep.keeps(key) => None,
            Err(_) => {
                let (first, then) = (update, Vec::new());
                Some(Updates { first, then })
            }
        };
        self.put(data, place, Change::new(key, value, updates))
    }

    /// Removes all keys of the application, those of the record and those that this request wrote. Reserved keys are kept:
    /// without them a form in another tab would fail, and a message would be lost.
    pub(crate) fn clear(&mut self) -> Displaced {
        self.keep = match std::mem::take(&mut self.keep) {
            Keep::All | Keep::Reserved => Keep::Reserved,
            Keep::Unreserved => only_flashes(),
            Keep::Only(keys) => {
                let reserved = keys.iter().filter(|key| key.starts_with(RESERVED));
                Keep::Only(reserved.cloned().collect())
            }
        };
        self.drop_written(|key| !key.starts_with(RESERVED))
    }

    /// Drops the reserved keys that do not outlive a login, and keeps all others.
    pub(crate) fn drop_reserved(&mut self) -> Displaced {
        self.keep = match std::mem::take(&mut self.keep) {
            Keep::All => Keep::Unreserved,
            Keep::Reserved => only_flashes(),
            kept => kept,
        };
        self.drop_written(ends_with_login)
    }

    fn drop_written(&mut self, is_dropped: impl Fn(&str) -> bool) -> Displaced {
        let (dropped, kept) = std::mem::take(&mut self.changes)
            .into_iter()
            .partition(|change| is_dropped(change.key()));
        self.changes = kept;
        self.len = None;
        Displaced { _changes: dropped }
    }

    /// The change of one key, as if there were no record.
    pub(crate) fn alone(&self, key: &str) -> Self {
        let written = self.place(key).map(|place| self.changes[place].clone());
        let alone = Self {
            changes: written.into_iter().collect(),
            ..Self::default()
        };
        alone.rebased(None).unwrap_or_default()
    }

    /// Keeps only these keys, which are in their JSON form.
    pub(crate) fn retain(&mut self, keys: Vec<String>) -> Displaced {
        let dropped = self.drop_written(|written| keys.iter().all(|key| key != written));
        let kept_of_record = keys.into_iter().filter(|key| self.keep.keeps(key));
        self.keep = Keep::Only(kept_of_record.collect());
        dropped
    }

    /// Whether the view differs from the record.
    pub(crate) fn differ_from(&self, data: Option<&Data>) -> bool {
        let lost = || {
            !matches!(self.keep, Keep::All)
                && data
                    .into_iter()
                    .flat_map(Data::pairs)
                    .any(|(key, _)| !self.keep.keeps(key) && self.written(key).is_none())
        };
        self.changes.iter().any(|change| {
            let stored = data.and_then(|data| data.get(change.key()));
            match (stored, change.value()) {
                (None, None) => false,
                (Some(stored), Some(written)) => !same_json(stored, written),
                _ => true,
            }
        }) || lost()
    }

    /// Whether applying the changes twice has the same result as applying them once.
    pub(crate) fn are_idempotent(&self) -> bool {
        self.changes.iter().all(|change| change.updates.is_none())
    }

    /// The data with these changes, as this request sees it.
    pub(crate) fn apply(&self, data: Option<&Data>, max_len: usize) -> Result<Data, ReplayError> {
        let len = self.len.unwrap_or_else(|| self.sum_len(data));
        if data::object_len(len) > max_len {
            return Err(ReplayError::TooLarge);
        }
        if let Some(data) = data.filter(|_| self.are_none()) {
            return Ok(data.clone());
        }
        let mut writer = Writer::new(self.capacity(data), len);
        let mut copied = 0;
        for change in &self.changes {
            let key = change.key();
            if let Some(data) = data {
                let place = data.position(key);
                let (Ok(before) | Err(before)) = place;
                self.copy(data, copied..before, &mut writer);
                copied = before + usize::from(place.is_ok());
            }
            if let Some(value) = change.value() {
                writer.entry(key, value);
            }
        }
        if let Some(data) = data {
            self.copy(data, copied..data.len(), &mut writer);
        }
        writer.finish().map_err(|_| ReplayError::TooLarge)
    }

    /// Writes those of the record's entries in `places` that are kept.
    fn copy(&self, data: &Data, places: Range<usize>, writer: &mut Writer) {
        if matches!(self.keep, Keep::All) {
            writer.entries(data, places);
        } else {
            data.pairs_in(places)
                .filter(|(key, _)| self.keep.keeps(key))
                .for_each(|(key, value)| writer.entry(key, value));
        }
    }

    /// The number of entries to reserve memory for: the view has no more.
    fn capacity(&self, data: Option<&Data>) -> usize {
        data.map_or(0, Data::len) + self.changes.len()
    }

    /// The same changes on a newer record: updates run again on its values.
    pub(crate) fn rebased(&self, data: Option<&Data>) -> Result<Self, ReplayError> {
        let mut rebased = Self {
            len: None,
            ..self.clone()
        };
        for change in &mut rebased.changes {
            let Some(Updates { first, then }) = &change.updates else {
                continue;
            };
            let key = change.key();
            let run = |update: &Arc<dyn Update>, present: Option<&str>| {
                update.run(key, present).map_err(ReplayError::Update)
            };
            let mut value = run(first, self.base_value(data, key))?;
            for update in then {
                value = run(update, value.as_deref())?;
            }
            *change = Change::new(key, value, change.updates.clone());
        }
        Ok(rebased)
    }
}

/// Merges two sequences that are sorted by key. If both have a key, the written value counts.
struct Merge<K: Iterator, W: Iterator> {
    kept: std::iter::Peekable<K>,
    written: std::iter::Peekable<W>,
}

impl<'a, K, W> Iterator for Merge<K, W>
where
    K: Iterator<Item = (&'a str, &'a str)>,
    W: Iterator<Item = (&'a str, Option<&'a str>)>,
{
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((key, _)) = self.written.peek() else {
                return self.kept.next();
            };
            if let Some(before) = self.kept.next_if(|(kept, _)| kept < key) {
                return Some(before);
            }
            let (key, value) = self.written.next()?;
            let _replaced = self.kept.next_if(|(kept, _)| *kept == key);
            if let Some(value) = value {
                return Some((key, value));
            }
        }
    }
}

/// Whether two JSON texts are the same value. Maps may be in any order, which does not change their length. Everything else
/// is written in one way only and compared as text: two different numbers may become equal when they are parsed.
fn same_json(one: &str, other: &str) -> bool {
    let begin = |begins| one.starts_with(begins) && other.starts_with(begins);
    if one == other || one.len() != other.len() {
        one == other
    } else if begin('{') {
        let map = |text: &str| Data::parse(text.to_owned(), Record::MAX_DEPTH).ok();
        let (Some(one), Some(other)) = (map(one), map(other)) else {
            return false;
        };
        let same = |((key, value), (other_key, other))| key == other_key && same_json(value, other);
        one.len() == other.len() && one.pairs().zip(other.pairs()).all(same)
    } else if begin('[') {
        let list = |text| serde_json::from_str::<Vec<&RawValue>>(text).ok();
        let (Some(one), Some(other)) = (list(one), list(other)) else {
            return false;
        };
        let same = |(one, other): (&&RawValue, &&RawValue)| same_json(one.get(), other.get());
        one.len() == other.len() && one.iter().zip(&other).all(same)
    } else {
        false
    }
}

#[cfg(test)]
mod tests;
