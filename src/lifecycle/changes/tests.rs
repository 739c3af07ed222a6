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
    fn run(&self, _: &str, present: Option<&str>) -> Result<Option<String>, SessionError> {
        let before: i64 = present.map_or(0, |value| value.parse().unwrap());
        Ok(Some((before + self.0).to_string()))
    }
}

/// Does what `Session::update` does: runs the update, then queues it with its value.
fn increment(changes: &mut Changes, base: &Data, key: &str, amount: i64) {
    let value = Add(amount).run(key, changes.get(Some(base), key)).unwrap();
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
fn on_a_newer_record_the_length_is_computed_again() {
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
fn an_update_of_a_key_that_this_request_set_does_not_depend_on_the_record() {
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
fn writing_the_stored_value_again_is_no_change() {
    let base = data(r#"{"a":1,"m":{"x":1,"y":[{"a":"{[","b":2}]}}"#);
    let mut changes = Changes::default();
    assert!(!changes.differ_from(Some(&base)));
    drop(changes.set(Some(&base), "a", "1".into()));
    drop(changes.set(Some(&base), "m", r#"{"y":[{"b":2,"a":"{["}],"x":1}"#.into()));
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
fn a_different_text_that_parses_to_the_same_value_is_a_change() {
    for (stored, written) in [
        // More digits than a float has.
        ("[36893488147419103233]", "[36893488147419103232]"),
        (
            r#"{"n":36893488147419103233}"#,
            r#"{"n":36893488147419103232}"#,
        ),
        ("[-0.0]", "[0.0]"),
        (r#"[{"a":1,"b":2,"b":3}]"#, r#"[{"a":1,"b":3}]"#),
        // The name that serde_json uses internally for raw text.
        (
            r#"{"a":{"$serde_json::private::RawValue":"1"}}"#,
            r#"{"a":1}"#,
        ),
    ] {
        let base = data(&format!(r#"{{"key":{stored}}}"#));
        let mut changes = Changes::default();
        drop(changes.set(Some(&base), "key", written.into()));
        assert!(changes.differ_from(Some(&base)), "{stored} {written}");
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
fn a_login_drops_the_reserved_keys_and_a_login_that_keeps_some_keys_drops_all_others() {
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
fn a_failing_update_is_reported() {
    struct Failing;
    impl Update for Failing {
        fn run(&self, _: &str, _: Option<&str>) -> Result<Option<String>, SessionError> {
            Err(SessionError::Sealed)
        }
    }
    let mut changes = Changes::default();
    drop(changes.update(None, "n", Arc::new(Failing), Some("1".into())));
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
fn clearing_keeps_the_reserved_keys_and_a_login_after_it_keeps_messages_alone() {
    let base = data(r#"{"_keycard.csrf":1,"_keycard.flashes":2,"cart":3}"#);
    let text = |changes: &Changes| applied(changes, &base);
    let mut changes = Changes::default();
    drop(changes.set(Some(&base), "theme", "4".into()));
    drop(changes.clear());
    assert_eq!(
        text(&changes),
        r#"{"_keycard.csrf":1,"_keycard.flashes":2}"#
    );
    assert!(changes.differ_from(Some(&base)));
    drop(changes.set(Some(&base), "_keycard.csrf", "5".into()));
    drop(changes.clear());
    assert_eq!(
        text(&changes),
        r#"{"_keycard.csrf":5,"_keycard.flashes":2}"#
    );
    drop(changes.drop_reserved());
    assert_eq!(text(&changes), r#"{"_keycard.flashes":2}"#);
    drop(changes.clear());
    assert_eq!(text(&changes), r#"{"_keycard.flashes":2}"#);

    let mut changes = Changes::default();
    drop(changes.drop_reserved());
    assert_eq!(text(&changes), r#"{"_keycard.flashes":2,"cart":3}"#);
    drop(changes.clear());
    assert_eq!(text(&changes), r#"{"_keycard.flashes":2}"#);

    let mut changes = Changes::default();
    drop(changes.retain(vec!["cart".to_owned()]));
    drop(changes.clear());
    assert_eq!(text(&changes), "{}");
}

#[test]
fn a_key_that_is_cleared_and_written_again_unchanged_is_no_change() {
    let stored = data(r#"{"b":3}"#);
    let mut changes = Changes::default();
    drop(changes.clear());
    assert!(changes.differ_from(Some(&stored)));
    drop(changes.set(Some(&stored), "b", "3".into()));
    assert!(!changes.differ_from(Some(&stored)));
}

proptest! {
    #[test]
    fn the_view_is_that_of_a_map_and_a_replay_runs_the_same_steps_on_the_newer_record(
        base in proptest::collection::btree_map("[a-d]", 0..9_i64, 0..4),
        newer in proptest::collection::btree_map("[a-d]", 0..9_i64, 0..4),
        steps in steps()
    ) {
        let json = |map: &BTreeMap<String, i64>| serde_json::to_string(map).unwrap();
        let (stored, stored_newer) = (data(&json(&base)), data(&json(&newer)));
        let mut changes = Changes::default();
        for step in &steps {
            // At any moment, the predicted length is the length written.
            for key in ["a", "e"] {
                let predicted = changes.len_with(Some(&stored), key, 2);
                let mut with = changes.clone();
                drop(with.set(Some(&stored), key, "10".into()));
                assert_eq!(predicted, applied(&with, &stored).len());
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

        // Removing a missing key is no change, so it is not replayed. That is the only difference.
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
