//! Lists settings that are legal but weak, as Django's `check --deploy` does.

use std::fmt;
use std::time::Duration;

use super::cookie::{NamePrefix, SameSite};
use super::settings::SessionConfig;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A setting that works, but is weaker than it needs to be.
///
/// [`SessionConfig::check`] returns those of a configuration, and `RedisStore::check` those of the server's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Weakness {
    pub(crate) id: &'static str,
    pub(crate) option: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) hint: &'static str,
}

impl Weakness {
    /// A weakness that your own store finds in the settings of its server.
    ///
    /// Choose an `id` that begins with a name of your own, and do not change it later. The methods of the same names say
    /// what the other parts are. `reason` is a clause and `hint` an imperative, both without a full stop.
    #[must_use]
    pub const fn new(
        id: &'static str,
        option: &'static str,
        reason: &'static str,
        hint: &'static str,
    ) -> Self {
        Self {
            id,
            option,
            reason,
            hint,
        }
    }

    /// A name that stays the same from version to version, such as `keycard.W001`. Use it to list the weaknesses that you
    /// accept.
    #[must_use]
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// The name of the option in a file, such as `idle` or `cookie.secure`. For a server: the name of its setting, such as
    /// `maxmemory-policy`.
    #[must_use]
    pub fn option(&self) -> &'static str {
        self.option
    }

    /// The reason that the setting is weak.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// What to do about it.
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
    /// The settings of this configuration that are legal but weak. The list is empty for the defaults.
    ///
    /// Call it when the application starts, or in a test, as you would run `manage.py check --deploy` with Django:
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
        let absolute_exceeds =
            |limit: Duration| self.absolute.is_some_and(|absolute| absolute > limit);
        let remembered = self.remember_me;
        let weakly_named = match NamePrefix::of(&self.resolved_cookie_name()) {
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
                    reason: "without Secure the cookie is sent over plain HTTP, where anyone on the network path can \
                             read it (ASVS 5.0, 3.3.1; RFC 6265bis, 4.1.2.5)",
                    hint: "Enable it; browsers accept Secure cookies from http://localhost too",
                },
            ),
            (
                !cookie.http_only,
                Weakness {
                    id: "keycard.W002",
                    option: "cookie.http_only",
                    reason: "without HttpOnly any script on the page can read the cookie (ASVS 5.0, 3.3.4; RFC \
                             6265bis, 4.1.2.6)",
                    hint: "Enable it; if a script needs something of the session, let an endpoint return it",
                },
            ),
            (
                cookie.same_site == SameSite::None,
                Weakness {
                    id: "keycard.W003",
                    option: "cookie.same_site",
                    reason: "with SameSite=None, requests that another site forges carry the cookie (ASVS 5.0, 3.3.2; \
                             RFC 6265bis, 4.1.2.7)",
                    hint: "Use Lax or Strict, or make sure that the origin of every unsafe request is checked",
                },
            ),
            (
                cookie.secure && weakly_named,
                Weakness {
                    id: "keycard.W004",
                    option: "cookie.prefix",
                    reason: "the cookie's name lacks the prefix that its attributes allow, so the cookie can be set by \
                             sibling subdomains, or over plain HTTP (ASVS 5.0, 3.3.1 and 3.3.3; RFC 6265bis, 4.1.3)",
                    hint: "Enable it, and leave the prefix out of `cookie.name`",
                },
            ),
            (
                cookie.domain.is_some(),
                Weakness {
                    id: "keycard.W005",
                    option: "cookie.domain",
                    reason: "with a domain, every subdomain receives the cookie and can replace it by another (ASVS \
                             5.0, 3.3.3; RFC 6265bis, 8.6)",
                    hint: "Leave it out, unless several hosts must share their sessions",
                },
            ),
            (
                cookie.path != "/",
                Weakness {
                    id: "keycard.W006",
                    option: "cookie.path",
                    reason: "a path protects nothing, and it rules out the `__Host-` prefix, which does protect the \
                             cookie (ASVS 5.0, 3.3.3; RFC 6265bis, 4.1.2.4 and 8.5)",
                    hint: "Use `/`, and give each application on the host another cookie name",
                },
            ),
            (
                self.absolute.is_none(),
                Weakness {
                    id: "keycard.W007",
                    option: "absolute",
                    reason: "without an absolute limit, a stolen token works for as long as it is used (ASVS 5.0, \
                             7.3.2; NIST SP 800-63B-4, 2.1.3)",
                    hint: "Set one, 30 days at most",
                },
            ),
            (
                absolute_exceeds(30 * DAY),
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
                    reason: "a token that is left behind works for more than a week (ASVS 5.0, 7.3.1)",
                    hint: "Set 7 days or less, and as little as your users accept",
                },
            ),
            (
                self.absolute.is_some_and(|absolute| self.idle > absolute),
                Weakness {
                    id: "keycard.W010",
                    option: "idle",
                    reason: "the idle limit is longer than the absolute limit, so it never takes effect (ASVS 5.0, \
                             7.3.1)",
                    hint: "Set less than the absolute limit",
                },
            ),
            (
                self.max_data_size > 256 << 10,
                Weakness {
                    id: "keycard.W011",
                    option: "max_data_size",
                    reason: "a session's data is loaded with every request that uses it: at this size, a few sessions \
                             keep the store busy, and a flood of sessions fills it (ASVS 5.0, 15.2.2)",
                    hint: "Set 256 KiB or less, and keep only a reference to the data in the session",
                },
            ),
            (
                self.store_timeout > Duration::from_secs(10),
                Weakness {
                    id: "keycard.W012",
                    option: "store_timeout",
                    reason: "while the store is down, each request waits for that long, and requests pile up (ASVS \
                             5.0, 13.1.3)",
                    hint: "Set 10 seconds or less",
                },
            ),
            (
                remembered.is_some_and(|limits| limits.absolute > 30 * DAY),
                Weakness {
                    id: "keycard.W013",
                    option: "remember_me.absolute",
                    reason: "users should authenticate again after 30 days at most, even if they are remembered (ASVS \
                             5.0, 7.3.2; NIST SP 800-63B-4, 2.1.3)",
                    hint: "Set 30 days or less",
                },
            ),
            (
                remembered.is_some_and(|limits| limits.idle > limits.absolute),
                Weakness {
                    id: "keycard.W014",
                    option: "remember_me.idle",
                    reason: "the idle limit of remembered logins is longer than their absolute limit, so it never takes \
                             effect (ASVS 5.0, 7.3.1)",
                    hint: "Set less than the absolute limit",
                },
            ),
            (
                !self.cache_private,
                Weakness {
                    id: "keycard.W015",
                    option: "cache_private",
                    reason: "a cache between the server and the browser may show the page of one user to another: many \
                             ignore `Vary: Cookie` (ASVS 5.0, 14.2.2; RFC 9111, 5.2.2.7)",
                    hint: "Enable it, and set `Cache-Control` yourself where a response may be shared",
                },
            ),
        ];
        findings
            .into_iter()
            .filter_map(|(found, weakness)| found.then_some(weakness))
            .collect()
    }
}
