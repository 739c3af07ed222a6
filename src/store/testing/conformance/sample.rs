//! Sample records.

use std::time::{Duration, SystemTime};

use crate::random::Random;
use crate::record::{Data, Header, Record, Revision, Token, VerifierHash};
use crate::store::RecordKey;
use crate::store::testing::owned_write::OwnedWrite;

/// A new random key, in the namespace `id`.
///
/// # Panics
///
/// If the system has no random numbers.
#[must_use]
pub fn sample_key() -> RecordKey {
    let token = Token::generate(&Random::System).expect("random numbers").0;
    RecordKey::new("id", token.selector())
}

/// A record of a session with this data, a JSON object. It belongs to the user `alice`.
///
/// # Panics
///
/// If `json` is not an object, or the system has no random numbers.
#[must_use]
pub fn sample_record(json: &str) -> OwnedWrite {
    let mut verifier = [0; 32];
    Random::System.fill(&mut verifier).expect("random numbers");
    let mut header = Header::new(revision(), VerifierHash(verifier), SystemTime::now().into());
    header.user = Some("alice".into());
    Record::new(header, data(json)).into()
}

/// The next revision of `record`, with this data. It remembers the revisions before it.
///
/// # Panics
///
/// If `json` is not an object, or the system has no random numbers.
#[must_use]
pub fn sample_revision_of(record: &Record, json: &str) -> OwnedWrite {
    let mut header = record.header().clone();
    header.revise(revision());
    Record::new(header, data(json)).into()
}

/// The write of a login that creates a session of this user. Its entry is in the [index](crate::store::UserIndex) for at least
/// `lifetime`.
///
/// # Panics
///
/// If the system has no random numbers.
#[must_use]
pub fn sample_login(user: &str, lifetime: Duration) -> OwnedWrite {
    sample_login_of(&sample_of(None), user, lifetime)
}

/// The write of a login of this user on the session of `record`.
///
/// # Panics
///
/// If the system has no random numbers.
#[must_use]
pub fn sample_login_of(record: &Record, user: &str, lifetime: Duration) -> OwnedWrite {
    let mut header = record.header().clone();
    header.revise(revision());
    header.user = Some(user.into());
    OwnedWrite::from(Record::new(header, data(record.json()))).for_login(lifetime, Duration::ZERO)
}

/// The write of a login that creates a session, and that began `age` ago.
pub(super) fn sample_slow_login(user: &str, lifetime: Duration, age: Duration) -> OwnedWrite {
    sample_login(user, lifetime).for_login(lifetime, age)
}

/// A record of a session that nobody is logged in on.
///
/// # Panics
///
/// If the system has no random numbers.
#[must_use]
pub fn sample_anonymous() -> OwnedWrite {
    sample_of(None)
}

/// A record of a session that belongs to this user, or to nobody. The write is not that of a login.
pub(super) fn sample_of(user: Option<&str>) -> OwnedWrite {
    let mut header = sample_record("{}").header().clone();
    header.user = user.map(Into::into);
    Record::new(header, data("{}")).into()
}

pub(super) fn data(json: &str) -> Data {
    Data::parse(json.to_owned(), Record::MAX_DEPTH).expect("a JSON object")
}

fn revision() -> Revision {
    Revision::generate(&Random::System).expect("random numbers")
}
