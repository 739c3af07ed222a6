//! The name of a record.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::record::SessionId;

/// The name of a record in a store: the layer's namespace and the session's id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordKey {
    namespace: Arc<str>,
    id: SessionId,
}

impl RecordKey {
    /// The key of session `id` in a layer's `namespace`.
    pub fn new(namespace: impl Into<Arc<str>>, id: SessionId) -> Self {
        Self {
            namespace: namespace.into(),
            id,
        }
    }

    /// The layer's namespace: by default the name of its cookie.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The session's public id.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }
}

/// Hashes the id alone. It is random, so two sessions of different namespaces hardly ever share it.
impl Hash for RecordKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

/// `namespace:id`, to be appended to the store's prefix.
impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.namespace, self.id)
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordKey({self})")
    }
}
