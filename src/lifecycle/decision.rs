//! The decision table: what to do after the handler (pure).
//!
//! | look-up \\ access | untouched | read | write | login | logout |
//! |---|---|---|---|---|---|
//! | NotLoaded | – | – | – | – | – |
//! | Absent | – | – | create | create | – |
//! | Withheld | – | – | discard | create | – |
//! | Conflicting | – | – | refuse | delete and create | delete |
//! | TooMany | – | – | refuse | refuse | refuse |
//! | Unusable | – | – | create | create | remove |
//! | Superseded: rotated out | – | – | interrupt | create | delete |
//! | Superseded: deleted | – | – | interrupt | create | – |
//! | Superseded: future format | – | – | interrupt | create | unavailable |
//! | Open | – (save-every-request: touch) | touch | replace | replace | delete |
//!
//! A touch is made only if it is due.
//!
//! Only a request that ended the session, or that the user sent to log out, removes the cookie. Any other response may be slow,
//! and would remove the cookie of a login that was made meanwhile. So a token that opens nothing stays with the browser until a
//! write or a login replaces it.
//!
//! What a request writes after its logout, or after a login as another user, goes to a new session. If the last column says
//! delete, the old session is deleted first and then the new one is created. If it says remove or nothing, the column of the
//! write or the login applies as if there were no logout.
//!
//! A status that says that the handler failed or was cut off (5xx, 408, 499), its error, a panic and a client that hangs up
//! all count as a failure. After a failure nothing is stored and no cookie is set, but a logout is carried out.

use crate::event::Ending;

/// The result of the look-up, as far as the table needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LookupState {
    NotLoaded,
    Absent,
    Withheld,
    Conflicting,
    TooMany,
    Unusable,
    Rotated,
    Deleted,
    Future,
    Open { touch_due: bool },
}

/// What the handler did with the session that it sees at the end, which is a new one after a logout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// The session was not accessed.
    Untouched,
    Read,
    /// Data, the expiry, or the verifier changes.
    Write,
    Login,
}

/// How the handler ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With a response.
    Answered,
    /// With a status that says so or that says that it was cut off, an error, a panic, or without a client to answer.
    Failed,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// No store call is needed.
    Settled(Settled),
    /// The store must be called.
    Call(StoreAction),
}

/// A decision that needs no store call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Change neither the store nor the cookie.
    Nothing,
    /// Make the browser forget a cookie that opens nothing.
    RemoveCookie,
    /// Drop what was written: it was for this request only.
    Discard,
    /// 400: the request's cookies contradict each other.
    Refuse,
    /// Another request rotated or ended the session meanwhile: 409, unless the layer is configured otherwise.
    Interrupt,
    /// 503: this version cannot end a session that it cannot read.
    Unavailable,
}

/// What to do with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreAction {
    /// Slide the idle limit.
    Touch,
    /// Store a new session, and send its token.
    Create,
    /// Write the session, unless another request rotates or ends it meanwhile.
    Replace,
    /// End the session, and make the browser forget the cookie.
    Delete,
    /// End the session, which must succeed, then create another.
    DeleteThenCreate,
}

/// The decision table.
pub(crate) fn decide(
    lookup: LookupState,
    ending: Option<Ending>,
    access: Access,
    outcome: Outcome,
    save_every_request: bool,
) -> Decision {
    use Decision::{Call, Settled as Done};
    use Settled::{Discard, Interrupt, Nothing, Refuse, RemoveCookie, Unavailable};
    use StoreAction::{Create, Delete, DeleteThenCreate, Replace, Touch};
    use {Access as A, LookupState as L};

    if outcome == Outcome::Failed {
        // A switch of users ends the session only together with the new user's login, which a failure drops.
        let ends = ending.is_some_and(|ending| ending != Ending::Switch);
        return match lookup {
            L::Open { .. } | L::Rotated | L::Conflicting if ends => Call(Delete),
            L::Unusable if ending == Some(Ending::Logout) => Done(RemoveCookie),
            _ => Done(Nothing),
        };
    }
    if ending.is_some() {
        return match (lookup, access) {
            (L::NotLoaded, _) => Done(Nothing),
            (L::Absent | L::Withheld, A::Untouched | A::Read) => Done(Nothing),
            (L::Absent, A::Write | A::Login) => Call(Create),
            (L::Withheld, A::Write) => Done(Discard),
            (L::Withheld, A::Login) => Call(Create),
            (L::TooMany, _) => Done(Refuse),
            (L::Unusable, A::Untouched | A::Read) => Done(match ending {
                Some(Ending::Logout) => RemoveCookie,
                // Another request ended the session before this one could.
                _ => Nothing,
            }),
            (L::Unusable, A::Write | A::Login) => Call(Create),
            (L::Deleted, A::Untouched | A::Read) => Done(Nothing),
            (L::Deleted, A::Write) => Done(Interrupt),
            (L::Deleted, A::Login) => Call(Create),
            (L::Future, _) => Done(Unavailable),
            (L::Rotated | L::Conflicting | L::Open { .. }, A::Untouched | A::Read) => Call(Delete),
            (L::Rotated | L::Conflicting | L::Open { .. }, A::Write | A::Login) => {
                Call(DeleteThenCreate)
            }
        };
    }
    match (lookup, access) {
        (L::Open { touch_due: true }, A::Untouched) if save_every_request => Call(Touch),
        (_, A::Untouched) | (L::NotLoaded, _) => Done(Nothing),

        (L::Absent | L::Withheld | L::Unusable, A::Read) => Done(Nothing),
        (L::Conflicting | L::TooMany, A::Read) => Done(Nothing),
        (L::Rotated | L::Deleted | L::Future, A::Read) => Done(Nothing),
        (L::Open { touch_due: true }, A::Read) => Call(Touch),
        (L::Open { touch_due: false }, A::Read) => Done(Nothing),

        (L::Absent | L::Unusable, A::Write) => Call(Create),
        (L::Withheld, A::Write) => Done(Discard),
        (L::Rotated | L::Deleted | L::Future, A::Write) => Done(Interrupt),

        (L::Absent | L::Withheld | L::Unusable, A::Login) => Call(Create),
        (L::Rotated | L::Deleted | L::Future, A::Login) => Call(Create),

        (L::Conflicting | L::TooMany, A::Write) | (L::TooMany, A::Login) => Done(Refuse),
        (L::Conflicting, A::Login) => Call(DeleteThenCreate),
        (L::Open { .. }, A::Write | A::Login) => Call(Replace),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOKUPS: [LookupState; 11] = [
        LookupState::NotLoaded,
        LookupState::Absent,
        LookupState::Withheld,
        LookupState::Conflicting,
        LookupState::TooMany,
        LookupState::Unusable,
        LookupState::Rotated,
        LookupState::Deleted,
        LookupState::Future,
        LookupState::Open { touch_due: false },
        LookupState::Open { touch_due: true },
    ];
    const ACCESSES: [Access; 4] = [
        Access::Untouched,
        Access::Read,
        Access::Write,
        Access::Login,
    ];

    /// The decisions for every look-up, in the order of `LOOKUPS`.
    fn row(
        ending: Option<Ending>,
        access: Access,
        outcome: Outcome,
        save_every_request: bool,
    ) -> [Decision; 11] {
        LOOKUPS.map(|lookup| decide(lookup, ending, access, outcome, save_every_request))
    }

    const N: Decision = Decision::Settled(Settled::Nothing);
    const R: Decision = Decision::Settled(Settled::RemoveCookie);
    const X: Decision = Decision::Settled(Settled::Discard);
    const B: Decision = Decision::Settled(Settled::Refuse);
    const I: Decision = Decision::Settled(Settled::Interrupt);
    const U: Decision = Decision::Settled(Settled::Unavailable);
    const T: Decision = Decision::Call(StoreAction::Touch);
    const C: Decision = Decision::Call(StoreAction::Create);
    const W: Decision = Decision::Call(StoreAction::Replace);
    const D: Decision = Decision::Call(StoreAction::Delete);
    const DC: Decision = Decision::Call(StoreAction::DeleteThenCreate);

    #[test]
    fn every_cell_of_an_answered_request() {
        let logout = Some(Ending::Logout);
        let rows = [
            // not loaded, absent, withheld, conflicting, too many, unusable, rotated, deleted, future, open, open and due
            (None, Access::Untouched, [N, N, N, N, N, N, N, N, N, N, N]),
            (None, Access::Read, [N, N, N, N, N, N, N, N, N, N, T]),
            (None, Access::Write, [N, C, X, B, B, C, I, I, I, W, W]),
            (None, Access::Login, [N, C, C, DC, B, C, C, C, C, W, W]),
            (logout, Access::Read, [N, N, N, D, B, R, D, N, U, D, D]),
            (logout, Access::Write, [N, C, X, DC, B, C, DC, I, U, DC, DC]),
            (logout, Access::Login, [N, C, C, DC, B, C, DC, C, U, DC, DC]),
        ];
        for (ending, access, cells) in rows {
            assert_eq!(
                row(ending, access, Outcome::Answered, false),
                cells,
                "{ending:?} {access:?}"
            );
        }
        let end = |access| row(logout, access, Outcome::Answered, false);
        assert_eq!(end(Access::Untouched), end(Access::Read));
        for access in ACCESSES {
            for ending in [Ending::Switch, Ending::Credential] {
                let other = row(Some(ending), access, Outcome::Answered, false);
                let mut like_a_logout = end(access);
                if like_a_logout[5] == R {
                    // Nobody asked to be logged out.
                    like_a_logout[5] = N;
                }
                assert_eq!(other, like_a_logout, "{ending:?}");
            }
        }
    }

    #[test]
    fn save_every_request_changes_one_cell() {
        for ending in [None, Some(Ending::Switch), Some(Ending::Logout)] {
            for access in ACCESSES {
                for outcome in [Outcome::Answered, Outcome::Failed] {
                    let mut expected = row(ending, access, outcome, false);
                    if (ending, access, outcome) == (None, Access::Untouched, Outcome::Answered) {
                        expected[10] = T;
                    }
                    assert_eq!(row(ending, access, outcome, true), expected);
                }
            }
        }
    }

    #[test]
    fn every_cell_of_a_failed_request() {
        for save_every_request in [false, true] {
            for access in ACCESSES {
                for ending in [None, Some(Ending::Switch)] {
                    assert_eq!(
                        row(ending, access, Outcome::Failed, save_every_request),
                        [N; 11]
                    );
                }
                for (ending, unusable) in [(Ending::Logout, R), (Ending::Credential, N)] {
                    assert_eq!(
                        row(Some(ending), access, Outcome::Failed, save_every_request),
                        [N, N, N, D, N, unusable, D, N, N, D, D],
                    );
                }
            }
        }
    }
}
