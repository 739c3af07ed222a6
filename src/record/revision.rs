//! The revision of a record.

use std::fmt;

use crate::random::{Random, RandomError};

/// The revision of a record, which a compare-and-swap compares: eight random bytes, new with every write.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision(pub(crate) [u8; 8]);

impl Revision {
    pub(crate) const LEN: usize = 8;

    /// The eight bytes, as at offset 1 of an encoded record.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    pub(crate) fn generate(random: &Random) -> Result<Self, RandomError> {
        let mut bytes = [0; Self::LEN];
        random.fill(&mut bytes)?;
        Ok(Self::from_random(&bytes))
    }

    /// Makes a revision of [`LEN`](Self::LEN) random bytes, and avoids the trace that means "none".
    pub(crate) fn from_random(random: &[u8]) -> Self {
        let mut bytes = [0; Self::LEN];
        bytes.copy_from_slice(random);
        let mut revision = Self(bytes);
        if revision.trace() == Trace::NONE {
            revision.0[7] = 1;
        }
        revision
    }

    /// The part of this revision that the records after it remember.
    pub(crate) fn trace(self) -> Trace {
        let [_, _, _, trace @ ..] = self.0;
        Trace(trace)
    }
}

/// The last five bytes of a revision. They are enough to distinguish a write from the few others around the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace(pub(crate) [u8; 5]);

impl Trace {
    pub(super) const NONE: Self = Self([0; 5]);
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revision({:016x})", u64::from_be_bytes(self.0))
    }
}
