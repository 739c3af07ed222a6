use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

use super::{Found, NAME, ONE, OTHER, find, found};

/// `NAME`, `ONE`, and a semicolon.
const PAIR: &str = "__Host-id=AAAAAAAAAAAAAAAAAAAAaaaaaaaaaaaaaaaaaaaaaaaa;";

/// The rule again, written for clarity and not for speed.
fn expected(lines: &[Vec<u8>]) -> Found {
    let mut tokens = Vec::new();
    let mut malformed = false;
    for line in lines {
        let text: String = line.iter().map(|byte| char::from(*byte)).collect();
        for pair in text.split(';') {
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            if name.trim_matches([' ', '\t']) != NAME {
                continue;
            }
            let value = value.trim_matches([' ', '\t']);
            let alphabet = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if value.len() != 44 || !value.chars().all(alphabet) {
                malformed = true;
            } else if !tokens.contains(&value.to_owned()) {
                tokens.push(value.to_owned());
            }
        }
    }
    match tokens.len() {
        0 if malformed => Found::Malformed,
        0 => Found::Nothing,
        1 => Found::Token(tokens.remove(0)),
        2..=4 => Found::Several(tokens),
        _ => Found::TooMany,
    }
}

/// Lines made of significant pieces and of arbitrary bytes.
fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let known = |text: &'static str| Just(text.as_bytes().to_vec());
    let piece = prop_oneof![
        4 => known(NAME),
        4 => known(ONE),
        1 => known(OTHER),
        6 => known("="),
        4 => known(";"),
        2 => known(" "),
        1 => known("\t"),
        1 => known("__host-id"),
        1 => known("\u{a0}"),
        1 => known("\""),
        1 => any::<Vec<u8>>(),
        4 => known(PAIR),
    ];
    let line = proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat());
    proptest::collection::vec(line, 0..4)
}

proptest! {
    #[test]
    fn any_bytes_are_read_as_the_rule_says(lines: Vec<Vec<u8>>) {
        prop_assert_eq!(find(&lines), expected(&lines));
    }

    #[test]
    fn near_misses_are_read_as_the_rule_says(lines in lines()) {
        prop_assert_eq!(find(&lines), expected(&lines));
    }

    #[test]
    fn the_order_of_headers_means_nothing(lines in lines()) {
        let reversed: Vec<_> = lines.iter().rev().cloned().collect();
        prop_assert_eq!(find(&lines), find(&reversed));
    }

    #[test]
    fn one_changed_byte_of_a_pair_never_shows_the_same_token(place in 0..54_usize, byte: u8) {
        let mut pair = format!("{NAME}={ONE}").into_bytes();
        let changed = pair[place] != byte;
        pair[place] = byte;
        prop_assert_eq!(find(&[pair]) != found(ONE), changed);
    }
}
