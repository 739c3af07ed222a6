//! The token in a browser's cookie: a selector that names the record, and a verifier that opens it.
//!
//! A token is 44 characters of base64url, from 33 random bytes. There is no padding and there are no spare bits, so every
//! string of 44 characters of the alphabet is a token, and each token is written in one way only. The two halves follow the
//! "split token" pattern: the record is loaded by the selector, the verifier is compared in constant time with a hash, and
//! a dump of the store contains nothing that a browser could send.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::fingerprint_hash::FingerprintHash;
use super::revision::Revision;
use super::session_id::{SELECTOR_LEN, SessionId};
use crate::base64url::{self, is_base64url};
use crate::digest::half_digest;
use crate::random::{Random, RandomError};

const VERIFIER_LEN: usize = 24;

/// The secret half of a token. It is never printed, and it is wiped from memory when dropped.
#[derive(Clone)]
struct Verifier(Zeroizing<[u8; VERIFIER_LEN]>);

impl Verifier {
    /// The number of random bytes for a verifier and for the revision that is drawn with it.
    const WITH_REVISION: usize = VERIFIER_LEN / 4 * 3 + Revision::LEN;
}

/// The cookie's value. It implements neither `Display` nor `Serialize`, and `Debug` shows the public half only.
#[derive(Clone)]
pub(crate) struct Token {
    selector: SessionId,
    verifier: Verifier,
}

impl Token {
    /// The length of a token in bytes, all of which are ASCII.
    pub(crate) const LEN: usize = SELECTOR_LEN + VERIFIER_LEN;

    /// Generates a token, and the revision of the record that is written with it.
    pub(crate) fn generate(random: &Random) -> Result<(Self, Revision), RandomError> {
        let mut bytes = Zeroizing::new([0; SELECTOR_LEN / 4 * 3 + Verifier::WITH_REVISION]);
        random.fill(bytes.as_mut_slice())?;
        let (selector, rest) = bytes.split_at(SELECTOR_LEN / 4 * 3);
        let mut text = [0; SELECTOR_LEN];
        base64url::encode(selector, &mut text);
        Ok(Self::from_random(SessionId(text), rest))
    }

    /// Generates a new verifier for the same session, and the revision of the record that is written with it.
    pub(crate) fn rotated(
        selector: SessionId,
        random: &Random,
    ) -> Result<(Self, Revision), RandomError> {
        let mut bytes = Zeroizing::new([0; Verifier::WITH_REVISION]);
        random.fill(bytes.as_mut_slice())?;
        Ok(Self::from_random(selector, bytes.as_slice()))
    }

    /// Makes a verifier and a revision of random bytes.
    fn from_random(selector: SessionId, random: &[u8]) -> (Self, Revision) {
        let (secret, revision) = random.split_at(VERIFIER_LEN / 4 * 3);
        let mut verifier = Verifier(Zeroizing::new([0; VERIFIER_LEN]));
        base64url::encode(secret, verifier.0.as_mut_slice());
        (Self { selector, verifier }, Revision::from_random(revision))
    }

    /// Parses a cookie's value: exactly 44 bytes of base64url.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let text: &[u8; Self::LEN] = value.try_into().ok()?;
        if !is_base64url(text) {
            return None;
        }
        let mut token = Self {
            selector: SessionId([0; SELECTOR_LEN]),
            verifier: Verifier(Zeroizing::new([0; VERIFIER_LEN])),
        };
        let (selector, verifier) = text.split_at(SELECTOR_LEN);
        token.selector.0.copy_from_slice(selector);
        token.verifier.0.copy_from_slice(verifier);
        Some(token)
    }

    pub(crate) fn selector(&self) -> SessionId {
        self.selector
    }

    /// Hashes a client's fingerprint for the record. The hash covers this token, which the store does not know. So a reader
    /// of the store can neither guess the address behind a fingerprint nor see that two sessions belong to one client.
    pub(crate) fn fingerprint_hash(&self, fingerprint: &[u8; 32]) -> FingerprintHash {
        FingerprintHash(half_digest(
            "tower-keycard client 1",
            [
                &self.selector.0[..],
                self.verifier.0.as_slice(),
                fingerprint,
            ],
        ))
    }

    /// The selector and the verifier as text, for the verifier's hash.
    pub(super) fn halves(&self) -> (&[u8], &[u8]) {
        (&self.selector.0, self.verifier.0.as_slice())
    }

    /// Appends the token's text. Use it for the `Set-Cookie` line, and for nothing else.
    pub(crate) fn expose(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.selector.0);
        out.extend_from_slice(self.verifier.0.as_slice());
    }

    /// Whether both tokens are the same, in constant time.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        let selector = self.selector.0.ct_eq(&other.selector.0);
        let verifier = self.verifier.0.ct_eq(other.verifier.0.as_slice());
        (selector & verifier).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}, [secret])", self.selector)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use proptest::prelude::{any, proptest};

    use sha2::{Digest, Sha256};

    use super::*;
    use crate::record::{ParseSessionIdError, VerifierHasher};

    fn text(token: &Token) -> String {
        let mut out = Vec::new();
        token.expose(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_generated_token_is_44_characters_of_base64url_and_reads_back() {
        let token = Token::generate(&Random::System).unwrap().0;
        let written = text(&token);
        assert_eq!(written.len(), 44);
        assert!(Token::parse(written.as_bytes()).unwrap().same_as(&token));
    }

    #[test]
    fn a_token_and_its_revision_are_drawn_at_once() {
        let draws = std::sync::Arc::new(AtomicU8::new(1));
        let drawn = draws.clone();
        let random = Random::Function(std::sync::Arc::new(move |out| {
            out.fill(drawn.fetch_add(1, Ordering::SeqCst));
            true
        }));
        let (token, revision) = Token::generate(&random).unwrap();
        assert_eq!(revision.as_bytes(), &[1; 8]);
        let (_, revision) = Token::rotated(token.selector(), &random).unwrap();
        assert_eq!(revision.as_bytes(), &[2; 8]);
        assert_eq!(draws.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn base64url_is_that_of_rfc_4648() {
        let bytes: [u8; 33] =
            std::array::from_fn(|place| u8::try_from((place * 37 + 250) % 256).unwrap());
        let random = Random::Function(std::sync::Arc::new(move |out| {
            out[..bytes.len()].copy_from_slice(&bytes);
            true
        }));
        // python3 -c 'import base64; print(base64.urlsafe_b64encode(bytes((i*37+250)%256 for i in range(33))))'
        assert_eq!(
            text(&Token::generate(&random).unwrap().0),
            "-h9EaY6z2P0iR2yRttsAJUpvlLneAyhNcpe84QYrUHWa"
        );
    }

    #[test]
    fn a_failing_generator_is_an_error_and_never_a_token() {
        let random = Random::Function(std::sync::Arc::new(|_| false));
        assert_eq!(Token::generate(&random).unwrap_err(), RandomError);
    }

    #[test]
    fn a_rotated_token_keeps_its_selector_and_changes_its_verifier() {
        let token = Token::generate(&Random::System).unwrap().0;
        let rotated = Token::rotated(token.selector(), &Random::System).unwrap().0;
        assert_eq!(token.selector(), rotated.selector());
        assert!(!token.same_as(&rotated));
    }

    #[test]
    fn nothing_printed_of_a_token_shows_its_verifier() {
        let token = Token::generate(&Random::System).unwrap().0;
        let secret = text(&token)[20..].to_owned();
        let hash = VerifierHasher::new("p", "n").hash(&token);
        let printed = format!("{token:?} {token:#?} {hash:?} {}", token.selector());
        assert!(!printed.contains(&secret));
        let shown = format!("Token({}, [secret])", token.selector());
        assert!(printed.contains(&shown));
        assert_eq!(format!("{hash:?}"), "VerifierHash([hidden])");
    }

    #[test]
    fn what_is_not_secret_prints_its_name() {
        let id: SessionId = "ABCDEFGHIJKLMNOPQRST".parse().unwrap();
        assert_eq!(format!("{id:?}"), "SessionId(ABCDEFGHIJKLMNOPQRST)");
        let hasher = VerifierHasher::new("p", "n");
        assert_eq!(format!("{hasher:?}"), "VerifierHasher");
    }

    #[test]
    fn a_session_id_is_its_text_in_json_and_nothing_else_is_one() {
        let json = "\"ABCDEFGHIJKLMNOPQRST\"";
        let id: SessionId = serde_json::from_str(json).unwrap();
        assert_eq!(id.as_str(), "ABCDEFGHIJKLMNOPQRST");
        assert_eq!(serde_json::to_string(&id).unwrap(), json);
        let text = serde_json::to_value(id).unwrap();
        assert_eq!(serde_json::from_value::<SessionId>(text).unwrap(), id);

        assert_eq!(
            "!".repeat(20).parse::<SessionId>(),
            Err(ParseSessionIdError)
        );
        let error = serde_json::from_str::<SessionId>("\"ABC\"").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("a session id is 20 characters of base64url")
        );
    }

    #[test]
    fn the_hash_differs_with_prefix_namespace_selector_and_verifier() {
        let token = Token::generate(&Random::System).unwrap().0;
        let hash = VerifierHasher::new("shop:", "id").hash(&token);
        let others = [
            VerifierHasher::new("shop", ":id").hash(&token),
            VerifierHasher::new("shop:", "admin").hash(&token),
            VerifierHasher::new("blog:", "id").hash(&token),
            VerifierHasher::new("shop:", "id")
                .hash(&Token::rotated(token.selector(), &Random::System).unwrap().0),
            VerifierHasher::new("shop:", "id").hash(&Token {
                selector: Token::generate(&Random::System).unwrap().0.selector,
                verifier: token.verifier.clone(),
            }),
        ];
        assert!(hash.same_as(&VerifierHasher::new("shop:", "id").hash(&token)));
        for other in others {
            assert!(!hash.same_as(&other));
        }
    }

    #[test]
    fn the_hash_is_sha_256_over_length_prefixed_parts_padded_to_a_block() {
        let token = Token::parse(&[b'A'; 44]).unwrap();
        let mut message = Vec::new();
        for part in ["tower-keycard verifier 1", "p", "n"] {
            message.extend_from_slice(&(part.len() as u64).to_be_bytes());
            message.extend_from_slice(part.as_bytes());
        }
        message.resize(message.len().next_multiple_of(64), 0);
        message.push(20);
        message.extend_from_slice(&[b'A'; 20]);
        message.push(24);
        message.extend_from_slice(&[b'A'; 24]);
        let expected: [u8; 32] = Sha256::digest(&message).into();
        assert_eq!(VerifierHasher::new("p", "n").hash(&token).0, expected);
    }

    proptest! {
        #[test]
        fn only_44_bytes_of_base64url_are_a_token(bytes: Vec<u8>) {
            let accepted = Token::parse(&bytes).is_some();
            let well_formed = bytes.len() == 44
                && is_base64url(&bytes);
            assert_eq!(accepted, well_formed);
        }

        #[test]
        fn what_is_accepted_is_written_back_to_the_byte(value in "[A-Za-z0-9_-]{44}") {
            assert_eq!(text(&Token::parse(value.as_bytes()).unwrap()), value);
        }

        #[test]
        fn one_foreign_byte_anywhere_spoils_a_token(place in 0..44usize, byte in any::<u8>()) {
            let mut value = [b'x'; 44];
            value[place] = byte;
            assert_eq!(Token::parse(&value).is_some(), is_base64url(&[byte]));
        }

        #[test]
        fn session_ids_read_back_from_their_text(text in "[A-Za-z0-9_-]{20}") {
            assert_eq!(text.parse::<SessionId>().unwrap().to_string(), text);
        }
    }
}
