//! The target of a redirect after a login: always a path of this site.

use std::borrow::Cow;
use std::fmt;

use http::uri::PathAndQuery;
use serde::{Deserialize, Serialize};

/// In bytes. A link that a person follows is shorter.
const MAX_LEN: usize = 2_048;
/// How many times a path can be percent-encoded.
const MAX_ENCODINGS: usize = 4;

/// A path of this site with its query, safe as the target of a redirect. Use it for the parameter `next` of a login page.
///
/// ```
/// use tower_keycard::SafeNext;
///
/// assert_eq!(SafeNext::parse("/account?tab=2").unwrap().as_str(), "/account?tab=2");
/// for elsewhere in ["https://evil.example/", "//evil.example/", "/\\evil.example", "/%2Fevil.example", "account"] {
///     assert!(SafeNext::parse(elsewhere).is_none());
/// }
/// ```
///
/// In a form or a query, an unsafe path is read as the [default](SafeNext::default), which is `/`. So a login does not fail
/// because of a damaged link.
///
/// ```
/// # use serde::Deserialize;
/// # use tower_keycard::SafeNext;
/// #[derive(Deserialize)]
/// struct Login {
///     name: String,
///     password: String,
///     #[serde(default)]
///     next: SafeNext, // then, in axum: `Redirect::to(login.next.as_str())`
/// }
/// ```
///
/// # The attack
///
/// Anybody can write a link to your login page with any `next` in it. If the page redirects there without a check, the visitor
/// logs in on your site and arrives on another one. That site says that the password was wrong, and asks for it again
/// (CWE-601; ASVS 5.0, 3.7.2).
///
/// # What is accepted
///
/// - The path begins with `/`, and has no `//` anywhere.
/// - There is no backslash, and nothing but visible ASCII.
/// - It has at most 2,048 bytes.
///
/// The path must stay safe when it is percent-decoded, any number of times, because something between the browser and the
/// application may decode it.
#[doc(alias = "url_has_allowed_host_and_scheme")]
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct SafeNext(Cow<'static, str>);

impl SafeNext {
    /// Checks a path. Returns `None` if it may lead to another site.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_safe(text).then(|| Self(text.to_owned().into()))
    }

    /// The path of a request, to come back to it.
    pub(crate) fn from_path(path: &PathAndQuery) -> Option<Self> {
        Self::parse(path.as_str())
    }

    /// The path and its query, for `Location` or `href`. Escape it in HTML as any other text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path without its query.
    pub(crate) fn path(&self) -> &str {
        path_of(&self.0)
    }

    /// This path with `next` in its query.
    pub(crate) fn with_next(&self, next: &Self) -> String {
        let (page, fragment) = match self.0.split_once('#') {
            Some((page, fragment)) => (page, Some(fragment)),
            None => (&*self.0, None),
        };
        let joint = if page.contains('?') { '&' } else { '?' };
        let mut target = format!("{page}{joint}next=");
        for byte in next.0.bytes() {
            // RFC 3986, sections 2.3 and 3.4.
            if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
                target.push(char::from(byte));
            } else {
                target.push_str(&format!("%{byte:02X}"));
            }
        }
        if let Some(fragment) = fragment {
            target.push('#');
            target.push_str(fragment);
        }
        target
    }
}

impl Default for SafeNext {
    fn default() -> Self {
        Self(Cow::Borrowed("/"))
    }
}

impl fmt::Display for SafeNext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for SafeNext {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for SafeNext {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Self::parse(&text).unwrap_or_default())
    }
}

fn path_of(text: &str) -> &str {
    text.split(['?', '#']).next().unwrap_or_default()
}

fn is_safe(text: &str) -> bool {
    if text.len() > MAX_LEN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        // Browsers remove tabs and newlines, also between two slashes (URL Standard, section 4.4).
        return false;
    }
    let mut path = Cow::Borrowed(path_of(text).as_bytes());
    if text.contains('\\') || !is_local(&path) {
        return false;
    }
    for _ in 0..MAX_ENCODINGS {
        match decoded(&path) {
            None => return true,
            Some(decoded) if is_local(&decoded) => path = decoded.into(),
            Some(_) => return false,
        }
    }
    decoded(&path).is_none()
}

/// Whether every reader of this path takes it as a path on the same host.
fn is_local(path: &[u8]) -> bool {
    path.first() == Some(&b'/')
        && !path.windows(2).any(|pair| pair == b"//")
        && !path
            .iter()
            .any(|byte| byte.is_ascii_control() || *byte == b'\\')
}

/// The path with every `%XX` decoded once. `None` if it contains no `%XX`.
fn decoded(path: &[u8]) -> Option<Vec<u8>> {
    let digit = |at: usize| char::from(*path.get(at)?).to_digit(16);
    let byte = |at: usize| {
        let byte = digit(at + 1)? << 4 | digit(at + 2)?;
        (path[at] == b'%').then(|| u8::try_from(byte).ok())?
    };
    let mut decoded = Vec::with_capacity(path.len());
    let mut at = 0;
    while at < path.len() {
        match byte(at) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(path[at]);
                at += 1;
            }
        }
    }
    (decoded.len() < path.len()).then_some(decoded)
}

#[cfg(test)]
mod tests;
