//! The cookie's name and attributes.

use serde::{Deserialize, Serialize};

/// What other sites' requests carry the cookie. RFC 6265bis, section 4.1.2.7.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SameSite {
    /// None but following a link here: the default.
    #[default]
    Lax,
    /// None at all: who follows a link from elsewhere arrives without a session.
    Strict,
    /// All of them, as a page needs that is embedded elsewhere. Every form then needs a defence against request forgery.
    None,
}

/// The `[cookie]` table.
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
    /// The name as the browser sees it.
    pub(super) fn full_name(&self) -> String {
        // Browsers keep a partitioned and an unpartitioned cookie of one name side by side, and send both.
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

/// The beginnings of a name that make browsers insist on attributes. RFC 6265bis, section 4.1.3; the two with `Http` are
/// younger, and mean what the other two do, for cookies that no script wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NamePrefix {
    HostHttp,
    Host,
    Http,
    Secure,
}

impl NamePrefix {
    /// Longest first, since one begins with another.
    const ALL: [Self; 4] = [Self::HostHttp, Self::Host, Self::Http, Self::Secure];

    /// Which one a name begins with: browsers do not look at the case.
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

    /// What a browser wants to see before it takes a cookie of such a name.
    pub(super) const fn demands(self) -> &'static str {
        match self {
            Self::HostHttp => "Secure, HttpOnly, the path / and no domain",
            Self::Host => "Secure, the path / and no domain",
            Self::Http => "Secure and HttpOnly",
            Self::Secure => "Secure",
        }
    }

    pub(super) fn allows(self, cookie: &CookieConfig) -> bool {
        let host_only = cookie.path == "/" && cookie.domain.is_none();
        cookie.secure
            && match self {
                Self::HostHttp => host_only && cookie.http_only,
                Self::Host => host_only,
                Self::Http => cookie.http_only,
                Self::Secure => true,
            }
    }
}
