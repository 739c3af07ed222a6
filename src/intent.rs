//! What a handler wants of its session, beside reading it (pure).

use std::sync::Arc;

use crate::card::Card;
use crate::changes::Changes;
use crate::clock::Timestamp;
use crate::config::SessionConfig;
use crate::data::Data;
use crate::plan::{CardState, Ended, Wish};
use crate::record::{Expiry, Header, Revision, Terms};
use crate::stamp::Stamp;
use crate::store::TOMBSTONE_LIFETIME;
use crate::token::VerifierHash;

/// Everything one request asked for that is not stored yet.
#[derive(Clone, Default)]
pub(crate) struct Intent {
    pub(crate) ended: Ended,
    /// That it is to end since it rests on a credential that has been changed: for who tells of it.
    pub(crate) outdated: bool,
    pub(crate) login: Option<Box<Login>>,
    /// When the user proved once more who they are.
    pub(crate) reauthenticated: Option<Timestamp>,
    /// A new verifier is wanted, whatever else is.
    pub(crate) rotate: bool,
    pub(crate) expiry: Option<Expiry>,
    /// What the user's credential has become.
    pub(crate) stamp: Option<Box<Stamp>>,
    pub(crate) changes: Changes,
}

/// Who logs in, when, and on which terms.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) user: Arc<str>,
    pub(crate) at: Timestamp,
    pub(crate) terms: Terms,
}

impl Intent {
    /// The stored data that this request still sees: none once the session ended.
    pub(crate) fn base<'a>(&self, card: &'a Card) -> Option<&'a Data> {
        self.header(card)
            .map(|_| card.held().map(|held| held.record.data()))?
    }

    /// The stored header that this request still sees.
    pub(crate) fn header<'a>(&self, card: &'a Card) -> Option<&'a Header> {
        match self.ended {
            Ended::No => card.held().map(|held| held.record.header()),
            Ended::Asked | Ended::BySwitch => None,
        }
    }

    pub(crate) fn user<'a>(&'a self, card: &'a Card) -> Option<&'a Arc<str>> {
        match &self.login {
            Some(login) => Some(&login.user),
            None => self.header(card)?.user.as_ref(),
        }
    }

    /// What the user's credential was when the session was last told.
    pub(crate) fn stamp(&self, card: &Card) -> Option<Stamp> {
        let terms = match &self.login {
            Some(login) => Some(&login.terms),
            None => self.header(card).map(|header| &*header.terms),
        };
        self.stamp.as_deref().copied().or(terms?.stamp)
    }

    pub(crate) fn authenticated(&self, card: &Card) -> Option<Timestamp> {
        self.login
            .as_ref()
            .map(|login| login.at)
            .or(self.reauthenticated)
            .or_else(|| self.header(card)?.authenticated)
    }

    /// Whether it is doubted that the session is still its user's, who has not proved it since.
    pub(crate) fn doubted(&self, card: &Card) -> bool {
        let proved = self.login.is_some() || self.reauthenticated.is_some();
        !proved
            && self
                .header(card)
                .is_some_and(|header| header.terms.doubted.is_some())
    }

    /// Which column of the decision table this is.
    pub(crate) fn wish(&self, card: &Card, asked: bool) -> Wish {
        if self.login.is_some() {
            return Wish::Login;
        }
        let header = self.header(card);
        // What is no data needs a session to be done to.
        let to_header = header.is_some_and(|header| {
            self.rotates()
                || self.stamp.is_some()
                || self.expiry.is_some_and(|expiry| expiry != header.expiry)
        });
        if to_header || self.changes.differ_from(self.base(card)) {
            Wish::Write
        } else if asked {
            Wish::Read
        } else {
            Wish::Untouched
        }
    }

    /// Whether a session that goes on gets a new verifier.
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

    /// The header of a session that goes on, with a new verifier if it rotates.
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
            header.authenticated = Some(at);
            header.terms.change(|terms| terms.doubted = None);
        }
        if let Some(login) = &self.login {
            // Nothing else moves the absolute deadline.
            let limits = config.limits(login.terms.remember);
            header.deadline = limits.absolute.map(|limit| login.at.plus(limit));
            header.authenticated = Some(login.at);
            header.user = Some(login.user.clone());
            header.terms = login.terms.clone().into();
        }
        if let Some(stamp) = &self.stamp {
            header.terms.change(|terms| terms.stamp = Some(**stamp));
        }
        if let Some(expiry) = self.expiry {
            header.expiry = expiry;
        }
    }
}

impl Card {
    /// Which row of the decision table this is.
    pub(crate) fn state(&self) -> CardState {
        use crate::card::Late;
        match self {
            Self::Absent => CardState::Absent,
            Self::Withheld => CardState::Withheld,
            Self::Conflicting => CardState::Conflicting,
            Self::Unknown(_) => CardState::Unknown,
            Self::Late(Late::Rotated(_)) => CardState::LateRotated,
            Self::Late(Late::Deleted) => CardState::LateDeleted,
            Self::Late(Late::Future) => CardState::LateFuture,
            Self::Valid(_) => CardState::Valid,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::card::Held;
    use crate::random::Random;
    use crate::record::Record;
    use crate::token::Token;

    const THEN: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const NOW: Timestamp = Timestamp::from_millis(1_700_000_001_000);
    const OLD: VerifierHash = VerifierHash([1; 32]);
    const NEW: VerifierHash = VerifierHash([2; 32]);

    fn header() -> Header {
        let mut header = Header::new(Revision(*b"revision"), OLD, THEN);
        header.user = Some("alice".into());
        header.authenticated = Some(THEN);
        header.deadline = Some(THEN.plus(Duration::from_secs(60)));
        header.expiry = Expiry::BrowserClose;
        header
    }

    fn card() -> Card {
        let data = Data::parse(r#"{"n":1}"#.to_owned(), 8).unwrap();
        Card::Valid(Held {
            token: Token::generate(&Random::System).unwrap().0,
            proof: OLD,
            record: Record::new(header(), data),
            touch_due: false,
        })
    }

    fn login(user: &str) -> Intent {
        Intent {
            login: Some(Box::new(Login {
                user: user.into(),
                at: NOW,
                terms: Terms::default(),
            })),
            ..Intent::default()
        }
    }

    fn reauthentication() -> Intent {
        Intent {
            reauthenticated: Some(NOW),
            ..Intent::default()
        }
    }

    fn rotation() -> Intent {
        Intent {
            rotate: true,
            ..Intent::default()
        }
    }

    fn expiry(expiry: Expiry) -> Intent {
        Intent {
            expiry: Some(expiry),
            ..Intent::default()
        }
    }

    fn value() -> Intent {
        let mut intent = Intent::default();
        drop(intent.changes.set(None, "n", "2".to_owned()));
        intent
    }

    fn ended(by: Ended, intent: Intent) -> Intent {
        Intent {
            ended: by,
            ..intent
        }
    }

    #[test]
    fn each_change_of_a_session_alone_is_a_write_and_what_is_there_already_is_none() {
        let (card, idle) = (card(), Expiry::Idle(Duration::from_secs(1)));
        for intent in [rotation(), reauthentication(), expiry(idle), value()] {
            assert_eq!(intent.wish(&card, true), Wish::Write);
            assert_eq!(intent.wish(&card, false), Wish::Write);
        }
        for nothing in [Intent::default(), expiry(Expiry::BrowserClose)] {
            assert_eq!(nothing.wish(&card, true), Wish::Read);
            assert_eq!(nothing.wish(&card, false), Wish::Untouched);
        }
        assert_eq!(login("alice").wish(&card, false), Wish::Login);
    }

    #[test]
    fn where_there_is_no_session_only_data_and_a_login_make_one() {
        let cards = [Card::Absent, card()];
        for (card, by) in cards.iter().zip([Ended::No, Ended::Asked]) {
            let wish = |intent| ended(by, intent).wish(card, true);
            for nothing in [rotation(), reauthentication(), expiry(Expiry::Default)] {
                assert_eq!(wish(nothing), Wish::Read);
            }
            assert_eq!(wish(value()), Wish::Write);
            assert_eq!(wish(login("alice")), Wish::Login);
        }
    }

    #[test]
    fn whoever_proves_who_they_are_gets_a_new_verifier() {
        for rotating in [rotation(), reauthentication(), login("alice")] {
            assert!(rotating.rotates());
        }
        assert!(!value().rotates() && !expiry(Expiry::Default).rotates());
    }

    #[test]
    fn what_a_request_sees_of_its_session_ends_with_it() {
        let card = card();
        let seen = |intent: &Intent| {
            (
                intent.base(&card).map(Data::json) == Some(r#"{"n":1}"#),
                intent.user(&card).map(ToString::to_string),
                intent.authenticated(&card),
            )
        };
        let alice = Some("alice".to_owned());
        assert_eq!(seen(&Intent::default()), (true, alice.clone(), Some(THEN)));
        assert_eq!(seen(&reauthentication()), (true, alice, Some(NOW)));
        let bob = ended(Ended::BySwitch, login("bob"));
        assert_eq!(seen(&bob), (false, Some("bob".to_owned()), Some(NOW)));
        let out = ended(Ended::Asked, Intent::default());
        assert_eq!(seen(&out), (false, None, None));
    }

    #[test]
    fn only_a_login_moves_the_absolute_deadline() {
        let config = SessionConfig::default();
        let next = |intent: Intent, verifier| {
            intent.next_header(&header(), &config, Revision(*b"revised!"), verifier, NOW)
        };
        let proved = next(reauthentication(), Some(NEW));
        assert_eq!(proved.deadline, header().deadline);
        assert_eq!(proved.authenticated, Some(NOW));
        assert!(proved.verifier.same_as(&NEW) && proved.retired[0].verifier.same_as(&OLD));
        assert_eq!(proved.before[0], Revision(*b"revision").trace());

        let entered = next(login("bob"), Some(NEW));
        let deadline = NOW.plus(Duration::from_secs(14 * 86_400));
        assert_eq!(entered.deadline, Some(deadline));
        assert_eq!(entered.user.as_deref(), Some("bob"));
        assert_eq!(entered.expiry, Expiry::BrowserClose);

        let moved = next(expiry(Expiry::Default), None);
        assert_eq!(moved.expiry, Expiry::Default);
        assert_eq!(moved.authenticated, Some(THEN));
        assert!(moved.verifier.same_as(&OLD) && moved.retired.is_empty());

        let new = Intent::default().new_header(&config, Revision(*b"revised!"), NEW, NOW);
        assert_eq!((new.created, new.deadline), (NOW, Some(deadline)));
        assert!(new.user.is_none() && new.authenticated.is_none());
    }
}
