//! Cookies that the layer set under former settings.

use serde::{Deserialize, Serialize};

use super::cookie::CookieConfig;

/// A cookie that a layer set under a former name, domain or path.
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
}

fn root() -> String {
    "/".to_owned()
}

impl FormerCookie {
    /// A cookie of this name, with the path `/` and without a domain. Like the present cookie's name it gets the prefix that its
    /// attributes allow, unless [`cookie_prefix`](crate::SessionConfig::cookie_prefix) is off.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            domain: None,
            path: root(),
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

    /// The cookie as it would be configured now. Its other attributes are those of the present cookie.
    pub(super) fn configured_like(&self, present: &CookieConfig) -> CookieConfig {
        CookieConfig {
            name: Some(self.name.clone()),
            domain: self.domain.clone(),
            path: self.path.clone(),
            ..present.clone()
        }
    }
}
