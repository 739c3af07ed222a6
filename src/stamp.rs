//! What a user's credential was at a login: a hash that the session keeps, and compares.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Of what an application calls the user's stamp, such as their password's hash: half a SHA-256, which nobody can turn back.
#[derive(Clone, Copy)]
pub(crate) struct Stamp(pub(crate) [u8; Stamp::LEN]);

impl Stamp {
    pub(crate) const LEN: usize = 16;

    /// Covers where it is used and whose it is, each part behind its length: a stamp that is copied into another layer's
    /// record, or another user's, fits nothing there.
    pub(crate) fn new(prefix: &str, namespace: &str, user: &str, stamp: &[u8]) -> Self {
        let mut sha = Sha256::new();
        for part in [
            b"tower-keycard stamp 1",
            prefix.as_bytes(),
            namespace.as_bytes(),
            user.as_bytes(),
            stamp,
        ] {
            sha.update((part.len() as u64).to_be_bytes());
            sha.update(part);
        }
        let mut half = [0; Self::LEN];
        half.copy_from_slice(&sha.finalize()[..Self::LEN]);
        Self(half)
    }

    /// Whether both are the same, in constant time.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stamp([hidden])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_depends_on_each_of_its_parts_and_on_where_they_end() {
        let parts = [
            ["k", "id", "alice", "hash"],
            ["l", "id", "alice", "hash"],
            ["k", "admin", "alice", "hash"],
            ["k", "id", "bob", "hash"],
            ["k", "id", "alice", "other"],
            ["ki", "d", "alice", "hash"],
            ["k", "idalice", "", "hash"],
            ["k", "id", "aliceh", "ash"],
            ["k", "id", "alice", ""],
        ];
        let stamp = |[prefix, namespace, user, stamp]: [&str; 4]| {
            Stamp::new(prefix, namespace, user, stamp.as_bytes())
        };
        for (place, one) in parts.into_iter().enumerate() {
            for (other_place, other) in parts.into_iter().enumerate() {
                let same = stamp(one).same_as(&stamp(other));
                assert_eq!(same, place == other_place, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn every_byte_of_a_stamp_is_compared() {
        let stamp = Stamp([7; Stamp::LEN]);
        for place in 0..Stamp::LEN {
            let mut other = stamp;
            other.0[place] ^= 0x80;
            assert!(!stamp.same_as(&other), "{place}");
        }
    }

    #[test]
    fn a_stamp_is_a_hash_and_is_not_printed() {
        let stamp = Stamp::new(
            "k",
            "id",
            "alice",
            b"$argon2id$v=19$m=16,t=2,p=1$c2FsdA$aGFzaA",
        );
        assert_eq!(format!("{stamp:?}"), "Stamp([hidden])");
        // SHA-256 of the five parts, each behind its length in eight bytes; by Python's `hashlib`.
        assert_eq!(
            u128::from_be_bytes(stamp.0),
            0x5807_2944_3626_48c2_3104_cc5c_f822_9789
        );
    }
}
