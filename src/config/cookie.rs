//! The cookie's name and attributes.

use serde::{Deserialize, Serialize};

/// Which requests from other sites carry the cookie. RFC 6265bis, section 4.1.2.7.
///
/// Set it with [`SessionConfig::same_site`](crate::SessionConfig::same_site).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SameSite {
    /// Only requests that follow a link to this site. This is the default.
    #[default]
    Lax,
    /// No requests. A user who follows a link from another site arrives without a session.
    Strict,
    /// All requests. A page that is embedded in another site needs this. Every form then needs a defence against request
    /// forgery.
    None,
}

/// The `[cookie]` table of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CookieConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    pub(crate) prefix: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) domain: Option<String>,
    pub(crate) path: String,
    pub(crate) secure: bool,
    pub(crate) http_only: bool,
    pub(crate) same_site: SameSite,
    pub(crate) partitioned: bool,
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self {
            name: None,
            prefix: true,
            domain: None,
            path: "/".to_owned(),
            secure: true,
            http_only: true,
            same_site: SameSite::Lax,
            partitioned: false,
        }
    }
}

impl CookieConfig {
    /// The cookie's name as the browser sees it, with the label of a marked layer at its end.
    pub(super) fn full_name(&self, label: Option<&str>) -> String {
        let mut name = self.name_with_prefix();
        if let Some(label) = label {
            name.push('-');
            name.push_str(label);
        }
        name
    }

    fn name_with_prefix(&self) -> String {
        // Browsers keep a partitioned and an unpartitioned cookie of the same name, and send both.
        let name = match &self.name {
            Some(name) => name,
            None if self.partitioned => "idp",
            None => "id",
        };
        let strongest = [NamePrefix::Host, NamePrefix::Secure]
            .into_iter()
            .find(|prefix| prefix.allows(self));
        match strongest {
            Some(prefix) if self.prefix && NamePrefix::of(name).is_none() => {
                format!("{}{name}", prefix.text())
            }
            _ => name.to_owned(),
        }
    }
}

/// The prefixes of a name for which browsers require certain attributes. RFC 6265bis, section 4.1.3. The two with `Http` are
/// newer. They mean the same as the other two, for cookies that no script wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NamePrefix {
    HostHttp,
    Host,
    Http,
    Secure,
}

impl NamePrefix {
    /// The longest first, because one begins with another.
    const ALL: [Self; 4] = [Self::HostHttp, Self::Host, Self::Http, Self::Secure];

    /// The prefix with which a name begins, if any. Browsers ignore its case.
    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|prefix| {
            name.get(..prefix.text().len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix.text()))
        })
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::HostHttp => "__Host-Http-",
            Self::Host => "__Host-",
            Self::Http => "__Http-",
            Self::Secure => "__Secure-",
        }
    }

    /// What browsers require of a cookie with such a name.
    pub(super) const fn requirements(self) -> &'static str {
        match self {
            Self::HostHttp => "Secure, HttpOnly, the path / and no domain",
            Self::Host => "Secure, the path / and no domain",
            Self::Http => "Secure and HttpOnly",
            Self::Secure => "Secure",
        }
    }

    pub(super) const fn needs_http_only(self) -> bool {
        matches!(self, Self::HostHttp | Self::Http)
    }

    /// Whether the cookie's attributes meet the requirements.
    pub(super) fn allows(self, cookie: &CookieConfig) -> bool {
        let host_only = cookie.path == "/" && cookie.domain.is_none();
        cookie.secure
            && (cookie.http_only || !self.needs_http_only())
            && match self {
                Self::HostHttp | Self::Host => host_only,
                Self::Http | Self::Secure => true,
            }
    }
}
