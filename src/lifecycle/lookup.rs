//! The look-up: what the token of a request opens, evaluated once, on load (pure).

use std::sync::Arc;

use super::lifetime::Lifetime;
use crate::clock::Timestamp;
use crate::config::SessionConfig;
use crate::event::{EventKind, Limit, StaleReason, UnknownReason};
use crate::record::{DecodeError, Header, Record, SessionId, Token, VerifierHash, is_recent};
use crate::store::{Loaded, TOMBSTONE_LIFETIME};

/// The result of the look-up.
#[derive(Clone, Debug)]
pub(crate) enum Lookup {
    /// The session was not loaded yet.
    NotLoaded,
    /// The request carries no token under the layer's cookie name.
    Absent,
    /// The browser withheld the cookie from a cross-site request. It would still store a cookie from the response.
    Withheld,
    /// The request carries tokens of several sessions that are alive: one of them may have been planted. They are open or
    /// superseded.
    Conflicting(Arc<[Self]>),
    /// The request carries more different tokens than are looked up.
    TooMany,
    /// The token opens nothing.
    Unusable(Unusable),
    /// The token opened a session until a moment ago. The browser has a newer cookie, which must stay.
    Superseded(Superseded),
    /// The token opens a session.
    Open(OpenSession),
}

/// The reason that a token opens nothing: for the log, not for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    NoRecord,
    Expired(Limit),
    WrongVerifier,
    /// The token was rotated out longer ago than a slow request takes.
    StaleVerifier,
    Unreadable(DecodeError),
}

/// The reason that a token was superseded.
#[derive(Clone, Debug)]
pub(crate) enum Superseded {
    /// The token was rotated out less than a minute ago, for example by a login in another tab. The session continues.
    Rotated(SessionId),
    /// The session was deleted less than a minute ago.
    Deleted,
    /// A newer version of this crate wrote the record, as in a rolling deployment.
    Future,
}

/// An open session.
#[derive(Clone, Debug)]
pub(crate) struct OpenSession {
    pub(crate) token: Token,
    /// The hash of the token's verifier. If the record has another one, another request has rotated the token.
    pub(crate) verifier_hash: VerifierHash,
    pub(crate) record: Record,
    /// Until when the store kept the record when it was loaded or written.
    pub(crate) kept_until: Timestamp,
    /// Whether a touch was due when the record was loaded or written.
    pub(crate) touch_due: bool,
    /// Whether the store has the session as unconfirmed. A touch or a write for the client that brought the token confirms it.
    pub(crate) confirms: bool,
    /// Whether this request has created the session and no user is logged in on it. The client may never send its token.
    pub(crate) unconfirmed: bool,
    /// Whether this request slides the idle limit.
    pub(crate) slides: bool,
}

impl OpenSession {
    /// The header of the record.
    pub(crate) fn header(&self) -> &Header {
        self.record.header()
    }

    pub(crate) fn id(&self) -> SessionId {
        self.token.selector()
    }
}

impl Lookup {
    /// Evaluates a token by what the store has under its selector. If the token opens nothing, also returns the session's user
    /// if known, for the event only.
    pub(crate) fn evaluate(
        token: &Token,
        verifier_hash: VerifierHash,
        loaded: Loaded,
        config: &SessionConfig,
        now: Timestamp,
    ) -> (Self, Option<Arc<str>>) {
        let (record, remaining, unconfirmed) = match loaded {
            Loaded::Record {
                record,
                remaining,
                unconfirmed,
                ..
            } => (record, remaining, unconfirmed),
            Loaded::Absent => return (Self::Unusable(Unusable::NoRecord), None),
            Loaded::Tombstone => return (Self::Superseded(Superseded::Deleted), None),
            Loaded::Unreadable(DecodeError::FutureFormat) => {
                return (Self::Superseded(Superseded::Future), None);
            }
            Loaded::Unreadable(error) => {
                return (Self::Unusable(Unusable::Unreadable(error)), None);
            }
        };
        let header = record.header();
        let lifetime = Lifetime::new(config, header, now);
        let over = lifetime.ended_by();
        if header.verifier.same_as(&verifier_hash) {
            return match over {
                Some(limit) => (
                    Self::Unusable(Unusable::Expired(limit)),
                    header.user.clone(),
                ),
                None => {
                    let open = OpenSession {
                        token: token.clone(),
                        verifier_hash,
                        kept_until: now.plus(remaining),
                        // The client has brought the token: a touch confirms the session, however young it is.
                        touch_due: unconfirmed || lifetime.touch_is_due(remaining),
                        confirms: unconfirmed,
                        unconfirmed: false,
                        slides: true,
                        record,
                    };
                    (Self::Open(open), None)
                }
            };
        }
        // All hashes are compared, so that the timing does not show which one matched.
        let retired = header.retired.iter().fold(None, |found, retired| {
            if retired.verifier.same_as(&verifier_hash) {
                Some(retired.at)
            } else {
                found
            }
        });
        let lookup = match (retired, over) {
            (Some(_), Some(limit)) => Self::Unusable(Unusable::Expired(limit)),
            (Some(at), None) if is_recent(at, now, TOMBSTONE_LIFETIME) => {
                Self::Superseded(Superseded::Rotated(token.selector()))
            }
            (Some(_), None) => Self::Unusable(Unusable::StaleVerifier),
            (None, _) => Self::Unusable(Unusable::WrongVerifier),
        };
        (lookup, header.user.clone())
    }

    pub(crate) fn open(&self) -> Option<&OpenSession> {
        match self {
            Self::Open(open) => Some(open),
            _ => None,
        }
    }

    /// Marks it for a request that does not count as activity: nothing that it does slides the session. But it confirms a new
    /// one, because it has brought the token.
    pub(crate) fn count_no_activity(&mut self) {
        if let Self::Open(open) = self
            && !open.confirms
        {
            open.slides = false;
            open.touch_due = false;
        }
    }

    /// Whether the token opens the session of a user who is logged in.
    pub(crate) fn has_user(&self) -> bool {
        self.open().is_some_and(|open| open.header().user.is_some())
    }

    /// The event that reports a token which opens nothing.
    pub(crate) fn refusal(&self) -> Option<EventKind> {
        Some(match self {
            Self::NotLoaded
            | Self::Absent
            | Self::Withheld
            | Self::Conflicting(_)
            | Self::TooMany
            | Self::Open(_) => return None,
            Self::Unusable(reason) => match reason {
                Unusable::NoRecord => EventKind::Unknown(UnknownReason::NoRecord),
                Unusable::WrongVerifier => EventKind::Unknown(UnknownReason::WrongVerifier),
                Unusable::Expired(limit) => EventKind::Expired(*limit),
                Unusable::StaleVerifier => EventKind::Stale(StaleReason::Old),
                Unusable::Unreadable(_) => EventKind::Unreadable,
            },
            Self::Superseded(Superseded::Rotated(_)) => EventKind::Stale(StaleReason::Superseded),
            Self::Superseded(Superseded::Deleted) => EventKind::Stale(StaleReason::Deleted),
            Self::Superseded(Superseded::Future) => EventKind::Stale(StaleReason::FutureFormat),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::random::Random;
    use crate::record::{Data, Revision, VerifierHasher};

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    struct Sample {
        token: Token,
        verifier_hash: VerifierHash,
        header: Header,
    }

    fn sample() -> Sample {
        let token = Token::generate(&Random::System).unwrap().0;
        let verifier_hash = VerifierHasher::new("p", "n").hash(&token);
        Sample {
            token,
            verifier_hash,
            header: Header::new(Revision([1; 8]), verifier_hash, NOW),
        }
    }

    fn evaluate(sample: &Sample, now: Timestamp) -> Lookup {
        let record = Record::new(sample.header.clone(), Data::empty());
        let loaded = Loaded::Record {
            record,
            remaining: MINUTE,
            stale: false,
            unconfirmed: false,
        };
        let config = SessionConfig::default();
        Lookup::evaluate(&sample.token, sample.verifier_hash, loaded, &config, now).0
    }

    #[test]
    fn the_right_verifier_opens_the_session() {
        assert!(matches!(evaluate(&sample(), NOW), Lookup::Open(_)));
    }

    #[test]
    fn another_verifier_opens_nothing() {
        let mut sample = sample();
        sample.header.verifier = VerifierHash([0; 32]);
        assert!(matches!(
            evaluate(&sample, NOW),
            Lookup::Unusable(Unusable::WrongVerifier)
        ));
    }

    #[test]
    fn a_rotated_out_verifier_is_superseded_for_a_minute_and_then_stale() {
        let mut sample = sample();
        sample.header.rotate(VerifierHash([1; 32]), NOW, MINUTE);
        assert!(matches!(
            evaluate(&sample, NOW),
            Lookup::Superseded(Superseded::Rotated(_))
        ));
        let almost = NOW.plus(MINUTE - Duration::from_millis(1));
        assert!(matches!(
            evaluate(&sample, almost),
            Lookup::Superseded(Superseded::Rotated(_))
        ));
        assert!(matches!(
            evaluate(&sample, NOW.plus(MINUTE)),
            Lookup::Unusable(Unusable::StaleVerifier)
        ));
    }

    #[test]
    fn a_rotated_out_verifier_of_an_expired_record_is_expired() {
        let mut sample = sample();
        let end = NOW.plus(Duration::from_secs(14 * 86_400));
        sample.header.rotate(VerifierHash([1; 32]), end, MINUTE);
        assert!(matches!(
            evaluate(&sample, end),
            Lookup::Unusable(Unusable::Expired(Limit::Absolute))
        ));
    }

    #[test]
    fn each_of_several_rotated_out_verifiers_is_superseded() {
        let mut sample = sample();
        for step in 1..=4 {
            sample.header.rotate(VerifierHash([step; 32]), NOW, MINUTE);
        }
        assert!(matches!(
            evaluate(&sample, NOW),
            Lookup::Superseded(Superseded::Rotated(_))
        ));
    }

    #[test]
    fn an_expired_record_opens_nothing_even_if_the_store_still_has_it() {
        let sample = sample();
        let after = NOW.plus(Duration::from_secs(14 * 86_400));
        assert!(matches!(
            evaluate(&sample, after),
            Lookup::Unusable(Unusable::Expired(Limit::Absolute))
        ));
    }

    #[test]
    fn without_a_readable_record_a_token_opens_nothing() {
        let sample = sample();
        let evaluate = |loaded| {
            let config = SessionConfig::default();
            Lookup::evaluate(&sample.token, sample.verifier_hash, loaded, &config, NOW).0
        };
        assert!(matches!(
            evaluate(Loaded::Absent),
            Lookup::Unusable(Unusable::NoRecord)
        ));
        assert!(matches!(
            evaluate(Loaded::Tombstone),
            Lookup::Superseded(Superseded::Deleted)
        ));
        assert!(matches!(
            evaluate(Loaded::Unreadable(DecodeError::FutureFormat)),
            Lookup::Superseded(Superseded::Future)
        ));
        for error in [
            DecodeError::Corrupt,
            DecodeError::TooLarge,
            DecodeError::ForeignType,
        ] {
            let lookup = evaluate(Loaded::Unreadable(error));
            assert!(
                matches!(lookup, Lookup::Unusable(Unusable::Unreadable(found)) if found == error)
            );
        }
    }
}
