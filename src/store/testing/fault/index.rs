//! Faults of the user index.

use std::sync::Arc;

use super::FaultStore;
use crate::store::{
    DeletedPage, IndexCursor, IndexPage, Marker, SessionId, SessionStore, StoreCall, StoreError,
    UserIndex, no_index,
};

/// The index of the wrapped store. If that store has none, the calls fail with
/// [`StoreErrorKind::Refused`](crate::store::StoreErrorKind::Refused): check [`user_index`](SessionStore::user_index) first.
impl<S: SessionStore> UserIndex for FaultStore<S> {
    async fn sessions_of(
        &self,
        namespace: &str,
        user: &str,
        after: Option<&IndexCursor>,
    ) -> Result<IndexPage, StoreError> {
        let (namespace, user) = (namespace.to_owned(), user.to_owned());
        let after = after.cloned();
        let call = async move |store: Arc<S>| {
            let index = store.user_index().ok_or_else(no_index)?;
            index.sessions_of(&namespace, &user, after.as_ref()).await
        };
        self.run(StoreCall::SessionsOf, call).await
    }

    async fn revoke_user(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> Result<Marker, StoreError> {
        let (namespace, user) = (namespace.to_owned(), user.to_owned());
        let call = async move |store: Arc<S>| {
            let index = store.user_index().ok_or_else(no_index)?;
            index.revoke_user(&namespace, &user, except).await
        };
        self.run(StoreCall::RevokeUser, call).await
    }

    async fn delete_sessions_of(
        &self,
        namespace: &str,
        user: &str,
        marker: &Marker,
        after: Option<&IndexCursor>,
    ) -> Result<DeletedPage, StoreError> {
        let (namespace, user) = (namespace.to_owned(), user.to_owned());
        let (marker, after) = (*marker, after.cloned());
        let call = async move |store: Arc<S>| {
            let index = store.user_index().ok_or_else(no_index)?;
            let piece = index.delete_sessions_of(&namespace, &user, &marker, after.as_ref());
            piece.await
        };
        self.run(StoreCall::DeleteSessionsOf, call).await
    }
}
