//! What a store keeps of a session, and the one place where it is written and read.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 1 | format: 1, or 2 with the terms of a login; up to 15 for later ones; 0 is a tombstone, and nothing follows it |
//! | 1 | 8 | revision: random, new with every write; what compare-and-swap compares |
//! | 9 | 16 | the two revisions before it (zeros: none) |
//! | 25 | 32 | hash of the verifier |
//! | 57 | 6 | created: milliseconds since the Unix epoch, big-endian, as all times here |
//! | 63 | 1 | what follows: bit 0 deadline, 1 authenticated, 2 user, 3–4 expiry kind, 5–7 number of retired verifiers |
//! | 64 | 6 | absolute deadline, if there is one |
//! | … | 6 | last authentication, if there was one |
//! | … | 1 + n | the user's id, if the session belongs to one: its length, then UTF-8 |
//! | … | 6 | the expiry's milliseconds, if its kind has any |
//! | … | 38 each | retired verifiers: hash and time |
//! | … | 1 or more | in format 2, the terms of the login: see `terms` |
//! | … | rest | the data: a JSON object, readable with `redis-cli` |

mod binding;
mod terms;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::binding::Binding;
pub(crate) use self::binding::CLOCK_DIFFERENCE;
use self::binding::IndexWrite;
pub(crate) use self::terms::{KeptTerms, Terms};
use crate::clock::Timestamp;
use crate::data::Data;
use crate::random::{Random, RandomError};
use crate::token::VerifierHash;

/// What a compare-and-swap compares: eight random bytes, new with every write.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision(pub(crate) [u8; 8]);

impl Revision {
    pub(crate) const LEN: usize = 8;

    /// The eight bytes, as they stand at offset 1 of an encoded record.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    pub(crate) fn generate(random: &Random) -> Result<Self, RandomError> {
        let mut bytes = [0; Self::LEN];
        random.fill(&mut bytes)?;
        Ok(Self::from_random(&bytes))
    }

    /// Of so many random bytes.
    pub(crate) fn from_random(random: &[u8]) -> Self {
        let mut bytes = [0; Self::LEN];
        bytes.copy_from_slice(random);
        let mut revision = Self(bytes);
        if revision.trace() == Trace::NONE {
            revision.0[7] = 1;
        }
        revision
    }

    /// What is remembered of it in the records that replace this one.
    pub(crate) fn trace(self) -> Trace {
        let [_, _, _, trace @ ..] = self.0;
        Trace(trace)
    }
}

/// The last five bytes of a revision: enough to tell a write from the few that others made around the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace(pub(crate) [u8; 5]);

impl Trace {
    const NONE: Self = Self([0; 5]);
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revision({:016x})", u64::from_be_bytes(self.0))
    }
}

/// When a session ends, where that was set for this session alone.
///
/// Set with [`Session::set_expiry`](crate::Session::set_expiry); the absolute limit of the layer holds whatever is set here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expiry {
    /// As the layer is configured.
    #[default]
    Default,
    /// After this long without a request, in whole milliseconds, in place of the layer's idle limit.
    Idle(Duration),
    /// At this instant, and before it where the layer's idle limit says so; no activity moves it.
    At(Timestamp),
    /// The cookie ends with the browser; the limits of the layer hold on the server.
    BrowserClose,
}

/// A verifier that was replaced, and when: its holder is late, not an intruder, for a minute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retired {
    pub(crate) verifier: VerifierHash,
    pub(crate) at: Timestamp,
}

/// What a record says of its session beside the data.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) revision: Revision,
    /// Of the revisions before this one, newest first: a writer that does not know whether its write arrived looks here.
    pub(crate) before: [Trace; 2],
    pub(crate) verifier: VerifierHash,
    pub(crate) created: Timestamp,
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) authenticated: Option<Timestamp>,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) expiry: Expiry,
    pub(crate) terms: KeptTerms,
    /// Oldest first, at most [`Header::MAX_RETIRED`].
    pub(crate) retired: Vec<Retired>,
}

impl Header {
    /// How many retired verifiers a record remembers.
    pub(crate) const MAX_RETIRED: usize = 4;
    /// How long a user's id may be, in bytes.
    pub(crate) const MAX_USER_LEN: usize = 255;

    pub(crate) fn new(revision: Revision, verifier: VerifierHash, created: Timestamp) -> Self {
        Self {
            revision,
            before: [Trace::NONE; 2],
            verifier,
            created,
            deadline: None,
            authenticated: None,
            user: None,
            expiry: Expiry::Default,
            terms: KeptTerms::default(),
            retired: Vec::new(),
        }
    }

    /// Moves on to a new revision, and remembers the one it replaces.
    pub(crate) fn revise(&mut self, revision: Revision) {
        self.before = [self.revision.trace(), self.before[0]];
        self.revision = revision;
    }

    /// Puts a new verifier in place of the old one, which is remembered as retired `now`.
    pub(crate) fn rotate(&mut self, verifier: VerifierHash, now: Timestamp, remember: Duration) {
        self.retired
            .retain(|retired| is_recent(retired.at, now, remember));
        if self.retired.len() == Self::MAX_RETIRED {
            self.retired.remove(0);
        }
        self.retired.push(Retired {
            verifier: self.verifier,
            at: now,
        });
        self.verifier = verifier;
    }
}

impl Header {
    /// Reads a header up to the user, and says of which format the record is, and what is still to follow.
    fn begin(from: &mut Reader<'_>) -> Result<(Self, u8, u8), DecodeError> {
        let format = from.byte()?;
        match format {
            Record::FORMAT | Record::FORMAT_WITH_TERMS => {}
            3..=Record::LAST_FORMAT => return Err(DecodeError::FutureFormat),
            _ => return Err(DecodeError::Corrupt),
        }
        let revision = Revision(from.array()?);
        let before = [Trace(from.array()?), Trace(from.array()?)];
        let room: [u8; Record::ROOM_LEN] = from.array()?;
        if revision.0 == [0; Revision::LEN] || room != [0; Record::ROOM_LEN] {
            return Err(DecodeError::Corrupt);
        }
        let mut header = Self::new(revision, VerifierHash(from.array()?), from.time()?);
        header.before = before;
        let flags = from.byte()?;
        if flags & 1 != 0 {
            header.deadline = Some(from.time()?);
        }
        if flags & 2 != 0 {
            header.authenticated = Some(from.time()?);
        }
        if flags & 4 != 0 {
            header.user = Some(from.text()?.into());
        }
        Ok((header, format, flags))
    }
}

/// Whether `at` lies less than `window` back. A time more than a window ahead is not recent: some clock is wrong.
pub(crate) fn is_recent(at: Timestamp, now: Timestamp, window: Duration) -> bool {
    now.since(at) < window && at.since(now) <= window
}

/// What a store keeps of a session: immutable, and cheap to clone.
///
/// A store need not look inside: it keeps [`encode`](Record::encode)'s bytes (or the record itself) under a
/// [`RecordKey`](crate::store::RecordKey), and compares [`revision`](Record::revision)s.
#[derive(Clone)]
pub struct Record {
    inner: Arc<Inner>,
    /// Of the write that is being made, not of the record.
    write: Option<Box<IndexWrite>>,
    /// The same.
    rotates: bool,
    /// Of the load that it comes from.
    stale: bool,
}

struct Inner {
    header: Header,
    data: Data,
}

impl Record {
    /// The largest record that [`decode`](Record::decode) accepts, in bytes.
    pub const MAX_LEN: usize = 1 << 20;
    /// How deeply arrays and objects may nest in the data, the data itself included.
    pub const MAX_DEPTH: usize = 64;
    /// What stands in a record's place for a minute after it was deleted.
    pub const TOMBSTONE: &'static [u8] = &[0];
    /// Where in an encoded record the revision stands.
    pub const REVISION_OFFSET: usize = 1;
    /// Where in an encoded record there is room for a store to note something of its own, such as when it ends: so many
    /// [bytes](Record::ROOM_LEN), which are zero in what [`encode`](Record::encode) gives and [`decode`](Record::decode) takes.
    pub const ROOM_OFFSET: usize = 19;
    /// How many bytes of room there are.
    pub const ROOM_LEN: usize = 6;

    const FORMAT: u8 = 1;
    /// With the terms of a login. What has none is written in the first format, which is a byte shorter.
    const FORMAT_WITH_TERMS: u8 = 2;
    /// Later formats are to be found here; text, which somebody else may have put there, begins behind.
    const LAST_FORMAT: u8 = 15;

    pub(crate) fn new(header: Header, data: Data) -> Self {
        Self {
            inner: Arc::new(Inner { header, data }),
            write: None,
            rotates: false,
            stale: false,
        }
    }

    /// The revision of this record.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.inner.header.revision
    }

    /// Whether this record was written as `revision`, or on top of it: whether that write arrived.
    #[must_use]
    pub fn includes(&self, revision: Revision) -> bool {
        let header = &self.inner.header;
        header.revision == revision || header.before.contains(&revision.trace())
    }

    /// The user the session belongs to, for a store that keeps an index of users.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.inner.header.user.as_deref()
    }

    /// The user, to be shared.
    pub(crate) fn owner(&self) -> Option<&Arc<str>> {
        self.inner.header.user.as_ref()
    }

    /// The session's data: a JSON object.
    #[must_use]
    pub fn json(&self) -> &str {
        self.inner.data.json()
    }

    /// Whether this write makes the card before it worthless, as a login does: a store that can take more care does.
    #[must_use]
    pub fn rotates(&self) -> bool {
        self.rotates
    }

    /// This record, as one that may have been changed or deleted since: a replica had it. See
    /// [`load_latest`](crate::store::SessionStore::load_latest).
    #[must_use]
    pub fn possibly_stale(mut self) -> Self {
        self.stale = true;
        self
    }

    pub(crate) fn is_possibly_stale(&self) -> bool {
        self.stale
    }

    /// A write with a new verifier.
    pub(crate) fn rotating(mut self) -> Self {
        self.rotates = true;
        self
    }

    pub(crate) fn header(&self) -> &Header {
        &self.inner.header
    }

    pub(crate) fn data(&self) -> &Data {
        &self.inner.data
    }

    /// The record as bytes: a short binary header, then the data as JSON text.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Inner { header, data } = &*self.inner;
        let json = data.json();
        let user = header.user.as_deref().unwrap_or_default();
        let terms = header.terms.len();
        let mut out = Vec::with_capacity(
            64 + 3 * 6 + 1 + user.len() + 38 * header.retired.len() + terms + json.len(),
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

        out.push(match terms {
            0 => Self::FORMAT,
            _ => Self::FORMAT_WITH_TERMS,
        });
        out.extend_from_slice(&header.revision.0);
        for before in &header.before {
            out.extend_from_slice(&before.0);
        }
        out.extend_from_slice(&[0; Self::ROOM_LEN]);
        out.extend_from_slice(&header.verifier.0);
        time(&mut out, header.created);
        out.push(
            u8::from(header.deadline.is_some())
                | u8::from(header.authenticated.is_some()) << 1
                | u8::from(header.user.is_some()) << 2
                | kind << 3
                | u8::try_from(retired.len()).unwrap_or_default() << 5,
        );
        for at in [header.deadline, header.authenticated]
            .into_iter()
            .flatten()
        {
            time(&mut out, at);
        }
        if header.user.is_some() {
            // `Session::login` refuses a longer one.
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
        if terms > 0 {
            header.terms.encode(&mut out);
        }
        out.extend_from_slice(json.as_bytes());
        out
    }

    /// How much of an encoded record says whose it is: all that stands before the user's id, and the longest id.
    #[cfg(feature = "redis")]
    pub(crate) const OWNER_LEN: usize = 64 + 2 * 6 + 1 + Header::MAX_USER_LEN;

    /// The user that an encoded record belongs to, from its [first bytes](Record::OWNER_LEN) alone.
    #[cfg(feature = "redis")]
    pub(crate) fn decode_owner(start: &[u8]) -> Result<Option<Arc<str>>, DecodeError> {
        Header::begin(&mut Reader(start)).map(|(header, ..)| header.user)
    }

    /// Reads what [`encode`](Record::encode) wrote.
    ///
    /// # Errors
    ///
    /// Bytes that are not a record, or are larger or nested deeper than a record may be, or were written by a newer
    /// version of this crate. Never panics, whatever the bytes: what a store holds is not trusted.
    pub fn decode(bytes: Vec<u8>) -> Result<Self, DecodeError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(DecodeError::TooLarge);
        }
        let mut rest = Reader(&bytes);
        let (mut header, format, flags) = Header::begin(&mut rest)?;
        header.expiry = match flags >> 3 & 3 {
            0 => Expiry::Default,
            1 => Expiry::Idle(Duration::from_millis(rest.time()?.as_millis())),
            2 => Expiry::At(rest.time()?),
            _ => Expiry::BrowserClose,
        };
        let retired = usize::from(flags >> 5);
        if retired > Header::MAX_RETIRED {
            return Err(DecodeError::Corrupt);
        }
        for _ in 0..retired {
            let verifier = VerifierHash(rest.array()?);
            header.retired.push(Retired {
                verifier,
                at: rest.time()?,
            });
        }
        if format == Self::FORMAT_WITH_TERMS {
            header.terms = Terms::decode(&mut rest)?.into();
        }
        let start = bytes.len() - rest.0.len();
        let mut json = bytes;
        json.drain(..start);
        let json = String::from_utf8(json).map_err(|_| DecodeError::Corrupt)?;
        let data = Data::parse(json, Self::MAX_DEPTH).map_err(|_| DecodeError::Corrupt)?;
        Ok(Self::new(header, data))
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the data nor any hash: a log is read by more people than a store.
        f.debug_struct("Record")
            .field("revision", &self.revision())
            .field("user", &self.user().map(|_| "[hidden]"))
            .field("data", &self.inner.data)
            .finish_non_exhaustive()
    }
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not written by this crate, or damaged.
    Corrupt,
    /// Larger than [`Record::MAX_LEN`].
    TooLarge,
    /// Written by a newer version of this crate, as while it is rolled out.
    FutureFormat,
    /// The store keeps something else under this key, such as a Redis list.
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

/// Takes fixed pieces off the front of a slice.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn slice(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(DecodeError::Corrupt)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(DecodeError::Corrupt)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A length in one byte, and as much text: some.
    fn text(&mut self) -> Result<&'a str, DecodeError> {
        let len = self.byte()?;
        let text = std::str::from_utf8(self.slice(len.into())?);
        text.ok()
            .filter(|text| !text.is_empty())
            .ok_or(DecodeError::Corrupt)
    }

    fn time(&mut self) -> Result<Timestamp, DecodeError> {
        let [a, b, c, d, e, f] = self.array()?;
        Ok(Timestamp::from_millis(u64::from_be_bytes([
            0, 0, a, b, c, d, e, f,
        ])))
    }
}

#[cfg(test)]
mod tests;
