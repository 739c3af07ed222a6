//! The session limit: how many sessions a user may have at the same time.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::CLOCK_DIFFERENCE;
use crate::config::{BeyondLimit, SessionLimit};
use crate::error::SessionError;
use crate::event::{Event, EventKind, Refusal, Revocation};
use crate::lifecycle::context::ClientContext;
use crate::lifecycle::user_sessions::newest_first;
use crate::record::SessionId;
use crate::store::Indexed;

/// Logins younger than this may come from the same double click on "log in", which must not end in a dead cookie.
const SETTLING: Duration = Duration::from_secs(10);

/// How many other logins of a double click are neither counted nor evicted. More logins than that are no double click.
const CLICKS: usize = 2;

/// The user's other sessions that count, the newest login first.
async fn others(
    context: ClientContext<'_>,
    user: &Arc<str>,
    own: &[SessionId],
) -> Result<Vec<Indexed>, SessionError> {
    let now = context.now();
    let mut others = newest_first(context.sessions_of(user).await?);
    let mut clicks = 0..CLICKS;
    others.retain(|indexed| {
        let login = indexed.record.header().last_login();
        // A login dated further ahead than clocks differ comes from a wrong clock, and counts as settled.
        let settling = now.since(login) < SETTLING && login.since(now) <= CLOCK_DIFFERENCE;
        !(own.contains(&indexed.key.id()) || settling && clicks.next().is_some())
    });
    Ok(others)
}

/// Checks whether the user may log in once more, before the login is carried out.
pub(super) async fn admit(
    context: ClientContext<'_>,
    limit: SessionLimit,
    user: &Arc<str>,
    own: &[SessionId],
) -> Result<(), SessionError> {
    if limit.beyond == BeyondLimit::Refuse
        && others(context, user, own).await?.len() >= limit.most()
    {
        let event = Event::new(EventKind::LoginRefused(Refusal::Limit));
        context.report(event.user(Some(user)));
        return Err(SessionError::TooManySessions);
    }
    Ok(())
}

/// Enforces the limit after the login was carried out: concurrent logins could not see each other before.
pub(super) async fn settle(
    context: ClientContext<'_>,
    limit: SessionLimit,
    user: &Arc<str>,
    own: SessionId,
) -> Result<(), SessionError> {
    match limit.beyond {
        BeyondLimit::EvictOldest => evict(context, limit, user, own).await,
        BeyondLimit::Refuse => {
            if let Err(refused) = admit(context, limit, user, &[own]).await {
                context.end(own, Some(user), Revocation::Limit).await?;
                return Err(refused);
            }
        }
    }
    Ok(())
}

/// Ends the user's oldest sessions beyond the limit. A failure of the store is reported, and the next login tries again.
async fn evict(context: ClientContext<'_>, limit: SessionLimit, user: &Arc<str>, own: SessionId) {
    let Ok(others) = others(context, user, &[own]).await else {
        return;
    };
    for indexed in others.iter().skip(limit.most() - 1) {
        let _reported = context
            .end(indexed.key.id(), Some(user), Revocation::Limit)
            .await;
    }
}
