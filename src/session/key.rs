//! Keys: the names of values in a session.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::json;
use crate::error::SessionError;
use crate::lifecycle::changes::RESERVED;
use crate::record::data;

/// A typed key: the name of a value together with its type.
///
/// Declare it once as a constant. Then every handler uses the same name and the same type, and a value that would not be read
/// as it was written is refused: see [`Session::insert`](crate::Session::insert). Plain text works as a key too, if the type is
/// clear from the context.
///
/// ```
/// use tower_keycard::{Key, Session, SessionError};
///
/// const CART: Key<Vec<u32>> = Key::new("cart");
///
/// async fn cart(session: Session) -> Result<String, SessionError> {
///     let cart = session.get(CART)?.unwrap_or_default(); // a `Vec<u32>`
///     Ok(format!("{} items", cart.len()))
/// }
/// ```
pub struct Key<T> {
    name: Cow<'static, str>,
    none_on_error: bool,
    value: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// A key for values of type `T`.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            none_on_error: false,
            value: PhantomData,
        }
    }

    /// A key with a name that is made at run time, such as one for each document.
    #[must_use]
    pub const fn from_string(name: String) -> Self {
        Self {
            name: Cow::Owned(name),
            none_on_error: false,
            value: PhantomData,
        }
    }
}

impl<T> Key<T> {
    /// Makes a value that is not of type `T` read as absent, as serde's `DefaultOnError` does. Without it such a value is an
    /// error.
    ///
    /// Use it for values whose type changes between two versions of the application, and that visitors can do without: those
    /// of the older version read as `None`, and the next write replaces them. The event
    /// [`TypeMismatch`](crate::event::EventKind::TypeMismatch) reports each.
    ///
    /// ```
    /// use tower_keycard::Key;
    ///
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Filter {
    ///     colour: String,
    /// }
    ///
    /// const FILTER: Key<Filter> = Key::new("filter").none_on_error();
    /// ```
    #[must_use]
    pub const fn none_on_error(mut self) -> Self {
        self.none_on_error = true;
        self
    }
}

impl<T> AsRef<str> for Key<T> {
    fn as_ref(&self) -> &str {
        &self.name
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            none_on_error: self.none_on_error,
            value: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.name).finish()
    }
}

/// Anything that names a value of type `T`: a typed [`Key`], or plain text for any type.
pub trait SessionKey<T> {
    /// The name of the value.
    fn name(&self) -> &str;

    /// Whether a value that is not of type `T` [reads as absent](Key::none_on_error). It does not by default.
    fn reads_errors_as_none(&self) -> bool {
        false
    }

    /// Checks that this JSON, which a value of type `T` was written as, is read as the same value. Text does not know which
    /// type is read, and checks nothing.
    ///
    /// # Errors
    ///
    /// The JSON is no `T`, or another one. The value is then not written.
    fn reads_back(&self, json: &str) -> Result<(), serde_json::Error> {
        let _ = json;
        Ok(())
    }
}

impl<T: Serialize + DeserializeOwned> SessionKey<T> for Key<T> {
    fn name(&self) -> &str {
        &self.name
    }

    fn reads_errors_as_none(&self) -> bool {
        self.none_on_error
    }

    fn reads_back(&self, json: &str) -> Result<(), serde_json::Error> {
        json::reads_back::<T>(json)
    }
}

impl<T: Serialize + DeserializeOwned> SessionKey<T> for &Key<T> {
    fn name(&self) -> &str {
        (*self).name()
    }

    fn reads_errors_as_none(&self) -> bool {
        (*self).reads_errors_as_none()
    }

    fn reads_back(&self, json: &str) -> Result<(), serde_json::Error> {
        (*self).reads_back(json)
    }
}

impl<T> SessionKey<T> for &str {
    fn name(&self) -> &str {
        self
    }
}

impl<T> SessionKey<T> for String {
    fn name(&self) -> &str {
        self
    }
}

impl<T> SessionKey<T> for &String {
    fn name(&self) -> &str {
        self
    }
}

/// A name in its JSON form, by which a value is found. Only code of this crate can make one that is reserved: a name of the
/// application that is reserved finds nothing.
pub(super) struct KeyText<'a>(Cow<'a, str>);

impl<'a> KeyText<'a> {
    /// A name that the application gave.
    pub(super) fn parse(name: &'a str) -> Result<Self, SessionError> {
        if name.starts_with(RESERVED) {
            return Err(SessionError::ReservedKey {
                key: name.to_owned(),
            });
        }
        Ok(Self(data::key_text(name)))
    }

    /// A name of this crate, which JSON does not escape.
    pub(super) const fn reserved(name: &'static str) -> KeyText<'static> {
        KeyText(Cow::Borrowed(name))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}
