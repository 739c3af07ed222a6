//! The header of a record: everything except the data.

use std::sync::Arc;
use std::time::Duration;

use super::expiry::Expiry;
use super::login_details::StoredLoginDetails;
use super::revision::{Revision, Trace};
use super::verifier_hash::VerifierHash;
use crate::clock::Timestamp;

/// A verifier that was replaced, and when. For a minute, a request that presents it is late and not an attack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retired {
    pub(crate) verifier: VerifierHash,
    pub(crate) at: Timestamp,
}

/// What a record stores of its session, except the data.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) revision: Revision,
    /// The revisions before this one, newest first. A writer that does not know whether its write arrived looks here.
    pub(crate) before: [Trace; 2],
    pub(crate) verifier: VerifierHash,
    pub(crate) created: Timestamp,
    pub(crate) deadline: Option<Timestamp>,
    /// When the user logged in. A new authentication does not move it: the absolute limit runs from here.
    pub(crate) logged_in: Option<Timestamp>,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) expiry: Expiry,
    pub(crate) login: StoredLoginDetails,
    /// Oldest first, at most [`Header::MAX_RETIRED`].
    pub(crate) retired: Box<[Retired]>,
}

impl Header {
    /// The largest number of retired verifiers in a record.
    pub(crate) const MAX_RETIRED: usize = 4;
    /// The largest length of a user's id, in bytes.
    pub(crate) const MAX_USER_LEN: usize = 255;

    pub(crate) fn new(revision: Revision, verifier: VerifierHash, created: Timestamp) -> Self {
        Self {
            revision,
            before: [Trace::NONE; 2],
            verifier,
            created,
            deadline: None,
            logged_in: None,
            user: None,
            expiry: Expiry::Default,
            login: StoredLoginDetails::default(),
            retired: Box::default(),
        }
    }

    /// When the user last logged in. Without a login, when the session was created.
    pub(crate) fn last_login(&self) -> Timestamp {
        self.logged_in.unwrap_or(self.created)
    }

    /// When the user last authenticated: at the login, or again since.
    pub(crate) fn authenticated(&self) -> Option<Timestamp> {
        self.login.reauthenticated.or(self.logged_in)
    }

    /// Sets a new revision, and remembers the one it replaces.
    pub(crate) fn revise(&mut self, revision: Revision) {
        self.before = [self.revision.trace(), self.before[0]];
        self.revision = revision;
    }

    /// Replaces the verifier, and remembers the old one as retired `now`. Forgets verifiers that retired longer than
    /// `remember` ago, and the oldest one if there are too many.
    pub(crate) fn rotate(&mut self, verifier: VerifierHash, now: Timestamp, remember: Duration) {
        let mut retired = std::mem::take(&mut self.retired).into_vec();
        retired.retain(|retired| is_recent(retired.at, now, remember));
        if retired.len() == Self::MAX_RETIRED {
            retired.remove(0);
        }
        retired.reserve_exact(1);
        retired.push(Retired {
            verifier: self.verifier,
            at: now,
        });
        self.retired = retired.into();
        self.verifier = verifier;
    }
}

/// Whether `at` lies less than `window` before `now`. A time more than `window` ahead is not recent: some clock is wrong.
pub(crate) fn is_recent(at: Timestamp, now: Timestamp, window: Duration) -> bool {
    now.since(at) < window && at.since(now) <= window
}
