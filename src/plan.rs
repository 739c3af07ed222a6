//! The decision table: what to do after the handler (pure).
//!
//! | card \ wish | untouched | read | write | login | flush, logout |
//! |---|---|---|---|---|---|
//! | Absent | – | – | create | create | – |
//! | Withheld | – | – | discard | create | – |
//! | Conflicting | – | – | refuse | refuse | refuse |
//! | Unknown | – | remove | create | create | remove |
//! | Late: rotated out | – | – | interrupt | create | delete |
//! | Late: deleted | – | – | interrupt | create | – |
//! | Late: future format | – | – | interrupt | create | unavailable |
//! | Valid | – (save-every-request: touch) | touch | replace | replace | delete |
//!
//! What a request writes after its flush or logout, or after a login as somebody else, goes to a fresh session: where the
//! last column says remove or nothing, it creates; where it says delete, it deletes first. On a card whose session was
//! deleted by another request only a login does.
//!
//! A response with a 5xx status, a handler's error, a panic and a client that is gone are all a failure: nothing is stored
//! or set, but a flush or logout that was asked for is carried out.

/// What the request's card is, as far as the table cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CardState {
    Absent,
    Withheld,
    Conflicting,
    Unknown,
    LateRotated,
    LateDeleted,
    LateFuture,
    Valid,
}

/// What the handler wants of the session it sees now, which is a fresh one after a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Nobody asked for the session.
    Untouched,
    Read,
    /// Data, the expiry, or the verifier is to change.
    Write,
    Login,
}

/// Whether the session that came with the request is to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ended {
    #[default]
    No,
    /// A login as somebody else ends it, if the login is carried out.
    BySwitch,
    /// The handler asked for it: flush, logout, an expiry in the past.
    Asked,
}

/// How the handler ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With a response whose status is below 500.
    Answered,
    /// With a 5xx, an error, a panic, or no client to answer.
    Failed,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Leave store and browser alone.
    Nothing,
    /// Tell the browser to forget a cookie that opens nothing.
    RemoveCookie,
    /// Slide the idle limit, if that is due.
    Touch,
    /// Store a new session, and hand out its token.
    Create,
    /// Write the session, if nobody took it over meanwhile.
    Replace,
    /// End the session, and tell the browser to forget the cookie.
    Delete,
    /// End the session, which must succeed, then create another.
    DeleteThenCreate,
    /// Store nothing, though something was written: it lived for this request only.
    Discard,
    /// 400: the request's cookies contradict each other.
    Refuse,
    /// 409: another request rotated or ended the session meanwhile.
    Interrupt,
    /// 503: this version cannot end a session that it cannot read.
    Unavailable,
}

/// The decision table.
pub(crate) fn plan(
    card: CardState,
    ended: Ended,
    wish: Wish,
    outcome: Outcome,
    save_every_request: bool,
) -> Plan {
    use {CardState as C, Wish as W};

    if outcome == Outcome::Failed {
        return match (ended, card) {
            (Ended::Asked, C::Valid | C::LateRotated) => Plan::Delete,
            (Ended::Asked, C::Unknown) => Plan::RemoveCookie,
            _ => Plan::Nothing,
        };
    }
    if ended != Ended::No {
        return match (card, wish) {
            (C::Absent | C::Withheld, W::Untouched | W::Read) => Plan::Nothing,
            (C::Absent, W::Write | W::Login) => Plan::Create,
            (C::Withheld, W::Write) => Plan::Discard,
            (C::Withheld, W::Login) => Plan::Create,
            (C::Conflicting, _) => Plan::Refuse,
            (C::Unknown, W::Untouched | W::Read) => Plan::RemoveCookie,
            (C::Unknown, W::Write | W::Login) => Plan::Create,
            (C::LateDeleted, W::Untouched | W::Read) => Plan::Nothing,
            (C::LateDeleted, W::Write) => Plan::Interrupt,
            (C::LateDeleted, W::Login) => Plan::Create,
            (C::LateFuture, _) => Plan::Unavailable,
            (C::LateRotated | C::Valid, W::Untouched | W::Read) => Plan::Delete,
            (C::LateRotated | C::Valid, W::Write | W::Login) => Plan::DeleteThenCreate,
        };
    }
    match (card, wish) {
        (C::Valid, W::Untouched) if save_every_request => Plan::Touch,
        (_, W::Untouched) => Plan::Nothing,

        (C::Absent | C::Withheld | C::Conflicting, W::Read) => Plan::Nothing,
        (C::LateRotated | C::LateDeleted | C::LateFuture, W::Read) => Plan::Nothing,
        (C::Unknown, W::Read) => Plan::RemoveCookie,
        (C::Valid, W::Read) => Plan::Touch,

        (C::Absent | C::Unknown, W::Write) => Plan::Create,
        (C::Withheld, W::Write) => Plan::Discard,
        (C::LateRotated | C::LateDeleted | C::LateFuture, W::Write) => Plan::Interrupt,

        (C::Absent | C::Withheld | C::Unknown, W::Login) => Plan::Create,
        (C::LateRotated | C::LateDeleted | C::LateFuture, W::Login) => Plan::Create,

        (C::Conflicting, W::Write | W::Login) => Plan::Refuse,
        (C::Valid, W::Write | W::Login) => Plan::Replace,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARDS: [CardState; 8] = [
        CardState::Absent,
        CardState::Withheld,
        CardState::Conflicting,
        CardState::Unknown,
        CardState::LateRotated,
        CardState::LateDeleted,
        CardState::LateFuture,
        CardState::Valid,
    ];
    const WISHES: [Wish; 4] = [Wish::Untouched, Wish::Read, Wish::Write, Wish::Login];

    /// A row of cells, one for each card in the order of `CARDS`.
    fn row(ended: Ended, wish: Wish, outcome: Outcome, save_every_request: bool) -> [Plan; 8] {
        CARDS.map(|card| plan(card, ended, wish, outcome, save_every_request))
    }

    const N: Plan = Plan::Nothing;
    const R: Plan = Plan::RemoveCookie;
    const T: Plan = Plan::Touch;
    const C: Plan = Plan::Create;
    const W: Plan = Plan::Replace;
    const D: Plan = Plan::Delete;
    const DC: Plan = Plan::DeleteThenCreate;
    const X: Plan = Plan::Discard;
    const B: Plan = Plan::Refuse;
    const I: Plan = Plan::Interrupt;
    const U: Plan = Plan::Unavailable;

    #[test]
    fn every_cell_of_an_answered_request() {
        let rows = [
            // absent, withheld, conflicting, unknown, rotated, deleted, future, valid
            (Ended::No, Wish::Untouched, [N, N, N, N, N, N, N, N]),
            (Ended::No, Wish::Read, [N, N, N, R, N, N, N, T]),
            (Ended::No, Wish::Write, [C, X, B, C, I, I, I, W]),
            (Ended::No, Wish::Login, [C, C, B, C, C, C, C, W]),
            (Ended::Asked, Wish::Read, [N, N, B, R, D, N, U, D]),
            (Ended::Asked, Wish::Write, [C, X, B, C, DC, I, U, DC]),
            (Ended::Asked, Wish::Login, [C, C, B, C, DC, C, U, DC]),
        ];
        for (ended, wish, cells) in rows {
            assert_eq!(
                row(ended, wish, Outcome::Answered, false),
                cells,
                "{ended:?} {wish:?}"
            );
        }
        let end = |wish| row(Ended::Asked, wish, Outcome::Answered, false);
        assert_eq!(end(Wish::Untouched), end(Wish::Read));
        for wish in WISHES {
            let by_switch = row(Ended::BySwitch, wish, Outcome::Answered, false);
            assert_eq!(by_switch, end(wish), "a switch of users ends like a logout");
        }
    }

    #[test]
    fn save_every_request_changes_one_cell() {
        for ended in [Ended::No, Ended::BySwitch, Ended::Asked] {
            for wish in WISHES {
                for outcome in [Outcome::Answered, Outcome::Failed] {
                    let mut expected = row(ended, wish, outcome, false);
                    if (ended, wish, outcome) == (Ended::No, Wish::Untouched, Outcome::Answered) {
                        expected[7] = T;
                    }
                    assert_eq!(row(ended, wish, outcome, true), expected);
                }
            }
        }
    }

    #[test]
    fn every_cell_of_a_failed_request() {
        for save_every_request in [false, true] {
            for wish in WISHES {
                for ended in [Ended::No, Ended::BySwitch] {
                    assert_eq!(
                        row(ended, wish, Outcome::Failed, save_every_request),
                        [N; 8]
                    );
                }
                assert_eq!(
                    row(Ended::Asked, wish, Outcome::Failed, save_every_request),
                    [N, N, N, R, D, N, N, D],
                );
            }
        }
    }
}
