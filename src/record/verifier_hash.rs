//! The hash of a verifier. A record stores it, and a presented token is compared with it.

use std::fmt;

use sha2::block_api::compress256;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::session_id::SELECTOR_LEN;
use super::token::Token;

/// The SHA-256 hash that a store keeps in place of a verifier. It needs no salt and no stretching, because a verifier has
/// 144 random bits.
#[derive(Clone, Copy)]
pub(crate) struct VerifierHash(pub(crate) [u8; 32]);

impl VerifierHash {
    /// Whether both hashes are the same, in constant time.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        let same = |same, (one, other): (u64, u64)| same & one.ct_eq(&other);
        self.words()
            .zip(other.words())
            .fold(Choice::from(1), same)
            .into()
    }

    /// The hash in words: comparing a word takes as long as comparing a byte.
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
/// The hash covers a format tag, the store's prefix, the layer's namespace, the selector and the verifier, each preceded by
/// its length. The first three are the same for every request, so they are padded to whole blocks of SHA-256 and hashed
/// once. The rest fits into one block, so a request costs a single compression.
#[derive(Clone)]
pub(crate) struct VerifierHasher {
    /// SHA-256 after the blocks that are the same for every request.
    state: [u32; 8],
    /// The length of the whole message in bits.
    message_bits: u64,
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
            message_bits: 8 * bytes as u64,
        }
    }

    pub(crate) fn hash(&self, token: &Token) -> VerifierHash {
        let mut state = self.state;
        let mut block = Zeroizing::new([0; Self::BLOCK]);
        let (parts, padding) = block.split_at_mut(2 + Token::LEN);
        let (selector, verifier) = token.halves();
        parts[0] = 20;
        parts[1..=SELECTOR_LEN].copy_from_slice(selector);
        parts[1 + SELECTOR_LEN] = 24;
        parts[2 + SELECTOR_LEN..].copy_from_slice(verifier);
        // FIPS 180-4, section 5.1.1: a one, zeros, and the length of the whole message in bits.
        padding[0] = 0x80;
        padding[Self::BLOCK - 2 - Token::LEN - 8..]
            .copy_from_slice(&self.message_bits.to_be_bytes());
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
