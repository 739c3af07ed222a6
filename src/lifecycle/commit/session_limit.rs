//! The session limit: how many sessions a user may have at the same time.
//!
//! The logins of a user have an order: that in which the store made their entries, and before that, by the time of the login.
//! Each login that was carried out lists the sessions, and ends those beyond the limit: the oldest ones, or the newest ones if
//! logins beyond the limit are refused. So concurrent logins agree about which sessions stay, and the last one to list sees all
//! the others: a small limit is exact once the logins are done.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::config::{BeyondLimit, SessionLimit};
use crate::error::SessionError;
use crate::event::{Event, EventKind, Refusal, Revocation};
use crate::lifecycle::context::ClientContext;
use crate::lifecycle::pending::PendingLogin;
use crate::lifecycle::user_sessions::Purpose;
use crate::record::SessionId;
use crate::store::{IndexMoment, Indexed, PIECE};

/// How many sessions one login ends at most. If there are more, as after a limit was lowered, or if the time is over, later
/// logins end them.
const EVICTIONS: usize = 64;

/// How many pieces of the list a login reads at most, beyond those that the limit itself takes.
const PIECES: usize = 8;

/// How long a login lists and ends sessions at most, before it is carried out and after that. The call that is under way then
/// goes on to its own deadline.
const TIME_LIMIT: Duration = Duration::from_secs(2);

/// From this limit on, it need not be exact at each moment. A login lists the sessions only if the index has more entries, and
/// one beyond the limit makes room for others, so that not each of them has to list that many sessions.
const LARGE: usize = 100;

/// What became of a login.
pub(super) enum Settled {
    Stays,
    /// There are as many newer logins as the limit allows, and one of them has ended this one, or it has ended itself.
    Ended,
}

/// The user's sessions, the oldest login first.
async fn list(
    context: ClientContext<'_>,
    limit: SessionLimit,
    user: &Arc<str>,
    until: Instant,
) -> Result<Vec<Indexed>, SessionError> {
    // A session may have two members in an index, and so may one that is gone.
    let pieces = PIECES + 2 * limit.most() / PIECE;
    let purpose = Purpose::LogIn { pieces, until };
    let mut sessions = context.list(user, purpose).await?;
    sessions.sort_by_key(place);
    Ok(sessions)
}

/// Where a login is in the order of all logins of its user.
fn place(indexed: &Indexed) -> (IndexMoment, Timestamp, SessionId) {
    let login = indexed.header.0.last_login();
    (indexed.bound, login, indexed.key.id())
}

/// The sessions beyond the limit among all, which are in order.
fn beyond(limit: SessionLimit, sessions: &[Indexed]) -> &[Indexed] {
    let most = limit.most();
    if sessions.len() <= most {
        return &[];
    }
    match limit.beyond {
        BeyondLimit::EvictOldest => {
            let room = if most < LARGE { 0 } else { most / 16 };
            &sessions[..sessions.len() - most + room]
        }
        BeyondLimit::Refuse => &sessions[most..],
    }
}

/// Checks whether the user may log in once more, before the login is carried out.
pub(super) async fn admit(
    context: ClientContext<'_>,
    limit: SessionLimit,
    user: &Arc<str>,
    own: &[SessionId],
) -> Result<(), SessionError> {
    if limit.beyond == BeyondLimit::EvictOldest {
        return Ok(());
    }
    let until = Instant::now() + TIME_LIMIT;
    let sessions = list(context, limit, user, until).await?;
    let is_other = |indexed: &&Indexed| !own.contains(&indexed.key.id());
    if sessions.iter().filter(is_other).count() >= limit.most() {
        return Err(refused(context, user));
    }
    Ok(())
}

/// Enforces the limit after the login was carried out: concurrent logins could not see each other before.
pub(super) async fn settle(
    context: ClientContext<'_>,
    limit: SessionLimit,
    login: &PendingLogin,
    own: SessionId,
) -> Result<Settled, SessionError> {
    let (user, entries) = (Some(&login.user), login.entries.get());
    // A concurrent login may have listed before this one was stored, so a small limit needs a list in any case.
    if limit.most() >= LARGE && entries.is_some_and(|entries| entries <= limit.most()) {
        return Ok(Settled::Stays);
    }
    let until = Instant::now() + TIME_LIMIT;
    let listed = list(context, limit, &login.user, until).await;
    let sessions = match (listed, limit.beyond) {
        (Ok(sessions), _) => sessions,
        // The failure is reported, and the next login tries again.
        (Err(_), BeyondLimit::EvictOldest) => return Ok(Settled::Stays),
        (Err(error), BeyondLimit::Refuse) => {
            context.end(own, user, Revocation::Limit).await?;
            return Err(error);
        }
    };
    let (mine, others): (Vec<_>, Vec<_>) = beyond(limit, &sessions)
        .iter()
        .map(|indexed| indexed.key.id())
        .partition(|id| *id == own);
    for id in others.iter().take(EVICTIONS) {
        if Instant::now() >= until {
            break;
        }
        let _reported = context.end(*id, user, Revocation::Limit).await;
    }
    let is_beyond = !mine.is_empty();
    if is_beyond {
        context.end(own, user, Revocation::Limit).await?;
    } else {
        // While this login ended others, a newer one may have ended it.
        let was_listed = sessions.iter().any(|indexed| indexed.key.id() == own);
        if was_listed && others.is_empty() || context.is_session_of(own, &login.user).await? {
            return Ok(Settled::Stays);
        }
    }
    match limit.beyond {
        BeyondLimit::Refuse if is_beyond || sessions.len() >= limit.most() => {
            Err(refused(context, &login.user))
        }
        _ => Ok(Settled::Ended),
    }
}

fn refused(context: ClientContext<'_>, user: &Arc<str>) -> SessionError {
    let event = Event::new(EventKind::LoginRefused(Refusal::Limit));
    context.report(event.user(Some(user)));
    SessionError::TooManySessions
}
