//! What is legal but weak, as Django's `check --deploy` lists it.

use std::fmt;
use std::time::Duration;

use super::cookie::NamePrefix;
use super::{SameSite, SessionConfig};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A setting that works, and is weaker than it need be. From [`SessionConfig::check`], and from `RedisStore::check` of the
/// server's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Weakness {
    pub(crate) id: &'static str,
    pub(crate) option: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) hint: &'static str,
}

impl Weakness {
    /// A name that stays the same from version to version, such as `keycard.W001`: what to list where a weakness is
    /// accepted.
    #[must_use]
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// The option, as it stands in a file: `idle`, or `cookie.secure`; or, of a server, `maxmemory-policy`.
    #[must_use]
    pub fn option(&self) -> &'static str {
        self.option
    }

    /// Why it is weak.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        self.hint
    }
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} `{}`: {}. {}.",
            self.id, self.option, self.reason, self.hint
        )
    }
}

impl SessionConfig {
    /// What is legal in this configuration, but weak: empty for the defaults.
    ///
    /// To be called where the application starts, or in a test, as one runs `manage.py check --deploy` with Django:
    ///
    /// ```
    /// use tower_keycard::SessionConfig;
    ///
    /// assert!(SessionConfig::strict().check().is_empty());
    ///
    /// for weakness in SessionConfig::insecure_for_development().check() {
    ///     assert_eq!(weakness.id(), "keycard.W001");
    ///     eprintln!("{weakness}");
    /// }
    /// ```
    #[must_use]
    pub fn check(&self) -> Vec<Weakness> {
        let cookie = &self.cookie;
        let beyond = |limit: Duration| self.absolute.is_some_and(|absolute| absolute > limit);
        let remembered = self.remember_me;
        let weakly_named = match NamePrefix::of(&cookie.full_name()) {
            Some(NamePrefix::Host | NamePrefix::HostHttp) => false,
            Some(NamePrefix::Secure | NamePrefix::Http) => NamePrefix::Host.allows(cookie),
            None => true,
        };
        let findings = [
            (
                !cookie.secure,
                Weakness {
                    id: "keycard.W001",
                    option: "cookie.secure",
                    reason: "without Secure the cookie is sent over plain HTTP, where anybody on the way can read it \
                             (ASVS 5.0, 3.3.1; RFC 6265bis, 4.1.2.5)",
                    hint: "Turn it on; browsers take Secure cookies from http://localhost too",
                },
            ),
            (
                !cookie.http_only,
                Weakness {
                    id: "keycard.W002",
                    option: "cookie.http_only",
                    reason: "without HttpOnly any script on the page can read the cookie (ASVS 5.0, 3.3.4; RFC \
                             6265bis, 4.1.2.6)",
                    hint: "Turn it on; what a script needs to know, an endpoint can tell it",
                },
            ),
            (
                cookie.same_site == SameSite::None,
                Weakness {
                    id: "keycard.W003",
                    option: "cookie.same_site",
                    reason: "with SameSite=None requests that another site forges carry the cookie (ASVS 5.0, 3.3.2; \
                             RFC 6265bis, 4.1.2.7)",
                    hint: "Use Lax or Strict, or see that every unsafe request's origin is checked",
                },
            ),
            (
                cookie.secure && weakly_named,
                Weakness {
                    id: "keycard.W004",
                    option: "cookie.prefix",
                    reason: "the cookie's name lacks the prefix that its attributes allow, so that it can be set by sibling \
                             subdomains, or over plain HTTP (ASVS 5.0, 3.3.1 and 3.3.3; RFC 6265bis, 4.1.3)",
                    hint: "Turn it on, and leave the prefix out of `cookie.name`",
                },
            ),
            (
                cookie.domain.is_some(),
                Weakness {
                    id: "keycard.W005",
                    option: "cookie.domain",
                    reason: "with a domain every subdomain receives the cookie, and can set another in its place \
                             (ASVS 5.0, 3.3.3; RFC 6265bis, 8.6)",
                    hint: "Leave it out, unless several hosts must share their sessions",
                },
            ),
            (
                cookie.path != "/",
                Weakness {
                    id: "keycard.W006",
                    option: "cookie.path",
                    reason: "a path protects nothing, and takes from the cookie the `__Host-` prefix that would (ASVS \
                             5.0, 3.3.3; RFC 6265bis, 4.1.2.4 and 8.5)",
                    hint: "Use `/`, and tell the applications of one host apart by the cookie's name",
                },
            ),
            (
                self.absolute.is_none(),
                Weakness {
                    id: "keycard.W007",
                    option: "absolute",
                    reason: "without an absolute limit a stolen card is good for as long as it is used (ASVS 5.0, \
                             7.3.2; NIST SP 800-63B-4, 2.1.3)",
                    hint: "Set one, 30 days at most",
                },
            ),
            (
                beyond(30 * DAY),
                Weakness {
                    id: "keycard.W008",
                    option: "absolute",
                    reason: "users should authenticate again after 30 days at most (ASVS 5.0, 7.3.2; NIST SP \
                             800-63B-4, 2.1.3)",
                    hint: "Set 30 days or less",
                },
            ),
            (
                self.idle > 7 * DAY,
                Weakness {
                    id: "keycard.W009",
                    option: "idle",
                    reason: "a card left behind works for more than a week (ASVS 5.0, 7.3.1)",
                    hint: "Set 7 days or less, and as little as the users bear",
                },
            ),
            (
                self.absolute.is_some_and(|absolute| self.idle > absolute),
                Weakness {
                    id: "keycard.W010",
                    option: "idle",
                    reason: "the idle limit is longer than the absolute one, and so never comes into force (ASVS 5.0, \
                             7.3.1)",
                    hint: "Set less than the absolute limit",
                },
            ),
            (
                self.max_data_size > 256 << 10,
                Weakness {
                    id: "keycard.W011",
                    option: "max_data_size",
                    reason: "a session's data is loaded with every request that uses it: at this size a few sessions \
                             keep the store busy, and a flood of them fills it (ASVS 5.0, 15.2.2)",
                    hint: "Set 256 KiB or less, and keep in the session what names the data",
                },
            ),
            (
                self.store_timeout > Duration::from_secs(10),
                Weakness {
                    id: "keycard.W012",
                    option: "store_timeout",
                    reason: "while the store is down, requests pile up for that long each (ASVS 5.0, 13.1.3)",
                    hint: "Set 10 seconds or less",
                },
            ),
            (
                remembered.is_some_and(|limits| limits.absolute > 30 * DAY),
                Weakness {
                    id: "keycard.W013",
                    option: "remember_me.absolute",
                    reason: "users should authenticate again after 30 days at most, also those who are remembered (ASVS 5.0, \
                             7.3.2; NIST SP 800-63B-4, 2.1.3)",
                    hint: "Set 30 days or less",
                },
            ),
            (
                remembered.is_some_and(|limits| limits.idle > limits.absolute),
                Weakness {
                    id: "keycard.W014",
                    option: "remember_me.idle",
                    reason: "the idle limit of logins that are remembered is longer than their absolute one, and so never \
                             comes into force (ASVS 5.0, 7.3.1)",
                    hint: "Set less than the absolute limit",
                },
            ),
        ];
        findings
            .into_iter()
            .filter_map(|(found, weakness)| found.then_some(weakness))
            .collect()
    }
}
