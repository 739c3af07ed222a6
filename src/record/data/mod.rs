//! A session's data: one JSON object, stored as text with an index of its keys.
//!
//! Values are decoded only when they are read. A key is found by a binary search in the text itself. Keys are compared in
//! their JSON form: `serde_json` writes a string in one way only, so equal keys are equal text.

mod index;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

pub(crate) use self::index::entry_len;
use self::index::{Entry, Index, MAX_INLINE};

/// A key in its JSON form, without the quotes. The index is sorted by it.
pub(crate) fn key_text(key: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if key.bytes().all(plain) {
        return Cow::Borrowed(key);
    }
    let quoted = serde_json::Value::from(key).to_string();
    Cow::Owned(quoted[1..quoted.len() - 1].to_owned())
}

/// The key that has this JSON form.
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

/// The place at which a value was found, so that it need not be looked up again.
#[derive(Clone, Copy)]
pub(crate) struct Place(Entry);

/// A JSON object as text, and the sorted index of its keys.
#[derive(Clone)]
pub(crate) struct Data {
    json: Box<str>,
    index: Index,
}

/// The text is not a JSON object with distinct keys, or it is too long or nested too deeply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotData;

impl Data {
    #[cfg(test)]
    pub(crate) fn empty() -> Self {
        Self {
            json: "{}".into(),
            index: Index::new(),
        }
    }

    /// Parses a JSON object that a store returned.
    pub(crate) fn parse(json: String, max_depth: usize) -> Result<Self, NotData> {
        let json = json.into_boxed_str();
        if u32::try_from(json.len()).is_err() || depth(json.as_bytes()) > max_depth {
            return Err(NotData);
        }
        let mut reader = serde_json::Deserializer::from_str(&json);
        let visitor = IndexVisitor(&json);
        let index = reader.deserialize_map(visitor).map_err(|_| NotData)?;
        reader.end().map_err(|_| NotData)?;
        let index = sorted(index, &json)?;
        Ok(Self { json, index })
    }

    /// The whole object as JSON text.
    pub(crate) fn json(&self) -> &str {
        &self.json
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// How many bytes all entries add to an object as this crate writes it.
    pub(crate) fn entries_len(&self) -> usize {
        self.index.entries_len()
    }

    /// The position of a key, or the position at which it would be inserted.
    pub(crate) fn position(&self, key: &str) -> Result<usize, usize> {
        let (json, key) = (self.json.as_bytes(), key.as_bytes());
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match json[self.index.get(middle).key()].cmp(key) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// The value under a key, which must be in its JSON form.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.place(key).map(|place| self.at(place))
    }

    /// The place of the value under a key.
    pub(crate) fn place(&self, key: &str) -> Option<Place> {
        let entry = if self.len() <= MAX_INLINE {
            let (json, key) = (self.json.as_bytes(), key.as_bytes());
            let same = |entry: &Entry| entry.key_len() == key.len() && json[entry.key()] == *key;
            self.index.find(same)?
        } else {
            self.index.get(self.position(key).ok()?)
        };
        Some(Place(entry))
    }

    /// The value at a place in this object.
    pub(crate) fn at(&self, Place(entry): Place) -> &str {
        &self.json[entry.value()]
    }

    /// All keys in their JSON form with their values, sorted by key.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs_in(0..self.len())
    }

    /// The pairs at these positions.
    pub(crate) fn pairs_in(&self, positions: Range<usize>) -> impl Iterator<Item = (&str, &str)> {
        self.index
            .within(positions)
            .map(|entry| (&self.json[entry.key()], &self.json[entry.value()]))
    }
}

/// Sorts the entries by key, and refuses a key that occurs twice.
fn sorted(index: Index, json: &str) -> Result<Index, NotData> {
    let key = |entry: &Entry| &json[entry.key()];
    if index.iter().is_sorted_by(|one, next| key(one) < key(next)) {
        return Ok(index);
    }
    let mut entries: Vec<Entry> = index.iter().collect();
    entries.sort_unstable_by(|one, next| key(one).cmp(key(next)));
    if entries
        .windows(2)
        .any(|pair| key(&pair[0]) == key(&pair[1]))
    {
        return Err(NotData);
    }
    Ok(Index::Heap(entries))
}

/// Writes an object. Keys are in their JSON form, values are JSON, and both come in the order of the keys.
pub(crate) struct Writer {
    json: String,
    index: Index,
    max_entries: usize,
}

impl Writer {
    /// Reserves space for `max_entries` entries, which add `entries_len` bytes to the object.
    pub(crate) fn new(max_entries: usize, entries_len: usize) -> Self {
        let mut json = String::with_capacity(object_len(entries_len));
        json.push('{');
        Self {
            json,
            index: Index::new(),
            max_entries,
        }
    }

    fn separate(&mut self) {
        if self.json.len() > 1 {
            self.json.push(',');
        }
    }

    /// Writes one entry.
    pub(crate) fn entry(&mut self, key: &str, value: &str) {
        self.separate();
        self.json.push('"');
        let key_at = self.json.len();
        self.json.push_str(key);
        self.json.push_str("\":");
        let value_at = self.json.len();
        self.json.push_str(value);
        let value = value_at..self.json.len();
        let entry = Entry::new(key_at..key_at + key.len(), value);
        self.index.push(entry, self.max_entries);
    }

    /// Copies the entries at these positions of another object. Entries that follow each other directly are copied as one
    /// piece of text.
    pub(crate) fn entries(&mut self, data: &Data, positions: Range<usize>) {
        let mut rest = positions;
        while !rest.is_empty() {
            let run = rest.start..data.index.end_of_run(rest.clone());
            let (first, last) = (data.index.get(run.start), data.index.get(run.end - 1));
            self.separate();
            let (from, to) = (first.key().start - 1, self.json.len());
            self.json.push_str(&data.json[from..last.value().end]);
            rest.start = run.end;
            self.index
                .append(&data.index, run, (from, to), self.max_entries);
        }
    }

    /// Completes the object. An object that is too long for its index is refused.
    pub(crate) fn finish(mut self) -> Result<Data, NotData> {
        self.json.push('}');
        u32::try_from(self.json.len()).map_err(|_| NotData)?;
        Ok(Data {
            json: self.json.into_boxed_str(),
            index: self.index,
        })
    }
}

/// The length of an object to which its entries add `entries_len` bytes.
pub(crate) fn object_len(entries_len: usize) -> usize {
    "{}".len() + entries_len.saturating_sub(",".len())
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({} keys)", self.len())
    }
}

/// Builds the index of an object that is read from this text.
struct IndexVisitor<'a>(&'a str);

impl IndexVisitor<'_> {
    /// The range of a piece of the text. Both point into the same buffer.
    fn range(&self, piece: &str) -> Range<usize> {
        let start = piece.as_ptr() as usize - self.0.as_ptr() as usize;
        start..start + piece.len()
    }
}

impl<'de> Visitor<'de> for IndexVisitor<'_> {
    type Value = Index;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut index = Index::new();
        while let Some((key, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
            let (quoted, value) = (self.range(key.get()), self.range(value.get()));
            let entry = Entry::new(quoted.start + 1..quoted.end - 1, value);
            index.push(entry, 0);
        }
        Ok(index)
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
    fn any_entries_are_copied_whatever_stands_between_them() {
        let many: Vec<_> = ('a'..='t').map(|key| format!("\"{key}\":[{{}}]")).collect();
        for json in [
            r#"{"a":1,"b":"2","c":[3,{"c":4}],"d":null}"#,
            r#"{"d":1,"c":2,"b":3,"a":4}"#,
            r#"{"a":1,"c":2,"b":3,"d":4}"#,
            "{\n \"a\":1,\"b\":2, \"c\":3,\"d\" :4,\"e\": 5,\"f\":6 ,\"g\":7 }",
            "{}",
            " { } ",
            &format!("{{{}}}", many.join(",")),
            &format!("{{{}}}", many.join(" ,")),
        ] {
            let data = parse(json).unwrap();
            for from in 0..=data.len() {
                for to in from..=data.len() {
                    let mut writer = Writer::new(0, 0);
                    writer.entry("", "0");
                    writer.entries(&data, from..to);
                    writer.entry("z", "9");
                    let written = writer.finish().unwrap();
                    let around = (std::iter::once(("", "0")), std::iter::once(("z", "9")));
                    let expected = around.0.chain(data.pairs_in(from..to)).chain(around.1);
                    assert!(written.pairs().eq(expected), "{json} {from}..{to}");
                    let read = parse(written.json()).unwrap();
                    assert!(read.pairs().eq(written.pairs()), "{json} {from}..{to}");
                }
            }
        }
    }

    #[test]
    fn values_are_found_in_texts_short_and_long() {
        let around = usize::from(u16::MAX);
        for len in [around - 40..around + 10, (1 << 17)..(1 << 17) + 1]
            .into_iter()
            .flatten()
        {
            let json = format!(r#"{{"a":"{}","b":1,"c":2}}"#, "x".repeat(len));
            let data = parse(&json).unwrap();
            assert_eq!(data.get("a").map(str::len), Some(len + 2));
            assert_eq!(data.get("b"), Some("1"), "{len}");
            assert_eq!(data.get("c"), Some("2"), "{len}");
            assert_eq!(data.entries_len(), json.len() - 1, "{len}");
            let mut writer = Writer::new(3, data.entries_len());
            writer.entries(&data, 0..3);
            assert_eq!(writer.finish().unwrap().json(), json);
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
    fn depth_is_limited_and_brackets_in_strings_do_not_count() {
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
            values in proptest::collection::btree_map(
                any::<String>().prop_map(|key| key_text(&key).into_owned()),
                any::<i64>(),
                0..20,
            )
        ) {
            let values: Vec<(String, String)> =
                values.into_iter().map(|(key, value)| (key, value.to_string())).collect();
            let mut writer = Writer::new(0, 0);
            values.iter().for_each(|(key, value)| writer.entry(key, value));
            let data = writer.finish().unwrap();
            let read = parse(data.json()).unwrap();
            assert!(read.pairs().eq(data.pairs()));
            for (position, (key, value)) in values.iter().enumerate() {
                assert_eq!(read.get(key), Some(value.as_str()));
                assert_eq!(read.position(key), Ok(position));
            }
        }
    }
}
