//! What a handler wants of its session, beside reading it (pure).

use std::sync::Arc;

use crate::card::Card;
use crate::changes::Changes;
use crate::clock::Timestamp;
use crate::config::SessionConfig;
use crate::data::Data;
use crate::plan::{CardState, Ended, Wish};
use crate::record::{Expiry, Header, Revision};
use crate::store::TOMBSTONE_LIFETIME;
use crate::token::VerifierHash;

/// Everything one request asked for that is not stored yet.
#[derive(Clone, Default)]
pub(crate) struct Intent {
    pub(crate) ended: Ended,
    pub(crate) login: Option<Login>,
    /// When the user proved once more who they are.
    pub(crate) reauthenticated: Option<Timestamp>,
    /// A new verifier is wanted, whatever else is.
    pub(crate) rotate: bool,
    pub(crate) expiry: Option<Expiry>,
    pub(crate) changes: Changes,
}

/// Who logs in, and when.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) user: Arc<str>,
    pub(crate) at: Timestamp,
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

    pub(crate) fn authenticated(&self, card: &Card) -> Option<Timestamp> {
        self.login
            .as_ref()
            .map(|login| login.at)
            .or(self.reauthenticated)
            .or_else(|| self.header(card)?.authenticated)
    }

    /// Which column of the decision table this is.
    pub(crate) fn wish(&self, card: &Card, asked: bool) -> Wish {
        if self.login.is_some() {
            return Wish::Login;
        }
        let header = self.header(card);
        // What is no data needs a session to be done to.
        let to_header = header.is_some_and(|header| {
            self.rotates() || self.expiry.is_some_and(|expiry| expiry != header.expiry)
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
        }
        if let Some(login) = &self.login {
            // Nothing else moves the absolute deadline.
            header.deadline = config.absolute.map(|limit| login.at.plus(limit));
            header.authenticated = Some(login.at);
            header.user = Some(login.user.clone());
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
