//! The places where untrusted input enters, each with the properties that every input must have: for `fuzz/` and
//! `tests/security/fuzz_corpus.rs`.
//!
//! This module is not part of the API: it may change in any version.

use std::time::Duration;

use http::header::{COOKIE, HeaderMap, HeaderValue};

use crate::clock::Timestamp;
use crate::config::SessionConfig;
use crate::cookie::{CookieTemplate, MOST_TOKENS, Presented, read, read_lines};
use crate::lifecycle::{Lifetime, Lookup};
use crate::record::data;
use crate::record::{DecodeError, Record};
use crate::record::{SessionId, Token, VerifierHash, VerifierHasher};
use crate::store::Loaded;

/// The cookie's name that [`cookie`] and [`accepts_cookie`] look for.
pub const COOKIE_NAME: &str = "__Host-id";

/// The header's lines. A fuzzer separates them by line feeds, because no header contains one.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n')
}

fn text(token: &Token) -> Vec<u8> {
    let mut text = Vec::new();
    token.expose(&mut text);
    text
}

/// Whether these `Cookie` lines contain exactly one token, as the layer reads them.
#[must_use]
pub fn accepts_cookie(bytes: &[u8]) -> bool {
    matches!(
        read_lines(lines(bytes), COOKIE_NAME.as_bytes()),
        Presented::Token(_)
    )
}

/// Reads `Cookie` lines, and compares the result with that of a reference reader, which follows RFC 6265bis word for word
/// and does nothing else.
///
/// # Panics
///
/// Panics if the two differ.
pub fn cookie(bytes: &[u8]) {
    let found = read_lines(lines(bytes), COOKIE_NAME.as_bytes());
    let expected = read_by_reference(bytes);
    compare(&found, &expected);

    let mut headers = HeaderMap::new();
    for line in lines(bytes) {
        match HeaderValue::from_bytes(line) {
            Ok(line) => headers.append(COOKIE, line),
            Err(_) => return,
        };
    }
    compare(&read(&headers, COOKIE_NAME), &expected);
}

/// The result of the reference reader.
struct Expected {
    /// The different tokens under the cookie's name.
    tokens: Vec<Vec<u8>>,
    /// Whether there is any other value under that name.
    malformed: bool,
}

fn read_by_reference(bytes: &[u8]) -> Expected {
    let mut expected = Expected {
        tokens: Vec::new(),
        malformed: false,
    };
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let stripped = |bytes: &[u8]| -> Vec<u8> {
        let start = bytes.iter().position(|byte| !blank(byte));
        let end = bytes.iter().rposition(|byte| !blank(byte));
        match (start, end) {
            (Some(start), Some(end)) => bytes[start..=end].to_vec(),
            _ => Vec::new(),
        }
    };
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for line in lines(bytes) {
        for pair in line.split(|byte| *byte == b';') {
            let mut parts = pair.splitn(2, |byte| *byte == b'=');
            let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
                continue;
            };
            if stripped(name) != COOKIE_NAME.as_bytes() {
                continue;
            }
            let value = stripped(value);
            if value.len() != 44 || !value.iter().all(|byte| alphabet.contains(byte)) {
                expected.malformed = true;
            } else if !expected.tokens.contains(&value) {
                expected.tokens.push(value);
            }
        }
    }
    expected
}

fn compare(found: &Presented, expected: &Expected) {
    match (found, expected.tokens.as_slice()) {
        (Presented::Nothing { malformed }, []) => assert_eq!(*malformed, expected.malformed),
        (Presented::Token(token), [only]) => assert_eq!(text(token), *only),
        (Presented::Several(found), tokens @ [_, _, ..]) if tokens.len() <= MOST_TOKENS => {
            assert!(found.iter().map(text).eq(tokens.iter().cloned()));
        }
        (Presented::TooMany, tokens) if tokens.len() > MOST_TOKENS => {}
        (found, tokens) => panic!("read {found:?}, but there are {} tokens", tokens.len()),
    }
}

/// Parses a token. An accepted token is 44 characters of base64url, is written back byte for byte, and does not print its
/// secret.
///
/// # Panics
///
/// Panics if that is not true.
pub fn token(bytes: &[u8]) {
    let well_formed = bytes.len() == Token::LEN
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
    let Some(token) = Token::parse(bytes) else {
        assert!(!well_formed);
        return;
    };
    assert!(well_formed);
    assert_eq!(text(&token), bytes);
    assert!(token.same_as(&token.clone()));

    let selector = String::from_utf8_lossy(&bytes[..20]);
    let id: SessionId = selector.parse().expect("a selector is a session id");
    assert_eq!(id, token.selector());
    let secret = String::from_utf8_lossy(&bytes[20..]);
    let hasher = VerifierHasher::new("keycard:", COOKIE_NAME);
    let printed = format!("{token:?} {:?} {id} {id:?}", hasher.hash(&token));
    assert!(selector.contains(&*secret) || !printed.contains(&*secret));
}

/// Decodes a record. An accepted record is written back byte for byte, is within its limits, and opens only with its own
/// verifier.
///
/// # Panics
///
/// Panics if that is not true.
pub fn record(bytes: &[u8]) {
    let record = match Record::decode(bytes.to_vec()) {
        Ok(record) => record,
        Err(error) => {
            assert_eq!(
                error == DecodeError::TooLarge,
                bytes.len() > Record::MAX_LEN,
                "{error}"
            );
            return;
        }
    };
    assert_eq!(record.encode(), bytes);
    let at = Record::REVISION_OFFSET;
    assert_eq!(record.revision().as_bytes(), &bytes[at..at + 8]);
    assert!(record.includes(record.revision()));
    assert!(data::depth(record.json().as_bytes()) <= Record::MAX_DEPTH);
    serde_json::from_str::<serde::de::IgnoredAny>(record.json()).expect("the data is JSON");

    let mut before = None;
    for (key, value) in record.data().pairs() {
        assert!(before < Some(key), "keys are sorted and distinct");
        before = Some(key);
        assert_eq!(record.data().get(key), Some(value));
        let _ = data::key_name(key);
    }
    check_lookup(&record);
    let printed = format!("{record:?}");
    assert!(printed.len() < 200, "{printed}");
}

/// Evaluates a record at several times, with the right verifier and with a wrong one.
fn check_lookup(record: &Record) {
    let config = SessionConfig::default();
    let token = Token::parse(&[b'A'; Token::LEN]).expect("a token");
    let header = record.header();
    for now in [0, 1_700_000_000_000, u64::MAX].map(Timestamp::from_millis) {
        let lifetime = Lifetime::new(&config, header, now);
        let left = lifetime.time_to_live();
        assert!(left >= Duration::from_millis(1));
        let limits = config.limits(header.login.remember);
        assert!(limits.absolute.is_some_and(|limit| left <= limit));
        assert!(lifetime.ends_in() <= left);
        let unused = lifetime.unused_for(left);
        assert!(unused <= Duration::from_secs(1), "{unused:?}");
        let _ = (lifetime.max_age(), lifetime.touch_is_due(left));

        for verifier_hash in [header.verifier, VerifierHash([0; 32])] {
            let loaded = Loaded::Record {
                record: record.clone(),
                remaining: left,
                stale: false,
                unconfirmed: false,
            };
            let (lookup, _) = Lookup::evaluate(&token, verifier_hash, loaded, &config, now);
            let opens = header.verifier.same_as(&verifier_hash) && !lifetime.is_over();
            assert_eq!(lookup.open().is_some(), opens);
        }
    }
}

/// Reads a configuration from text. A valid configuration is read back as it was written, and its cookie is one line with
/// each attribute once.
///
/// `parse` and `write` belong to the file's format, which this crate does not choose.
///
/// # Panics
///
/// Panics if that is not true.
pub fn config<E>(
    source: &str,
    parse: impl Fn(&str) -> Option<SessionConfig>,
    write: impl Fn(&SessionConfig) -> Result<String, E>,
) {
    let Some(config) = parse(source) else {
        return;
    };
    for weakness in config.check() {
        assert!(!weakness.to_string().is_empty());
    }
    if let Err(error) = config.validate() {
        assert!(error.to_string().contains(error.option()));
        return;
    }
    let Ok(written) = write(&config) else {
        panic!("a valid configuration cannot be written: {config:?}");
    };
    assert_eq!(parse(&written).as_ref(), Some(&config), "{written}");

    let template = CookieTemplate::new(&config);
    let token = Token::parse(&[b'A'; Token::LEN]).expect("a token");
    let hour = Duration::from_secs(3_600);
    let pair = |value: &[u8]| [template.name().as_bytes(), b"=", value].concat();
    for (line, value) in [
        (template.set(&token, None), &[b'A'; Token::LEN][..]),
        (
            template.set(&token, Some(Duration::MAX)),
            &[b'A'; Token::LEN],
        ),
        (template.set(&token, Some(hour)), &[b'A'; Token::LEN]),
        (template.remove(), b""),
    ] {
        let line = line.as_bytes();
        assert!(line.len() <= 4_096);
        assert!(line.iter().all(|byte| (0x20..0x7f).contains(byte)));
        let mut attributes = line.split(|byte| *byte == b';');
        assert_eq!(attributes.next(), Some(&*pair(value)));
        let mut names: Vec<_> = attributes
            .map(|attribute| {
                let end = attribute.iter().position(|byte| *byte == b'=');
                attribute[..end.unwrap_or(attribute.len())].to_ascii_lowercase()
            })
            .collect();
        names.sort();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
    for former in template.remove_former() {
        assert!(former.len() <= 4_096);
        assert_ne!(
            former,
            template.remove(),
            "it would remove the present cookie"
        );
    }
    let namespace = config.resolved_namespace();
    assert!((1..=64).contains(&namespace.len()) && !namespace.contains([':', '{', '}', ' ']));
}
