//! The names of the calls of a store.

use crate::named_enum::named_enum;

named_enum! {
    /// A call of a store, or of its index of users.
    StoreCall {
        /// [`SessionStore::load`](crate::store::SessionStore::load).
        Load = "load",
        /// [`SessionStore::create`](crate::store::SessionStore::create).
        Create = "create",
        /// [`SessionStore::replace`](crate::store::SessionStore::replace).
        Replace = "replace",
        /// [`SessionStore::touch`](crate::store::SessionStore::touch).
        Touch = "touch",
        /// [`SessionStore::delete`](crate::store::SessionStore::delete).
        Delete = "delete",
        /// [`UserIndex::sessions_of`](crate::store::UserIndex::sessions_of).
        SessionsOf = "sessions_of",
        /// [`UserIndex::revoke_user`](crate::store::UserIndex::revoke_user).
        RevokeUser = "revoke_user",
        /// [`UserIndex::delete_sessions_of`](crate::store::UserIndex::delete_sessions_of).
        DeleteSessionsOf = "delete_sessions_of",
    }
}
