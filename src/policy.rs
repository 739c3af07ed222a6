//! How many sessions a user may have at the same time.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{BeyondLimit, SessionLimit};
use crate::desk::Teller;
use crate::error::SessionError;
use crate::event::{Event, EventKind, Refusal, Revocation};
use crate::record::CLOCK_DIFFERENCE;
use crate::store::Indexed;
use crate::token::SessionId;
use crate::users::settled_last;

/// Logins younger than this may come of one and the same double click on "log in", which must not end in a dead cookie.
const SETTLING: Duration = Duration::from_secs(10);

/// How many others of them are neither counted nor evicted. Whoever logs in more often has another end in mind.
const CLICKS: usize = 2;

/// The user's other sessions that count, the newest login first.
async fn others(
    desk: Teller<'_>,
    user: &Arc<str>,
    own: Option<SessionId>,
) -> Result<Vec<Indexed>, SessionError> {
    let now = desk.clock.now();
    let mut others = settled_last(desk.sessions_of(user).await?);
    let mut clicks = 0..CLICKS;
    others.retain(|indexed| {
        let header = indexed.record.header();
        let login = header.authenticated.unwrap_or(header.created);
        // One that is dated further ahead than clocks differ has a wrong clock, and is as good as settled.
        let settling = now.since(login) < SETTLING && login.since(now) <= CLOCK_DIFFERENCE;
        Some(indexed.key.id()) != own && !(settling && clicks.next().is_some())
    });
    Ok(others)
}

/// Whether the user may log in once more, before the login is carried out.
pub(crate) async fn admit(
    desk: Teller<'_>,
    limit: SessionLimit,
    user: &Arc<str>,
    own: Option<SessionId>,
) -> Result<(), SessionError> {
    if limit.beyond == BeyondLimit::Refuse && others(desk, user, own).await?.len() >= limit.most() {
        let event = Event::new(EventKind::LoginRefused(Refusal::Limit));
        desk.tell(event.user(Some(user)));
        return Err(SessionError::TooManySessions);
    }
    Ok(())
}

/// Sees to it that there are not too many sessions after the login was carried out: of several at the same time, none has
/// seen the others before.
pub(crate) async fn settle(
    desk: Teller<'_>,
    limit: SessionLimit,
    user: &Arc<str>,
    own: SessionId,
) -> Result<(), SessionError> {
    match limit.beyond {
        BeyondLimit::EvictOldest => evict(desk, limit, user, own).await,
        BeyondLimit::Refuse => {
            if let Err(refused) = admit(desk, limit, user, Some(own)).await {
                desk.end(own, Some(user), Revocation::Limit).await?;
                return Err(refused);
            }
        }
    }
    Ok(())
}

/// Ends the user's oldest sessions that are too many. A store that fails has been told of: the next login does it.
async fn evict(desk: Teller<'_>, limit: SessionLimit, user: &Arc<str>, own: SessionId) {
    let Ok(others) = others(desk, user, Some(own)).await else {
        return;
    };
    for indexed in others.iter().skip(limit.most() - 1) {
        let _told = desk
            .end(indexed.key.id(), Some(user), Revocation::Limit)
            .await;
    }
}
