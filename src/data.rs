//! A session's data: one JSON object, kept as text with an index of its keys.
//!
//! Values stay raw until somebody asks for them, and a key is looked up by binary search in the text itself. Keys are
//! compared in their JSON form; `serde_json` writes a string in one way only, so equal keys are equal text.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A key in its JSON form, without the quotes: what the index is sorted by.
pub(crate) fn key_text(key: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if key.bytes().all(plain) {
        return Cow::Borrowed(key);
    }
    let quoted = serde_json::Value::from(key).to_string();
    Cow::Owned(quoted[1..quoted.len() - 1].to_owned())
}

/// The key behind its JSON form.
pub(crate) fn key_name(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    serde_json::from_str(&format!("\"{text}\"")).unwrap_or_else(|_| text.to_owned())
}

/// How deeply arrays and objects nest in a JSON text; 0 for a scalar.
pub(crate) fn depth(json: &[u8]) -> usize {
    if !matches!(json.trim_ascii_start(), [b'{' | b'[', ..]) {
        return 0;
    }
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
        } else {
            match byte {
                b'"' => in_string = true,
                b'{' | b'[' => {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    }
    deepest
}

/// Where a key and its value stand in the buffer.
#[derive(Clone, Copy)]
struct Entry {
    key: u32,
    key_len: u32,
    value: u32,
    value_len: u32,
}

impl Entry {
    fn len(&self) -> usize {
        entry_len(self.key_len as usize, self.value_len as usize)
    }

    fn key(self) -> Range<usize> {
        self.key as usize..(self.key + self.key_len) as usize
    }

    fn value(self) -> Range<usize> {
        self.value as usize..(self.value + self.value_len) as usize
    }
}

/// So many keys are faster looked through, most of them by their length alone, than searched.
const FEW: usize = 8;

/// Where a value was found, so that it need not be looked up again.
#[derive(Clone, Copy)]
pub(crate) struct Place(Entry);

/// A JSON object as text, and the index of its keys, sorted.
#[derive(Clone)]
pub(crate) struct Data {
    json: String,
    index: Vec<Entry>,
    /// Whether the entries stand in the text in their order, and nothing but commas between them: as this crate writes it.
    compact: bool,
}

/// The bytes are not a JSON object as this crate writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotData;

impl Data {
    /// No values at all.
    #[cfg(test)]
    pub(crate) fn empty() -> Self {
        Self {
            json: "{}".to_owned(),
            index: Vec::new(),
            compact: true,
        }
    }

    /// Reads a JSON object, as a store gave it back.
    pub(crate) fn parse(json: String, max_depth: usize) -> Result<Self, NotData> {
        if u32::try_from(json.len()).is_err() || depth(json.as_bytes()) > max_depth {
            return Err(NotData);
        }
        let mut reader = serde_json::Deserializer::from_str(&json);
        let pairs = reader.deserialize_map(Pairs).map_err(|_| NotData)?;
        reader.end().map_err(|_| NotData)?;

        // Where a piece of the text stands: both point into the same buffer.
        let place = |piece: &str| {
            let offset = piece.as_ptr() as usize - json.as_ptr() as usize;
            Some((
                u32::try_from(offset).ok()?,
                u32::try_from(piece.len()).ok()?,
            ))
        };
        let mut index = Vec::with_capacity(pairs.len());
        for (quoted, raw) in &pairs {
            let (key, key_len) = place(&quoted[1..quoted.len() - 1]).ok_or(NotData)?;
            let (value, value_len) = place(raw).ok_or(NotData)?;
            index.push(Entry {
                key,
                key_len,
                value,
                value_len,
            });
        }
        let key = |entry: &Entry| &json[entry.key()];
        let in_order = index.is_sorted_by(|one, next| key(one) < key(next));
        if !in_order {
            index.sort_unstable_by(|one, next| key(one).cmp(key(next)));
            if index.windows(2).any(|pair| key(&pair[0]) == key(&pair[1])) {
                return Err(NotData);
            }
        }
        let compact = in_order && json.len() == object_len(index.iter().map(Entry::len).sum());
        Ok(Self {
            json,
            index,
            compact,
        })
    }

    /// The whole object as JSON.
    pub(crate) fn json(&self) -> &str {
        &self.json
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// What all entries add to the length of an object as this crate writes it.
    pub(crate) fn entries_len(&self) -> usize {
        self.index.iter().map(Entry::len).sum()
    }

    /// Where the entry of a key is in their order, or would be.
    pub(crate) fn position(&self, key: &str) -> Result<usize, usize> {
        let (json, key) = (self.json.as_bytes(), key.as_bytes());
        self.index
            .binary_search_by(|entry| json[entry.key()].cmp(key))
    }

    /// The value under a key, which is in its JSON form.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.place(key).map(|place| self.at(place))
    }

    /// Where the value under a key stands.
    pub(crate) fn place(&self, key: &str) -> Option<Place> {
        let entry = if self.index.len() <= FEW {
            let (json, key) = (self.json.as_bytes(), key.as_bytes());
            let same =
                |entry: &&Entry| entry.key_len as usize == key.len() && json[entry.key()] == *key;
            self.index.iter().find(same)?
        } else {
            &self.index[self.position(key).ok()?]
        };
        Some(Place(*entry))
    }

    /// The value at a place in this object.
    pub(crate) fn at(&self, Place(entry): Place) -> &str {
        &self.json[entry.value()]
    }

    /// Keys in their JSON form with their values, sorted by key.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs_in(0..self.len())
    }

    /// Those at these places of their order.
    pub(crate) fn pairs_in(&self, places: Range<usize>) -> impl Iterator<Item = (&str, &str)> {
        self.index[places]
            .iter()
            .map(|entry| (&self.json[entry.key()], &self.json[entry.value()]))
    }
}

/// Writes an object, from keys in their JSON form and values in JSON, which come in the order of the keys.
pub(crate) struct Writer {
    json: String,
    index: Vec<Entry>,
}

impl Writer {
    /// With room for so many entries, which add so much to the object's length.
    pub(crate) fn new(entries: usize, len: usize) -> Self {
        let mut json = String::with_capacity(object_len(len));
        json.push('{');
        Self {
            json,
            index: Vec::with_capacity(entries),
        }
    }

    fn begin(&mut self) {
        if self.json.len() > 1 {
            self.json.push(',');
        }
    }

    pub(crate) fn entry(&mut self, key: &str, value: &str) {
        self.begin();
        self.json.push('"');
        let key_at = self.json.len();
        self.json.push_str(key);
        self.json.push_str("\":");
        let value_at = self.json.len();
        self.json.push_str(value);
        self.index.push(Entry {
            key: offset(key_at),
            key_len: offset(key.len()),
            value: offset(value_at),
            value_len: offset(value.len()),
        });
    }

    /// The entries of another object at these places of their order, as one piece of text if it can be done.
    pub(crate) fn entries(&mut self, data: &Data, places: Range<usize>) {
        let entries = &data.index[places.clone()];
        let (Some(first), Some(last), true) = (entries.first(), entries.last(), data.compact)
        else {
            return data
                .pairs_in(places)
                .for_each(|(key, value)| self.entry(key, value));
        };
        self.begin();
        let start = first.key().start - 1;
        let (from, to) = (offset(start), offset(self.json.len()));
        self.json.push_str(&data.json[start..last.value().end]);
        self.index.extend(entries.iter().map(|entry| Entry {
            key: entry.key - from + to,
            value: entry.value - from + to,
            ..*entry
        }));
    }

    /// The object. One that is too long for its index is none.
    pub(crate) fn finish(mut self) -> Result<Data, NotData> {
        self.json.push('}');
        u32::try_from(self.json.len()).map_err(|_| NotData)?;
        Ok(Data {
            json: self.json,
            index: self.index,
            compact: true,
        })
    }
}

/// What does not fit is found out when all is written.
fn offset(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// How long an object is whose entries add so much to it.
pub(crate) fn object_len(entries: usize) -> usize {
    "{}".len() + entries.saturating_sub(",".len())
}

/// What an entry adds to the object's length, its comma included.
pub(crate) fn entry_len(key: usize, value: usize) -> usize {
    "\"\":,".len() + key + value
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({} keys)", self.len())
    }
}

/// Collects an object's keys and values as raw text.
struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(&'de str, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::with_capacity(4);
        while let Some((key, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
            pairs.push((key.get(), value.get()));
        }
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, proptest};

    use super::*;

    fn parse(json: &str) -> Result<Data, NotData> {
        Data::parse(json.to_owned(), 8)
    }

    #[test]
    fn values_are_found_whatever_the_order_of_their_keys() {
        let data = parse(r#"{ "b" : [1, 2], "a":"x","c":{"d":null} }"#).unwrap();
        assert_eq!(data.get("a"), Some(r#""x""#));
        assert_eq!(data.get("b"), Some("[1, 2]"));
        assert_eq!(data.get("c"), Some(r#"{"d":null}"#));
        assert_eq!(data.get("d"), None);
        assert_eq!(format!("{data:?}"), "Data(3 keys)");
        let backwards = parse(r#"{"c":3,"b":2,"a":1}"#).unwrap();
        assert_eq!(backwards.get("a"), Some("1"));
        assert_eq!(backwards.get("c"), Some("3"));
        assert_eq!(
            data.pairs().map(|(key, _)| key).collect::<Vec<_>>(),
            ["a", "b", "c"]
        );
    }

    #[test]
    fn a_key_that_json_escapes_is_found_by_its_name() {
        for name in [
            "say \"hi\"",
            "back\\slash",
            "line\nbreak",
            "nul\0",
            "ünï",
            "",
        ] {
            let json = format!("{{{}:1}}", serde_json::to_string(name).unwrap());
            let data = parse(&json).unwrap();
            assert_eq!(data.get(&key_text(name)), Some("1"), "{name:?}");
            let (text, _) = data.pairs().next().unwrap();
            assert_eq!(key_name(text), name);
        }
    }

    #[test]
    fn a_key_is_copied_only_where_json_escapes_it() {
        for name in ["a key", "!#[]", "\u{7f}ünï", ""] {
            assert!(matches!(key_text(name), Cow::Borrowed(text) if text == name));
        }
        for (name, text) in [
            ("\n", "\\n"),
            ("\u{1f}", "\\u001f"),
            ("\"", "\\\""),
            ("\\", "\\\\"),
        ] {
            assert_eq!(key_text(name), text);
        }
    }

    #[test]
    fn what_is_no_object_of_ours_is_refused() {
        for json in [
            "",
            "null",
            "[]",
            "1",
            "{",
            "{}x",
            "{}{}",
            r#"{"a":}"#,
            r#"{"a":1,"a":2}"#,
            r#"{a:1}"#,
            "\u{feff}{}",
        ] {
            assert!(parse(json).is_err(), "{json:?}");
        }
    }

    #[test]
    fn depth_is_bounded_and_brackets_in_strings_do_not_count() {
        assert_eq!(depth(b"1"), 0);
        assert_eq!(depth(b" \n[[]]"), 2);
        assert_eq!(depth(br#""[[""#), 0);
        assert_eq!(depth(br#"{"a":[[]]}"#), 3);
        assert_eq!(depth(br#"[[],{},[[]],{}]"#), 3);
        assert_eq!(depth(br#"{"a":"[[[[\"[["}"#), 1);
        let nested = |deep: usize| format!("{{\"a\":{}{}}}", "[".repeat(deep), "]".repeat(deep));
        assert!(parse(&nested(7)).is_ok());
        assert!(parse(&nested(8)).is_err());
        assert!(parse(&nested(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text: String) {
            let _ = Data::parse(text, 8);
        }

        #[test]
        fn anything_like_json_is_read_as_json_or_refused(text in r#"[\{\}\[\]",:\\ a1]{0,24}"#) {
            if let Ok(data) = Data::parse(text, 8) {
                assert!(serde_json::from_str::<serde_json::Value>(data.json()).unwrap().is_object());
            }
        }

        #[test]
        fn what_is_built_reads_back(
            values in proptest::collection::btree_map(any::<String>().prop_map(|key| key_text(&key).into_owned()), any::<i64>(), 0..6)
        ) {
            let values: Vec<(String, String)> =
                values.into_iter().map(|(key, value)| (key, value.to_string())).collect();
            let mut writer = Writer::new(0, 0);
            values.iter().for_each(|(key, value)| writer.entry(key, value));
            let data = writer.finish().unwrap();
            let read = parse(data.json()).unwrap();
            assert!(read.pairs().eq(data.pairs()));
            for (key, value) in &values {
                assert_eq!(read.get(key), Some(value.as_str()));
            }
        }
    }
}
