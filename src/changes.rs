//! What a request changed: queued on top of a record, and replayed on a newer one.
//!
//! Changes are kept per key, so they are at once the queue and the view: reading looks here first, then in the record.
//! A value that was set no longer depends on the record; an update does, and keeps its function to run it again.

use std::sync::Arc;

use crate::data::{self, Data};
use crate::error::SessionError;

/// Keys that begin with this are kept by this crate itself; a login drops them, an application cannot write them.
pub(crate) const RESERVED: &str = "_keycard.";

/// Computes a key's new value from its present one, both as JSON. It may run again on a newer record.
pub(crate) trait Update: Send + Sync {
    fn run(&self, present: Option<&str>) -> Result<String, SessionError>;
}

/// Which of the record's keys stay.
#[derive(Clone, Debug, Default)]
enum Keep {
    #[default]
    All,
    Unreserved,
    Only(Arc<[String]>),
}

impl Keep {
    fn keeps(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Unreserved => !key.starts_with(RESERVED),
            Self::Only(keys) => keys.iter().any(|kept| kept == key),
        }
    }
}

/// What happened to one key.
#[derive(Clone)]
enum Change {
    Set(String),
    Removed,
    Updated(Updated),
}

/// A key's updates, in the order in which they were asked for, and what they came to on the record at hand.
#[derive(Clone)]
struct Updated {
    first: Arc<dyn Update>,
    then: Vec<Arc<dyn Update>>,
    value: String,
}

impl Change {
    fn value(&self) -> Option<&str> {
        match self {
            Self::Set(value) | Self::Updated(Updated { value, .. }) => Some(value),
            Self::Removed => None,
        }
    }
}

/// What a change pushed out. To be dropped where no lock is held: it may own what an application's closure captured.
#[must_use = "to be dropped where no lock is held"]
#[derive(Default)]
pub(crate) struct Displaced {
    _changes: Vec<(Box<str>, Change)>,
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
    changes: Vec<(Box<str>, Change)>,
    /// What the view's entries add to the length of its JSON, once somebody asked.
    len: Option<usize>,
}

impl Changes {
    fn place(&self, key: &str) -> Result<usize, usize> {
        self.changes
            .binary_search_by(|(other, _)| (**other).cmp(key))
    }

    /// The value that the record still contributes under `key`.
    fn base<'a>(&self, data: Option<&'a Data>, key: &str) -> Option<&'a str> {
        data.filter(|_| self.keep.keeps(key))?.get(key)
    }

    /// What stands under `key`, if this request wrote there; otherwise the record has the word.
    pub(crate) fn written(&self, key: &str) -> Option<Option<&str>> {
        self.place(key)
            .ok()
            .map(|place| self.changes[place].1.value())
    }

    /// The value under `key` as this request sees it.
    pub(crate) fn get<'a>(&'a self, data: Option<&'a Data>, key: &str) -> Option<&'a str> {
        match self.written(key) {
            Some(value) => value,
            None => self.base(data, key),
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
            .map(|(key, change)| (&**key, change.value()));
        Merge {
            kept: kept.peekable(),
            written: written.peekable(),
        }
    }

    fn sum_len(&self, data: Option<&Data>) -> usize {
        self.view(data)
            .map(|(key, value)| data::entry_len(key.len(), value.len()))
            .sum()
    }

    /// How long the JSON of the whole view would be with a value of this length under `key`.
    pub(crate) fn len_with(&mut self, data: Option<&Data>, key: &str, value: usize) -> usize {
        let len = self.len.unwrap_or_else(|| self.sum_len(data));
        self.len = Some(len);
        "{}".len() - ",".len() + len - self.entry_len(data, key) + data::entry_len(key.len(), value)
    }

    fn entry_len(&self, data: Option<&Data>, key: &str) -> usize {
        self.get(data, key)
            .map_or(0, |value| data::entry_len(key.len(), value.len()))
    }

    fn put(&mut self, data: Option<&Data>, key: &str, change: Change) -> Displaced {
        if let Some(len) = self.len {
            let new = change
                .value()
                .map_or(0, |value| data::entry_len(key.len(), value.len()));
            self.len = Some(len - self.entry_len(data, key) + new);
        }
        match self.place(key) {
            Ok(place) => {
                let old = std::mem::replace(&mut self.changes[place], (key.into(), change));
                Displaced {
                    _changes: vec![old],
                }
            }
            Err(place) => {
                self.changes.insert(place, (key.into(), change));
                Displaced::default()
            }
        }
    }

    pub(crate) fn set(&mut self, data: Option<&Data>, key: &str, value: String) -> Displaced {
        self.put(data, key, Change::Set(value))
    }

    /// Removes `key`, and says whether it was there.
    pub(crate) fn remove(&mut self, data: Option<&Data>, key: &str) -> (bool, Displaced) {
        if self.get(data, key).is_none() {
            return (false, Displaced::default());
        }
        (true, self.put(data, key, Change::Removed))
    }

    /// Writes the `value` that `update` made of the one that stands under `key` now.
    pub(crate) fn update(
        &mut self,
        data: Option<&Data>,
        key: &str,
        update: Arc<dyn Update>,
        value: String,
    ) -> Displaced {
        let written = self.place(key).map(|place| &mut self.changes[place].1);
        let change = match written {
            Ok(Change::Updated(updated)) => {
                let mut then = std::mem::take(&mut updated.then);
                then.push(update);
                Change::Updated(Updated {
                    first: updated.first.clone(),
                    then,
                    value,
                })
            }
            // What this request set, removed or cleared depends on no record, nor does what is made of it.
            Ok(_) => Change::Set(value),
            Err(_) if !self.keep.keeps(key) => Change::Set(value),
            Err(_) => Change::Updated(Updated {
                first: update,
                then: Vec::new(),
                value,
            }),
        };
        self.put(data, key, change)
    }

    /// Nothing of the record stays, nor of what was written before.
    pub(crate) fn clear(&mut self) -> Displaced {
        self.keep = Keep::Only(Arc::default());
        self.len = None;
        Displaced {
            _changes: std::mem::take(&mut self.changes),
        }
    }

    /// What this crate put into the session itself is dropped; all else stays.
    pub(crate) fn drop_reserved(&mut self) -> Displaced {
        if matches!(self.keep, Keep::All) {
            self.keep = Keep::Unreserved;
        }
        let (dropped, kept) = std::mem::take(&mut self.changes)
            .into_iter()
            .partition(|(key, _)| key.starts_with(RESERVED));
        self.changes = kept;
        self.len = None;
        Displaced { _changes: dropped }
    }

    /// Only these keys stay, which are in their JSON form.
    pub(crate) fn retain(&mut self, keys: Vec<String>) -> Displaced {
        let (kept, dropped) = std::mem::take(&mut self.changes)
            .into_iter()
            .partition(|(written, _)| keys.iter().any(|key| **key == **written));
        let kept_of_record = keys.into_iter().filter(|key| self.keep.keeps(key));
        self.keep = Keep::Only(kept_of_record.collect());
        self.changes = kept;
        self.len = None;
        Displaced { _changes: dropped }
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
        self.changes.iter().any(|(key, change)| {
            match (data.and_then(|data| data.get(key)), change.value()) {
                (None, None) => false,
                (Some(stored), Some(written)) => !same_json(stored, written),
                _ => true,
            }
        }) || lost()
    }

    /// Whether carrying them out twice is carrying them out once.
    pub(crate) fn are_idempotent(&self) -> bool {
        !self
            .changes
            .iter()
            .any(|(_, change)| matches!(change, Change::Updated(_)))
    }

    /// The data with these changes, as this request sees it.
    pub(crate) fn apply(&self, data: Option<&Data>, max_len: usize) -> Result<Data, ReplayError> {
        let len = 2 + self.sum_len(data).saturating_sub(1);
        if len > max_len {
            return Err(ReplayError::TooLarge);
        }
        Data::build(len, self.room(data), self.view(data)).map_err(|_| ReplayError::TooLarge)
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
        for (key, change) in &mut rebased.changes {
            if let Change::Updated(updated) = change {
                let mut value = updated
                    .first
                    .run(self.base(data, key))
                    .map_err(ReplayError::Update)?;
                for update in &updated.then {
                    value = update.run(Some(&value)).map_err(ReplayError::Update)?;
                }
                updated.value = value;
            }
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

/// Whether two JSON texts are the same value. Maps may be written in any order; everything else is written in one way.
fn same_json(one: &str, other: &str) -> bool {
    let container = |text: &str| text.starts_with(['{', '[']);
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    one == other
        || container(one)
            && container(other)
            && value(one).is_some_and(|one| value(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::{Just, Strategy, prop_oneof, proptest};

    use super::*;

    fn data(json: &str) -> Data {
        Data::parse(json.to_owned(), 64).unwrap()
    }

    fn applied(changes: &Changes, base: &Data) -> String {
        changes
            .apply(Some(base), usize::MAX)
            .ok()
            .unwrap()
            .json()
            .to_owned()
    }

    struct Add(i64);

    impl Update for Add {
        fn run(&self, present: Option<&str>) -> Result<String, SessionError> {
            let before: i64 = present.map_or(0, |value| value.parse().unwrap());
            Ok((before + self.0).to_string())
        }
    }

    /// As `Session::update` does it: run it, then queue it with its value.
    fn increment(changes: &mut Changes, base: &Data, key: &str, amount: i64) {
        let value = Add(amount).run(changes.get(Some(base), key)).unwrap();
        drop(changes.update(Some(base), key, Arc::new(Add(amount)), value));
    }

    #[test]
    fn an_update_runs_again_on_the_newer_value() {
        let mut changes = Changes::default();
        increment(&mut changes, &data(r#"{"n":1}"#), "n", 1);
        increment(&mut changes, &data(r#"{"n":1}"#), "n", 10);
        let newer = data(r#"{"m":0,"n":5}"#);
        let rebased = changes.rebased(Some(&newer)).ok().unwrap();
        assert_eq!(applied(&rebased, &newer), r#"{"m":0,"n":16}"#);
        assert!(!changes.are_idempotent());
    }

    #[test]
    fn on_a_newer_record_the_length_is_counted_anew() {
        let (older, newer) = (data(r#"{"n":1}"#), data(r#"{"m":0,"n":1}"#));
        let mut changes = Changes::default();
        changes.len_with(Some(&older), "k", 1);
        let mut rebased = changes.rebased(Some(&newer)).ok().unwrap();
        assert_eq!(
            rebased.len_with(Some(&newer), "k", 1),
            r#"{"k":1,"m":0,"n":1}"#.len()
        );
    }

    #[test]
    fn an_update_of_what_this_request_set_depends_on_no_record() {
        let base = data(r#"{"n":1}"#);
        let mut changes = Changes::default();
        drop(changes.set(Some(&base), "n", "100".into()));
        increment(&mut changes, &base, "n", 1);
        assert!(changes.are_idempotent());
        let mut changes = Changes::default();
        drop(changes.clear());
        increment(&mut changes, &base, "n", 1);
        assert_eq!(applied(&changes, &base), r#"{"n":1}"#);
        assert!(changes.are_idempotent());
    }

    #[test]
    fn what_does_not_change_anything_is_no_change() {
        let base = data(r#"{"a":1,"m":{"x":1,"y":[2]}}"#);
        let mut changes = Changes::default();
        assert!(!changes.differ_from(Some(&base)));
        drop(changes.set(Some(&base), "a", "1".into()));
        drop(changes.set(Some(&base), "m", r#"{"y":[2],"x":1}"#.into()));
        assert!(!changes.remove(Some(&base), "none").0);
        drop(changes.set(Some(&base), "passing", "1".into()));
        assert!(changes.remove(Some(&base), "passing").0);
        assert!(!changes.differ_from(Some(&base)));
        drop(changes.set(Some(&base), "a", "2".into()));
        assert!(changes.differ_from(Some(&base)));
        drop(changes.set(Some(&base), "a", "1".into()));
        assert!(!changes.differ_from(Some(&base)));
        drop(changes.set(Some(&base), "a", "\"1\"".into()));
        assert!(changes.differ_from(Some(&base)));
    }

    #[test]
    fn another_list_or_map_is_a_change() {
        let base = data(r#"{"list":[1],"map":{"x":1}}"#);
        for (key, value) in [
            ("list", "[2]"),
            ("map", "{}"),
            ("map", "[1]"),
            ("list", "1"),
        ] {
            let mut changes = Changes::default();
            drop(changes.set(Some(&base), key, value.into()));
            assert!(changes.differ_from(Some(&base)), "{key}: {value}");
        }
    }

    #[test]
    fn clearing_an_empty_session_is_no_change_and_a_full_one_is() {
        let mut changes = Changes::default();
        drop(changes.clear());
        assert!(!changes.differ_from(None));
        assert!(!changes.differ_from(Some(&data("{}"))));
        assert!(changes.differ_from(Some(&data(r#"{"a":1}"#))));
    }

    #[test]
    fn a_login_drops_what_the_crate_keeps_and_a_keeping_login_all_but_the_named() {
        let base = data(r#"{"_keycard.csrf":"x","cart":[1],"theme":"dark"}"#);
        let mut changes = Changes::default();
        drop(changes.set(Some(&base), "_keycard.flash", "1".into()));
        drop(changes.drop_reserved());
        assert_eq!(applied(&changes, &base), r#"{"cart":[1],"theme":"dark"}"#);
        drop(changes.retain(vec!["cart".to_owned(), "_keycard.csrf".to_owned()]));
        assert_eq!(applied(&changes, &base), r#"{"cart":[1]}"#);
        drop(changes.set(Some(&base), "theme", "1".into()));
        assert_eq!(applied(&changes, &base), r#"{"cart":[1],"theme":1}"#);
    }

    #[test]
    fn data_over_the_limit_is_refused() {
        let base = data(r#"{"a":1}"#);
        let mut changes = Changes::default();
        drop(changes.set(Some(&base), "b", "2".into()));
        let len = r#"{"a":1,"b":2}"#.len();
        assert!(changes.apply(Some(&base), len).is_ok());
        assert!(matches!(
            changes.apply(Some(&base), len - 1),
            Err(ReplayError::TooLarge)
        ));
    }

    #[test]
    fn a_failing_update_is_told() {
        struct Failing;
        impl Update for Failing {
            fn run(&self, _: Option<&str>) -> Result<String, SessionError> {
                Err(SessionError::Sealed)
            }
        }
        let mut changes = Changes::default();
        drop(changes.update(None, "n", Arc::new(Failing), "1".into()));
        let rebased = changes.rebased(Some(&data("{}")));
        assert!(matches!(
            rebased,
            Err(ReplayError::Update(SessionError::Sealed))
        ));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(String, i64),
        Remove(String),
        Add(String, i64),
        Clear,
        Retain(String),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let key = || "[a-d]";
        let step = prop_oneof![
            4 => (key(), 0..9_i64).prop_map(|(key, value)| Step::Set(key, value)),
            3 => key().prop_map(Step::Remove),
            4 => (key(), 1..9_i64).prop_map(|(key, value)| Step::Add(key, value)),
            1 => Just(Step::Clear),
            1 => key().prop_map(Step::Retain),
        ];
        proptest::collection::vec(step, 0..12)
    }

    /// The same steps on a plain map.
    fn model(base: &BTreeMap<String, i64>, steps: &[Step]) -> BTreeMap<String, i64> {
        let mut map = base.clone();
        for step in steps {
            match step {
                Step::Set(key, value) => drop(map.insert(key.clone(), *value)),
                Step::Remove(key) => drop(map.remove(key)),
                Step::Add(key, value) => *map.entry(key.clone()).or_default() += value,
                Step::Clear => map.clear(),
                Step::Retain(key) => map.retain(|other, _| other == key),
            }
        }
        map
    }

    #[test]
    fn what_was_cleared_and_written_again_as_it_was_is_no_change() {
        let stored = data(r#"{"b":3}"#);
        let mut changes = Changes::default();
        drop(changes.clear());
        assert!(changes.differ_from(Some(&stored)));
        drop(changes.set(Some(&stored), "b", "3".into()));
        assert!(!changes.differ_from(Some(&stored)));
    }

    proptest! {
        #[test]
        fn the_view_is_that_of_a_map_and_replaying_is_running_the_steps_there(
            base in proptest::collection::btree_map("[a-d]", 0..9_i64, 0..4),
            newer in proptest::collection::btree_map("[a-d]", 0..9_i64, 0..4),
            steps in steps()
        ) {
            let json = |map: &BTreeMap<String, i64>| serde_json::to_string(map).unwrap();
            let (stored, stored_newer) = (data(&json(&base)), data(&json(&newer)));
            let mut changes = Changes::default();
            for step in &steps {
                // Asked at any moment, the length foretold is the length written.
                for key in ["a", "e"] {
                    let foretold = changes.len_with(Some(&stored), key, 2);
                    let mut with = changes.clone();
                    drop(with.set(Some(&stored), key, "10".into()));
                    assert_eq!(foretold, applied(&with, &stored).len());
                }
                match step {
                    Step::Set(key, value) => {
                        drop(changes.set(Some(&stored), key, value.to_string()));
                    }
                    Step::Remove(key) => drop(changes.remove(Some(&stored), key)),
                    Step::Add(key, value) => increment(&mut changes, &stored, key, *value),
                    Step::Clear => drop(changes.clear()),
                    Step::Retain(key) => drop(changes.retain(vec![key.clone()])),
                }
            }
            let expected = model(&base, &steps);
            assert_eq!(applied(&changes, &stored), json(&expected));
            assert_eq!(changes.differ_from(Some(&stored)), expected != base);

            // Removing what was not there is no change, so it is not replayed either: that is the one difference.
            let removes_nothing = {
                let mut seen = base;
                steps.iter().any(|step| {
                    let missing = matches!(step, Step::Remove(key) if !seen.contains_key(key));
                    seen = model(&seen, std::slice::from_ref(step));
                    missing
                })
            };
            if !removes_nothing {
                let rebased = changes.rebased(Some(&stored_newer)).ok().unwrap();
                assert_eq!(applied(&rebased, &stored_newer), json(&model(&newer, &steps)));
            }
        }
    }
}
