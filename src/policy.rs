//! How many sessions a user may have at the same time.

use std::time::Duration;

use crate::config::{BeyondLimit, SessionLimit};
use crate::desk::Desk;
use crate::error::SessionError;
use crate::store::Indexed;
use crate::token::SessionId;
use crate::users::settled_last;

/// Logins younger than this are neither counted nor evicted: a double click on "log in" must not end in a dead cookie.
const SETTLING: Duration = Duration::from_secs(10);

/// The user's other sessions that count, the newest login first.
async fn others(
    desk: &Desk,
    user: &str,
    own: Option<SessionId>,
) -> Result<Vec<Indexed>, SessionError> {
    let now = desk.clock.now();
    let mut others = settled_last(desk.sessions_of(user).await?);
    others.retain(|indexed| {
        let header = indexed.record.header();
        let login = header.authenticated.unwrap_or(header.created);
        Some(indexed.key.id()) != own && now.since(login) >= SETTLING
    });
    Ok(others)
}

/// Whether the user may log in once more, before the login is carried out.
pub(crate) async fn admit(
    desk: &Desk,
    limit: SessionLimit,
    user: &str,
    own: Option<SessionId>,
) -> Result<(), SessionError> {
    if limit.beyond == BeyondLimit::Refuse && others(desk, user, own).await?.len() >= limit.most() {
        return Err(SessionError::TooManySessions);
    }
    Ok(())
}

/// Ends the user's oldest sessions that are too many, after the login was carried out. A store that fails has been told of:
/// the next login does it.
pub(crate) async fn evict(desk: &Desk, limit: SessionLimit, user: &str, own: SessionId) {
    if limit.beyond != BeyondLimit::EvictOldest {
        return;
    }
    let Ok(others) = others(desk, user, Some(own)).await else {
        return;
    };
    for indexed in others.iter().skip(limit.most() - 1) {
        let _told = desk.end(indexed.key.id(), Some(user)).await;
    }
}
