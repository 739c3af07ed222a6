//! The prepared write: a record with a request's changes, login, limits and fingerprint applied.

use std::time::Duration;

use super::index_change::index_change;
use crate::clock::{Moment, Timestamp};
use crate::error::SessionError;
use crate::event::{Event, EventKind, Refusal};
use crate::lifecycle::changes::{Changes, ReplayError};
use crate::lifecycle::context::ClientContext;
use crate::lifecycle::pending::Pending;
use crate::record::{Record, Revision, SessionId, Token, VerifierHash};
use crate::store::{IndexMoment, LOGIN_LIFETIME, StoreError, StoreErrorKind, Write};

/// How often a login that meets a marker is written.
const TRIES: u8 = 3;

/// A record as it will be written, and what the open session needs to know of it afterwards. It lives across the store call,
/// so it is kept small.
pub(super) struct PreparedWrite {
    pub(super) record: Record,
    ttl: Duration,
    keeps_expiry: bool,
    /// The login that this write carries out.
    login: Option<Box<WrittenLogin>>,
    rotates: bool,
    /// Whether the session stays unconfirmed.
    pub(super) unconfirmed: bool,
    at: Timestamp,
    /// Whether a limit has passed while the request was running.
    pub(super) is_over: bool,
    pub(super) touch_due: bool,
    pub(super) cookie_slides: bool,
    expiry_is_capped: bool,
    /// The cookie's lifetime. Without one the cookie ends with the browser.
    pub(super) max_age: Option<Duration>,
}

impl PreparedWrite {
    fn new(
        context: ClientContext<'_>,
        pending: &Pending,
        record: Record,
        (rotates, unconfirmed): (bool, bool),
        at: Timestamp,
        kept_until: Option<Timestamp>,
    ) -> Result<Self, SessionError> {
        let lifetime = context.lifetime(&record, at);
        let unconfirmed = unconfirmed && record.user().is_none();
        let mut ttl = lifetime.time_to_live();
        if unconfirmed {
            ttl = ttl.min(context.config.unconfirmed_idle);
        }
        let mut keeps_expiry = false;
        if let Some(left) = kept_until.map(|until| until.since(at)) {
            // If the store keeps it for longer than its limits, which were shortened, this write sets the expiry right.
            keeps_expiry = left <= ttl;
            // A store keeps nothing for no time at all.
            ttl = ttl.min(left).max(Duration::from_millis(1));
        }
        Ok(Self {
            ttl,
            keeps_expiry,
            login: written_login(context, pending)?,
            rotates,
            unconfirmed,
            at,
            is_over: lifetime.is_over(),
            touch_due: lifetime.touch_is_always_due() && !unconfirmed,
            cookie_slides: lifetime.cookie_slides(),
            expiry_is_capped: lifetime.expiry_is_capped(),
            max_age: lifetime.max_age(),
            record,
        })
    }

    /// Prepares the write of a new session.
    pub(super) fn create(
        context: ClientContext<'_>,
        pending: &Pending,
        changes: &Changes,
        (token, verifier_hash): (&Token, VerifierHash),
        revision: Revision,
    ) -> Result<Self, SessionError> {
        let now = context.now();
        let mut header = pending.new_header(&context.config, revision, verifier_hash, now);
        let fingerprint = context.fingerprint_hash(token);
        header
            .login
            .change(|details| details.fingerprint = fingerprint);
        let data = changes
            .apply(None, context.config.max_data_size)
            .map_err(|error| too_large(context, error))?;
        let record = Record::new(header, data);
        Self::new(context, pending, record, (false, true), now, None)
    }

    /// Prepares the write of an existing session, with a new verifier if there is one. `kept_until` is the end of a session
    /// that the write does not slide.
    pub(super) fn replace(
        context: ClientContext<'_>,
        pending: &Pending,
        changes: &Changes,
        (base, unconfirmed): (&Record, bool),
        (token, new_verifier): (&Token, Option<VerifierHash>),
        revision: Revision,
        kept_until: Option<Timestamp>,
    ) -> Result<Self, SessionError> {
        let now = context.now();
        let header = base.header();
        let mut header = pending.next_header(header, &context.config, revision, new_verifier, now);
        let rotates = new_verifier.is_some();
        if rotates || header.login.fingerprint.is_none() {
            let fingerprint = context.fingerprint_hash(token);
            header
                .login
                .change(|details| details.fingerprint = fingerprint);
        }
        let data = changes
            .apply(Some(base.data()), context.config.max_data_size)
            .map_err(|error| too_large(context, error))?;
        let record = Record::new(header, data);
        let flags = (rotates, unconfirmed);
        Self::new(context, pending, record, flags, now, kept_until)
    }

    /// Until when the store keeps what is written, as far as this request knows.
    pub(super) fn kept_until(&self) -> Timestamp {
        self.at.plus(self.ttl)
    }

    /// The write for the store call.
    pub(super) fn write<'a>(&'a self, pending: &'a Pending) -> Write<'a> {
        let login = self.login.as_deref().map(|login| (login.age, login.after));
        Write {
            index: index_change(&self.record, login, self.ttl, self.at),
            keeps_expiry: self.keeps_expiry,
            rotates: self.rotates,
            unconfirmed: self.unconfirmed,
            entries: pending.login.as_ref().map(|login| &login.entries),
            ..Write::new(&self.record, self.ttl)
        }
    }

    /// Whether the write of a login that met a marker is made again. If the marker was left before the request of the login
    /// arrived, the write says so. If that is not certain, the answer may have been long on its way, and the next one may be
    /// faster.
    pub(super) fn is_tried_again(
        &mut self,
        context: ClientContext<'_>,
        error: &StoreError,
    ) -> bool {
        let (Some(login), Some(met)) = (&mut self.login, error.marker()) else {
            return false;
        };
        // By the clocks of two machines, but the time that was measured here covers the one that was measured there.
        if met.age > context.since(login.arrived) {
            login.after = Some(met.left);
        }
        login.tries_left = login.tries_left.saturating_sub(1);
        login.tries_left > 0
    }

    /// Reports a new expiry of the session's own that is later than the absolute limit.
    pub(super) fn report_capped_expiry(
        &self,
        context: ClientContext<'_>,
        pending: &Pending,
        id: SessionId,
    ) {
        if pending.expiry.is_some() && self.expiry_is_capped {
            let event = Event::new(EventKind::ExpiryCapped).session(id);
            context.report(event.user(self.record.shared_user()));
        }
    }
}

/// A login, as its write says it.
struct WrittenLogin {
    arrived: Moment,
    /// How long ago its request arrived.
    age: Duration,
    /// The marker that was left before that.
    after: Option<IndexMoment>,
    tries_left: u8,
}

/// The pending login, if there is one. The store remembers for [`LOGIN_LIFETIME`] that a user's sessions were revoked. An older
/// login is refused, as if all sessions of its user had been ended since.
fn written_login(
    context: ClientContext<'_>,
    pending: &Pending,
) -> Result<Option<Box<WrittenLogin>>, SessionError> {
    let Some(login) = &pending.login else {
        return Ok(None);
    };
    let age = context.since(login.arrived);
    if age > LOGIN_LIFETIME && context.store().user_index().is_some() {
        let error = StoreError::caused_by(
            StoreErrorKind::Revoked,
            "the login was not committed within a minute",
        );
        let event = Event::new(EventKind::LoginRefused(Refusal::TooLate));
        context.report(event.user(Some(&login.user)));
        return Err(error.into());
    }
    Ok(Some(Box::new(WrittenLogin {
        arrived: login.arrived,
        age,
        after: None,
        tries_left: TRIES,
    })))
}

fn too_large(context: ClientContext<'_>, error: ReplayError) -> SessionError {
    match error {
        ReplayError::TooLarge => SessionError::TooLarge {
            limit: context.config.max_data_size,
        },
        ReplayError::Update(error) => error,
    }
}
