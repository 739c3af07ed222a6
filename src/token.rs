//! The token a browser holds: a selector that names the record, and a verifier that opens it.
//!
//! A token is 44 characters of base64url, from 33 random bytes: no padding and no spare bits, so every string of 44
//! characters of the alphabet is one token, and is written in one way only. The split follows the "split token" idea:
//! the store is asked by the selector, the verifier is compared in constant time against a hash, and a dump of the store
//! holds nothing that a browser could send.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::base64url::{self, is_base64url};
use crate::random::{Random, RandomError};
use crate::record::Revision;

const SELECTOR_LEN: usize = 20;
const VERIFIER_LEN: usize = 24;

/// The public name of a session: 20 characters of base64url, 120 random bits.
///
/// It stays the same when the session is rotated, names the record in the store, and may be logged and shown. On its own
/// it opens nothing: the other half of the cookie, the verifier, is the secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId([u8; SELECTOR_LEN]);

impl SessionId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(crate) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// All ids have one length, which need not be hashed with them.
impl Hash for SessionId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

/// The text is not a session id: 20 characters of base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseSessionIdError;

impl fmt::Display for ParseSessionIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a session id is 20 characters of base64url")
    }
}

impl std::error::Error for ParseSessionIdError {}

impl FromStr for SessionId {
    type Err = ParseSessionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes: [u8; SELECTOR_LEN] = text
            .as_bytes()
            .try_into()
            .map_err(|_| ParseSessionIdError)?;
        if is_base64url(&bytes) {
            Ok(Self(bytes))
        } else {
            Err(ParseSessionIdError)
        }
    }
}

impl Serialize for SessionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// The secret half of a token. It is never printed, and wiped from memory when dropped.
#[derive(Clone)]
struct Verifier(Zeroizing<[u8; VERIFIER_LEN]>);

impl Verifier {
    /// The random bytes of one, and of the revision that is drawn with it.
    const WITH_REVISION: usize = VERIFIER_LEN / 4 * 3 + Revision::LEN;
}

/// The cookie's value. Neither `Display` nor `Serialize`; `Debug` shows the public half only.
#[derive(Clone)]
pub(crate) struct Token {
    selector: SessionId,
    verifier: Verifier,
}

impl Token {
    /// The length of a token in bytes, which are all ASCII.
    pub(crate) const LEN: usize = SELECTOR_LEN + VERIFIER_LEN;

    /// A new token, all random, and the revision of what is written under it.
    pub(crate) fn generate(random: &Random) -> Result<(Self, Revision), RandomError> {
        let mut bytes = Zeroizing::new([0; SELECTOR_LEN / 4 * 3 + Verifier::WITH_REVISION]);
        random.fill(bytes.as_mut_slice())?;
        let (selector, rest) = bytes.split_at(SELECTOR_LEN / 4 * 3);
        let mut text = [0; SELECTOR_LEN];
        base64url::encode(selector, &mut text);
        Ok(Self::of(SessionId(text), rest))
    }

    /// A new secret for the same session, and the revision of what is written with it.
    pub(crate) fn rotated(
        selector: SessionId,
        random: &Random,
    ) -> Result<(Self, Revision), RandomError> {
        let mut bytes = Zeroizing::new([0; Verifier::WITH_REVISION]);
        random.fill(bytes.as_mut_slice())?;
        Ok(Self::of(selector, bytes.as_slice()))
    }

    /// With a verifier, and a revision, of random bytes.
    fn of(selector: SessionId, random: &[u8]) -> (Self, Revision) {
        let (secret, revision) = random.split_at(VERIFIER_LEN / 4 * 3);
        let mut verifier = Verifier(Zeroizing::new([0; VERIFIER_LEN]));
        base64url::encode(secret, verifier.0.as_mut_slice());
        (Self { selector, verifier }, Revision::from_random(revision))
    }

    /// Reads a cookie's value: exactly 44 bytes of base64url, or nothing.
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

    /// A client's fingerprint as the record keeps it: hashed together with this token, which the store does not know. Whoever
    /// reads the store cannot try out which address it was made of, nor see that two sessions are of one client.
    pub(crate) fn seal(&self, fingerprint: &[u8; 32]) -> Seal {
        let mut sha = Sha256::new();
        for part in [
            &b"tower-keycard client 1"[..],
            &self.selector.0,
            self.verifier.0.as_slice(),
            fingerprint,
        ] {
            sha.update((part.len() as u64).to_be_bytes());
            sha.update(part);
        }
        let mut half = [0; Seal::LEN];
        half.copy_from_slice(&sha.finalize()[..Seal::LEN]);
        Seal(half)
    }

    /// Appends the token's text: for the `Set-Cookie` line, and for nothing else.
    pub(crate) fn expose(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.selector.0);
        out.extend_from_slice(self.verifier.0.as_slice());
    }

    /// Whether both are the same token, in constant time.
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

/// A client's fingerprint, sealed with the token of its session: half a SHA-256.
#[derive(Clone, Copy)]
pub(crate) struct Seal(pub(crate) [u8; Seal::LEN]);

impl Seal {
    pub(crate) const LEN: usize = 16;

    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal([hidden])")
    }
}

/// What a store keeps in place of the verifier: a SHA-256 hash. Of 144 random bits, so no salt or stretching is needed.
#[derive(Clone, Copy)]
pub(crate) struct VerifierHash(pub(crate) [u8; 32]);

impl VerifierHash {
    /// Whether both are the same hash, in constant time.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        let same = |same, (one, other): (u64, u64)| same & one.ct_eq(&other);
        self.words()
            .zip(other.words())
            .fold(Choice::from(1), same)
            .into()
    }

    /// A word takes as long to compare as a byte.
    fn words(&self) -> impl Iterator<Item = u64> {
        let (words, _) = self.0.as_chunks();
        words.iter().copied().map(u64::from_ne_bytes)
    }
}

impl fmt::Debug for VerifierHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifierHash([hidden])")
    }
}

/// Hashes verifiers for one layer over one store.
///
/// The hash covers a format tag, the store's prefix, the layer's namespace, the selector and the verifier, each behind its
/// length. The first three are the same for every request, so they are padded to whole blocks of SHA-256 and hashed once;
/// what is left fits one block: a request pays for a single compression.
#[derive(Clone)]
pub(crate) struct VerifierHasher {
    /// SHA-256 after the blocks that are the same for every request.
    state: [u32; 8],
    /// How many bits they are, and the block that is left.
    bits: u64,
}

impl VerifierHasher {
    const BLOCK: usize = 64;
    /// FIPS 180-4, section 5.3.3.
    const INITIAL: [u32; 8] = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];

    pub(crate) fn new(prefix: &str, namespace: &str) -> Self {
        let mut message = Vec::new();
        for part in ["tower-keycard verifier 1", prefix, namespace] {
            message.extend_from_slice(&(part.len() as u64).to_be_bytes());
            message.extend_from_slice(part.as_bytes());
        }
        message.resize(message.len().next_multiple_of(Self::BLOCK), 0);
        let mut state = Self::INITIAL;
        compress256(&mut state, message.as_chunks().0);
        let bytes = message.len() + 2 + Token::LEN;
        Self {
            state,
            bits: 8 * bytes as u64,
        }
    }

    pub(crate) fn hash(&self, token: &Token) -> VerifierHash {
        let mut state = self.state;
        let mut block = Zeroizing::new([0; Self::BLOCK]);
        let (parts, padding) = block.split_at_mut(2 + Token::LEN);
        parts[0] = 20;
        parts[1..=SELECTOR_LEN].copy_from_slice(&token.selector.0);
        parts[1 + SELECTOR_LEN] = 24;
        parts[2 + SELECTOR_LEN..].copy_from_slice(token.verifier.0.as_slice());
        // FIPS 180-4, section 5.1.1: a one, zeros, and the length of the whole message in bits.
        padding[0] = 0x80;
        padding[Self::BLOCK - 2 - Token::LEN - 8..].copy_from_slice(&self.bits.to_be_bytes());
        compress256(&mut state, std::slice::from_ref(&block));
        let mut hash = [0; 32];
        for (bytes, word) in hash.as_chunks_mut().0.iter_mut().zip(state) {
            *bytes = word.to_be_bytes();
        }
        VerifierHash(hash)
    }
}

impl fmt::Debug for VerifierHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifierHasher")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use proptest::prelude::{any, proptest};

    use super::*;

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
