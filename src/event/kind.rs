//! The kinds of events.

use crate::monitor::{Response, Signal};
use crate::named_enum::named_enum;
use crate::record::Limit;
use crate::store::{StoreCall, StoreErrorKind};

/// What happened.
///
/// Match on it in an observer. Logs, metrics and the audit log use its [`name`](Self::name), and a [`reason`](Self::reason) if
/// the kind has several. No kind contains a token, a value of the session, or the store's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// A session was stored under a new token. The login of a user without a session is one of these.
    Created(Creation),
    /// A request came with a token that opens its session. Reported only to observers that
    /// [ask for it](super::SessionObserver::every_request).
    Resumed,
    /// The session got a new token, and the old one opens nothing. The login of a user with a session is one of these.
    Rotated(Rotation),
    /// A login was not carried out, although the application had accepted it.
    LoginRefused(Refusal),
    /// A request of the session itself ended it.
    Destroyed(Ending),
    /// The session was revoked, by its user, the application or the layer.
    Revoked(Revocation),
    /// A token came whose session has passed a limit.
    Expired(Limit),
    /// The cookie's value is not a token.
    Malformed,
    /// The tokens of several sessions came in one request, or more different tokens than are looked up. One of them may have been
    /// planted.
    Ambiguous,
    /// A token came that opens nothing, and about which nothing is known.
    Unknown(UnknownReason),
    /// A token came, and what the store has under it is no session record, or a damaged one.
    Unreadable,
    /// A token came that once opened the session.
    Stale(StaleReason),
    /// Another request wrote first. The changes of both were merged.
    Conflict,
    /// Another request rotated or ended the session. The changes of this one were dropped.
    Interrupted,
    /// A session was written although the browser had withheld its cookie, or had sent the tokens of several sessions. The
    /// changes were dropped.
    Discarded,
    /// The session's own expiry is later than the absolute limit, which applies.
    ExpiryCapped,
    /// What the session holds does not have the type that the application asked for, and was read as absent.
    TypeMismatch(Mismatch),
    /// A store call failed.
    StoreFailed {
        /// Which call.
        call: StoreCall,
        /// What the failure means for the outcome of the call.
        kind: StoreErrorKind,
    },
    /// A commit was given up: its request was dropped, and there was no runtime to finish it; or an earlier commit of the same
    /// request, such as a save, did not end in time.
    Abandoned,
    /// The layer's [monitor](crate::monitor) found a sign of session hijacking.
    Suspected {
        /// What the monitor found.
        signal: Signal,
        /// What the monitor does about it.
        response: Response,
    },
    /// The store was full, and evicted [unconfirmed sessions](crate::store#a-full-store) to make room. Reported once a minute
    /// at most.
    Evicted {
        /// How many there were since the last report, of any layer over this store.
        sessions: u64,
    },
    /// Events came faster than the observers handled them, and were not reported to them.
    Lost {
        /// How many.
        events: u64,
    },
}

named_enum! {
    /// The reason that a session was stored under a new token.
    Creation {
        /// The first value was written, without a login.
        Write = "write",
        /// A user logged in.
        Login = "login",
    }
}

named_enum! {
    /// The reason that a session got a new token.
    Rotation {
        /// A user logged in.
        Login = "login",
        /// The user authenticated again.
        Reauthentication = "reauthentication",
        /// The application asked for a new token with [`rotate_token`](crate::Session::rotate_token), or the user ended all their
        /// other sessions.
        Requested = "requested",
    }
}

named_enum! {
    /// The reason that a login was not carried out.
    Refusal {
        /// The user already has as many sessions as
        /// [`max_sessions_per_user`](crate::SessionConfig::max_sessions_per_user) allows.
        Limit = "limit",
        /// It was committed so late that it is unknown whether all sessions of the user were ended meanwhile.
        TooLate = "too_late",
    }
}

named_enum! {
    /// How a request of the session itself ended it.
    Ending {
        /// A logout, or an expiry in the past.
        Logout = "logout",
        /// Another user logged in on it.
        Switch = "switch",
        /// Its user has changed the credential that it was based on: [`check_stamp`](crate::Session::check_stamp).
        Credential = "credential",
        /// A user logged in with a request that carried the tokens of several sessions.
        Ambiguous = "ambiguous",
    }
}

named_enum! {
    /// The origin of a revocation.
    Revocation {
        /// Its user ended this one: [`end_session`](crate::Session::end_session).
        One = "one",
        /// Its user ended all sessions except the one of the request:
        /// [`end_other_sessions`](crate::Session::end_other_sessions).
        Others = "others",
        /// Its user changed their credential, which ended all sessions except the one of the request:
        /// [`credential_changed`](crate::Session::credential_changed).
        Credential = "credential",
        /// Its user ended all sessions: [`logout_everywhere`](crate::Session::logout_everywhere).
        Everywhere = "everywhere",
        /// The application ended it outside of a request: [`Users`](crate::session::Users).
        Administrator = "administrator",
        /// A login exceeded the layer's [`max_sessions_per_user`](crate::SessionConfig::max_sessions_per_user).
        Limit = "limit",
        /// The layer's [monitor](crate::monitor) ended it.
        Monitor = "monitor",
    }
}

named_enum! {
    /// What is known of a token that opens nothing.
    UnknownReason {
        /// The store has nothing under the token. Most often a limit of the session has passed, and the store has dropped the
        /// record. Or the session was ended more than a minute ago, or the token is made up.
        NoRecord = "no_record",
        /// There is such a session, but the secret half of the token is wrong. The client knows the public half and guesses
        /// the secret one, or the token was rotated out so long ago that the record no longer has its hash.
        WrongVerifier = "wrong_verifier",
    }
}

named_enum! {
    /// The reason that a token is stale.
    StaleReason {
        /// It was rotated out less than a minute ago, for example because the user logged in while a page was open twice.
        Superseded = "superseded",
        /// It was rotated out longer ago than any request takes: a copy of the token, or a browser that was offline.
        Old = "old",
        /// The session was ended less than a minute ago.
        Deleted = "deleted",
        /// A newer version of this crate wrote the record, as in a rolling deployment.
        FutureFormat = "future_format",
    }
}

named_enum! {
    /// What did not have the type that the application asked for.
    Mismatch {
        /// The id of the session's user: [`user_as`](crate::Session::user_as).
        User = "user",
        /// A value under a key that [reads such values as absent](crate::Key::none_on_error).
        Value = "value",
    }
}

impl EventKind {
    /// Every kind with every reason. Use it for a page or a test that lists them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        fn each<T: Copy>(
            reasons: &[T],
            kind: fn(T) -> EventKind,
        ) -> impl Iterator<Item = EventKind> {
            reasons.iter().copied().map(kind)
        }
        // The compiler refuses a list that lacks a kind.
        macro_rules! list {
            ($($kind:pat => $reasons:expr,)+) => {{
                let _ = |kind: Self| match kind { $($kind => {})+ };
                let mut all = Vec::new();
                $(all.extend($reasons);)+
                all
            }};
        }
        list! {
            Self::Created(_) => each(Creation::ALL, Self::Created),
            Self::Resumed => [Self::Resumed],
            Self::Rotated(_) => each(Rotation::ALL, Self::Rotated),
            Self::LoginRefused(_) => each(Refusal::ALL, Self::LoginRefused),
            Self::Destroyed(_) => each(Ending::ALL, Self::Destroyed),
            Self::Revoked(_) => each(Revocation::ALL, Self::Revoked),
            Self::Expired(_) => each(Limit::ALL, Self::Expired),
            Self::Malformed => [Self::Malformed],
            Self::Ambiguous => [Self::Ambiguous],
            Self::Unknown(_) => each(UnknownReason::ALL, Self::Unknown),
            Self::Unreadable => [Self::Unreadable],
            Self::Stale(_) => each(StaleReason::ALL, Self::Stale),
            Self::Conflict => [Self::Conflict],
            Self::Interrupted => [Self::Interrupted],
            Self::Discarded => [Self::Discarded],
            Self::ExpiryCapped => [Self::ExpiryCapped],
            Self::TypeMismatch(_) => each(Mismatch::ALL, Self::TypeMismatch),
            Self::StoreFailed { .. } => StoreCall::ALL.iter().flat_map(|&call| {
                StoreErrorKind::ALL.iter().map(move |&kind| Self::StoreFailed { call, kind })
            }),
            Self::Abandoned => [Self::Abandoned],
            Self::Suspected { .. } => Signal::ALL.iter().flat_map(|&signal| {
                Response::ALL.iter().map(move |&response| Self::Suspected { signal, response })
            }),
            Self::Evicted { .. } => [Self::Evicted { sessions: 0 }],
            Self::Lost { .. } => [Self::Lost { events: 0 }],
        }
    }

    /// The name in logs, metrics and the audit log. It does not change.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Created(_) => "created",
            Self::Resumed => "resumed",
            Self::Rotated(_) => "rotated",
            Self::LoginRefused(_) => "login_refused",
            Self::Destroyed(_) => "destroyed",
            Self::Revoked(_) => "revoked",
            Self::Expired(_) => "expired",
            Self::Malformed => "malformed",
            Self::Ambiguous => "ambiguous",
            Self::Unknown(_) => "unknown",
            Self::Unreadable => "unreadable",
            Self::Stale(_) => "stale",
            Self::Conflict => "conflict",
            Self::Interrupted => "interrupted",
            Self::Discarded => "discarded",
            Self::ExpiryCapped => "expiry_capped",
            Self::TypeMismatch(_) => "type_mismatch",
            Self::StoreFailed { .. } => "store_failed",
            Self::Abandoned => "abandoned",
            Self::Suspected { .. } => "suspected",
            Self::Evicted { .. } => "evicted",
            Self::Lost { .. } => "lost",
        }
    }

    /// The reason, if the kind has several: for example `login` for a session that was rotated.
    #[must_use]
    pub const fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::Created(creation) => creation.name(),
            Self::Rotated(rotation) => rotation.name(),
            Self::LoginRefused(refusal) => refusal.name(),
            Self::Destroyed(ending) => ending.name(),
            Self::Revoked(revocation) => revocation.name(),
            Self::Expired(limit) => limit.name(),
            Self::Unknown(reason) => reason.name(),
            Self::Stale(reason) => reason.name(),
            Self::TypeMismatch(mismatch) => mismatch.name(),
            Self::StoreFailed { kind, .. } => kind.name(),
            Self::Suspected { signal, .. } => signal.name(),
            Self::Resumed
            | Self::Malformed
            | Self::Ambiguous
            | Self::Unreadable
            | Self::Conflict
            | Self::Interrupted
            | Self::Discarded
            | Self::ExpiryCapped
            | Self::Abandoned
            | Self::Evicted { .. }
            | Self::Lost { .. } => return None,
        })
    }

    /// Whether any client can cause it at will, and so many of them. With a session that has no user, a client can cause more.
    pub(super) const fn any_client_can_cause(&self, has_user: bool) -> bool {
        match self {
            Self::Destroyed(_)
            | Self::Rotated(_)
            | Self::Suspected { .. }
            | Self::ExpiryCapped
            | Self::Revoked(Revocation::Monitor) => !has_user,
            Self::Resumed
            | Self::Malformed
            | Self::Ambiguous
            | Self::Unknown(_)
            | Self::Unreadable
            | Self::Stale(_)
            | Self::Expired(_)
            | Self::Conflict
            | Self::Interrupted
            | Self::Discarded
            | Self::Created(Creation::Write)
            | Self::TypeMismatch(_)
            | Self::StoreFailed { .. } => true,
            Self::Created(Creation::Login)
            | Self::LoginRefused(_)
            | Self::Revoked(_)
            | Self::Abandoned
            | Self::Evicted { .. }
            | Self::Lost { .. } => false,
        }
    }
}
