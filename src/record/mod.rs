//! Records: what is stored of a session. No I/O and no configuration.

mod codec;
pub(crate) mod data;
mod expiry;
mod fingerprint_hash;
mod header;
mod login_details;
mod reader;
mod revision;
mod security_stamp;
mod session_id;
mod token;
mod verifier_hash;

use std::fmt;
use std::sync::Arc;

pub(crate) use self::data::Data;
pub use self::expiry::{Expiry, Limit};
pub(crate) use self::fingerprint_hash::FingerprintHash;
#[cfg(any(test, feature = "testing"))]
pub(crate) use self::header::Retired;
pub(crate) use self::header::{Header, is_recent};
pub(crate) use self::login_details::LoginDetails;
pub use self::reader::DecodeError;
pub use self::revision::Revision;
pub(crate) use self::security_stamp::SecurityStamp;
pub use self::session_id::{ParseSessionIdError, SessionId};
pub(crate) use self::token::Token;
pub(crate) use self::verifier_hash::{VerifierHash, VerifierHasher};

/// What a store keeps of a session. A record is immutable, and cheap to clone.
///
/// A store does not need to look inside. It keeps the bytes of [`encode`](Record::encode), or the record itself, under a
/// [`RecordKey`](crate::store::RecordKey), and compares [`revision`](Record::revision)s.
#[derive(Clone)]
pub struct Record(Arc<Content>);

struct Content {
    header: Header,
    data: Data,
}

/// The header of a record: everything except the data. It tells whose session it is, and since when.
#[derive(Clone)]
pub struct RecordHeader(pub(crate) Header);

impl RecordHeader {
    /// The user that the session belongs to, if any.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.0.user.as_deref()
    }

    /// The revision of the record.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.0.revision
    }
}

impl From<&Record> for RecordHeader {
    fn from(record: &Record) -> Self {
        Self(record.header().clone())
    }
}

impl fmt::Debug for RecordHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordHeader")
            .field("revision", &self.revision())
            .field("user", &self.user().map(|_| "[hidden]"))
            .finish_non_exhaustive()
    }
}

impl Record {
    /// The largest depth to which arrays and objects may nest in the data. The data itself counts as the first level.
    pub const MAX_DEPTH: usize = 64;

    pub(crate) fn new(header: Header, data: Data) -> Self {
        Self(Arc::new(Content { header, data }))
    }

    /// The revision of this record.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.0.header.revision
    }

    /// Whether this record was written as `revision`, or on top of it: in other words, whether that write arrived.
    ///
    /// A record remembers the two revisions before its own.
    #[must_use]
    pub fn includes(&self, revision: Revision) -> bool {
        let header = &self.0.header;
        header.revision == revision || header.before.contains(&revision.trace())
    }

    /// The user that the session belongs to, if any. A store that keeps an index of users needs it.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.0.header.user.as_deref()
    }

    /// The same user, shared.
    pub(crate) fn shared_user(&self) -> Option<&Arc<str>> {
        self.0.header.user.as_ref()
    }

    /// The session's data, as the text of a JSON object.
    #[must_use]
    pub fn json(&self) -> &str {
        self.0.data.json()
    }

    pub(crate) fn header(&self) -> &Header {
        &self.0.header
    }

    pub(crate) fn data(&self) -> &Data {
        &self.0.data
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the data nor any hash: more people read a log than a store.
        f.debug_struct("Record")
            .field("revision", &self.revision())
            .field("user", &self.user().map(|_| "[hidden]"))
            .field("data", &self.0.data)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
