use std::collections::BTreeSet;

use http::header::{ACCEPT, COOKIE, HeaderMap, HeaderValue};
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

use super::ONE;
use crate::cookie::{Presented, hide, read, read_lines};

const NAME: &str = "__Host-id";
/// `NAME`, `ONE`, and an end.
const PAIR: &str = "__Host-id=AAAAAAAAAAAAAAAAAAAAaaaaaaaaaaaaaaaaaaaaaaaa;";
const OTHER: &str = "AAAAAAAAAAAAAAAAAAAAbbbbbbbbbbbbbbbbbbbbbbbb";

/// What was presented, in words that compare.
#[derive(Debug, PartialEq)]
enum Found {
    Nothing,
    Malformed,
    Card(String),
    Conflicting,
}

fn find(lines: &[impl AsRef<[u8]>]) -> Found {
    match read_lines(lines.iter().map(AsRef::as_ref), NAME.as_bytes()) {
        Presented::Nothing { malformed: false } => Found::Nothing,
        Presented::Nothing { malformed: true } => Found::Malformed,
        Presented::Card(token) => {
            let mut text = Vec::new();
            token.expose(&mut text);
            Found::Card(String::from_utf8(text).unwrap())
        }
        Presented::Conflicting => Found::Conflicting,
    }
}

fn card(text: &str) -> Found {
    Found::Card(text.to_owned())
}

#[test]
fn the_token_is_found_wherever_it_stands() {
    for lines in [
        vec![format!("{NAME}={ONE}")],
        vec![format!("a=b; {NAME}={ONE}; c=d")],
        vec![format!("a=b;{NAME}={ONE};c=d")],
        vec![format!(";; ;{NAME}={ONE};;")],
        vec![format!(" \t {NAME} \t= \t{ONE}\t ")],
        vec![format!("__Host-i=x; {NAME}={ONE}; __Host-idd=x")],
        vec![
            "a=b".to_owned(),
            format!("{NAME}={ONE}"),
            "c=\"x; y\"".to_owned(),
        ],
    ] {
        assert_eq!(find(&lines), card(ONE), "{lines:?}");
    }
}

#[test]
fn headers_that_http_2_split_are_read_as_one() {
    let mut headers = HeaderMap::new();
    headers.append(COOKIE, HeaderValue::from_static("a=b"));
    let ours = HeaderValue::try_from(format!("{NAME}={ONE}")).unwrap();
    headers.append(COOKIE, ours.clone());
    assert!(matches!(read(&headers, NAME), Presented::Card(_)));
    headers.append(COOKIE, ours);
    assert!(matches!(read(&headers, NAME), Presented::Card(_)));
    let other = HeaderValue::try_from(format!("{NAME}={OTHER}")).unwrap();
    headers.append(COOKIE, other);
    assert!(matches!(read(&headers, NAME), Presented::Conflicting));
    assert!(matches!(
        read(&HeaderMap::new(), NAME),
        Presented::Nothing { malformed: false }
    ));
}

#[test]
fn a_token_sent_twice_is_one_token() {
    let pair = format!("{NAME}={ONE}");
    assert_eq!(find(&[format!("{pair}; {pair}")]), card(ONE));
    assert_eq!(find(&[pair.clone(), pair]), card(ONE));
}

#[test]
fn two_different_tokens_conflict_in_one_header_or_two_in_any_order() {
    let (one, other) = (format!("{NAME}={ONE}"), format!("{NAME}={OTHER}"));
    assert_eq!(find(&[format!("{one}; {other}")]), Found::Conflicting);
    assert_eq!(
        find(&[format!("{other}; {one}; {one}")]),
        Found::Conflicting
    );
    assert_eq!(find(&[one, other]), Found::Conflicting);
}

#[test]
fn what_is_malformed_beside_one_token_is_ignored() {
    let (one, bad) = (format!("{NAME}={ONE}"), format!("{NAME}=bad"));
    assert_eq!(find(&[format!("{bad}; {one}; {bad}")]), card(ONE));
    assert_eq!(find(&[bad.clone(), one]), card(ONE));
    assert_eq!(find(&[bad]), Found::Malformed);
}

#[test]
fn the_tokens_secret_is_not_printed() {
    let presented = read_lines(
        [format!("{NAME}={ONE}").as_bytes()].into_iter(),
        NAME.as_bytes(),
    );
    assert!(!format!("{presented:?}").contains(&ONE[20..]));
}

#[test]
fn all_cookies_of_a_request_are_hidden_and_nothing_else_is() {
    let mut headers = HeaderMap::new();
    for (name, value) in [(COOKIE, "a=b"), (ACCEPT, "text/html"), (COOKIE, "c=d")] {
        headers.append(name, HeaderValue::from_static(value));
    }
    hide(&mut headers);
    let hidden = |name| headers.get_all(name).iter().all(HeaderValue::is_sensitive);
    assert!(hidden(COOKIE) && !hidden(ACCEPT));
    assert_eq!(headers.get_all(COOKIE).iter().count(), 2);
}

/// Values under our name that look like a token to some parser or other.
#[test]
fn no_forged_value_is_accepted() {
    let short = &ONE[..43];
    for value in [
        String::new(),
        short.to_owned(),
        format!("{ONE}A"),
        format!("{ONE}="),
        format!("={ONE}"),
        format!("\"{ONE}\""),
        format!("\"{short}"),
        format!("'{ONE}'"),
        format!("{ONE}."),
        format!("{ONE}.signature"),
        format!("{short}."),
        format!("{short}+"),
        format!("{short}/"),
        format!("{short}~"),
        format!("{short}%41"),
        format!("%41{}", &ONE[1..]),
        format!("{short}é"),
        format!("{short}\u{ff21}"),
        format!("{short}\\"),
        format!("{} {}", &ONE[..20], &ONE[20..]),
        format!("{} {}", &ONE[..20], &ONE[21..]),
        format!("{}\t{}", &ONE[..20], &ONE[21..]),
        format!("{ONE},{ONE}"),
        format!("{ONE}, {NAME}={ONE}"),
        format!("{ONE}\0"),
        format!("{short}\0"),
        format!("\0{ONE}"),
        format!("{ONE}\n"),
        format!("{ONE}\r\n"),
        format!("\u{b}{ONE}"),
        format!("\u{c}{ONE}"),
        format!("\u{a0}{ONE}"),
        format!("{ONE}\u{2003}"),
        format!("\u{feff}{ONE}"),
        format!("[{ONE}]"),
        format!("$Version=1,{ONE}"),
        "A".repeat(64 << 10),
        format!("{ONE}{}", "=".repeat(64 << 10)),
    ] {
        assert_eq!(find(&[format!("{NAME}={value}")]), Found::Malformed);
    }
}

/// Pairs that some parser or other takes for ours.
#[test]
fn no_forged_name_is_accepted() {
    for pair in [
        ONE.to_owned(),
        format!("={ONE}"),
        format!(" ={ONE}"),
        format!("={NAME}={ONE}"),
        format!("{NAME}{ONE}"),
        format!("{NAME} {ONE}"),
        format!("{NAME}:{ONE}"),
        format!("__host-id={ONE}"),
        format!("__HOST-ID={ONE}"),
        format!("__Host-Id={ONE}"),
        format!("__Host-id.={ONE}"),
        format!("__Host-id[]={ONE}"),
        format!("__Host-id\0={ONE}"),
        format!("\0__Host-id={ONE}"),
        format!("\u{b}__Host-id={ONE}"),
        format!("__Host-id\n={ONE}"),
        format!("\u{a0}__Host-id={ONE}"),
        format!("__Host-id\u{a0}={ONE}"),
        format!("\u{feff}__Host-id={ONE}"),
        format!("\"__Host-id\"={ONE}"),
        format!("__Host%2Did={ONE}"),
        format!("%5F_Host-id={ONE}"),
        format!("__Host_id={ONE}"),
        format!("__Host-\u{131}d={ONE}"),
        format!("__Host- id={ONE}"),
        format!("id={ONE}"),
        format!("Host-id={ONE}"),
        format!("x__Host-id={ONE}"),
        format!("__Host-idp={ONE}"),
        format!("a=b, __Host-id={ONE}"),
        format!("a=b\n__Host-id={ONE}"),
        format!("a=b&__Host-id={ONE}"),
        format!("a=__Host-id={ONE}"),
        format!("$Path=/ __Host-id={ONE}"),
    ] {
        assert_eq!(find(&[pair.as_str()]), Found::Nothing, "{pair:?}");
    }
}

#[test]
fn a_token_cannot_be_put_together_from_several_pairs_or_headers() {
    let (left, right) = ONE.split_at(20);
    assert_eq!(find(&[format!("{NAME}={left};{right}")]), Found::Malformed);
    let lines = [format!("{NAME}={left}"), right.to_owned()];
    assert_eq!(find(&lines), Found::Malformed);
    let lines = [NAME.to_owned(), format!("={ONE}")];
    assert_eq!(find(&lines), Found::Nothing);
}

#[test]
fn thousands_of_pairs_and_headers_are_read_through() {
    let noise = format!("{NAME}=x;=;{NAME};;").repeat(5_000);
    assert_eq!(find(&[noise.as_str()]), Found::Malformed);
    assert_eq!(find(&[format!("{noise}{NAME}={ONE}")]), card(ONE));
    let mut lines = vec![format!("{NAME}=x"); 5_000];
    lines.push(format!("{NAME}={ONE}"));
    assert_eq!(find(&lines), card(ONE));
    let blank = " ".repeat(64 << 10);
    assert_eq!(find(&[format!("{NAME}={blank}{ONE}{blank}")]), card(ONE));
}

/// The rule again, as one would say it, at leisure.
fn oracle(lines: &[Vec<u8>]) -> Found {
    let mut tokens = BTreeSet::new();
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
            if value.len() == 44 && value.chars().all(alphabet) {
                tokens.insert(value.to_owned());
            } else {
                malformed = true;
            }
        }
    }
    match tokens.len() {
        0 if malformed => Found::Malformed,
        0 => Found::Nothing,
        1 => Found::Card(tokens.pop_first().unwrap()),
        _ => Found::Conflicting,
    }
}

/// Lines of pieces that matter, and of bytes that do not.
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
        prop_assert_eq!(find(&lines), oracle(&lines));
    }

    #[test]
    fn near_misses_are_read_as_the_rule_says(lines in lines()) {
        prop_assert_eq!(find(&lines), oracle(&lines));
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
        prop_assert_eq!(find(&[pair]) != card(ONE), changed);
    }
}
