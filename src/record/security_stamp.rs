//! The security stamp: a hash of the user's credential at the login. The session stores it for later comparison.

use std::fmt;

use subtle::ConstantTimeEq;

use crate::digest::half_digest;

/// The first half of a SHA-256 hash of the user's stamp, as the application defines it: for example, the hash of the
/// password. It cannot be reversed.
#[derive(Clone, Copy)]
pub(crate) struct SecurityStamp(pub(crate) [u8; SecurityStamp::LEN]);

impl SecurityStamp {
    pub(crate) const LEN: usize = 16;

    /// Hashes a stamp. The hash covers the store's prefix, the layer's namespace and the user, so a stamp that is copied
    /// into a record of another layer or user does not match there.
    pub(crate) fn new(prefix: &str, namespace: &str, user: &str, stamp: &[u8]) -> Self {
        Self(half_digest(
            "tower-keycard stamp 1",
            [
                prefix.as_bytes(),
                namespace.as_bytes(),
                user.as_bytes(),
                stamp,
            ],
        ))
    }

    /// Whether both stamps are the same, in constant time.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for SecurityStamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecurityStamp([hidden])")
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
            SecurityStamp::new(prefix, namespace, user, stamp.as_bytes())
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
        let stamp = SecurityStamp([7; SecurityStamp::LEN]);
        for place in 0..SecurityStamp::LEN {
            let mut other = stamp;
            other.0[place] ^= 0x80;
            assert!(!stamp.same_as(&other), "{place}");
        }
    }

    #[test]
    fn a_stamp_is_a_hash_and_is_not_printed() {
        let stamp = SecurityStamp::new(
            "k",
            "id",
            "alice",
            b"$argon2id$v=19$m=16,t=2,p=1$c2FsdA$aGFzaA",
        );
        assert_eq!(format!("{stamp:?}"), "SecurityStamp([hidden])");
        // SHA-256 of the five parts, each preceded by its length in eight bytes. Computed with Python's `hashlib`.
        assert_eq!(
            u128::from_be_bytes(stamp.0),
            0x5807_2944_3626_48c2_3104_cc5c_f822_9789
        );
    }
}
