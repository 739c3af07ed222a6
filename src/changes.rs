//! What a request changed: queued on top of a record, and replayed on a newer one.
//!
//! Changes are kept per key, so they are at once the queue and the view: reading looks here first, then in the record.
//! A value that was set no longer depends on the record; an update does, and keeps its function to run it again.

use std::ops::Range;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::data::{self, Data, Place, Writer};
use crate::error::SessionError;
use crate::record::Record;

/// Keys that begin with this are kept by this crate itself; a login drops them, an application cannot write them.
pub(crate) const RESERVED: &str = "_keycard.";

/// Messages for the next page. Reserved, but no login drops them: "Welcome back" is to be shown after it.
pub(crate) const FLASHES: &str = "_keycard.flashes";

fn ends_with_login(key: &str) -> bool {
    key.starts_with(RESERVED) && key != FLASHES
}

/// Computes a key's new value from its present one, both as JSON; none removes it. It may run again on a newer record.
pub(crate) trait Update: Send + Sync {
    /// The key, which is in its JSON form, is for what is said where it fails.
    fn run(&self, key: &str, present: Option<&str>) -> Result<Option<String>, SessionError>;
}

/// Which of the record's keys stay.
#[derive(Clone, Debug, Default)]
enum Keep {
    #[default]
    All,
    /// After a login.
    Unreserved,
    /// After a clear.
    Reserved,
    Only(Arc<[String]>),
}

impl Keep {
    #[inline]
    fn keeps(&self, key: &str) -> bool {
        matches!(self, Self::All) || self.picks(key)
    }

    fn picks(&self, key: &str) -> bool {
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
    /// The value, as JSON, and the key behind it: one piece of memory for both.
    text: String,
    key_at: usize,
    /// Whether there is a value at all. If not, the key was removed.
    has_value: bool,
    /// What the value comes from, if it was made of the record's.
    updates: Option<Updates>,
}

/// A key's updates, in the order in which they were asked for.
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

    /// What it adds to the length of the view.
    fn len(&self) -> usize {
        let value = self.value();
        value.map_or(0, |value| data::entry_len(self.key().len(), value.len()))
    }
}

/// What a change pushed out. To be dropped where no lock is held: it may own what an application's closure captured.
#[must_use = "to be dropped where no lock is held"]
#[derive(Default)]
pub(crate) struct Displaced {
    _changes: Vec<Change>,
}

/// Why changes do not fit a newer record, or do not fit at all.
pub(crate) enum ReplayError {
    /// The data would be larger than allowed.
    TooLarge,
    /// An update's function failed on the newer value.
    Update(SessionError),
}

/// The changes of one request, in the order of their keys, which are in their JSON form.
#[derive(Clone, Default)]
pub(crate) struct Changes {
    keep: Keep,
    changes: Vec<Change>,
    /// What the view's entries add to the length of its JSON, once somebody asked.
    len: Option<usize>,
}

impl Changes {
    fn place(&self, key: &str) -> Result<usize, usize> {
        self.changes
            .binary_search_by(|change| change.key().cmp(key))
    }

    /// Where the value stands that the record still contributes under `key`.
    pub(crate) fn base(&self, data: Option<&Data>, key: &str) -> Option<Place> {
        data.filter(|_| self.keep.keeps(key))?.place(key)
    }

    fn base_value<'a>(&self, data: Option<&'a Data>, key: &str) -> Option<&'a str> {
        let place = self.base(data, key)?;
        data.map(|data| data.at(place))
    }

    /// What stands under `key`, if this request wrote there; otherwise the record has the word.
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

    /// All keys as this request sees them, with their values, in order.
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

    /// Whether the record's data stays as it is.
    fn are_none(&self) -> bool {
        self.changes.is_empty() && matches!(self.keep, Keep::All)
    }

    fn sum_len(&self, data: Option<&Data>) -> usize {
        if self.are_none() {
            return data.map_or(0, Data::entries_len);
        }
        self.view(data)
            .map(|(key, value)| data::entry_len(key.len(), value.len()))
            .sum()
    }

    /// How long the JSON of the whole view would be with a value of this length under `key`.
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

    /// What the record's entry under `key` adds to the length, if it stays.
    fn base_len(&self, data: Option<&Data>, key: &str) -> usize {
        self.base_value(data, key)
            .map_or(0, |value| data::entry_len(key.len(), value.len()))
    }

    /// Puts a change where its key has its place, or is to have it.
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

    /// Removes `key`, and says whether it was there.
    pub(crate) fn remove(&mut self, data: Option<&Data>, key: &str) -> (bool, Displaced) {
        if self.get(data, key).is_none() {
            return (false, Displaced::default());
        }
        let change = Change::new(key, None, None);
        (true, self.put(data, self.place(key), change))
    }

    /// Writes the `value` that `update` made of the one that stands under `key` now.
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
            // What this request set, removed or cleared depends on no record, nor does what is made of it.
            Ok(None) => None,
            Err(_) if !self.keep.keeps(key) => None,
            Err(_) => {
                let (first, then) = (update, Vec::new());
                Some(Updates { first, then })
            }
        };
        self.put(data, place, Change::new(key, value, updates))
    }

    /// Nothing of the application's stays, neither of the record nor of what was written before. What this crate keeps is not
    /// the application's to drop: a form in another tab would fail, and a message be lost.
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

    /// What this crate put into the session itself is dropped; all else stays.
    pub(crate) fn drop_reserved(&mut self) -> Displaced {
        self.keep = match std::mem::take(&mut self.keep) {
            Keep::All => Keep::Unreserved,
            Keep::Reserved => only_flashes(),
            kept => kept,
        };
        self.drop_written(ends_with_login)
    }

    fn drop_written(&mut self, goes: impl Fn(&str) -> bool) -> Displaced {
        let (dropped, kept) = std::mem::take(&mut self.changes)
            .into_iter()
            .partition(|change| goes(change.key()));
        self.changes = kept;
        self.len = None;
        Displaced { _changes: dropped }
    }

    /// What was written under one key, as if there were no record.
    pub(crate) fn alone(&self, key: &str) -> Self {
        let written = self.place(key).map(|place| self.changes[place].clone());
        let alone = Self {
            changes: written.into_iter().collect(),
            ..Self::default()
        };
        alone.rebased(None).unwrap_or_default()
    }

    /// Only these keys stay, which are in their JSON form.
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

    /// Whether carrying them out twice is carrying them out once.
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
        let mut writer = Writer::new(self.room(data), len);
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

    /// Writes what stays of these entries of the record.
    fn copy(&self, data: &Data, places: Range<usize>, writer: &mut Writer) {
        if matches!(self.keep, Keep::All) {
            writer.entries(data, places);
        } else {
            data.pairs_in(places)
                .filter(|(key, _)| self.keep.keeps(key))
                .for_each(|(key, value)| writer.entry(key, value));
        }
    }

    /// For how many entries room is to be made: the view has no more.
    fn room(&self, data: Option<&Data>) -> usize {
        data.map_or(0, Data::len) + self.changes.len()
    }

    /// The same changes made to a newer record: updates run again on the values that stand there now.
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

/// Two sequences in the order of their keys as one; where both have a key, what was written counts.
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

/// Whether two JSON texts are the same value. Maps may be written in any order, which makes them no longer; everything else
/// is written in one way, and compared as it is written: read as a number, two of them may become one.
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
