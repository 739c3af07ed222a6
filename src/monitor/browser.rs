//! The browser that a request says it comes from, coarsely.

use std::fmt;

use http::HeaderMap;
use http::header::USER_AGENT;

/// The family of a browser and of its system, from the `User-Agent` header.
///
/// Use it to describe a client, or as a part of its fingerprint. It stays the same over updates, and a user recognizes a device
/// by it. It is coarse on purpose, so that no update looks like another browser. It guarantees nothing: any client can send
/// any header.
///
/// ```
/// use http::HeaderMap;
/// use tower_keycard::monitor::Browser;
///
/// let mut headers = HeaderMap::new();
/// let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
/// headers.insert("user-agent", agent.parse()?);
/// assert_eq!(Browser::of(&headers).to_string(), "Firefox on Linux");
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Browser {
    /// For example `Firefox`.
    pub family: &'static str,
    /// For example `Linux`; `None` if the header names no system.
    pub system: Option<&'static str>,
}

/// The marks of the families, the specific ones first: Edge and Opera also call themselves Chrome, and all call themselves
/// Safari and Mozilla.
const FAMILIES: [(&str, &str); 15] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Opera", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("YaBrowser/", "Yandex Browser"),
    ("Vivaldi/", "Vivaldi"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("okhttp/", "okhttp"),
    ("Mozilla/", "a browser"),
];

const SYSTEMS: [(&str, &str); 9] = [
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Macintosh", "macOS"),
    ("FreeBSD", "FreeBSD"),
    ("Linux", "Linux"),
];

impl Browser {
    /// The browser that these request headers name.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let agent = headers
            .get(USER_AGENT)
            .and_then(|agent| agent.to_str().ok());
        let agent = agent.unwrap_or_default();
        let named = |names: &[(&str, &'static str)]| {
            let found = names.iter().find(|(mark, _)| agent.contains(mark));
            found.map(|(_, name)| *name)
        };
        Self {
            family: named(&FAMILIES).unwrap_or("an unknown client"),
            system: named(&SYSTEMS),
        }
    }
}

impl fmt::Display for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.family)?;
        self.system
            .map_or(Ok(()), |system| write!(f, " on {system}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(agent: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, agent.parse().unwrap());
        Browser::of(&headers).to_string()
    }

    #[test]
    fn a_browser_is_identified_by_its_own_mark() {
        let webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
        let windows = format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) {webkit}");
        let android = format!("Mozilla/5.0 (Linux; Android 10; K) {webkit}");
        let iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)";
        for (agent, name) in [
            (format!("{windows} Chrome/141.0.0.0 Safari/537.36"), "Chrome on Windows"),
            (format!("{windows} Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0"), "Edge on Windows"),
            (format!("{windows} Chrome/141.0.0.0 Safari/537.36 OPR/122.0.0.0"), "Opera on Windows"),
            (format!("{android} Chrome/141.0.0.0 Mobile Safari/537.36"), "Chrome on Android"),
            (
                format!("{android} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36"),
                "Samsung Internet on Android",
            ),
            (format!("{iphone} Version/18.5 Mobile/15E148 Safari/604.1"), "Safari on iPhone"),
            (format!("{iphone} CriOS/141.0.0.0 Mobile/15E148 Safari/604.1"), "Chrome on iPhone"),
            (format!("{iphone} FxiOS/143.0 Mobile/15E148 Safari/605.1.15"), "Firefox on iPhone"),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:143.0) Gecko/20100101 Firefox/143.0".to_owned(),
                "Firefox on macOS",
            ),
            ("curl/8.5.0".to_owned(), "curl"),
            ("something else".to_owned(), "an unknown client"),
        ] {
            assert_eq!(named(&agent), name, "{agent}");
        }
        assert_eq!(
            Browser::of(&HeaderMap::new()).to_string(),
            "an unknown client"
        );
    }

    #[test]
    fn an_update_is_still_the_same_browser() {
        let version = |version: u32| {
            named(&format!(
                "Mozilla/5.0 (X11; Linux x86_64; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"
            ))
        };
        assert_eq!(version(128), version(143));
    }
}
