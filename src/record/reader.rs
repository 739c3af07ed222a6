//! Reads fixed pieces from the front of untrusted bytes.

use std::fmt;

use crate::clock::Timestamp;

/// The reason that bytes cannot be decoded as a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// This crate did not write the bytes, or they are damaged.
    Corrupt,
    /// The bytes are longer than [`Record::MAX_LEN`](crate::store::Record::MAX_LEN).
    TooLarge,
    /// A newer version of this crate wrote the bytes, for example during a rollout.
    FutureFormat,
    /// The store has something else under this key, such as a Redis list.
    ForeignType,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Corrupt => "not a session record, or a damaged one",
            Self::TooLarge => "larger than a session record may be",
            Self::FutureFormat => "written by a newer version of this crate",
            Self::ForeignType => "not a value of the type that session records have",
        })
    }
}

impl std::error::Error for DecodeError {}

/// The bytes that are not read yet.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn slice(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(DecodeError::Corrupt)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(DecodeError::Corrupt)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Reads a length of one byte, then text of that many bytes, which must not be empty.
    pub(super) fn text(&mut self) -> Result<&'a str, DecodeError> {
        let len = self.byte()?;
        let text = std::str::from_utf8(self.slice(len.into())?);
        text.ok()
            .filter(|text| !text.is_empty())
            .ok_or(DecodeError::Corrupt)
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, DecodeError> {
        let [a, b, c, d, e, f] = self.array()?;
        Ok(Timestamp::from_millis(u64::from_be_bytes([
            0, 0, a, b, c, d, e, f,
        ])))
    }
}
