//! Why a store cannot be made.

use std::fmt;

use crate::store::{StoreError, StoreErrorKind};

/// Why there is no [`RedisStore`](crate::store::RedisStore). The text is for the operator. It contains no password.
#[derive(Clone)]
pub struct RedisStoreError(StoreError);

impl RedisStoreError {
    pub(crate) fn config(problem: impl Into<String>) -> Self {
        let problem: Box<dyn std::error::Error + Send + Sync> = problem.into().into();
        Self(StoreError::caused_by(StoreErrorKind::Refused, problem))
    }

    pub(crate) fn connecting(error: StoreError) -> Self {
        Self(error)
    }

    /// Whether it is worth trying again: [`Unavailable`](StoreErrorKind::Unavailable) if the server could not be reached,
    /// [`Refused`](StoreErrorKind::Refused) if the configuration, the password or the server's version is wrong.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.0.kind()
    }
}

impl From<RedisStoreError> for StoreError {
    fn from(error: RedisStoreError) -> Self {
        error.0
    }
}

impl fmt::Display for RedisStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::error::Error::source(&self.0) {
            Some(cause) => fmt::Display::fmt(cause, f),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl fmt::Debug for RedisStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A `main` that returns this error prints it with Debug, so Debug is readable too.
        write!(f, "RedisStoreError({self})")
    }
}

impl std::error::Error for RedisStoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0).and_then(std::error::Error::source)
    }
}
