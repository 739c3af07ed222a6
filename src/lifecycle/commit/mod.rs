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

use std::sync::Arc;

pub(super) use self::committed::{Committed, CookieUpdate};
use self::create::create;
use self::delete::end;
use self::replace::{replace, taken_over};
use self::touch::touch;
use super::context::ClientContext;
use super::decision::StoreAction;
use super::lookup::{Lookup, OpenSession};
use super::pending::Pending;
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
    let limited = context
        .config
        .max_sessions_per_user
        .zip(pending.login.as_ref());
    match limited {
        None => carry_out(context, lookup, pending, action).await,
        Some((limit, login)) => {
            let limit = (limit, &login.user);
            Box::pin(within_limit(context, lookup, pending, action, limit)).await
        }
    }
}

/// The same for a login in a layer with a session limit.
async fn within_limit(
    context: ClientContext<'_>,
    lookup: &Lookup,
    pending: &Pending,
    action: StoreAction,
    (limit, user): (SessionLimit, &Arc<str>),
) -> Result<Committed, SessionError> {
    session_limit::admit(context, limit, user, &own_sessions(lookup)).await?;
    let committed = carry_out(context, lookup, pending, action).await?;
    if let Some(open) = committed.lookup.open() {
        session_limit::settle(context, limit, user, open.id()).await?;
    }
    Ok(committed)
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

async fn carry_out(
    context: ClientContext<'_>,
    lookup: &Lookup,
    pending: &Pending,
    action: StoreAction,
) -> Result<Committed, SessionError> {
    match (action, lookup) {
        (StoreAction::Touch, Lookup::Open(open)) => Ok(touch(context, open).await),
        (StoreAction::Replace, Lookup::Open(open)) => {
            match replace(context, open, pending).await? {
                Some(committed) => Ok(committed),
                None => Box::pin(taken_over(context, open, pending)).await,
            }
        }
        (StoreAction::Create, _) => create(context, pending, &pending.changes).await,
        (StoreAction::Delete | StoreAction::DeleteThenCreate, lookup) => {
            Box::pin(end(context, lookup, pending, action)).await
        }
        // The decision table touches and replaces open sessions only.
        (StoreAction::Touch | StoreAction::Replace, lookup) => Ok(Committed {
            lookup: lookup.clone(),
            cookie: CookieUpdate::Keep,
        }),
    }
}
