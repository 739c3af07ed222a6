//! The commit: carries out a store action, and handles conflicts, retries and unknown outcomes.

mod committed;
mod create;
mod delete;
mod index_change;
mod prepared_write;
mod replace;
mod retry;
mod session_limit;
mod touch;

pub(super) use self::committed::{Committed, CookieUpdate};
use self::create::create;
use self::delete::end;
use self::replace::{replace, taken_over};
use self::session_limit::Settled;
use self::touch::touch;
use super::context::ClientContext;
use super::decision::StoreAction;
use super::lookup::{Lookup, OpenSession, Superseded};
use super::pending::{Pending, PendingLogin};
use crate::config::SessionLimit;
use crate::error::SessionError;
use crate::record::SessionId;

/// Carries out `action` for the pending changes, and enforces the session limit.
///
/// Rare paths are boxed to keep the future small.
pub(super) async fn commit(
    context: ClientContext<'_>,
    lookup: &Lookup,
    pending: &Pending,
    action: StoreAction,
) -> Result<Committed, SessionError> {
    let limited = || context.session_limit.zip(pending.login.as_deref());
    if let Some((limit, login)) = limited() {
        let own = own_sessions(lookup);
        Box::pin(session_limit::admit(context, limit, &login.user, &own)).await?;
    }
    let committed = match (action, lookup) {
        (StoreAction::Touch, Lookup::Open(open)) => touch(context, open).await,
        (StoreAction::Replace, Lookup::Open(open)) => {
            match replace(context, open, pending).await? {
                Some(committed) => committed,
                None => Box::pin(taken_over(context, open, pending)).await?,
            }
        }
        (StoreAction::Create, _) => create(context, pending, &pending.changes).await?,
        (StoreAction::Delete | StoreAction::DeleteThenCreate, lookup) => {
            Box::pin(end(context, lookup, pending, action)).await?
        }
        // The decision table touches and replaces open sessions only.
        (StoreAction::Touch | StoreAction::Replace, lookup) => Committed {
            lookup: lookup.clone(),
            cookie: CookieUpdate::Keep,
        },
    };
    match limited() {
        None => Ok(committed),
        Some(limited) => Box::pin(settle(context, limited, committed)).await,
    }
}

/// Ends what is more than the session limit, after the login of a session that was admitted.
async fn settle(
    context: ClientContext<'_>,
    (limit, login): (SessionLimit, &PendingLogin),
    committed: Committed,
) -> Result<Committed, SessionError> {
    let Some(open) = committed.lookup.open() else {
        return Ok(committed);
    };
    let settled = session_limit::settle(context, limit, login, open.id());
    Ok(match settled.await? {
        Settled::Stays => committed,
        // The browser may have the cookie of the newer login, as after a double click.
        Settled::Ended => Committed {
            lookup: Lookup::Superseded(Superseded::Deleted),
            cookie: CookieUpdate::Withdraw,
        },
    })
}

/// The sessions that the request's tokens open. A login takes the place of them.
fn own_sessions(lookup: &Lookup) -> Vec<SessionId> {
    let all = match lookup {
        Lookup::Conflicting(sessions) => &sessions[..],
        one => std::slice::from_ref(one),
    };
    let open = all.iter().filter_map(Lookup::open);
    open.map(OpenSession::id).collect()
}
