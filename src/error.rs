//! Errors, as the application receives them and as the client sees them.

use std::fmt;
use std::sync::Arc;

use crate::random::RandomError;
use crate::store::StoreError;

/// An operation on a session failed, or a request has no session.
///
/// It is the one error of [`Session`](crate::Session), of its loading and of the extractors, so that `?` passes it on from
/// everywhere.
///
/// `Display` is safe to log: it names keys that the application chose, but neither the store, nor a token, nor a value. The
/// cause is in [`source`](std::error::Error::source).
///
/// With the feature `axum`, the error is also a response: a status without a body. Only if a
/// [login or a re-authentication](crate::middleware::Required) is required, the body says so. The status is 500 for a
/// mistake of the application, which is also logged (feature `tracing`).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SessionError {
    /// The value under this key does not have the requested type. It is still there, and the session still works.
    Decode {
        /// The key.
        key: String,
        /// The error of `serde_json`.
        source: Arc<serde_json::Error>,
    },
    /// The value for this key could not be written as JSON, or
    /// [would be read as another](crate::Session#what-json-would-lose). Nothing was changed.
    Encode {
        /// The key.
        key: String,
        /// The error of `serde_json`.
        source: Arc<serde_json::Error>,
    },
    /// With this value, the session's data would be larger than the layer's `max_data_size`. Nothing was changed.
    TooLarge {
        /// The limit, in bytes of JSON.
        limit: usize,
    },
    /// The value nests arrays and objects deeper than [`Record::MAX_DEPTH`](crate::store::Record::MAX_DEPTH) allows.
    TooDeep {
        /// The key.
        key: String,
    },
    /// Keys that begin with `_keycard.` are reserved for this crate.
    ReservedKey {
        /// The key.
        key: String,
    },
    /// The user's id in a login is empty or longer than 255 bytes.
    InvalidUser,
    /// The response has begun. Call [`reload`](crate::Session::reload) before you write, and [`save`](crate::Session::save)
    /// at the end.
    Sealed,
    /// The response has begun, and this operation needs a new cookie.
    HeadSent,
    /// A save of this session is in progress. Await it before you write again.
    Saving,
    /// The session belongs to no user.
    NotLoggedIn,
    /// A form came without a CSRF token of this session: see [`verify_csrf`](crate::Session::verify_csrf).
    InvalidCsrfToken,
    /// The user has as many sessions as the layer's `max_sessions_per_user` allows. Nothing was changed.
    TooManySessions,
    /// The user's last authentication is too old for this operation. Let the user authenticate again, then call
    /// [`reauthenticate`](crate::Session::reauthenticate).
    NotFresh,
    /// Another request has rotated or ended the session. The changes of this request are dropped.
    Interrupted,
    /// The request carries the cookies of several sessions, one of which may have been planted, or more than four different
    /// session cookies. Values are not stored for this request. With the cookies of several sessions a
    /// [login](crate::Session::login) and a [logout](crate::Session::logout) succeed, and end all of them.
    Ambiguous,
    /// The browser withheld the session cookie from this cross-site request, so that what it writes is dropped: see
    /// [`is_withheld`](crate::Session::is_withheld).
    Withheld,
    /// There is no [`SessionLayer`](crate::SessionLayer) with this marker around the service.
    MissingLayer {
        /// The name of the marker's type, such as `shop::Admin`. `None` if the missing layer has no marker.
        marker: Option<&'static str>,
    },
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
                    "the session's value under {key:?} does not have the requested type"
                )
            }
            Self::Encode { key, .. } => {
                write!(
                    f,
                    "the value for {key:?} in the session cannot be written as JSON and read as the same"
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
            Self::InvalidUser => f.write_str("a user's id must have 1 to 255 bytes"),
            Self::Sealed => f.write_str("the response has begun: reload the session to write"),
            Self::HeadSent => f.write_str("the response has begun: no new cookie can be set"),
            Self::Saving => f.write_str("a save of the session is in progress"),
            Self::InvalidCsrfToken => f.write_str("the form carries no CSRF token of this session"),
            Self::NotFresh => f.write_str("the user must authenticate again"),
            Self::TooManySessions => f.write_str("the user has too many sessions"),
            Self::NotLoggedIn => f.write_str("the session belongs to no user"),
            Self::Interrupted => f.write_str("another request has rotated or ended the session"),
            Self::Ambiguous => f.write_str("the request carries the cookies of several sessions"),
            Self::Withheld => {
                f.write_str("the browser withheld the session cookie from a cross-site request")
            }
            Self::MissingLayer { marker: None } => f.write_str(
                "there is no session layer around this service: add `.layer(SessionLayer::new(store))`, in axum after the \
                 routes",
            ),
            Self::MissingLayer {
                marker: Some(marker),
            } => write!(
                f,
                "there is no session layer marked `{marker}` around this service: \
                 add one that is built with `.marked`, in axum after the routes"
            ),
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

impl From<RandomError> for SessionError {
    fn from(_: RandomError) -> Self {
        Self::NoRandomness
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_for_a_missing_layer_names_the_builder_that_makes_it() {
        let text = |marker| SessionError::MissingLayer { marker }.to_string();
        let main = text(None);
        assert!(main.contains("SessionLayer::new(store)"), "{main}");
        let marked = text(Some("shop::Admin"));
        assert!(marked.contains("marked `shop::Admin`"), "{marked}");
        assert!(marked.contains("`.marked`"), "{marked}");
    }
}
