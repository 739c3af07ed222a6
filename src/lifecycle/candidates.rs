//! Several tokens in one request: which session the request has (pure).

use super::lookup::{Lookup, Superseded};
use crate::record::SessionId;

/// The look-ups of a request that carries several different tokens under the cookie's name.
///
/// Usually one of them is the user's, and the others were left behind by another setting of the cookie's domain or path, or by
/// another application under the same parent domain. But one may have been planted. So only what is certain counts.
///
/// A session is *alive* if one of the tokens opens it, if it was opened by one that was rotated out less than a minute ago, or if
/// a newer version of this crate wrote its record.
///
/// | sessions that are alive | the request has |
/// |---|---|
/// | one, which a token opens | that session, as if that token alone had been sent |
/// | one, which no token opens | what its token alone would give: no session, and the cookie stays as it is |
/// | several | no session: they are *conflicting*. A write is refused. A login or a logout ends all of them |
/// | none, but one was ended less than a minute ago | what its token alone would give |
/// | none | an unknown token |
#[derive(Default)]
pub(super) struct Candidates(Vec<Candidate>);

/// A token's session, and what the token is worth.
pub(super) struct Candidate {
    pub(super) id: SessionId,
    pub(super) lookup: Lookup,
}

impl Candidate {
    fn is_alive(&self) -> bool {
        matches!(
            self.lookup,
            Lookup::Open(_) | Lookup::Superseded(Superseded::Rotated(_) | Superseded::Future)
        )
    }

    fn opens(&self) -> bool {
        self.lookup.open().is_some()
    }
}

impl Candidates {
    pub(super) fn add(&mut self, id: SessionId, lookup: Lookup) {
        self.0.push(Candidate { id, lookup });
    }

    /// The tokens to watch for signs of hijacking. If a browser has the token of a session, then an older token of the same
    /// session beside it is only a cookie that was left behind.
    pub(super) fn watched(&mut self) -> impl Iterator<Item = &mut Candidate> {
        let opened = self.0.iter().filter(|candidate| candidate.opens());
        let opened: Vec<_> = opened.map(|candidate| candidate.id).collect();
        let is_watched =
            move |candidate: &Candidate| candidate.opens() || !opened.contains(&candidate.id);
        self.0
            .iter_mut()
            .filter(move |candidate| is_watched(candidate))
    }

    /// What the request has.
    pub(super) fn decide(self) -> Lookup {
        let (alive, dead): (Vec<_>, Vec<_>) = self.0.into_iter().partition(Candidate::is_alive);
        let mut sessions: Vec<Candidate> = Vec::new();
        for candidate in alive {
            match sessions.iter_mut().find(|other| other.id == candidate.id) {
                None => sessions.push(candidate),
                Some(other) if candidate.opens() => *other = candidate,
                Some(_) => {}
            }
        }
        let ended = |lookup: &Lookup| matches!(lookup, Lookup::Superseded(Superseded::Deleted));
        let lookups = |all: Vec<Candidate>| all.into_iter().map(|candidate| candidate.lookup);
        match sessions.len() {
            // The first of them, unless one was ended.
            0 => lookups(dead)
                .min_by_key(|lookup| !ended(lookup))
                .unwrap_or(Lookup::Absent),
            1 => lookups(sessions).next().unwrap_or(Lookup::Absent),
            _ => Lookup::Conflicting(lookups(sessions).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lookup::{OpenSession, Unusable};
    use super::*;
    use crate::clock::Timestamp;
    use crate::event::Limit;
    use crate::random::Random;
    use crate::record::{Data, Header, Record, Revision, Token, VerifierHash};

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn id(number: u8) -> SessionId {
        format!("{number:A>20}").parse().unwrap()
    }

    fn open() -> Lookup {
        let verifier_hash = VerifierHash([1; 32]);
        let header = Header::new(Revision([1; 8]), verifier_hash, NOW);
        Lookup::Open(OpenSession {
            token: Token::generate(&Random::System).unwrap().0,
            verifier_hash,
            record: Record::new(header, Data::empty()),
            touch_due: false,
            confirms: false,
            unconfirmed: false,
            slides: true,
            kept_until: NOW,
        })
    }

    fn rotated(number: u8) -> Lookup {
        Lookup::Superseded(Superseded::Rotated(id(number)))
    }

    const DELETED: Lookup = Lookup::Superseded(Superseded::Deleted);
    const FUTURE: Lookup = Lookup::Superseded(Superseded::Future);
    const UNKNOWN: Lookup = Lookup::Unusable(Unusable::NoRecord);
    const EXPIRED: Lookup = Lookup::Unusable(Unusable::Expired(Limit::Absolute));
    const STALE: Lookup = Lookup::Unusable(Unusable::StaleVerifier);

    fn candidates(all: &[(u8, Lookup)]) -> Candidates {
        let mut candidates = Candidates::default();
        for (number, lookup) in all {
            candidates.add(id(*number), lookup.clone());
        }
        candidates
    }

    fn text(lookup: &Lookup) -> String {
        match lookup {
            Lookup::Open(_) => "open".to_owned(),
            Lookup::Conflicting(sessions) => {
                let sessions: Vec<_> = sessions.iter().map(text).collect();
                format!("conflicting: {}", sessions.join(", "))
            }
            Lookup::Superseded(Superseded::Rotated(_)) => "rotated".to_owned(),
            other => format!("{other:?}"),
        }
    }

    /// In this order and in the opposite one.
    fn assert_decided(mut all: Vec<(u8, Lookup)>, expected: &str) {
        for _ in 0..2 {
            assert_eq!(text(&candidates(&all).decide()), expected);
            all.reverse();
        }
    }

    #[test]
    fn one_that_opens_a_session_is_it_whatever_else_is_dead() {
        for dead in [UNKNOWN, EXPIRED, STALE, DELETED] {
            assert_decided(vec![(1, open()), (2, dead.clone())], "open");
            let all = vec![(3, dead.clone()), (1, open()), (2, dead.clone()), (4, dead)];
            assert_decided(all, "open");
        }
    }

    #[test]
    fn an_older_token_of_the_same_session_takes_nothing_from_it() {
        for older in [rotated(1), STALE, UNKNOWN] {
            assert_decided(vec![(1, open()), (1, older)], "open");
        }
        assert_decided(
            vec![(1, rotated(1)), (1, rotated(1)), (2, STALE)],
            "rotated",
        );
    }

    #[test]
    fn sessions_that_are_alive_contradict_each_other() {
        assert_decided(vec![(1, open()), (2, open())], "conflicting: open, open");
        let four = vec![(1, open()), (2, open()), (3, UNKNOWN), (4, open())];
        assert_decided(four, "conflicting: open, open, open");
        let decide = |all: &[_]| text(&candidates(all).decide());
        assert_eq!(
            decide(&[(1, open()), (2, rotated(2)), (1, rotated(1))]),
            "conflicting: open, rotated"
        );
        assert_eq!(
            decide(&[(1, rotated(1)), (2, rotated(2))]),
            "conflicting: rotated, rotated"
        );
        assert_eq!(
            decide(&[(2, FUTURE), (1, rotated(1)), (1, open())]),
            "conflicting: Superseded(Future), open"
        );
    }

    #[test]
    fn one_session_that_no_token_opens_is_as_if_alone() {
        for dead in [UNKNOWN, EXPIRED, STALE, DELETED] {
            assert_decided(vec![(1, rotated(1)), (2, dead.clone())], "rotated");
            assert_decided(vec![(1, FUTURE), (2, dead)], "Superseded(Future)");
        }
    }

    #[test]
    fn where_all_are_dead_one_that_was_ended_lately_counts_and_else_the_first() {
        for dead in [UNKNOWN, EXPIRED, STALE] {
            assert_decided(vec![(1, DELETED), (2, dead)], "Superseded(Deleted)");
        }
        let decided = candidates(&[(1, EXPIRED), (2, UNKNOWN)]).decide();
        assert_eq!(text(&decided), "Unusable(Expired(Absolute))");
    }

    #[test]
    fn an_older_token_beside_the_present_one_is_no_sign_of_theft() {
        let mut all = candidates(&[
            (1, STALE),
            (1, open()),
            (2, STALE),
            (3, open()),
            (4, UNKNOWN),
        ]);
        let watched: Vec<_> = all
            .watched()
            .map(|candidate| (candidate.id, candidate.opens()))
            .collect();
        let expected = [(1, true), (2, false), (3, true), (4, false)];
        assert_eq!(watched, expected.map(|(number, opens)| (id(number), opens)));
    }
}
