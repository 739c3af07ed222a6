//! What a request came with, decided once, on load (pure).

use crate::clock::Timestamp;
use crate::config::SessionConfig;
use crate::event::Limit;
use crate::lifetime::Lifetime;
use crate::record::{DecodeError, Record, is_recent};
use crate::store::{Loaded, TOMBSTONE_LIFETIME};
use crate::token::{SessionId, Token, VerifierHash};
use std::sync::Arc;

/// What a request's cookie is worth.
#[derive(Clone, Debug)]
pub(crate) enum Card {
    /// There is no token under our name.
    Absent,
    /// There is none because the browser held it back from a cross-site request; it would store what we set.
    Withheld,
    /// There are two different well-formed tokens: one of them is planted.
    Conflicting,
    /// The token opens nothing.
    Unknown(Why),
    /// The token opened something until a moment ago: the browser has a newer cookie, which must not be touched.
    Late(Late),
    /// The token opens a session.
    Valid(Held),
}

/// Why a token opens nothing: for the log, not for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    NoRecord,
    Expired(Limit),
    WrongVerifier,
    /// Rotated out longer ago than a late request takes.
    StaleVerifier,
    Unreadable(DecodeError),
}

/// Why a token is late.
#[derive(Clone, Debug)]
pub(crate) enum Late {
    /// Rotated out less than a minute ago, by a login in another tab for instance. The session lives on.
    Rotated(SessionId),
    /// The session was deleted less than a minute ago.
    Deleted,
    /// A newer version of this crate wrote the record: a rolling deployment.
    Future,
}

/// A session in hand.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) token: Token,
    /// What the token's verifier hashes to: a record with another one is somebody else's by now.
    pub(crate) proof: VerifierHash,
    pub(crate) record: Record,
    /// Whether the store's time for the record was worth moving when the record was loaded, or written.
    pub(crate) touch_due: bool,
}

impl Held {
    /// The session goes on as it was written, under a new token if it has one.
    pub(crate) fn go_on(&mut self, record: Record, rotated: Option<(Token, VerifierHash)>) {
        self.record = record;
        if let Some((token, proof)) = rotated {
            (self.token, self.proof) = (token, proof);
        }
    }
}

impl Card {
    /// Judges a token by what the store has under its selector. Of one that opens nothing it says besides whose session it
    /// was made for, as far as that is known: to be told to them, and to nobody else.
    pub(crate) fn judge(
        token: &Token,
        proof: VerifierHash,
        loaded: Loaded,
        config: &SessionConfig,
        now: Timestamp,
    ) -> (Self, Option<Arc<str>>) {
        let (record, remaining) = match loaded {
            Loaded::Record { record, remaining } => (record, remaining),
            Loaded::Absent => return (Self::Unknown(Why::NoRecord), None),
            Loaded::Tombstone => return (Self::Late(Late::Deleted), None),
            Loaded::Unreadable(DecodeError::FutureFormat) => {
                return (Self::Late(Late::Future), None);
            }
            Loaded::Unreadable(why) => return (Self::Unknown(Why::Unreadable(why)), None),
        };
        let header = record.header();
        let lifetime = Lifetime::new(config, header, now);
        let over = lifetime.ended_by();
        if header.verifier.same_as(&proof) {
            return match over {
                Some(limit) => (Self::Unknown(Why::Expired(limit)), header.user.clone()),
                None => {
                    let held = Held {
                        token: token.clone(),
                        proof,
                        touch_due: lifetime.touch_is_due(remaining),
                        record,
                    };
                    (Self::Valid(held), None)
                }
            };
        }
        // All are compared, so that the time taken does not tell which one it was.
        let retired = header.retired.iter().fold(None, |found, retired| {
            if retired.verifier.same_as(&proof) {
                Some(retired.at)
            } else {
                found
            }
        });
        let card = match (retired, over) {
            (Some(_), Some(limit)) => Self::Unknown(Why::Expired(limit)),
            (Some(at), None) if is_recent(at, now, TOMBSTONE_LIFETIME) => {
                Self::Late(Late::Rotated(token.selector()))
            }
            (Some(_), None) => Self::Unknown(Why::StaleVerifier),
            (None, _) => Self::Unknown(Why::WrongVerifier),
        };
        (card, header.user.clone())
    }

    pub(crate) fn held(&self) -> Option<&Held> {
        match self {
            Self::Valid(held) => Some(held),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::data::Data;
    use crate::random::Random;
    use crate::record::{Header, Revision};
    use crate::token::VerifierHasher;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    struct Desk {
        token: Token,
        proof: VerifierHash,
        header: Header,
    }

    fn desk() -> Desk {
        let token = Token::generate(&Random::System).unwrap().0;
        let proof = VerifierHasher::new("p", "n").hash(&token);
        Desk {
            token,
            proof,
            header: Header::new(Revision([1; 8]), proof, NOW),
        }
    }

    fn judge(desk: &Desk, now: Timestamp) -> Card {
        let record = Record::new(desk.header.clone(), Data::empty());
        let loaded = Loaded::Record {
            record,
            remaining: MINUTE,
        };
        let config = SessionConfig::default();
        Card::judge(&desk.token, desk.proof, loaded, &config, now).0
    }

    #[test]
    fn the_right_verifier_opens_the_session() {
        assert!(matches!(judge(&desk(), NOW), Card::Valid(_)));
    }

    #[test]
    fn another_verifier_opens_nothing() {
        let mut desk = desk();
        desk.header.verifier = VerifierHash([0; 32]);
        assert!(matches!(
            judge(&desk, NOW),
            Card::Unknown(Why::WrongVerifier)
        ));
    }

    #[test]
    fn a_rotated_out_verifier_is_late_for_a_minute_and_then_unknown() {
        let mut desk = desk();
        desk.header.rotate(VerifierHash([1; 32]), NOW, MINUTE);
        assert!(matches!(judge(&desk, NOW), Card::Late(Late::Rotated(_))));
        let almost = NOW.plus(MINUTE - Duration::from_millis(1));
        assert!(matches!(judge(&desk, almost), Card::Late(Late::Rotated(_))));
        assert!(matches!(
            judge(&desk, NOW.plus(MINUTE)),
            Card::Unknown(Why::StaleVerifier)
        ));
    }

    #[test]
    fn a_rotated_out_verifier_of_an_expired_record_is_not_late() {
        let mut desk = desk();
        let end = NOW.plus(Duration::from_secs(14 * 86_400));
        desk.header.rotate(VerifierHash([1; 32]), end, MINUTE);
        assert!(matches!(
            judge(&desk, end),
            Card::Unknown(Why::Expired(Limit::Absolute))
        ));
    }

    #[test]
    fn each_of_several_rotated_out_verifiers_is_late() {
        let mut desk = desk();
        for step in 1..=4 {
            desk.header.rotate(VerifierHash([step; 32]), NOW, MINUTE);
        }
        assert!(matches!(judge(&desk, NOW), Card::Late(Late::Rotated(_))));
    }

    #[test]
    fn an_expired_record_opens_nothing_though_the_store_still_has_it() {
        let desk = desk();
        let after = NOW.plus(Duration::from_secs(14 * 86_400));
        assert!(matches!(
            judge(&desk, after),
            Card::Unknown(Why::Expired(Limit::Absolute))
        ));
    }

    #[test]
    fn what_the_store_has_instead_of_a_record_decides() {
        let desk = desk();
        let judge = |loaded| {
            let config = SessionConfig::default();
            Card::judge(&desk.token, desk.proof, loaded, &config, NOW).0
        };
        assert!(matches!(
            judge(Loaded::Absent),
            Card::Unknown(Why::NoRecord)
        ));
        assert!(matches!(
            judge(Loaded::Tombstone),
            Card::Late(Late::Deleted)
        ));
        assert!(matches!(
            judge(Loaded::Unreadable(DecodeError::FutureFormat)),
            Card::Late(Late::Future)
        ));
        for why in [
            DecodeError::Corrupt,
            DecodeError::TooLarge,
            DecodeError::ForeignType,
        ] {
            let card = judge(Loaded::Unreadable(why));
            assert!(matches!(card, Card::Unknown(Why::Unreadable(reason)) if reason == why));
        }
    }
}
