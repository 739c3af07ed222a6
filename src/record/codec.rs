//! A record as bytes. They are written and read only here.
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 1 | format: 1, or 2 with login details; up to 15 for later formats; 0 is a tombstone, and nothing follows it |
//! | 1 | 8 | revision: random, new with every write, compared by a compare-and-swap |
//! | 9 | 5 each | the last bytes of the two revisions before it, newest first (zeros: none) |
//! | 19 | 6 | zeros: a store may use these bytes for a note of its own |
//! | 25 | 32 | hash of the verifier |
//! | 57 | 6 | time of creation: milliseconds since the Unix epoch, big-endian, as all times here |
//! | 63 | 1 | what follows: bit 0 deadline, 1 logged in, 2 user, 3–4 expiry kind, 5–7 number of retired verifiers |
//! | 64 | 6 | absolute deadline, if there is one |
//! | … | 6 | last login, if there was one |
//! | … | 1 + n | the user's id, if the session belongs to a user: its length, then UTF-8 |
//! | … | 6 | the expiry's milliseconds, if its kind has any |
//! | … | 38 each | retired verifiers: hash and time |
//! | … | 1 or more | in format 2, the login details: see `login_details` |
//! | … | rest | the data: a JSON object, readable with `redis-cli` |

use std::time::Duration;

use super::data::Data;
use super::expiry::Expiry;
use super::header::{Header, Retired};
use super::login_details::LoginDetails;
use super::reader::{DecodeError, Reader};
use super::revision::{Revision, Trace};
use super::verifier_hash::VerifierHash;
use super::{Record, RecordHeader};
use crate::clock::Timestamp;

impl Header {
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let format = from.byte()?;
        match format {
            Record::FORMAT | Record::FORMAT_WITH_LOGIN => {}
            3..=Record::LAST_FORMAT => return Err(DecodeError::FutureFormat),
            _ => return Err(DecodeError::Corrupt),
        }
        let revision = Revision(from.array()?);
        let before = [Trace(from.array()?), Trace(from.array()?)];
        let store_note: [u8; Record::NOTE_LEN] = from.array()?;
        if revision.0 == [0; Revision::LEN] || store_note != [0; Record::NOTE_LEN] {
            return Err(DecodeError::Corrupt);
        }
        let mut header = Self::new(revision, VerifierHash(from.array()?), from.time()?);
        header.before = before;
        let flags = from.byte()?;
        if flags & 1 != 0 {
            header.deadline = Some(from.time()?);
        }
        if flags & 2 != 0 {
            header.logged_in = Some(from.time()?);
        }
        if flags & 4 != 0 {
            header.user = Some(from.text()?.into());
        }
        header.expiry = match flags >> 3 & 3 {
            0 => Expiry::Default,
            1 => Expiry::Idle(Duration::from_millis(from.time()?.as_millis())),
            2 => Expiry::At(from.time()?),
            _ => Expiry::BrowserClose,
        };
        let count = usize::from(flags >> 5);
        if count > Self::MAX_RETIRED {
            return Err(DecodeError::Corrupt);
        }
        let mut retired = Vec::with_capacity(count);
        for _ in 0..count {
            let verifier = VerifierHash(from.array()?);
            let at = from.time()?;
            retired.push(Retired { verifier, at });
        }
        header.retired = retired.into();
        if format == Record::FORMAT_WITH_LOGIN {
            header.login = LoginDetails::decode(from)?.into();
        }
        Ok(header)
    }
}

impl Record {
    /// The largest size of a record that [`decode`](Record::decode) accepts, in bytes.
    pub const MAX_LEN: usize = 1 << 20;
    /// The bytes that replace a record for a minute after it was deleted.
    pub const TOMBSTONE: &'static [u8] = &[0];
    /// The offset of the revision in an encoded record, in bytes.
    pub const REVISION_OFFSET: usize = 1;
    /// The offset in an encoded record of the [note](Record::NOTE_LEN) that a store may write for itself, such as
    /// the time at which the record expires. [`encode`](Record::encode) writes zeros there, and
    /// [`decode`](Record::decode) accepts nothing else.
    pub const NOTE_OFFSET: usize = 19;
    /// The number of bytes of the note at [`NOTE_OFFSET`](Record::NOTE_OFFSET).
    pub const NOTE_LEN: usize = 6;

    const FORMAT: u8 = 1;
    /// The format with login details. A record without them is written in the first format, which is a byte shorter.
    const FORMAT_WITH_LOGIN: u8 = 2;
    /// The last number for later formats. Text, which another program may have written, begins above it.
    const LAST_FORMAT: u8 = 15;

    /// Encodes the record: a short binary header, then the data as JSON text.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (header, data) = (self.header(), self.data());
        let json = data.json();
        let user = header.user.as_deref().unwrap_or_default();
        let login = header.login.len();
        let mut out = Vec::with_capacity(
            64 + 3 * 6 + 1 + user.len() + 38 * header.retired.len() + login + json.len(),
        );
        let time = |out: &mut Vec<u8>, time: Timestamp| {
            out.extend_from_slice(&time.as_millis().to_be_bytes()[2..]);
        };
        let (kind, expiry) = match header.expiry {
            Expiry::Default => (0, None),
            Expiry::Idle(idle) => (1, Some(Timestamp::from_millis(0).plus(idle))),
            Expiry::At(at) => (2, Some(at)),
            Expiry::BrowserClose => (3, None),
        };
        let retired = &header.retired[..header.retired.len().min(Header::MAX_RETIRED)];

        out.push(match login {
            0 => Self::FORMAT,
            _ => Self::FORMAT_WITH_LOGIN,
        });
        out.extend_from_slice(&header.revision.0);
        for before in &header.before {
            out.extend_from_slice(&before.0);
        }
        out.extend_from_slice(&[0; Self::NOTE_LEN]);
        out.extend_from_slice(&header.verifier.0);
        time(&mut out, header.created);
        out.push(
            u8::from(header.deadline.is_some())
                | u8::from(header.logged_in.is_some()) << 1
                | u8::from(header.user.is_some()) << 2
                | kind << 3
                | u8::try_from(retired.len()).unwrap_or_default() << 5,
        );
        for at in [header.deadline, header.logged_in].into_iter().flatten() {
            time(&mut out, at);
        }
        if header.user.is_some() {
            // `Session::login` refuses a longer id.
            out.push(u8::try_from(user.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(user.as_bytes());
        }
        if let Some(at) = expiry {
            time(&mut out, at);
        }
        for retired in retired {
            out.extend_from_slice(&retired.verifier.0);
            time(&mut out, retired.at);
        }
        if login > 0 {
            header.login.encode(&mut out);
        }
        out.extend_from_slice(json.as_bytes());
        out
    }

    /// Decodes a record that [`encode`](Record::encode) wrote.
    ///
    /// The bytes of a store are not trusted: this function never panics, whatever the bytes are.
    ///
    /// # Errors
    ///
    /// Returns an error if the bytes are not a record, if they are larger or nested deeper than a record may be, or if a
    /// newer version of this crate wrote them.
    pub fn decode(bytes: Vec<u8>) -> Result<Self, DecodeError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(DecodeError::TooLarge);
        }
        let mut rest = Reader(&bytes);
        let header = Header::decode(&mut rest)?;
        let json = std::str::from_utf8(rest.0).map_err(|_| DecodeError::Corrupt)?;
        let data = Data::parse(json.to_owned(), Self::MAX_DEPTH);
        let data = data.map_err(|_| DecodeError::Corrupt)?;
        Ok(Self::new(header, data))
    }
}

impl RecordHeader {
    /// The number of bytes at the start of an encoded record that are enough for [`decode`](RecordHeader::decode), however long
    /// the header is.
    pub const MAX_LEN: usize =
        64 + 3 * 6 + 1 + Header::MAX_USER_LEN + 38 * Header::MAX_RETIRED + LoginDetails::MAX_LEN;

    /// Decodes the header of a record that [`encode`](Record::encode) wrote. The record's [first bytes](RecordHeader::MAX_LEN)
    /// are enough, so a store can list many sessions without reading their data.
    ///
    /// # Errors
    ///
    /// Returns an error if no record begins with these bytes, or if a newer version of this crate wrote them. Nothing after
    /// the header is checked.
    pub fn decode(start: &[u8]) -> Result<Self, DecodeError> {
        Header::decode(&mut Reader(start)).map(Self)
    }
}
