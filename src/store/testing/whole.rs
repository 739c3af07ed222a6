//! All pieces of a list or of a revocation, one after the other.

use crate::record::SessionId;
use crate::store::{Indexed, StoreError, StoreErrorKind, UserIndex};

/// All live sessions of a user.
///
/// # Errors
///
/// If the store fails.
pub async fn all_sessions_of(
    store: &impl UserIndex,
    namespace: &str,
    user: &str,
) -> Result<Vec<Indexed>, StoreError> {
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let piece = store.sessions_of(namespace, user, after.as_ref()).await?;
        listed.extend(piece.sessions);
        match piece.next {
            Some(next) => after = Some(next),
            None => return Ok(listed),
        }
    }
}

/// Ends all sessions of a user, except one, and returns which.
///
/// # Errors
///
/// If the store fails, or too few replicas know it.
pub async fn end_all(
    store: &impl UserIndex,
    namespace: &str,
    user: &str,
    except: Option<SessionId>,
) -> Result<Vec<SessionId>, StoreError> {
    let marker = store.revoke_user(namespace, user, except).await?;
    let (mut ended, mut after, mut replicated) = (Vec::new(), None, marker.replicated);
    loop {
        let piece = store.delete_sessions_of(namespace, user, &marker, after.as_ref());
        let piece = piece.await?;
        ended.extend(piece.ended);
        replicated &= piece.replicated;
        match piece.next {
            Some(next) => after = Some(next),
            None if replicated => return Ok(ended),
            None => return Err(StoreError::new(StoreErrorKind::Unreplicated)),
        }
    }
}
