//! Faults of the user index.

use std::sync::Arc;

use super::FaultStore;
use crate::store::{Indexed, SessionId, SessionStore, StoreCall, StoreError, UserIndex, no_index};

/// The index of the wrapped store. If that store has none, the calls fail with
/// [`StoreErrorKind::Refused`](crate::store::StoreErrorKind::Refused): check [`user_index`](SessionStore::user_index) first.
impl<S: SessionStore> UserIndex for FaultStore<S> {
    async fn sessions_of(&self, namespace: &str, user: &str) -> Result<Vec<Indexed>, StoreError> {
        let (namespace, user) = (namespace.to_owned(), user.to_owned());
        let call = async move |store: Arc<S>| {
            let index = store.user_index().ok_or_else(no_index)?;
            index.sessions_of(&namespace, &user).await
        };
        self.run(StoreCall::SessionsOf, call).await
    }

    async fn delete_user(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let (namespace, user) = (namespace.to_owned(), user.to_owned());
        let call = async move |store: Arc<S>| {
            let index = store.user_index().ok_or_else(no_index)?;
            index.delete_user(&namespace, &user, except).await
        };
        self.run(StoreCall::DeleteUser, call).await
    }
}
