//! SHA-256 over a list of parts.

use sha2::{Digest, Sha256};

/// Hashes the purpose of the hash, then the parts in order. Each of them is preceded by its length in eight bytes, so two
/// different lists of parts never give the same input.
pub(crate) fn digest<P: AsRef<[u8]>>(
    purpose: &str,
    parts: impl IntoIterator<Item = P>,
) -> [u8; 32] {
    let mut sha = Sha256::new();
    let mut update = |part: &[u8]| {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part);
    };
    update(purpose.as_bytes());
    for part in parts {
        update(part.as_ref());
    }
    sha.finalize().into()
}

/// The first half of [`digest`]. It is long enough if nobody gains from a collision.
pub(crate) fn half_digest<P: AsRef<[u8]>>(
    purpose: &str,
    parts: impl IntoIterator<Item = P>,
) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&digest(purpose, parts)[..16]);
    half
}
