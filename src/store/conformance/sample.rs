//! Records to try a store with.

use std::time::{Duration, SystemTime};

use crate::data::Data;
use crate::random::Random;
use crate::record::{Header, Record, Revision};
use crate::store::RecordKey;
use crate::token::{Token, VerifierHash};

/// A key that nobody else has, in the namespace `id`.
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
pub fn sample_record(json: &str) -> Record {
    let mut verifier = [0; 32];
    Random::System.fill(&mut verifier).expect("random numbers");
    let mut header = Header::new(revision(), VerifierHash(verifier), SystemTime::now().into());
    header.user = Some("alice".into());
    Record::new(header, data(json))
}

/// The record that a write of this data on top of `record` makes: a new revision, which remembers those before it.
///
/// # Panics
///
/// If `json` is not an object, or the system has no random numbers.
#[must_use]
pub fn sample_revision_of(record: &Record, json: &str) -> Record {
    let mut header = record.header().clone();
    header.revise(revision());
    Record::new(header, data(json))
}

/// A record of a fresh session as a login of this user writes it, who is then in the [index](crate::store::UserIndex) for
/// `life` at least.
///
/// # Panics
///
/// If the system has no random numbers.
#[must_use]
pub fn sample_login(user: &str, life: Duration) -> Record {
    sample_login_of(&sample_of(None), user, life)
}

/// The record that a login of this user on the session of `record` writes.
///
/// # Panics
///
/// If the system has no random numbers.
#[must_use]
pub fn sample_login_of(record: &Record, user: &str, life: Duration) -> Record {
    let mut header = record.header().clone();
    header.revise(revision());
    header.user = Some(user.into());
    Record::new(header, data(record.json())).binding(life, Duration::ZERO)
}

/// The record that such a login writes when it began so long ago.
pub(super) fn sample_slow_login(user: &str, life: Duration, age: Duration) -> Record {
    sample_login(user, life).binding(life, age)
}

/// A record of a session that belongs to this user, or to nobody, and that no login writes.
pub(super) fn sample_of(user: Option<&str>) -> Record {
    let mut header = sample_record("{}").header().clone();
    header.user = user.map(Into::into);
    Record::new(header, data("{}"))
}

pub(super) fn data(json: &str) -> Data {
    Data::parse(json.to_owned(), Record::MAX_DEPTH).expect("a JSON object")
}

fn revision() -> Revision {
    Revision::generate(&Random::System).expect("random numbers")
}
