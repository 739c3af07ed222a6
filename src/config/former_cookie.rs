//! Cookies that the layer set under former settings.

use serde::{Deserialize, Serialize};

use super::cookie::{CookieConfig, NamePrefix, SameSite};

/// A cookie that a layer set under a former name, domain or path, or in another partition.
///
/// Name it with [`SessionConfig::former_cookies`](crate::SessionConfig::former_cookies).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormerCookie {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) domain: Option<String>,
    #[serde(default = "root")]
    pub(super) path: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) partitioned: bool,
}

fn root() -> String {
    "/".to_owned()
}

impl FormerCookie {
    /// A cookie of this name, with the path `/`, without a domain, and not partitioned.
    ///
    /// It is the whole name, as the browser shows it: with the prefix, if the cookie had one, and with the label, if the layer
    /// was marked. The default name was `__Host-id`, `__Secure-id` with a domain or another path, and `id` without Secure.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            domain: None,
            path: root(),
            partitioned: false,
        }
    }

    /// The domain that was set: see [`cookie_domain`](crate::SessionConfig::cookie_domain).
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// The path that was set: see [`cookie_path`](crate::SessionConfig::cookie_path).
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Whether the cookie was partitioned: see [`partitioned`](crate::SessionConfig::partitioned). Browsers keep it beside one of
    /// the same name that is not.
    #[must_use]
    pub fn partitioned(mut self, partitioned: bool) -> Self {
        self.partitioned = partitioned;
        self
    }

    /// The cookie with the attributes that its removal needs: those by which a browser finds it, and those without which it
    /// refuses a cookie of that name. The others are those of the present cookie.
    pub(super) fn configured_like(&self, present: &CookieConfig) -> CookieConfig {
        let prefix = NamePrefix::of(&self.name);
        CookieConfig {
            name: Some(self.name.clone()),
            prefix: false,
            domain: self.domain.clone(),
            path: self.path.clone(),
            secure: present.secure || self.partitioned || prefix.is_some(),
            http_only: present.http_only || prefix.is_some_and(NamePrefix::needs_http_only),
            same_site: match self.partitioned {
                true => SameSite::None,
                false => present.same_site,
            },
            partitioned: self.partitioned,
        }
    }
}
