//! What can happen to a session.

use std::fmt;

use crate::card::{Card, Late, Why};
use crate::store::StoreErrorKind;

/// An enum of words, each with the name by which logs know it.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$word_doc])* $word,)+
        }

        impl $name {
            /// Each of them.
            pub const ALL: &'static [Self] = &[$(Self::$word),+];

            /// The name in logs, metrics and the audit log. It does not change.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

/// What happened.
///
/// Logs, metrics and the audit log know it by its [`name`](Self::name), and by a [`reason`](Self::reason) where there are
/// several. No kind says anything of a token, of a value in the session, or of where the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// A session was stored under a new token. A user who had no session logs in like this.
    Created(Creation),
    /// A request came with a card that opens its session. Not told to observers that do not
    /// [ask for it](super::SessionObserver::every_request).
    Resumed,
    /// The session got a new token, and the old one is dead. A user who had a session logs in like this.
    Rotated(Rotation),
    /// A login was not carried out, though the application had found it right.
    LoginRefused(Refusal),
    /// The session was ended by its own visitor.
    Destroyed(Ending),
    /// The session was ended from elsewhere.
    Revoked(Revocation),
    /// A card came whose session is over.
    Expired(Limit),
    /// The cookie's value is not a token.
    Malformed,
    /// Two different tokens came in one request: one of them is planted.
    Ambiguous,
    /// A token came that opens nothing, and of which nothing is known.
    Unknown(Ignorance),
    /// A token came for something in the store that is no session record, or a damaged one.
    Unreadable,
    /// A card came that opened the session once.
    Stale(Staleness),
    /// Another request wrote first; the changes were joined with its own.
    Conflict,
    /// Another request rotated or ended the session; the changes of this one were dropped.
    Interrupted,
    /// What was written to a session that the browser held back was dropped.
    Discarded,
    /// The session's own expiry reaches beyond the absolute limit, which holds.
    ExpiryCapped,
    /// A store call failed.
    StoreFailed {
        /// Which call.
        call: StoreCall,
        /// What the failure means for what the call was to do.
        kind: StoreErrorKind,
    },
    /// A commit was left behind by its request, and there was no runtime to finish it.
    Abandoned,
    /// The layer's [monitor](crate::monitor) found something that its user would hardly do.
    Suspected {
        /// What it found.
        signal: Signal,
        /// What it does about it.
        response: Response,
    },
    /// So many events came faster than the observers took them, and were not told to them.
    Lost {
        /// How many.
        events: u64,
    },
}

words! {
    /// Why a session was stored under a new token.
    Creation {
        /// A visitor's first value was written.
        Write = "write",
        /// A user logged in.
        Login = "login",
    }
}

words! {
    /// Why a session got a new token.
    Rotation {
        /// A user logged in.
        Login = "login",
        /// The user proved once more who they are.
        Reauthentication = "reauthentication",
        /// The application asked for it: [`cycle_id`](crate::Session::cycle_id), or all other sessions were ended.
        Cycle = "cycle",
    }
}

words! {
    /// Why a login was not carried out.
    Refusal {
        /// The user has as many sessions as [`max_sessions_per_user`](crate::SessionConfig::max_sessions_per_user) allows.
        Limit = "limit",
        /// It was committed so late that nobody knows whether all sessions of the user were ended meanwhile.
        TooLate = "too_late",
    }
}

words! {
    /// How a session was ended by its own visitor.
    Ending {
        /// A logout, a flush, or an expiry in the past.
        Logout = "logout",
        /// Somebody else logged in on it.
        Switch = "switch",
        /// It rested on a credential that its user has changed: [`check_stamp`](crate::Session::check_stamp).
        Credential = "credential",
    }
}

words! {
    /// Who ended a session from elsewhere.
    Revocation {
        /// Its user, this one: [`end_session`](crate::Session::end_session).
        One = "one",
        /// Its user, all but the one they asked with: [`end_other_sessions`](crate::Session::end_other_sessions).
        Others = "others",
        /// Its user, all but the one they asked with, since they changed their credential:
        /// [`credential_changed`](crate::Session::credential_changed).
        Credential = "credential",
        /// Its user, all: [`logout_everywhere`](crate::Session::logout_everywhere).
        Everywhere = "everywhere",
        /// The application, outside of a request: [`Users`](crate::Users).
        Administrator = "administrator",
        /// A login beyond the layer's [`max_sessions_per_user`](crate::SessionConfig::max_sessions_per_user).
        Limit = "limit",
        /// The layer's [monitor](crate::monitor).
        Monitor = "monitor",
    }
}

words! {
    /// Which limit has ended a session.
    Limit {
        /// The absolute limit.
        Absolute = "absolute",
        /// The instant that was set for this session alone.
        Instant = "instant",
    }
}

words! {
    /// What is known of a token that opens nothing.
    Ignorance {
        /// The store has nothing under it. Most often the session's limits have passed, and the store has dropped it; or it
        /// was ended more than a minute ago; or the token is made up.
        NoRecord = "no_record",
        /// There is such a session, and this is not its secret half: somebody tries who knows the public one, or the token
        /// was rotated out so long ago that this is forgotten.
        WrongVerifier = "wrong_verifier",
    }
}

words! {
    /// How a card came to be stale.
    Staleness {
        /// It was rotated out less than a minute ago. A page that is open twice does this when its user logs in.
        Late = "late",
        /// It was rotated out longer ago than any request takes: a copy of the card, or a browser that was offline.
        Old = "old",
        /// The session was ended less than a minute ago.
        Deleted = "deleted",
        /// The record is of a newer version of this crate, as while it is rolled out.
        FutureFormat = "future_format",
    }
}

words! {
    /// What a [monitor](crate::monitor) looks for.
    Signal {
        /// A valid card came from another client than the one that it was given to.
        FingerprintChanged = "fingerprint_changed",
        /// A card came that was rotated out more than a minute ago.
        StaleCard = "stale_card",
        /// More requests came with one card than a person makes.
        RequestRate = "request_rate",
        /// Many different cards that open nothing came from one client.
        UnknownCards = "unknown_cards",
    }
}

words! {
    /// What a [monitor](crate::monitor) does about what it finds. Whatever it does, it tells of it.
    Response {
        /// Nothing else.
        Report = "report",
        /// The user is to prove once more who they are: until then [`require_fresh`](crate::Session::require_fresh) lets
        /// nobody pass, on no server.
        RequireReauthentication = "require_reauthentication",
        /// The session is ended.
        Revoke = "revoke",
    }
}

words! {
    /// A call of a store, or of its index of users.
    StoreCall {
        /// [`SessionStore::load`](crate::store::SessionStore::load).
        Load = "load",
        /// [`SessionStore::create`](crate::store::SessionStore::create).
        Create = "create",
        /// [`SessionStore::replace`](crate::store::SessionStore::replace).
        Replace = "replace",
        /// [`SessionStore::touch`](crate::store::SessionStore::touch).
        Touch = "touch",
        /// [`SessionStore::delete`](crate::store::SessionStore::delete).
        Delete = "delete",
        /// [`UserIndex::sessions_of`](crate::store::UserIndex::sessions_of).
        SessionsOf = "sessions_of",
        /// [`UserIndex::delete_user`](crate::store::UserIndex::delete_user).
        DeleteUser = "delete_user",
    }
}

impl EventKind {
    /// Every kind, with every reason: for a page that lists them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = vec![
            Self::Resumed,
            Self::Malformed,
            Self::Ambiguous,
            Self::Unreadable,
            Self::Conflict,
            Self::Interrupted,
            Self::Discarded,
            Self::ExpiryCapped,
            Self::Abandoned,
            Self::Lost { events: 0 },
        ];
        all.extend(Creation::ALL.iter().copied().map(Self::Created));
        all.extend(Rotation::ALL.iter().copied().map(Self::Rotated));
        all.extend(Refusal::ALL.iter().copied().map(Self::LoginRefused));
        all.extend(Ending::ALL.iter().copied().map(Self::Destroyed));
        all.extend(Revocation::ALL.iter().copied().map(Self::Revoked));
        all.extend(Limit::ALL.iter().copied().map(Self::Expired));
        all.extend(Ignorance::ALL.iter().copied().map(Self::Unknown));
        all.extend(Staleness::ALL.iter().copied().map(Self::Stale));
        for &signal in Signal::ALL {
            let suspected = |&response| Self::Suspected { signal, response };
            all.extend(Response::ALL.iter().map(suspected));
        }
        for &call in StoreCall::ALL {
            let failed = |&kind| Self::StoreFailed { call, kind };
            all.extend(StoreErrorKind::ALL.iter().map(failed));
        }
        all
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
            Self::StoreFailed { .. } => "store_failed",
            Self::Abandoned => "abandoned",
            Self::Suspected { .. } => "suspected",
            Self::Lost { .. } => "lost",
        }
    }

    /// Which of several, where there are: `login`, say, of a session that was rotated.
    #[must_use]
    pub const fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::Created(creation) => creation.name(),
            Self::Rotated(rotation) => rotation.name(),
            Self::LoginRefused(refusal) => refusal.name(),
            Self::Destroyed(ending) => ending.name(),
            Self::Revoked(revocation) => revocation.name(),
            Self::Expired(limit) => limit.name(),
            Self::Unknown(ignorance) => ignorance.name(),
            Self::Stale(staleness) => staleness.name(),
            Self::StoreFailed { kind, .. } => kind.name(),
            Self::Suspected { signal, .. } => signal.name(),
            _ => return None,
        })
    }

    /// Whether any stranger can bring it about at will, and so crowd out what matters more; with a session that belongs to no
    /// user, they can do more.
    pub(super) const fn is_anybodys(&self, has_user: bool) -> bool {
        match self {
            Self::Destroyed(_) | Self::Rotated(_) | Self::Suspected { .. } => !has_user,
            Self::Resumed
            | Self::Malformed
            | Self::Ambiguous
            | Self::Unknown(_)
            | Self::Stale(_)
            | Self::Expired(_)
            | Self::Conflict
            | Self::Interrupted
            | Self::Discarded
            | Self::Created(Creation::Write)
            | Self::StoreFailed { .. } => true,
            _ => false,
        }
    }

    /// What there is to tell of a card.
    pub(crate) fn of_card(card: &Card) -> Option<Self> {
        Some(match card {
            Card::Absent | Card::Withheld => return None,
            Card::Valid(_) => Self::Resumed,
            Card::Conflicting => Self::Ambiguous,
            Card::Unknown(why) => match why {
                Why::NoRecord => Self::Unknown(Ignorance::NoRecord),
                Why::WrongVerifier => Self::Unknown(Ignorance::WrongVerifier),
                Why::Expired(limit) => Self::Expired(*limit),
                Why::StaleVerifier => Self::Stale(Staleness::Old),
                Why::Unreadable(_) => Self::Unreadable,
            },
            Card::Late(Late::Rotated(_)) => Self::Stale(Staleness::Late),
            Card::Late(Late::Deleted) => Self::Stale(Staleness::Deleted),
            Card::Late(Late::Future) => Self::Stale(Staleness::FutureFormat),
        })
    }
}
