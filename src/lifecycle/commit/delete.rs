//! Ends a session, and creates another one if the decision says so.

use super::committed::{Committed, CookieUpdate};
use super::create::create;
use super::retry::{Retry, gave_up};
use crate::error::SessionError;
use crate::event::{Ending, Event, EventKind};
use crate::lifecycle::context::ClientContext;
use crate::lifecycle::decision::StoreAction;
use crate::lifecycle::lookup::{Lookup, Superseded};
use crate::lifecycle::pending::Pending;
use crate::record::SecurityStamp;
use crate::store::StoreCall;

pub(super) async fn end(
    context: ClientContext<'_>,
    lookup: &Lookup,
    pending: &Pending,
    action: StoreAction,
) -> Result<Committed, SessionError> {
    let mut latest = None;
    if let Lookup::Open(open) = lookup
        && pending.ending == Some(Ending::Credential)
    {
        let stamp = open.header().login.stamp;
        let found = context.look_up_latest(&open.token).await?;
        // If the stamp has changed since the look-up, a request of this same session has changed the credential.
        latest = Some((!has_stamp(&found, stamp), found));
    }
    let (spared, lookup) = latest
        .as_ref()
        .map_or((false, lookup), |(spared, found)| (*spared, found));
    match (action, spared) {
        (StoreAction::DeleteThenCreate, true) if pending.login.is_none() => {
            // The token of a new session would replace the token of the session that continues.
            return Err(SessionError::Interrupted);
        }
        (StoreAction::DeleteThenCreate, true) => {}
        (_, true) => {
            return Ok(Committed {
                lookup: lookup.clone(),
                cookie: CookieUpdate::Keep,
            });
        }
        (_, false) => delete(context, lookup, pending).await?,
    }
    if action == StoreAction::DeleteThenCreate {
        return create(context, pending, &pending.changes).await;
    }
    Ok(Committed {
        lookup: Lookup::Absent,
        cookie: CookieUpdate::Remove,
    })
}

/// Whether a look-up found an open session with this stamp of its user's credential.
fn has_stamp(lookup: &Lookup, stamp: Option<SecurityStamp>) -> bool {
    let Some(open) = lookup.open() else {
        return false;
    };
    match (open.header().login.stamp, stamp) {
        (Some(one), Some(other)) => one.same_as(&other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// Deletes the session that a token opens, or opened until a moment ago.
async fn delete(
    context: ClientContext<'_>,
    lookup: &Lookup,
    pending: &Pending,
) -> Result<(), SessionError> {
    let (id, user) = match lookup {
        Lookup::Open(open) => (open.id(), open.record.shared_user()),
        // The session may belong to another user by now.
        Lookup::Superseded(Superseded::Rotated(id)) => (*id, None),
        _ => return Ok(()),
    };
    let key = context.key(id);
    let mut retry = Retry::new(context);
    while retry.next() {
        let deleted = retry.store().delete(&key, user.map(|user| &**user));
        match deleted.await {
            Ok(()) => {
                let ending = pending.ending.unwrap_or(Ending::Logout);
                let event = Event::new(EventKind::Destroyed(ending)).session(id);
                context.report(event.user(user));
                return Ok(());
            }
            // Deleting twice does no harm.
            Err(error) => retry.outcome_unknown(StoreCall::Delete, id, error)?,
        }
    }
    Err(gave_up())
}
