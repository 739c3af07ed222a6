//! A browser's cookies, by the letter of RFC 6265bis: what breaks a rule is refused, and the test that sent it fails.

use std::collections::BTreeMap;
use std::time::Duration;

use tower_keycard::session::Timestamp;

/// The one host that the jar talks to, over what counts as a secure connection.
pub(crate) const HOST: &str = "shop.example.com";

/// Section 5.5: no cookie is kept longer.
const LONGEST: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// A `Set-Cookie` line, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetCookie {
    pub(crate) name: String,
    pub(crate) value: String,
    attributes: BTreeMap<String, String>,
}

impl SetCookie {
    pub(crate) fn parse(line: &str) -> Self {
        let mut parts = line.split(';');
        let pair = parts.next().unwrap_or_default();
        let (name, value) = pair.split_once('=').expect("a cookie has a name");
        let attributes = parts.map(|attribute| {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            (name.trim().to_ascii_lowercase(), value.trim().to_owned())
        });
        Self {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            attributes: attributes.collect(),
        }
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.attributes.contains_key(name)
    }

    /// In seconds.
    pub(crate) fn max_age(&self) -> Option<i64> {
        self.attribute("max-age").map(|age| age.parse().unwrap())
    }

    pub(crate) fn expires(&self) -> Option<Timestamp> {
        self.attribute("expires").map(http_date)
    }

    /// Whether it makes the browser forget the cookie.
    pub(crate) fn removes(&self) -> bool {
        self.max_age().is_some_and(|age| age <= 0)
    }

    /// What has to be the same when a cookie is set, refreshed and removed.
    pub(crate) fn template(&self) -> (&str, BTreeMap<&str, &str>) {
        let attributes = self.attributes.iter();
        let lasting = attributes
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| !["max-age", "expires"].contains(name));
        (&self.name, lasting.collect())
    }
}

/// `Thu, 01 Jan 1970 00:00:00 GMT`: the form of RFC 9110, section 5.6.7, that servers send.
fn http_date(text: &str) -> Timestamp {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let number = |range: std::ops::Range<usize>| text[range].parse::<u64>().unwrap();
    assert!(
        text.len() == 29 && text.ends_with(" GMT"),
        "no date: {text}"
    );
    let month = MONTHS.find(&text[8..11]).unwrap() as u64 / 3 + 1;
    let (day, year) = (number(5..7), number(12..16));
    // Years that begin in March, so that the day of the leap year comes last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let hours = (days - 719_468) * 24 + number(17..19);
    Timestamp::from_millis(((hours * 60 + number(20..22)) * 60 + number(23..25)) * 1_000)
}

#[derive(Clone, Debug)]
struct Kept {
    value: String,
    same_site: String,
    expires: Option<Timestamp>,
}

/// The cookies of one browser for [`HOST`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Jar {
    /// By name, domain and path, which together are a cookie's identity.
    cookies: BTreeMap<(String, Option<String>, String), Kept>,
}

impl Jar {
    /// Takes a `Set-Cookie` line, or says which rule it breaks.
    pub(crate) fn take(&mut self, line: &str, now: Timestamp) -> Result<(), String> {
        let cookie = SetCookie::parse(line);
        let refuse = |why: &str| Err(format!("{why}: {line}"));
        if line.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return refuse("control characters");
        }
        if cookie.name.len() + cookie.value.len() > 4_096 {
            return refuse("name and value over 4096 bytes");
        }
        let domain = cookie
            .attribute("domain")
            .map(|domain| domain.trim_start_matches('.'));
        if domain.is_some_and(|domain| HOST != domain && !HOST.ends_with(&format!(".{domain}"))) {
            return refuse("a foreign domain");
        }
        let path = cookie
            .attribute("path")
            .filter(|path| path.starts_with('/'));
        let lower = cookie.name.to_ascii_lowercase();
        if lower.starts_with("__secure-") && !cookie.has("secure") {
            return refuse("__Secure- without Secure");
        }
        if lower.starts_with("__host-")
            && (!cookie.has("secure") || domain.is_some() || cookie.attribute("path") != Some("/"))
        {
            return refuse("__Host- without Secure and Path=/, or with a Domain");
        }
        let same_site = cookie
            .attribute("samesite")
            .unwrap_or_default()
            .to_ascii_lowercase();
        if (same_site == "none" || cookie.has("partitioned")) && !cookie.has("secure") {
            return refuse("SameSite=None or Partitioned without Secure");
        }
        let name = (
            cookie.name.clone(),
            domain.map(str::to_owned),
            path.unwrap_or("/").to_owned(),
        );
        let expires = match cookie.max_age() {
            Some(age) if age <= 0 => Some(Timestamp::from_millis(0)),
            Some(age) => Some(now.plus(Duration::from_secs(age.unsigned_abs()).min(LONGEST))),
            None => cookie.expires().map(|at| at.min(now.plus(LONGEST))),
        };
        if expires.is_some_and(|expires| expires <= now) {
            self.cookies.remove(&name);
        } else {
            self.cookies.insert(
                name,
                Kept {
                    value: cookie.value,
                    same_site,
                    expires,
                },
            );
        }
        Ok(())
    }

    /// Puts a cookie there by hand, as a user or an attacker might.
    pub(crate) fn put(&mut self, name: &str, value: &str) {
        let kept = Kept {
            value: value.to_owned(),
            same_site: String::new(),
            expires: None,
        };
        self.cookies
            .insert((name.to_owned(), None, "/".to_owned()), kept);
    }

    /// The `Cookie` header of a request, if there is anything to send. An unsafe cross-site request takes only cookies
    /// that were set with `SameSite=None`.
    pub(crate) fn header(&self, path: &str, now: Timestamp, cross_site: bool) -> Option<String> {
        let mut cookies: Vec<_> = self.cookies.iter().collect();
        // Section 5.6.3: longer paths first.
        cookies.sort_by_key(|((_, _, path), _)| std::cmp::Reverse(path.len()));
        let sent: Vec<_> = cookies
            .into_iter()
            .filter(|((_, _, on), _)| path_matches(path, on))
            .filter(|(_, kept)| kept.expires.is_none_or(|expires| now < expires))
            .filter(|(_, kept)| !cross_site || kept.same_site == "none")
            .map(|((name, ..), kept)| format!("{name}={}", kept.value))
            .collect();
        (!sent.is_empty()).then(|| sent.join("; "))
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let mut cookies = self.cookies.iter();
        let found = cookies.find(|((kept, ..), _)| kept == name);
        found.map(|(_, kept)| kept.value.as_str())
    }
}

/// Section 5.1.4.
fn path_matches(path: &str, cookie: &str) -> bool {
    path.strip_prefix(cookie)
        .is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    #[test]
    fn the_jar_keeps_the_rules_of_browsers() {
        let mut jar = Jar::default();
        for refused in [
            "__Host-id=1; Path=/",
            "__Host-id=1; Secure; Path=/shop",
            "__Host-id=1; Secure; Path=/; Domain=example.com",
            "__Secure-id=1; Path=/",
            "id=1; Domain=elsewhere.com",
            "id=1; SameSite=None",
            "id=1; Partitioned",
        ] {
            assert!(jar.take(refused, NOW).is_err(), "{refused}");
        }
        assert_eq!(jar.header("/", NOW, false), None);
        jar.take("__Host-id=1; Secure; Path=/; SameSite=Lax; Max-Age=10", NOW)
            .unwrap();
        jar.take("theme=dark; Path=/shop", NOW).unwrap();
        assert_eq!(
            jar.header("/shop/a", NOW, false).unwrap(),
            "theme=dark; __Host-id=1"
        );
        assert_eq!(jar.header("/shops", NOW, false).unwrap(), "__Host-id=1");
        assert_eq!(jar.header("/", NOW, true), None);
        assert_eq!(
            jar.header("/", NOW.plus(Duration::from_secs(10)), false),
            None
        );
        jar.take(
            "__Host-id=; Secure; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            NOW,
        )
        .unwrap();
        assert_eq!(jar.value("__Host-id"), None);
    }

    #[test]
    fn the_jar_reads_dates() {
        let seconds = |text| http_date(text).as_millis() / 1_000;
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
        assert_eq!(seconds("Tue, 14 Nov 2023 22:13:20 GMT"), 1_700_000_000);
        assert_eq!(seconds("Thu, 29 Feb 2024 12:00:01 GMT"), 1_709_208_001);
    }
}
