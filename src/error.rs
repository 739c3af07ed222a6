//! What can go wrong, as the application sees it and as the client is told.

use std::any::type_name;
use std::fmt;
use std::sync::Arc;

use crate::session::Main;
use crate::store::StoreError;

/// A session could not do what it was asked.
///
/// `Display` is safe to log: it names keys that the application chose, and neither the store, nor a token, nor a value. The
/// cause is in [`source`](std::error::Error::source). As a response (feature `axum`) it says the status, and
/// besides only where a [login or a proof](crate::Required) is wanted that it is. What is answered with 500, for it is the
/// application's mistake, is in the log (feature `tracing`).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SessionError {
    /// The value under this key is not of the type asked for. It is still there, and the session still works.
    Decode {
        /// The key.
        key: String,
        /// What `serde_json` says.
        source: Arc<serde_json::Error>,
    },
    /// The value for this key could not be written as JSON.
    Encode {
        /// The key.
        key: String,
        /// What `serde_json` says.
        source: Arc<serde_json::Error>,
    },
    /// With this value the session's data would be larger than the layer's `max_data_size`. Nothing was changed.
    TooLarge {
        /// The limit, in bytes of JSON.
        limit: usize,
    },
    /// The value nests arrays and objects deeper than [`Record::MAX_DEPTH`](crate::store::Record::MAX_DEPTH) allows.
    TooDeep {
        /// The key.
        key: String,
    },
    /// Keys that begin with `_keycard.` belong to this crate.
    ReservedKey {
        /// The key.
        key: String,
    },
    /// A user's id is empty or longer than 255 bytes, or not of the type that [`user_as`](crate::Session::user_as) was asked
    /// for.
    InvalidUser,
    /// The response has begun: write after [`reload`](crate::Session::reload), and end with
    /// [`save`](crate::Session::save).
    Sealed,
    /// The response has begun, and this would need a new cookie.
    HeadSent,
    /// A save of this session is under way: await it before writing on.
    Saving,
    /// The session belongs to no user.
    NotLoggedIn,
    /// A form came without a token of this session: see [`verify_csrf`](crate::Session::verify_csrf).
    InvalidCsrfToken,
    /// The user has as many sessions as the layer's `max_sessions_per_user` allows: nothing was changed.
    TooManySessions,
    /// The user proved who they are too long ago for what they are about to do: ask them again, then
    /// [`reauthenticate`](crate::Session::reauthenticate).
    NotFresh,
    /// Another request rotated or ended the session meanwhile: what this request changed is dropped.
    Interrupted,
    /// The request carries two different session cookies, one of them planted: nothing is stored for it.
    Ambiguous,
    /// The store failed, or did not answer in time.
    Store(StoreError),
    /// The operating system gave no random bytes for a token.
    NoRandomness,
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode { key, .. } => {
                write!(
                    f,
                    "the session's value under {key:?} is not of the type asked for"
                )
            }
            Self::Encode { key, .. } => {
                write!(
                    f,
                    "the value for {key:?} in the session cannot be written as JSON"
                )
            }
            Self::TooLarge { limit } => {
                write!(f, "the session's data would be larger than {limit} bytes")
            }
            Self::TooDeep { key } => {
                write!(
                    f,
                    "the value for {key:?} in the session is nested too deeply"
                )
            }
            Self::ReservedKey { key } => write!(f, "the session key {key:?} is reserved"),
            Self::InvalidUser => {
                f.write_str("a user's id has 1 to 255 bytes, and is of the type asked for")
            }
            Self::Sealed => f.write_str("the response has begun: reload the session to write"),
            Self::HeadSent => f.write_str("the response has begun: no new cookie can be set"),
            Self::Saving => f.write_str("a save of the session is under way"),
            Self::InvalidCsrfToken => f.write_str("the form carries no token of this session"),
            Self::NotFresh => f.write_str("the user is to prove once more who they are"),
            Self::TooManySessions => f.write_str("the user has too many sessions"),
            Self::NotLoggedIn => f.write_str("the session belongs to no user"),
            Self::Interrupted => {
                f.write_str("another request rotated or ended the session meanwhile")
            }
            Self::Ambiguous => f.write_str("the request carries two different session cookies"),
            Self::Store(error) => error.fmt(f),
            Self::NoRandomness => f.write_str("the system's random number generator failed"),
        }
    }
}

impl std::error::Error for SessionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Decode { source, .. } | Self::Encode { source, .. } => Some(source),
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<StoreError> for SessionError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A request's session could not be had at all.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SessionRejection {
    /// No [`SessionLayer`](crate::SessionLayer) with this marker stands around the service: 500, and a line in the log.
    MissingLayer {
        /// The marker's type, such as `tower_keycard::Main`.
        marker: &'static str,
    },
    /// The store failed, or did not answer in time: 503, and the client may try again.
    Store(StoreError),
}

impl fmt::Display for SessionRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingLayer { marker } if *marker == type_name::<Main>() => f.write_str(
                "no session layer is around this service: add `.layer(SessionLayer::new(store))`, in axum after the routes",
            ),
            Self::MissingLayer { marker } => write!(
                f,
                "no session layer marked `{marker}` is around this service: \
                 add one that is built with `.marked`, in axum after the routes"
            ),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SessionRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::MissingLayer { .. } => None,
            Self::Store(error) => Some(error),
        }
    }
}

impl From<StoreError> for SessionRejection {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_layer_is_told_with_the_builder_that_makes_it() {
        let text = |marker| SessionRejection::MissingLayer { marker }.to_string();
        let main = text(type_name::<Main>());
        assert!(main.contains("SessionLayer::new(store)"), "{main}");
        let marked = text("shop::Admin");
        assert!(marked.contains("marked `shop::Admin`"), "{marked}");
        assert!(marked.contains("`.marked`"), "{marked}");
    }
}
