//! The settings of a session layer, with their defaults.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cookie::CookieConfig;
use super::durations;
use super::former_cookie::FormerCookie;
use super::remember::{self, RememberMe};
use super::user_limit::UserLimit;

/// The options of a session layer. Every option is a method.
///
/// Give it to the layer with [`SessionLayerBuilder::config`](crate::middleware::SessionLayerBuilder::config).
///
/// ```
/// use std::time::Duration;
/// use tower_keycard::config::SameSite;
/// use tower_keycard::SessionConfig;
///
/// let config = SessionConfig::new()
///     .idle(Duration::from_secs(30 * 60))
///     .cookie_name("shop")
///     .same_site(SameSite::Strict);
/// assert!(config.check().is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SessionConfig {
    #[serde(with = "durations::plain")]
    pub(crate) idle: Duration,
    #[serde(with = "durations::plain")]
    pub(crate) unconfirmed_idle: Duration,
    #[serde(with = "durations::or_off")]
    pub(crate) absolute: Option<Duration>,
    #[serde(with = "durations::or_unset", skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_interval: Option<Duration>,
    pub(crate) save_every_request: bool,
    pub(crate) persistence: Persistence,
    pub(crate) on_interrupted: OnInterrupted,
    #[serde(with = "durations::plain")]
    pub(crate) store_timeout: Duration,
    pub(crate) max_data_size: usize,
    pub(crate) cache_private: bool,
    pub(crate) clear_site_data: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    // Tables come last: in TOML, an option after a table would belong to that table.
    #[serde(with = "remember")]
    pub(crate) remember_me: Option<RememberMe>,
    #[serde(skip_serializing_if = "UserLimit::is_default")]
    pub(crate) max_sessions_per_user: UserLimit,
    pub(crate) cookie: CookieConfig,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) former_cookies: Vec<FormerCookie>,
    /// The label of a marked layer, which its builder sets. It is no option: one file may configure several layers.
    #[serde(skip)]
    pub(crate) label: Option<String>,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(24 * 60 * 60),
            unconfirmed_idle: Duration::from_secs(60 * 60),
            absolute: Some(Duration::from_secs(14 * 24 * 60 * 60)),
            refresh_interval: None,
            save_every_request: false,
            persistence: Persistence::default(),
            on_interrupted: OnInterrupted::default(),
            store_timeout: Duration::from_millis(500),
            max_data_size: 64 << 10,
            cache_private: true,
            clear_site_data: false,
            namespace: None,
            remember_me: Some(RememberMe::default()),
            max_sessions_per_user: UserLimit::default(),
            cookie: CookieConfig::default(),
            former_cookies: Vec::new(),
            label: None,
        }
    }
}

impl SessionConfig {
    /// The namespace that separates this layer's records from those of other layers over the same store.
    ///
    /// No namespace that an application sets contains a `/`. So the namespace of a marked layer is that of no layer without a
    /// label or with another one, whatever is configured.
    pub(crate) fn resolved_namespace(&self) -> String {
        let mut namespace = self.namespace_without_label();
        if let Some(label) = &self.label {
            namespace.push('/');
            namespace.push_str(label);
        }
        namespace
    }

    pub(super) fn namespace_without_label(&self) -> String {
        match &self.namespace {
            Some(namespace) => namespace.clone(),
            None => self.cookie.full_name(None),
        }
    }

    /// The cookie's name as the browser sees it, prefix and label included.
    pub(crate) fn resolved_cookie_name(&self) -> String {
        self.cookie.full_name(self.label.as_deref())
    }

    /// The former cookies, each with its name as the browser sees it.
    pub(crate) fn resolved_former_cookies(&self) -> impl Iterator<Item = (&str, CookieConfig)> {
        self.former_cookies
            .iter()
            .map(|former| (former.name.as_str(), former.configured_like(&self.cookie)))
    }

    /// How much of its idle limit a session may lose before it is touched.
    pub(crate) fn resolved_refresh_interval(&self) -> Duration {
        match self.refresh_interval {
            Some(interval) => interval,
            None if self.save_every_request => Duration::ZERO,
            None => Duration::from_secs(60),
        }
    }
}

/// Whether the cookie outlives the browser. On the server, the same limits apply either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Persistence {
    /// The cookie has a `Max-Age`, and still exists when the browser is opened again.
    #[default]
    Persistent,
    /// The cookie has no `Max-Age`, and ends with the browser. A browser that restores its tabs may restore the cookie too.
    BrowserSession,
}

/// The response to a request whose changes cannot be stored because another request has rotated its token or ended its
/// session. The changes are dropped, and reported as [`Interrupted`](crate::event::EventKind::Interrupted), either way.
///
/// It is about plain values. The response is always replaced by `409 Conflict` if a login, a re-authentication, a rotation, an
/// expiry or a stamp was lost, or the secret of a [CSRF token](crate::Session::csrf_token) in the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OnInterrupted {
    /// After a safe method (GET, HEAD, OPTIONS, TRACE), the handler's response is sent as it is: the client asked for a page,
    /// and what the page wrote on the way was a by-product. After any other method it is [`Conflict`](Self::Conflict). RFC
    /// 9110, section 9.2.1.
    #[default]
    ConflictUnlessSafe,
    /// The response is replaced by `409 Conflict`: the client learns that its changes are lost.
    Conflict,
    /// The handler's response is sent as it is.
    DropSilently,
}

impl OnInterrupted {
    /// Whether the response to an interrupted request is replaced.
    pub(crate) fn replaces(self, safe_method: bool) -> bool {
        match self {
            Self::ConflictUnlessSafe => !safe_method,
            Self::Conflict => true,
            Self::DropSilently => false,
        }
    }
}
