//! Who sent a request, as far as the application says so.

use std::fmt;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use http::request::Parts;
use sha2::{Digest, Sha256};

use crate::event;
use crate::monitor::Browser;

/// What is known of the client that sent a request: shown in events, and in a user's list of devices.
///
/// The layer looks at no address and no header by itself: behind a proxy only the application knows which of them to
/// believe. It says so by [`SessionLayerBuilder::client`](crate::SessionLayerBuilder::client).
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
    /// How long a description may be, in bytes. What is beyond is cut.
    pub const MAX_DESCRIPTION: usize = 200;

    /// Nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the request came from: the visitor's own address, not that of a proxy.
    #[must_use]
    pub fn with_address(mut self, address: impl Into<Option<IpAddr>>) -> Self {
        self.address = address.into();
        self
    }

    /// What a user knows the client by, such as "Firefox on Linux". It may come from a header: control characters and what
    /// reverses the direction of text are left out, and it is cut at [`MAX_DESCRIPTION`](Self::MAX_DESCRIPTION) bytes.
    /// Escape it in HTML as any text of a stranger.
    #[must_use]
    pub fn with_description(mut self, description: impl AsRef<str>) -> Self {
        let text = presentable(description.as_ref());
        self.description = (!text.is_empty()).then(|| text.into());
        self
    }

    /// What is to stay the same for as long as a session lives.
    #[must_use]
    pub fn with_fingerprint(mut self, fingerprint: ClientFingerprint) -> Self {
        self.fingerprint = Some(fingerprint);
        self
    }

    /// Where the request came from.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// What a user knows the client by.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The description, as a record keeps it.
    pub(crate) fn shared_description(&self) -> Option<Arc<str>> {
        self.description.clone()
    }

    /// What is to stay the same for as long as a session lives.
    #[must_use]
    pub fn fingerprint(&self) -> Option<&ClientFingerprint> {
        self.fingerprint.as_ref()
    }
}

/// `text` as one line of plain text that is not too long.
fn presentable(text: &str) -> String {
    let mut line = String::new();
    for shown in text.trim().chars().filter(|c| !disguises(*c)) {
        if line.len() + shown.len_utf8() > ClientFacts::MAX_DESCRIPTION {
            break;
        }
        line.push(shown);
    }
    line.truncate(line.trim_end().len());
    line
}

/// Whether a character ends a line, or makes text look like another: control characters, line and paragraph separators,
/// and what reverses the direction of text (Unicode Standard Annex 9, section 2).
fn disguises(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What is to stay the same from one request of a session to the next, if the same client sends them: the network it is in,
/// the family of its browser. What belongs to it is the application's choice.
///
/// A hash of its parts, which are not kept. Two are the same if their parts are, in the same order.
///
/// ```
/// use tower_keycard::ClientFingerprint;
///
/// let home = ClientFingerprint::new(["192.0.2.0/24", "firefox"]);
/// assert_eq!(home, ClientFingerprint::new(["192.0.2.0/24", "firefox"]));
/// assert_ne!(home, ClientFingerprint::new(["198.51.100.0/24", "firefox"]));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientFingerprint([u8; 32]);

impl ClientFingerprint {
    /// The fingerprint that these parts make.
    pub fn new(parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"tower-keycard client");
        for part in parts {
            let part = part.as_ref();
            // With its length, so that no two lists of parts read the same.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Shows nothing: whoever knows what the parts may be can find out by trying.
impl fmt::Debug for ClientFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientFingerprint").finish_non_exhaustive()
    }
}

/// The application's function that says who sent a request.
#[derive(Clone)]
pub(crate) struct Recognition(Arc<dyn Fn(&Parts) -> ClientFacts + Send + Sync>);

impl Recognition {
    pub(crate) fn new(recognise: impl Fn(&Parts) -> ClientFacts + Send + Sync + 'static) -> Self {
        Self(Arc::new(recognise))
    }

    /// Who it is where the application does not say, and a monitor asks: by the `User-Agent` alone, since only the application
    /// knows whose address it sees.
    pub(crate) fn by_browser() -> Self {
        Self::new(|request| {
            let browser = Browser::of(&request.headers).to_string();
            let fingerprint = ClientFingerprint::new([&browser]);
            ClientFacts::new()
                .with_description(browser)
                .with_fingerprint(fingerprint)
        })
    }

    /// What the application says of the request; nothing where it panics, which is no fault of the request.
    pub(crate) fn facts(&self, request: &Parts) -> Option<Arc<ClientFacts>> {
        let facts = catch_unwind(AssertUnwindSafe(|| Arc::new((self.0)(request)))).ok();
        if facts.is_none() {
            event::hook_panicked("client");
        }
        facts
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
    fn a_fingerprint_tells_its_parts_apart_and_shows_none() {
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
}
