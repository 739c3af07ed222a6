//! One request's session, from the cookie to the response: look-up, pending changes, decision, commit.

mod candidates;
pub(crate) mod changes;
mod commit;
mod context;
mod decision;
mod evictions;
mod in_flight;
mod lifetime;
mod lookup;
mod manager;
mod monitoring;
mod pending;
mod request_session;
mod timed_store;
mod user_sessions;

pub(crate) use self::context::ClientContext;
pub(crate) use self::decision::Outcome;
pub(crate) use self::lifetime::Lifetime;
#[cfg(feature = "testing")]
pub(crate) use self::lookup::Lookup;
pub(crate) use self::manager::SessionManager;
pub(crate) use self::pending::{Pending, PendingLogin};
pub(crate) use self::request_session::{
    CookieChange, Finish, Phase, RequestSession, ResponseSummary, Saving, State,
};
pub(crate) use self::user_sessions::{Requester, newest_first};
