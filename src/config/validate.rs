//! Refuses configurations that cannot work, when the layer is built.

use std::time::Duration;

use super::cookie::{CookieConfig, NamePrefix, SameSite};
use super::durations::HumanDuration;
use super::error::ConfigError;
use super::settings::SessionConfig;
use crate::record::{Record, Token};

const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
/// A longer duration is a typing error, or has the wrong unit.
const TEN_YEARS: Duration = Duration::from_secs(3_650 * 24 * 60 * 60);
/// Space for the parts of a record other than the data, in bytes.
const RECORD_OVERHEAD: usize = 4_096;
/// ASVS 5.0, 3.3.5. Browsers count only the name and the value, proxies count the line.
const MAX_COOKIE_LEN: usize = 4_096;
/// RFC 6265bis, section 5.6: browsers ignore a longer attribute.
const MAX_ATTRIBUTE_LEN: usize = 1_024;
/// RFC 1035, section 2.3.4, without the root.
const MAX_DOMAIN_LEN: usize = 253;
const MAX_NAMESPACE_LEN: usize = 64;
const MAX_LABEL_LEN: usize = 32;
/// The longest text around the name, the token, the path and the domain of a `Set-Cookie` line.
const FIXED_LEN: usize = "=; HttpOnly; SameSite=Strict; Partitioned; Secure; Path=; Domain=; \
    Max-Age=34560000; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    .len();

impl SessionConfig {
    /// Refuses options that cannot work. A valid configuration may still be weak: see [`check`](Self::check).
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        self.validate_limits()?;
        self.validate_label()?;
        self.cookie.validate(&self.resolved_cookie_name())?;
        self.validate_former_cookies()?;
        self.validate_namespace()
    }

    fn validate_limits(&self) -> Result<(), ConfigError> {
        check_range("idle", self.idle, MILLISECOND)?;
        // The time in which a person fills a form in, or a browser loads what a page refers to.
        check_range("unconfirmed_idle", self.unconfirmed_idle, MINUTE)?;
        if let Some(absolute) = self.absolute {
            check_range("absolute", absolute, MILLISECOND)?;
        }
        check_range("store_timeout", self.store_timeout, MILLISECOND)?;
        if let Some(remembered) = self.remember_me {
            check_range("remember_me.idle", remembered.idle, MILLISECOND)?;
            check_range("remember_me.absolute", remembered.absolute, MILLISECOND)?;
        }
        if let Some(interval) = self.refresh_interval {
            check_range("refresh_interval", interval, Duration::ZERO)?;
            let remembered = self.remember_me.map(|remembered| remembered.idle);
            let idle = remembered.map_or(self.idle, |remembered| remembered.min(self.idle));
            if interval >= idle {
                return Err(ConfigError::new(
                    "refresh_interval",
                    format!(
                        "{} is not less than the idle limit of {}, so sessions would end while they are in use; leave \
                         it out, or set a twentieth of the idle limit",
                        HumanDuration(interval),
                        HumanDuration(idle)
                    ),
                ));
            }
        }
        let limit = self.max_sessions_per_user.limit();
        if limit.is_some_and(|limit| limit.most == 0) {
            return Err(ConfigError::new(
                "max_sessions_per_user",
                "with a limit of 0, nobody could log in; set 1 or more, or leave it out",
            ));
        }
        let largest = Record::MAX_LEN - RECORD_OVERHEAD;
        if !(2..=largest).contains(&self.max_data_size) {
            return Err(ConfigError::new(
                "max_data_size",
                format!(
                    "{} bytes is out of range; set a number between 2 and {largest}",
                    self.max_data_size
                ),
            ));
        }
        Ok(())
    }

    fn validate_label(&self) -> Result<(), ConfigError> {
        let is_label = |label: &String| {
            (1..=MAX_LABEL_LEN).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if self.label.as_ref().is_none_or(is_label) {
            return Ok(());
        }
        Err(ConfigError::new(
            "marked",
            format!(
                "the label of a marked layer is part of its cookie's name and of its store keys: use 1 to {MAX_LABEL_LEN} \
                 letters, digits, - or _"
            ),
        ))
    }

    fn validate_former_cookies(&self) -> Result<(), ConfigError> {
        const OPTION: &str = "former_cookies";
        let (present, place) = (self.resolved_cookie_name(), self.cookie.place());
        for (name, cookie) in self.resolved_former_cookies() {
            let valid = cookie.validate(name);
            valid.map_err(|error| error.of(OPTION, name))?;
            if name == present && cookie.place() == place {
                return Err(ConfigError::new(
                    OPTION,
                    format!(
                        "{name:?} is the present cookie, by name, domain, path and partition, so it would be removed as soon as it is \
                         set; leave it out"
                    ),
                ));
            }
        }
        Ok(())
    }

    fn validate_namespace(&self) -> Result<(), ConfigError> {
        let namespace = self.namespace_without_label();
        let problem = if self.namespace.is_none() && namespace.len() > MAX_NAMESPACE_LEN {
            "the cookie's name is too long to be used as the namespace"
        } else if namespace.is_empty() {
            "it is empty"
        } else if namespace.len() > MAX_NAMESPACE_LEN {
            "it is too long"
        } else if !is_http_token(&namespace) {
            // `:` ends the namespace in a store's key, and `{…}` chooses the slot in a Redis Cluster.
            "it contains a character that is not allowed"
        } else {
            return Ok(());
        };
        Err(ConfigError::new(
            "namespace",
            format!(
                "{problem}; the namespace is part of the store's keys: use 1 to {MAX_NAMESPACE_LEN} letters, digits or \
                 any of !#$%&'*+-.^_`|~"
            ),
        ))
    }
}

impl CookieConfig {
    /// What a browser tells cookies of one name apart by. It ignores the case of a domain.
    fn place(&self) -> (Option<String>, &str, bool) {
        let domain = self.domain.as_ref();
        (
            domain.map(|domain| domain.to_ascii_lowercase()),
            &self.path,
            self.partitioned,
        )
    }

    fn validate(&self, name: &str) -> Result<(), ConfigError> {
        self.validate_attributes()?;
        self.validate_name(name)?;
        if let Some(domain) = &self.domain {
            let problem = domain_problem(domain);
            problem.map_or(Ok(()), |problem| {
                Err(ConfigError::new("cookie.domain", problem))
            })?;
        }
        let problem = path_problem(&self.path);
        problem.map_or(Ok(()), |problem| {
            Err(ConfigError::new("cookie.path", problem))
        })?;

        let domain = self.domain.as_ref().map_or(0, String::len);
        let len = name.len() + Token::LEN + self.path.len() + domain + FIXED_LEN;
        if len > MAX_COOKIE_LEN {
            return Err(ConfigError::new(
                "cookie.name",
                format!(
                    "with its attributes, the cookie may be {len} bytes long, and it must not exceed {MAX_COOKIE_LEN}; \
                     shorten its name"
                ),
            ));
        }
        Ok(())
    }

    fn validate_attributes(&self) -> Result<(), ConfigError> {
        if self.same_site == SameSite::None && !self.secure {
            return Err(ConfigError::new(
                "cookie.same_site",
                "browsers refuse SameSite=None without Secure; enable `cookie.secure`, or use Lax",
            ));
        }
        if self.partitioned && !self.secure {
            return Err(ConfigError::new(
                "cookie.partitioned",
                "browsers refuse Partitioned without Secure; enable `cookie.secure`",
            ));
        }
        if self.partitioned && self.same_site != SameSite::None {
            return Err(ConfigError::new(
                "cookie.partitioned",
                "a partitioned cookie is for pages that are embedded in other sites, and such pages receive no cookie \
                 with SameSite=Lax or Strict; set `cookie.same_site` to none, or leave `cookie.partitioned` off",
            ));
        }
        Ok(())
    }

    fn validate_name(&self, name: &str) -> Result<(), ConfigError> {
        if self.name.as_ref().is_some_and(String::is_empty) || !is_http_token(name) {
            return Err(ConfigError::new(
                "cookie.name",
                "a cookie's name consists of letters, digits and !#$%&'*+-.^_`|~ (RFC 6265bis, 4.1.1)",
            ));
        }
        match NamePrefix::of(name) {
            Some(prefix) if !prefix.allows(self) => Err(ConfigError::new(
                "cookie.name",
                format!(
                    "browsers refuse a cookie whose name begins with {} (in any case) unless it has {}; change the \
                     attributes, or leave the prefix out of the name",
                    prefix.text(),
                    prefix.requirements()
                ),
            )),
            _ => Ok(()),
        }
    }
}

fn check_range(
    option: &'static str,
    duration: Duration,
    at_least: Duration,
) -> Result<(), ConfigError> {
    if (at_least..=TEN_YEARS).contains(&duration) {
        return Ok(());
    }
    Err(ConfigError::new(
        option,
        format!(
            "{} is out of range; set a duration between {} and ten years",
            HumanDuration(duration),
            HumanDuration(at_least)
        ),
    ))
}

/// Whether the text is a `token` of RFC 9110, section 5.6.2.
fn is_http_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// What is wrong with a domain. The check is stricter than the grammar, which allows anything but `;`: it refuses domains
/// that no browser would accept.
fn domain_problem(domain: &str) -> Option<&'static str> {
    let labels = || domain.split('.');
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    Some(if domain.is_empty() {
        "it is empty; leave it out, and the cookie is sent only to the host that set it"
    } else if domain.starts_with('.') {
        "the leading dot no longer has a meaning (RFC 6265bis, 5.6.3); leave it out, subdomains are included anyway"
    } else if domain.len() > MAX_DOMAIN_LEN || !labels().all(is_label) {
        "it is not the name of a host: use letters, digits and hyphens between dots, no scheme, no port, no dot at \
         the end; write other scripts in their xn-- form"
    } else if labels().next_back().is_some_and(is_number) {
        "browsers accept no IP address as a domain; leave it out, and the cookie is sent only to the host that set it"
    } else if labels().count() == 1 {
        "browsers accept no single word as a domain; leave it out, and the cookie is sent only to the host that set it"
    } else {
        return None;
    })
}

fn path_problem(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') {
        // RFC 6265bis, section 5.6.4.
        Some(
            "it does not begin with /, so browsers would replace it by another path; use / for the whole host",
        )
    } else if path.len() > MAX_ATTRIBUTE_LEN {
        Some("it is longer than 1,024 bytes, so browsers would ignore it")
    } else if !path
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b';')
    {
        Some(
            "it contains a character that is not allowed in a cookie's path; percent-encode it, as in a URL",
        )
    } else {
        None
    }
}
