//! The corpora of `fuzz/`, and mutations of them, through the same entry points as the fuzzer: what runs on a stable
//! compiler, with every test run, and always with the same inputs.

use std::path::Path;

use tower_keycard::fuzzing;

use crate::support::random::Random;

/// How many mutated inputs each target gets.
const MUTATIONS: usize = 20_000;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut paths: Vec<_> = std::fs::read_dir(directory.join(target))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 8, "{target} has {} seeds", paths.len());
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// A few changes to one input: bytes set, cut out, doubled, or taken from another.
fn mutated(numbers: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    const SPECIAL: &[u8] = b"\0\x01\x02\x0b\x1f ;=\"\\,{}[]:-_%AZaz09\n\t\x7f\x80\x85\xa0\xc2\xff";
    let mut input = corpus[numbers.below(corpus.len())].clone();
    for _ in 0..=numbers.below(4) {
        let (one, other) = (
            numbers.below(input.len() + 1),
            numbers.below(input.len() + 1),
        );
        let (start, end) = (one.min(other), one.max(other));
        match numbers.below(6) {
            0 if start < input.len() => input[start] = numbers.one_of(SPECIAL),
            1 => input.insert(start, numbers.one_of(SPECIAL)),
            2 => drop(input.drain(start..end)),
            3 => {
                let piece = input[start..end].to_vec();
                input.splice(start..start, piece);
            }
            4 if start < input.len() => input[start] ^= 1 << numbers.below(8),
            _ => {
                let other = &corpus[numbers.below(corpus.len())];
                let piece = other[numbers.below(other.len() + 1)..].to_vec();
                input.truncate(start);
                input.extend(piece);
            }
        }
        input.truncate(1 << 14);
    }
    input
}

fn run(target: &str, seed: u64, check: impl Fn(&[u8])) {
    let corpus = corpus(target);
    corpus.iter().for_each(|input| check(input));
    let mut numbers = Random::new(seed);
    for _ in 0..MUTATIONS {
        check(&mutated(&mut numbers, &corpus));
    }
}

#[test]
fn the_cookie_reader_agrees_with_a_naive_one() {
    run("cookie", 1, fuzzing::cookie);
}

#[test]
fn a_token_is_written_as_it_was_read() {
    run("token", 2, fuzzing::token);
}

#[test]
fn a_record_is_encoded_as_it_was_decoded() {
    run("record", 3, fuzzing::record);
}

#[test]
fn a_valid_configuration_is_read_as_it_was_written() {
    run("config", 4, |bytes| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            fuzzing::config(text, |text| toml::from_str(text).ok(), toml::to_string);
        }
    });
}

#[test]
fn the_corpora_hold_what_is_accepted_and_what_is_not() {
    let accepted = |target, accepts: fn(&[u8]) -> bool| {
        let corpus = corpus(target);
        let accepted = corpus.iter().filter(|input| accepts(input)).count();
        (accepted, corpus.len() - accepted)
    };
    for (target, (accepted, refused)) in [
        ("cookie", accepted("cookie", fuzzing::accepts_cookie)),
        (
            "record",
            accepted("record", |bytes| {
                tower_keycard::store::Record::decode(bytes.to_vec()).is_ok()
            }),
        ),
        (
            "config",
            accepted("config", |bytes| {
                let text = std::str::from_utf8(bytes).unwrap_or("=");
                let config = toml::from_str::<tower_keycard::SessionConfig>(text);
                let store = tower_keycard::MemoryStore::new();
                config.is_ok_and(|config| {
                    let builder = tower_keycard::SessionLayer::builder(store);
                    builder.config(config).build().is_ok()
                })
            }),
        ),
    ] {
        assert!(
            accepted >= 3 && refused >= 3,
            "{target}: {accepted} accepted, {refused} refused"
        );
    }
}
