use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::collection::{btree_map, hash_map, vec};
use proptest::prelude::{any, proptest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::*;

/// Whether a value is written, and is read as the same one.
fn survives<T: Serialize + DeserializeOwned>(value: T) -> bool {
    let json = encode("key", &value).ok();
    json.is_some_and(|json| reads_back::<T>(&json).is_ok())
}

/// Whether a value is written whose type is not known when it is read.
fn is_written(value: impl Serialize) -> bool {
    let encoded = encode("key", &value);
    if let Err(error) = &encoded {
        assert!(matches!(error, SessionError::Encode { key, .. } if key == "key"));
    }
    encoded.is_ok()
}

#[derive(Serialize, Deserialize)]
struct Unit;

#[derive(Serialize, Deserialize)]
struct Wrapped<T>(T);

#[derive(Serialize, Deserialize)]
enum Variant<T> {
    Newtype(T),
    Tuple(T, T),
    Struct { field: T },
}

#[derive(Serialize, Deserialize)]
struct Flat<K: Ord, V> {
    name: String,
    #[serde(
        flatten,
        bound(deserialize = "K: Deserialize<'de>, V: Deserialize<'de>")
    )]
    rest: BTreeMap<K, V>,
}

#[derive(Serialize, Deserialize)]
struct FlatAlone {
    #[serde(flatten)]
    rest: BTreeMap<u32, u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Number { number: u128 },
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Integer(u128),
    Float(f64),
}

#[test]
fn a_number_that_is_not_finite_is_refused_wherever_it_stands() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(!is_written(number));
        assert!(!is_written(Some(number)) && !is_written([1.0, number]));
        assert!(!is_written((1, number)) && !is_written(Wrapped(number)));
        assert!(!is_written(BTreeMap::from([("a", number)])));
        assert!(!is_written(Variant::Newtype(number)));
        assert!(!is_written(Variant::Tuple(1.0, number)));
        assert!(!is_written(Variant::Struct { field: number }));
    }
    for number in [0.1 + 0.2, -0.0, f64::MIN_POSITIVE, f64::MAX, 5e-324] {
        assert!(survives(number), "{number}");
    }
    for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert!(!is_written(number));
    }
    for number in [0.1, f32::MIN_POSITIVE, f32::MAX, 1e-45] {
        assert!(survives(number), "{number}");
    }
}

#[test]
fn a_some_that_is_written_as_null_is_refused_wherever_it_stands() {
    assert!(!is_written(Some(None::<u8>)) && !is_written(Some(())) && !is_written(Some(Unit)));
    assert!(!is_written(Some(Wrapped(None::<u8>))) && !is_written(Some(Some(None::<u8>))));
    assert!(!is_written(vec![Some(None::<u8>)]) && !is_written(Some(Value::Null)));
    assert!(!is_written(Wrapped(Some(()))));
    assert!(survives(None::<u8>) && survives(None::<Option<u8>>) && survives(Some(Some(1))));
    assert!(survives(()) && survives(Unit) && survives(Some(vec![None, Some(1)])));
    assert!(survives(Variant::Newtype(None::<u8>)) && survives(Some(Variant::Newtype(()))));
    assert!(survives(Value::Null));
}

#[test]
fn a_flattened_map_is_written_with_text_as_keys_alone() {
    fn flat<K: Ord>(key: K) -> Flat<K, u32> {
        let name = "name".to_owned();
        let rest = BTreeMap::from([(key, 1)]);
        Flat { name, rest }
    }
    assert!(!is_written(flat(7)) && !is_written(flat(-7)) && !is_written(flat(true)));
    assert!(survives(flat("7".to_owned())) && survives(flat('c')));
    assert!(survives(BTreeMap::from([(7, 1), (8, 2)])));
    assert!(survives(HashMap::from([(i64::MIN, 1)])));
    // Alone, it is written as any map. Its own type shows that it is not read again.
    let rest = BTreeMap::from([(7, 1)]);
    assert!(!survives(FlatAlone { rest }));
    // A key twice.
    assert!(!survives(flat("name".to_owned())));
}

#[test]
fn a_number_of_128_bits_is_refused_where_it_is_read_as_another_or_not_at_all() {
    let number = u128::from(u64::MAX) + 1;
    assert!(survives(number) && survives(vec![i128::MIN]) && survives(u128::MAX));
    for number in [7, number] {
        assert!(!survives(Tagged::Number { number }));
        assert!(!survives(Untagged::Integer(number)));
    }
    assert!(survives(Untagged::Float(0.5)));
}

#[test]
fn what_has_no_order_is_read_as_the_same() {
    let set: HashSet<u32> = (0..100).collect();
    let map: HashMap<String, HashSet<u32>> =
        (0..20).map(|key| (key.to_string(), set.clone())).collect();
    assert!(survives(set) && survives(map));
}

#[test]
fn what_is_skipped_and_not_restored_is_refused() {
    #[derive(Serialize, Deserialize)]
    struct Skips {
        #[serde(skip_serializing)]
        _name: String,
    }
    #[derive(Serialize, Deserialize)]
    struct Restores {
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    }
    let name = "name".to_owned();
    assert!(!survives(Skips { _name: name }));
    assert!(survives(Restores { name: None }));
}

#[test]
fn a_null_reads_as_absent_unless_the_type_has_one() {
    assert!(matches!(decode::<u32>("key", Some("null")), Ok(None)));
    assert!(matches!(decode::<String>("key", Some("null")), Ok(None)));
    assert!(matches!(decode::<()>("key", Some("null")), Ok(Some(()))));
    assert!(matches!(
        decode::<Option<u32>>("key", Some("null")),
        Ok(Some(None))
    ));
    assert!(decode::<u32>("key", Some("true")).is_err());
    assert!(decode::<Vec<u32>>("key", Some("[null]")).is_err());
}

proptest! {
    #[test]
    fn what_has_a_form_in_json_survives(
        number: f64,
        values in hash_map(any::<i64>(), vec(any::<(String, Option<char>, f32)>(), 0..3), 0..4),
        bytes in vec(any::<u8>(), 0..9),
    ) {
        let finite = values.values().flatten().all(|(.., float)| float.is_finite());
        assert_eq!(survives(number), number.is_finite());
        assert_eq!(survives((values, bytes)), finite);
    }

    #[test]
    fn a_lossless_value_is_written_as_any_other(
        values in btree_map(any::<String>(), any::<(Option<u8>, i128, bool, char)>(), 0..4),
    ) {
        let json = serde_json::to_string(&values).unwrap();
        assert_eq!(encode("key", &values).unwrap(), json);
        assert_eq!(any_raw(&json), json);
    }
}

/// Written again, as `RawValue`s.
fn any_raw(json: &str) -> String {
    let raw: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json).unwrap();
    encode("key", &raw).unwrap()
}
