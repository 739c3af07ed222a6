//! The hash of a client's fingerprint, as a record stores it.

use std::fmt;

use subtle::ConstantTimeEq;

/// A client's fingerprint, hashed together with the token of its session: the first half of a SHA-256 hash.
#[derive(Clone, Copy)]
pub(crate) struct FingerprintHash(pub(crate) [u8; FingerprintHash::LEN]);

impl FingerprintHash {
    pub(crate) const LEN: usize = 16;

    /// Whether both hashes are the same, in constant time.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for FingerprintHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintHash([hidden])")
    }
}
