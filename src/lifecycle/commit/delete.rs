//! Ends a session, or several that contradict each other, and creates another one if the decision says so.

use super::committed::{Committed, CookieUpdate};
use super::create::create;
use super::retry::{Retry, gave_up};
use crate::error::SessionError;
use crate::event::{Ending, Event, EventKind};
use crate::lifecycle::context::ClientContext;
use crate::lifecycle::decision::StoreAction;
use crate::lifecycle::lookup::{Lookup, OpenSession, Superseded};
use crate::lifecycle::pending::Pending;
use crate::record::Header;
use crate::store::{Loaded, StoreCall, StoreError, StoreErrorKind};

pub(super) async fn end(
    context: ClientContext<'_>,
    lookup: &Lookup,
    pending: &Pending,
    action: StoreAction,
) -> Result<Committed, SessionError> {
    if let Lookup::Open(open) = lookup
        && pending.ending == Some(Ending::Credential)
        && let Some(spared) = spared(context, open).await?
    {
        return match (action, &pending.login) {
            (StoreAction::DeleteThenCreate, Some(_)) => {
                create(context, pending, &pending.changes).await
            }
            // The token of a new session would replace the token of the session that continues.
            (StoreAction::DeleteThenCreate, None) => Err(SessionError::Interrupted),
            _ => Ok(Committed {
                lookup: spared,
                cookie: CookieUpdate::Keep,
            }),
        };
    }
    delete_all(context, lookup, pending).await?;
    if action == StoreAction::DeleteThenCreate {
        return create(context, pending, &pending.changes).await;
    }
    Ok(Committed {
        lookup: Lookup::Absent,
        cookie: CookieUpdate::Remove,
    })
}

/// What the token opens now, if the session is not to be ended for its old credential: a request of this same session has
/// changed the credential, or the session has ended already. The record decides, whatever token it has by now.
async fn spared(
    context: ClientContext<'_>,
    open: &OpenSession,
) -> Result<Option<Lookup>, SessionError> {
    let loaded = Retry::new(context).load(&context.key(open.id())).await?;
    match &loaded {
        Loaded::Record { record, .. } if same_stamp(record.header(), open.header()) => Ok(None),
        _ => Ok(Some(context.look_up_in(loaded, &open.token)?)),
    }
}

/// Whether both have the same stamp of their user's credential, or both have none.
fn same_stamp(one: &Header, other: &Header) -> bool {
    match (one.login.stamp, other.login.stamp) {
        (Some(one), Some(other)) => one.same_as(&other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// Deletes the session of the request, or those of all its tokens.
async fn delete_all(
    context: ClientContext<'_>,
    lookup: &Lookup,
    pending: &Pending,
) -> Result<(), SessionError> {
    let Lookup::Conflicting(sessions) = lookup else {
        return delete(context, lookup, pending).await;
    };
    let unreadable = |session: &Lookup| matches!(session, Lookup::Superseded(Superseded::Future));
    if pending.ending == Some(Ending::Logout) && sessions.iter().any(unreadable) {
        // This version cannot end it, and a logout that leaves a session alive would not be one.
        return Err(StoreError::new(StoreErrorKind::Refused).into());
    }
    for session in sessions.iter() {
        delete(context, session, pending).await?;
    }
    Ok(())
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
                let ending = pending.ending.unwrap_or(Ending::Ambiguous);
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
