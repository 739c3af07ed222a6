//! The pending changes: what a request has asked for and what is not stored yet. Reads are not included (pure).

use std::sync::Arc;

use super::changes::Changes;
use super::decision::{Access, LookupState};
use super::lookup::{Lookup, Superseded};
use crate::clock::{Moment, Timestamp};
use crate::config::SessionConfig;
use crate::event::Ending;
use crate::record::{Data, Expiry, Header, LoginDetails, Revision, SecurityStamp, VerifierHash};
use crate::store::{EntryCount, TOMBSTONE_LIFETIME};

/// Everything a request asked for that is not stored yet.
#[derive(Clone, Default)]
pub(crate) struct Pending {
    /// How the session that came with the request will end, if it will.
    pub(crate) ending: Option<Ending>,
    pub(crate) login: Option<Box<PendingLogin>>,
    /// When the user authenticated again.
    pub(crate) reauthenticated: Option<Timestamp>,
    /// Whether the application asked for a new verifier.
    pub(crate) rotate: bool,
    pub(crate) expiry: Option<Expiry>,
    /// The stamp of the user's new credential.
    pub(crate) stamp: Option<Box<SecurityStamp>>,
    pub(crate) changes: Changes,
}

/// A login that is not stored yet.
#[derive(Clone)]
pub(crate) struct PendingLogin {
    pub(crate) user: Arc<str>,
    pub(crate) at: Timestamp,
    /// When its request arrived.
    pub(crate) arrived: Moment,
    pub(crate) details: LoginDetails,
    /// How many entries the user's index has after the login, as the store says.
    pub(crate) entries: EntryCount,
}

impl Pending {
    /// Whether the session ends even if the handler fails: after a logout, or because its credential is outdated. A switch of
    /// users ends it only together with the new user's login.
    pub(crate) fn logs_out(&self) -> bool {
        self.ending.is_some_and(|ending| ending != Ending::Switch)
    }

    /// Whether a response is true though these changes are lost: they are plain values. A login, another authentication, a new
    /// token, stamp or expiry are what the request is about, and a form relies on its secret.
    pub(crate) fn are_by_products(&self) -> bool {
        self.login.is_none()
            && self.reauthenticated.is_none()
            && !self.rotate
            && self.expiry.is_none()
            && self.stamp.is_none()
            && !self.changes.have_csrf_secret()
    }

    /// The stored data that this request still sees: none after it ended the session.
    pub(crate) fn base<'a>(&self, lookup: &'a Lookup) -> Option<&'a Data> {
        match self.ending {
            None => lookup.open().map(|open| open.record.data()),
            Some(_) => None,
        }
    }

    /// The stored header that this request still sees.
    pub(crate) fn header<'a>(&self, lookup: &'a Lookup) -> Option<&'a Header> {
        match self.ending {
            None => lookup.open().map(|open| open.header()),
            Some(_) => None,
        }
    }

    pub(crate) fn user<'a>(&'a self, lookup: &'a Lookup) -> Option<&'a Arc<str>> {
        match &self.login {
            Some(login) => Some(&login.user),
            None => self.header(lookup)?.user.as_ref(),
        }
    }

    /// The stamp of the user's credential, if the session has one.
    pub(crate) fn stamp(&self, lookup: &Lookup) -> Option<SecurityStamp> {
        let details = match &self.login {
            Some(login) => Some(&login.details),
            None => self.header(lookup).map(|header| &*header.login),
        };
        self.stamp.as_deref().copied().or(details?.stamp)
    }

    /// When the user logged in.
    pub(crate) fn logged_in(&self, lookup: &Lookup) -> Option<Timestamp> {
        match &self.login {
            Some(login) => Some(login.at),
            None => self.header(lookup)?.logged_in,
        }
    }

    /// When the user last authenticated: at the login, or again since.
    pub(crate) fn authenticated(&self, lookup: &Lookup) -> Option<Timestamp> {
        self.login
            .as_ref()
            .map(|login| login.at)
            .or(self.reauthenticated)
            .or_else(|| self.header(lookup)?.authenticated())
    }

    /// Whether the session is suspected of being hijacked and its user has not authenticated again since.
    pub(crate) fn suspected(&self, lookup: &Lookup) -> bool {
        let authenticated = self.login.is_some() || self.reauthenticated.is_some();
        !authenticated
            && self
                .header(lookup)
                .is_some_and(|header| header.login.suspected_since.is_some())
    }

    /// The column of the decision table.
    pub(crate) fn access(&self, lookup: &Lookup, accessed: bool) -> Access {
        if self.login.is_some() {
            return Access::Login;
        }
        let header = self.header(lookup);
        // Unlike data, these changes need a session that exists already.
        let changes_header = header.is_some_and(|header| {
            self.rotates()
                || self.stamp.is_some()
                || self.expiry.is_some_and(|expiry| expiry != header.expiry)
        });
        if changes_header || self.changes.differ_from(self.base(lookup)) {
            Access::Write
        } else if accessed {
            Access::Read
        } else {
            Access::Untouched
        }
    }

    /// Whether the user or the application has decided how long the session lives from now on. Then even a request that does
    /// not count as activity moves its end.
    pub(crate) fn sets_lifetime(&self) -> bool {
        self.login.is_some() || self.reauthenticated.is_some() || self.expiry.is_some()
    }

    /// Whether an existing session gets a new verifier.
    pub(crate) fn rotates(&self) -> bool {
        self.rotate || self.login.is_some() || self.reauthenticated.is_some()
    }

    /// The header of a new session.
    pub(crate) fn new_header(
        &self,
        config: &SessionConfig,
        revision: Revision,
        verifier: VerifierHash,
        now: Timestamp,
    ) -> Header {
        let mut header = Header::new(revision, verifier, now);
        header.deadline = config.absolute.map(|limit| now.plus(limit));
        self.write_header(&mut header, config);
        header
    }

    /// The next header of an existing session, with a new verifier if it rotates.
    pub(crate) fn next_header(
        &self,
        header: &Header,
        config: &SessionConfig,
        revision: Revision,
        verifier: Option<VerifierHash>,
        now: Timestamp,
    ) -> Header {
        let mut header = header.clone();
        header.revise(revision);
        if let Some(verifier) = verifier {
            header.rotate(verifier, now, TOMBSTONE_LIFETIME);
        }
        self.write_header(&mut header, config);
        header
    }

    fn write_header(&self, header: &mut Header, config: &SessionConfig) {
        if let Some(at) = self.reauthenticated {
            header.login.change(|details| {
                details.reauthenticated = Some(at);
                details.suspected_since = None;
            });
        }
        if let Some(login) = &self.login {
            // Only a login moves the absolute limit.
            let limits = config.limits(login.details.remember);
            header.deadline = limits.absolute.map(|limit| login.at.plus(limit));
            header.logged_in = Some(login.at);
            header.user = Some(login.user.clone());
            header.login = login.details.clone().into();
        }
        if let Some(stamp) = &self.stamp {
            header.login.change(|details| details.stamp = Some(**stamp));
        }
        if let Some(expiry) = self.expiry {
            header.expiry = expiry;
        }
    }
}

impl Lookup {
    /// The row of the decision table.
    pub(crate) fn state(&self) -> LookupState {
        match self {
            Self::NotLoaded => LookupState::NotLoaded,
            Self::Absent => LookupState::Absent,
            Self::Withheld => LookupState::Withheld,
            Self::Conflicting(_) => LookupState::Conflicting,
            Self::TooMany => LookupState::TooMany,
            Self::Unusable(_) => LookupState::Unusable,
            Self::Superseded(Superseded::Rotated(_)) => LookupState::Rotated,
            Self::Superseded(Superseded::Deleted) => LookupState::Deleted,
            Self::Superseded(Superseded::Future) => LookupState::Future,
            Self::Open(open) => LookupState::Open {
                touch_due: open.touch_due,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::lookup::OpenSession;
    use super::*;
    use crate::clock::Clock;
    use crate::random::Random;
    use crate::record::{Record, Token};

    const THEN: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const NOW: Timestamp = Timestamp::from_millis(1_700_000_001_000);
    const OLD: VerifierHash = VerifierHash([1; 32]);
    const NEW: VerifierHash = VerifierHash([2; 32]);

    fn header() -> Header {
        let mut header = Header::new(Revision(*b"revision"), OLD, THEN);
        header.user = Some("alice".into());
        header.logged_in = Some(THEN);
        header.deadline = Some(THEN.plus(Duration::from_secs(60)));
        header.expiry = Expiry::BrowserClose;
        header
    }

    fn opened() -> Lookup {
        let data = Data::parse(r#"{"n":1}"#.to_owned(), 8).unwrap();
        Lookup::Open(OpenSession {
            token: Token::generate(&Random::System).unwrap().0,
            verifier_hash: OLD,
            record: Record::new(header(), data),
            kept_until: NOW,
            touch_due: false,
            confirms: false,
            unconfirmed: false,
            slides: true,
        })
    }

    fn login(user: &str) -> Pending {
        Pending {
            login: Some(Box::new(PendingLogin {
                user: user.into(),
                at: NOW,
                arrived: Clock::system().moment(),
                details: LoginDetails::default(),
                entries: EntryCount::default(),
            })),
            ..Pending::default()
        }
    }

    fn reauthentication() -> Pending {
        Pending {
            reauthenticated: Some(NOW),
            ..Pending::default()
        }
    }

    fn rotation() -> Pending {
        Pending {
            rotate: true,
            ..Pending::default()
        }
    }

    fn expiry(expiry: Expiry) -> Pending {
        Pending {
            expiry: Some(expiry),
            ..Pending::default()
        }
    }

    fn value() -> Pending {
        let mut pending = Pending::default();
        drop(pending.changes.set(None, "n", "2".to_owned()));
        pending
    }

    fn ended(by: Option<Ending>, pending: Pending) -> Pending {
        Pending {
            ending: by,
            ..pending
        }
    }

    #[test]
    fn each_change_alone_is_a_write_and_setting_the_present_expiry_is_none() {
        let (lookup, idle) = (opened(), Expiry::Idle(Duration::from_secs(1)));
        for pending in [rotation(), reauthentication(), expiry(idle), value()] {
            assert_eq!(pending.access(&lookup, true), Access::Write);
            assert_eq!(pending.access(&lookup, false), Access::Write);
        }
        for nothing in [Pending::default(), expiry(Expiry::BrowserClose)] {
            assert_eq!(nothing.access(&lookup, true), Access::Read);
            assert_eq!(nothing.access(&lookup, false), Access::Untouched);
        }
        assert_eq!(login("alice").access(&lookup, false), Access::Login);
    }

    #[test]
    fn without_a_session_only_data_and_a_login_create_one() {
        let lookups = [Lookup::Absent, opened()];
        for (lookup, by) in lookups.iter().zip([None, Some(Ending::Logout)]) {
            let access = |pending| ended(by, pending).access(lookup, true);
            for nothing in [rotation(), reauthentication(), expiry(Expiry::Default)] {
                assert_eq!(access(nothing), Access::Read);
            }
            assert_eq!(access(value()), Access::Write);
            assert_eq!(access(login("alice")), Access::Login);
        }
    }

    #[test]
    fn every_authentication_rotates_the_verifier() {
        for rotating in [rotation(), reauthentication(), login("alice")] {
            assert!(rotating.rotates());
        }
        assert!(!value().rotates() && !expiry(Expiry::Default).rotates());
    }

    #[test]
    fn a_request_sees_nothing_of_a_session_that_it_ended() {
        let lookup = opened();
        let seen = |pending: &Pending| {
            (
                pending.base(&lookup).map(Data::json) == Some(r#"{"n":1}"#),
                pending.user(&lookup).map(ToString::to_string),
                pending.authenticated(&lookup),
            )
        };
        let alice = Some("alice".to_owned());
        assert_eq!(seen(&Pending::default()), (true, alice.clone(), Some(THEN)));
        assert_eq!(seen(&reauthentication()), (true, alice, Some(NOW)));
        let bob = ended(Some(Ending::Switch), login("bob"));
        assert_eq!(seen(&bob), (false, Some("bob".to_owned()), Some(NOW)));
        let out = ended(Some(Ending::Logout), Pending::default());
        assert_eq!(seen(&out), (false, None, None));
    }

    #[test]
    fn only_a_login_moves_the_absolute_deadline() {
        let config = SessionConfig::default();
        let next = |pending: Pending, verifier| {
            pending.next_header(&header(), &config, Revision(*b"revised!"), verifier, NOW)
        };
        let fresh = next(reauthentication(), Some(NEW));
        assert_eq!(fresh.deadline, header().deadline);
        assert_eq!(fresh.logged_in, Some(THEN));
        assert_eq!(fresh.authenticated(), Some(NOW));
        assert!(fresh.verifier.same_as(&NEW) && fresh.retired[0].verifier.same_as(&OLD));
        assert_eq!(fresh.before[0], Revision(*b"revision").trace());

        let logged_in = next(login("bob"), Some(NEW));
        let deadline = NOW.plus(Duration::from_secs(14 * 86_400));
        assert_eq!(logged_in.deadline, Some(deadline));
        assert_eq!(logged_in.user.as_deref(), Some("bob"));
        assert_eq!(logged_in.logged_in, Some(NOW));
        assert_eq!(logged_in.expiry, Expiry::BrowserClose);

        // A login forgets a new authentication that came before it.
        let again = login("alice").next_header(&fresh, &config, Revision(*b"revised!"), None, NOW);
        assert_eq!(again.login.reauthenticated, None);

        let moved = next(expiry(Expiry::Default), None);
        assert_eq!(moved.expiry, Expiry::Default);
        assert_eq!(moved.authenticated(), Some(THEN));
        assert!(moved.verifier.same_as(&OLD) && moved.retired.is_empty());

        let new = Pending::default().new_header(&config, Revision(*b"revised!"), NEW, NOW);
        assert_eq!((new.created, new.deadline), (NOW, Some(deadline)));
        assert!(new.user.is_none() && new.authenticated().is_none());
    }
}
