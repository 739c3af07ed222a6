//! What the application knows of the client that sent a request.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::digest::digest;

/// What is known of the client that sent a request. Events and a user's list of devices show it.
///
/// The layer reads no address and no header by itself: behind a proxy, only the application knows which of them it can
/// trust. Give the layer a function that returns them:
/// [`SessionLayerBuilder::client`](crate::middleware::SessionLayerBuilder::client).
///
/// ```
/// use std::net::IpAddr;
/// use tower_keycard::{ClientFacts, MemoryStore, SessionLayer};
///
/// # fn main() -> Result<(), tower_keycard::ConfigError> {
/// let layer = SessionLayer::builder(MemoryStore::new())
///     .client(|request| {
///         let address = request.extensions.get::<IpAddr>().copied(); // with axum: `ConnectInfo<SocketAddr>`
///         ClientFacts::new().with_address(address).with_description("Firefox on Linux")
///     })
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFacts {
    address: Option<IpAddr>,
    description: Option<Arc<str>>,
    fingerprint: Option<ClientFingerprint>,
}

impl ClientFacts {
    /// The largest length of a description, in bytes. A longer description is cut.
    pub const MAX_DESCRIPTION: usize = 200;

    /// Facts of a client of which nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the address from which the request came: the client's own, not that of a proxy.
    #[must_use]
    pub fn with_address(mut self, address: impl Into<Option<IpAddr>>) -> Self {
        self.address = address.into();
        self
    }

    /// Sets a description by which the user recognizes the client, such as "Firefox on Linux".
    ///
    /// The description may come from a header. Control characters and characters that reverse the direction of text are left
    /// out, and it is cut at [`MAX_DESCRIPTION`](Self::MAX_DESCRIPTION) bytes. Escape it in HTML, like any untrusted text.
    #[must_use]
    pub fn with_description(mut self, description: impl AsRef<str>) -> Self {
        let text = sanitized(description.as_ref());
        self.description = (!text.is_empty()).then(|| text.into());
        self
    }

    /// Sets the fingerprint, which should stay the same for as long as a session lives.
    #[must_use]
    pub fn with_fingerprint(mut self, fingerprint: ClientFingerprint) -> Self {
        self.fingerprint = Some(fingerprint);
        self
    }

    /// The address from which the request came.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The description by which the user recognizes the client.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The description, as a record stores it.
    pub(crate) fn shared_description(&self) -> Option<Arc<str>> {
        self.description.clone()
    }

    /// The fingerprint, which should stay the same for as long as a session lives.
    #[must_use]
    pub fn fingerprint(&self) -> Option<&ClientFingerprint> {
        self.fingerprint.as_ref()
    }
}

/// Returns `text` as one line of plain text, at most [`ClientFacts::MAX_DESCRIPTION`] bytes long.
fn sanitized(text: &str) -> String {
    let mut line = String::new();
    for c in text.trim().chars().filter(|c| !is_unsafe_to_show(*c)) {
        if line.len() + c.len_utf8() > ClientFacts::MAX_DESCRIPTION {
            break;
        }
        line.push(c);
    }
    line.truncate(line.trim_end().len());
    line
}

/// Whether a character ends a line, or makes text look like other text: control characters, line and paragraph separators,
/// and characters that reverse the direction of text (Unicode Standard Annex 9, section 2).
fn is_unsafe_to_show(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The properties of a client that stay the same from one request of a session to the next, such as its network and the
/// family of its browser. You choose which properties belong to it.
///
/// A fingerprint is a hash of its parts. The parts themselves are not stored. Two fingerprints are equal if their parts are
/// equal and in the same order.
///
/// ```
/// use tower_keycard::monitor::ClientFingerprint;
///
/// let home = ClientFingerprint::new(["192.0.2.0/24", "firefox"]);
/// assert_eq!(home, ClientFingerprint::new(["192.0.2.0/24", "firefox"]));
/// assert_ne!(home, ClientFingerprint::new(["198.51.100.0/24", "firefox"]));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientFingerprint([u8; 32]);

impl ClientFingerprint {
    /// The fingerprint of these parts.
    pub fn new(parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        Self(digest("tower-keycard client", parts))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Shows nothing: a reader who knows the possible parts could find the right ones by trying them.
impl fmt::Debug for ClientFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientFingerprint").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(text: &str) -> Option<String> {
        let facts = ClientFacts::new().with_description(text);
        facts.description().map(ToOwned::to_owned)
    }

    #[test]
    fn a_description_is_one_line_that_shows_what_it_says() {
        let plain = Some("Firefox on Linux".to_owned());
        assert_eq!(described("Firefox on Linux"), plain);
        assert_eq!(
            described("  Firefox\r\n\0\u{1b} on\u{2028}\u{202e} Linux\u{85}\t "),
            plain
        );
        assert_eq!(described(" \r\n"), None);
        assert_eq!(described("Браузер 🦊"), Some("Браузер 🦊".to_owned()));
    }

    #[test]
    fn a_description_is_cut_between_characters() {
        let longest = "a".repeat(ClientFacts::MAX_DESCRIPTION);
        assert_eq!(described(&longest), Some(longest.clone()));
        assert_eq!(described(&format!("{longest}b")), Some(longest));
        let cut = described(&format!("a{}", "🦊".repeat(60))).unwrap();
        assert_eq!(cut, format!("a{}", "🦊".repeat(49)));
    }

    #[test]
    fn a_fingerprint_distinguishes_its_parts_and_shows_none() {
        let of = |parts: &[&str]| ClientFingerprint::new(parts);
        assert_eq!(of(&["ab", "c"]), of(&["ab", "c"]));
        for other in [
            &["a", "bc"][..],
            &["abc"],
            &["ab", "c", ""],
            &["c", "ab"],
            &[],
        ] {
            assert_ne!(of(&["ab", "c"]), of(other));
        }
        assert_eq!(format!("{:?}", of(&["192.0.2.0"])), "ClientFingerprint(..)");
    }

    /// Records keep it, hashed once more: a change would make every client look like another one.
    #[test]
    fn a_fingerprint_is_sha_256_over_length_prefixed_parts() {
        let fingerprint = ClientFingerprint::new(["192.0.2.0/24", "firefox"]);
        // By Python's `hashlib`: the purpose and each part, each after its length in eight bytes.
        let expected: [u8; 32] = [
            0x53, 0x5a, 0x0d, 0xba, 0x77, 0x8a, 0xc9, 0x36, 0x72, 0x86, 0xe3, 0x20, 0x00, 0x4b,
            0x2b, 0x99, 0xdc, 0x97, 0x8d, 0x62, 0xbe, 0x0f, 0x26, 0x71, 0x0f, 0x0d, 0x30, 0xb0,
            0xf8, 0x9d, 0x18, 0x2d,
        ];
        assert_eq!(fingerprint.as_bytes(), &expected);
    }
}
