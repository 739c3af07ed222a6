//! Looks for secrets in every form in which they are likely to get out.

use std::collections::{BTreeMap, BTreeSet, HashSet};

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// How many characters of a secret are worth an alarm.
const REVEALING: usize = 8;

/// What must not be found. Needles are kept by length, so that a text is searched once for each length, not each needle.
#[derive(Default)]
pub(crate) struct Secrets {
    tokens: BTreeSet<String>,
    needles: BTreeMap<usize, HashSet<Vec<u8>>>,
}

impl Secrets {
    /// The secret half of a token: in pieces, and in every encoding.
    pub(crate) fn add_token(&mut self, token: &str) {
        if !self.tokens.insert(token.to_owned()) {
            return;
        }
        let verifier = &token[20..];
        self.add_bytes(verifier.as_bytes());
        self.add_bytes(&decoded(verifier));
        for other in [verifier.to_lowercase(), verifier.to_uppercase()] {
            self.add_windows(other.as_bytes(), 12);
        }
    }

    /// A password, as it is.
    pub(crate) fn add_text(&mut self, text: &str) {
        self.add(text.as_bytes());
    }

    pub(crate) fn tokens(&self) -> usize {
        self.tokens.len()
    }

    fn add(&mut self, needle: &[u8]) {
        let same_length = self.needles.entry(needle.len()).or_default();
        same_length.insert(needle.to_vec());
    }

    fn add_windows(&mut self, bytes: &[u8], length: usize) {
        for window in bytes.windows(length) {
            self.add(window);
        }
    }

    fn add_bytes(&mut self, secret: &[u8]) {
        self.add_windows(secret, REVEALING);
        let backwards: Vec<u8> = secret.iter().rev().copied().collect();
        self.add_windows(&backwards, REVEALING);
        for alphabet in [BASE64, BASE64URL] {
            for start in 0..3 {
                self.add_windows(&encoded(&secret[start..], alphabet), REVEALING + 2);
            }
        }
        let list = |bytes: &[u8], write: &dyn Fn(u8) -> String, between: &str| {
            let written: Vec<_> = bytes.iter().map(|byte| write(*byte)).collect();
            written.join(between).into_bytes()
        };
        for (pieces, between, write) in forms() {
            for window in secret.windows(pieces) {
                self.add(&list(window, &write, between));
            }
        }
    }

    /// Where in the text a secret stands, and which piece of it.
    pub(crate) fn find(&self, text: &[u8]) -> Option<String> {
        self.needles.iter().find_map(|(length, needles)| {
            let place = text
                .windows(*length)
                .position(|window| needles.contains(window))?;
            let around = &text[place.saturating_sub(60)..(place + length).min(text.len())];
            Some(format!("at {place}: {}", String::from_utf8_lossy(around)))
        })
    }
}

type Form = (usize, &'static str, fn(u8) -> String);

/// How bytes are written one by one: how many of them are revealing, what stands between them, and how each is written.
fn forms() -> [Form; 12] {
    [
        (8, "", |byte| format!("{byte:02x}")),
        (8, "", |byte| format!("{byte:02X}")),
        (6, " ", |byte| format!("{byte:02x}")),
        (6, ":", |byte| format!("{byte:02x}")),
        (6, ", ", |byte| format!("{byte}")),
        (6, ",", |byte| format!("{byte}")),
        (6, ",\n    ", |byte| format!("{byte}")),
        (4, ", ", |byte| format!("0x{byte:02x}")),
        (4, "", |byte| format!("\\x{byte:02x}")),
        (4, "", |byte| format!("%{byte:02X}")),
        (4, "", |byte| format!("%{byte:02x}")),
        (4, "", |byte| format!("\\u{byte:04x}")),
    ]
}

fn decoded(text: &str) -> Vec<u8> {
    let value = |character: &u8| {
        BASE64URL
            .iter()
            .position(|other| other == character)
            .unwrap()
    };
    let mut bytes = Vec::new();
    for four in text.as_bytes().chunks_exact(4) {
        let bits = four
            .iter()
            .fold(0, |bits, character| bits << 6 | value(character));
        bytes.extend([16, 8, 0].map(|shift| u8::try_from(bits >> shift & 255).unwrap()));
    }
    bytes
}

/// In base64, as far as whole groups go.
fn encoded(bytes: &[u8], alphabet: &[u8; 64]) -> Vec<u8> {
    let mut text = Vec::new();
    for three in bytes.chunks_exact(3) {
        let bits = three
            .iter()
            .fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        text.extend([18, 12, 6, 0].map(|shift| alphabet[bits >> shift & 63]));
    }
    text
}

const TOKEN: &str = "abcdefghijklmnopqrstQ7-x_ZpL0wKe9RtYu3Vb8NmC";

fn secrets() -> Secrets {
    let mut secrets = Secrets::default();
    secrets.add_token(TOKEN);
    secrets
}

#[test]
fn the_search_finds_a_planted_token_in_every_form() {
    let (secrets, verifier) = (secrets(), &TOKEN[20..]);
    let (text, bytes) = (verifier.as_bytes(), decoded(verifier));
    assert_eq!(encoded(&bytes, BASE64URL), text);
    let planted = [
        TOKEN.to_owned(),
        format!("Cookie: __Host-id={TOKEN}"),
        verifier[..8].to_owned(),
        verifier[16..].to_owned(),
        verifier[5..15].to_owned(),
        verifier.to_lowercase(),
        verifier.chars().rev().collect(),
        format!("{text:?}"),
        format!("{text:#?}"),
        format!("{bytes:?}"),
        format!("{bytes:02x?}").replace(", ", ""),
        bytes.iter().map(|byte| format!("{byte:02X}")).collect(),
        text.iter().map(|byte| format!("{byte:02x}")).collect(),
        text.iter().map(|byte| format!("%{byte:02X}")).collect(),
        bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect(),
        String::from_utf8(encoded(TOKEN.as_bytes(), BASE64)).unwrap(),
        String::from_utf8(encoded(&TOKEN.as_bytes()[1..], BASE64URL)).unwrap(),
        String::from_utf8(encoded(&TOKEN.as_bytes()[2..], BASE64)).unwrap(),
    ];
    for text in planted {
        let text = format!("much that is harmless, then {text}, then more");
        assert!(secrets.find(text.as_bytes()).is_some(), "{text}");
    }
    assert!(secrets.find(&[b"raw ", &bytes[5..13]].concat()).is_some());
}

#[test]
fn the_search_finds_nothing_in_what_is_public() {
    let secrets = secrets();
    for text in [
        &TOKEN[..20],
        "Q7-x_Zp",
        "GET keycard:__Host-id:abcdefghijklmnopqrst",
        "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]",
    ] {
        assert_eq!(secrets.find(text.as_bytes()), None);
    }
}
