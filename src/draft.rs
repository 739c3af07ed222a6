//! What a commit is to write: a request's changes on the record that they are made to, with its login, its limits and its seal.

use std::time::Duration;

use crate::changes::{Changes, ReplayError};
use crate::clock::Timestamp;
use crate::desk::Teller;
use crate::error::SessionError;
use crate::event::{Event, EventKind, Refusal};
use crate::intent::Intent;
use crate::record::{Record, Revision};
use crate::store::{LOGIN_LIFETIME, StoreError, StoreErrorKind};
use crate::token::{Token, VerifierHash};

/// How long ago the login began that is to be committed, if there is one. One that began before anybody remembers whether all
/// sessions of its user were ended since is refused, as if they had been.
fn login_age(
    desk: Teller<'_>,
    intent: &Intent,
    now: Timestamp,
) -> Result<Option<Duration>, SessionError> {
    let Some(login) = &intent.login else {
        return Ok(None);
    };
    let age = now.since(login.at);
    if age > LOGIN_LIFETIME && desk.store().user_index().is_some() {
        let error = StoreError::caused_by(
            StoreErrorKind::Revoked,
            "the login was not committed within a minute",
        );
        let event = Event::new(EventKind::LoginRefused(Refusal::TooLate));
        desk.tell(event.user(Some(&login.user)));
        return Err(error.into());
    }
    Ok(Some(age))
}

/// A record as it is to be written, and what follows for who holds the session once it is. Kept while the store is asked, and
/// so no larger than it needs to be.
pub(crate) struct Draft {
    pub(crate) record: Record,
    pub(crate) ttl: Duration,
    /// Whether a limit has passed while the request was under way.
    pub(crate) is_over: bool,
    pub(crate) touch_due: bool,
    pub(crate) cookie_slides: bool,
    pub(crate) expiry_is_capped: bool,
    /// The cookie's lifetime; `None`: it ends with the browser.
    pub(crate) max_age: Option<Duration>,
}

impl Draft {
    fn new(
        desk: Teller<'_>,
        intent: &Intent,
        record: Record,
        now: Timestamp,
    ) -> Result<Self, SessionError> {
        let lifetime = desk.lifetime(&record, now);
        let ttl = lifetime.time_to_live();
        Ok(Self {
            ttl,
            is_over: lifetime.is_over(),
            touch_due: lifetime.touch_is_always_due(),
            cookie_slides: lifetime.cookie_slides(),
            expiry_is_capped: lifetime.expiry_is_capped(),
            max_age: lifetime.max_age(),
            record: record.for_index(login_age(desk, intent, now)?, ttl, now),
        })
    }
}

/// What a new session is written as.
pub(crate) fn new_draft(
    desk: Teller<'_>,
    intent: &Intent,
    changes: &Changes,
    (token, proof): (&Token, VerifierHash),
    revision: Revision,
) -> Result<Draft, SessionError> {
    let now = desk.clock.now();
    let mut header = intent.new_header(&desk.config, revision, proof, now);
    header.terms.change(|terms| terms.seal = desk.seal(token));
    let data = changes
        .apply(None, desk.config.max_data_size)
        .map_err(|why| too_large(desk, why))?;
    Draft::new(desk, intent, Record::new(header, data), now)
}

/// What a session that goes on is written as, with a new verifier if there is one.
pub(crate) fn next_draft(
    desk: Teller<'_>,
    intent: &Intent,
    changes: &Changes,
    base: &Record,
    (token, new_proof): (&Token, Option<VerifierHash>),
    revision: Revision,
) -> Result<Draft, SessionError> {
    let now = desk.clock.now();
    let mut header = intent.next_header(base.header(), &desk.config, revision, new_proof, now);
    if new_proof.is_some() || header.terms.seal.is_none() {
        header.terms.change(|terms| terms.seal = desk.seal(token));
    }
    let data = changes
        .apply(Some(base.data()), desk.config.max_data_size)
        .map_err(|why| too_large(desk, why))?;
    let record = Record::new(header, data);
    let record = match new_proof {
        Some(_) => record.rotating(),
        None => record,
    };
    Draft::new(desk, intent, record, now)
}

fn too_large(desk: Teller<'_>, why: ReplayError) -> SessionError {
    match why {
        ReplayError::TooLarge => SessionError::TooLarge {
            limit: desk.config.max_data_size,
        },
        ReplayError::Update(error) => error,
    }
}
