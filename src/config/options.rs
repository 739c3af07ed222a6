//! The options. Each option is a method.

use std::time::Duration;

use super::cookie::SameSite;
use super::former_cookie::FormerCookie;
use super::remember::RememberMe;
use super::settings::{OnInterrupted, Persistence, SessionConfig};
use super::user_limit::{BeyondLimit, SessionLimit, UserLimit};

impl SessionConfig {
    /// The idle limit: how long a session lives without a request that uses it. 24 hours by default.
    ///
    /// The server enforces it, in milliseconds. A session can have its own idle limit:
    /// [`Session::set_expiry`](crate::Session::set_expiry). ASVS 5.0, 7.3.1.
    #[must_use]
    pub fn idle(mut self, limit: Duration) -> Self {
        self.idle = limit;
        self
    }

    /// The idle limit of an unconfirmed session: one without a login, whose token no request has brought back yet. One hour by
    /// default, one minute at least, and never more than the session's [idle limit](Self::idle).
    ///
    /// The first request that sends the cookie, and whose handler asks for the session, confirms it: from then on the idle limit
    /// applies. A login needs no confirmation. Most of the sessions that end unconfirmed are those of bots, which drop cookies.
    /// A [full store](crate::store#a-full-store) evicts unconfirmed sessions first, so that a flood of them keeps nobody else
    /// out. ASVS 5.0, 15.2.2.
    #[must_use]
    pub fn unconfirmed_idle(mut self, limit: Duration) -> Self {
        self.unconfirmed_idle = limit;
        self
    }

    /// The absolute limit: how long a session lives after its login, or after its creation, whatever its activity. 14 days by
    /// default. `None` means no such limit.
    ///
    /// The server enforces it, from the record. Only a login moves it. If you shorten it, the new limit applies at once, also
    /// to existing sessions. ASVS 5.0, 7.3.2; NIST SP 800-63B-4 requires at most 30 days (2.1.3).
    ///
    /// The store drops the record a little later, by a hundredth of the idle limit at most, or of the
    /// session's age if an [instant](crate::session::Expiry::At) ends it. So a
    /// [list of sessions](crate::session::UserSession::last_seen) can show when each session was last used, up to its end.
    /// Nobody can use the session in that time.
    #[must_use]
    pub fn absolute(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.absolute = limit.into();
        self
    }

    /// How much of its idle limit an active session may lose before the limit is slid. 60 seconds by default, none with
    /// [`save_every_request`](Self::save_every_request). It is never more than a twentieth of the idle limit.
    ///
    /// A session in constant use costs the store one touch per interval. It ends at most one interval too early, and never
    /// too late.
    #[must_use]
    pub fn refresh_interval(mut self, interval: Duration) -> Self {
        self.refresh_interval = Some(interval);
        self
    }

    /// Whether every request with a valid token counts as activity, even if its handler never asks for the session, and
    /// receives a refreshed cookie. Off by default, as Django's `SESSION_SAVE_EVERY_REQUEST` is.
    ///
    /// A touch slides the idle limit. The data is not written again.
    #[must_use]
    pub fn save_every_request(mut self, every: bool) -> Self {
        self.save_every_request = every;
        self
    }

    /// Whether the cookie outlives the browser. It does by default.
    #[must_use]
    pub fn persistence(mut self, persistence: Persistence) -> Self {
        self.persistence = persistence;
        self
    }

    /// The limits of a login that is to be [remembered](crate::Login::remember). By default 14 days without a request, and 30
    /// days at most. The cookie of such a login is persistent.
    ///
    /// With `None` nobody is remembered, and such a login is like any other. The server enforces both limits. If you shorten
    /// them, the new limits apply at once, also to existing sessions.
    #[must_use]
    pub fn remember_me(mut self, limits: impl Into<Option<RememberMe>>) -> Self {
        self.remember_me = limits.into();
        self
    }

    /// The response to a request whose changes cannot be stored because another request has rotated or ended its session. By
    /// default 409, except after a safe method such as GET: a page that counts its views is still shown.
    #[must_use]
    pub fn on_interrupted(mut self, on_interrupted: OnInterrupted) -> Self {
        self.on_interrupted = on_interrupted;
        self
    }

    /// The time limit of a store call. 500 milliseconds by default. A list of a user's sessions, and the end of all of them, is
    /// one call for every 250 sessions, each with this limit; ending them takes 50 seconds at most.
    ///
    /// After that, the response is `503 Service Unavailable`. The request does not wait for a second timeout to find out what
    /// became of the first call. ASVS 5.0, 13.1.3.
    #[must_use]
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.store_timeout = timeout;
        self
    }

    /// The largest size of a session's data, in bytes of its JSON text. 64 KiB by default, 1,020 KiB at most.
    ///
    /// A value that would exceed the limit is refused when it is inserted.
    #[must_use]
    pub fn max_data_size(mut self, bytes: usize) -> Self {
        self.max_data_size = bytes;
        self
    }

    /// The number of sessions that a user may have at the same time, and what happens to a login beyond it. By default 1,000, of
    /// which the oldest ends, if the store keeps an index of users; [`unlimited_sessions`](Self::unlimited_sessions) lifts it.
    ///
    /// A limit of your own needs a store that keeps an index of users, as `MemoryStore` and `RedisStore` do. Each login then lists
    /// the user's sessions; with [`BeyondLimit::Refuse`] also before it is carried out. Once the logins of a user are done, a
    /// limit below 100 is exact, also if they came at the same time. If the other login of a double click has overtaken a login, that one is
    /// answered without a cookie, so that the browser keeps the one that opens a session. Where logins are refused, those that come
    /// at the same time on one and the same session may all be refused. ASVS 5.0, 7.1.2.
    ///
    /// A login ends at most 64 sessions, and spends two seconds at most on them and on the list: after the limit was lowered, later
    /// logins end the rest. With a limit of 100 or more, as
    /// by default, a login lists the sessions only if the index has more entries than that, and then ends a sixteenth of them, so
    /// that the next logins need not. Logins at the same time may exceed such a limit for a while.
    ///
    /// With [`BeyondLimit::Refuse`], an attacker who knows a user's password and does not log out keeps the user out until
    /// the attacker's sessions end. If the user can authenticate in another way, call
    /// [`Users::end_all`](crate::session::Users::end_all).
    #[must_use]
    pub fn max_sessions_per_user(mut self, most: u32, beyond: BeyondLimit) -> Self {
        self.max_sessions_per_user = UserLimit::Set(SessionLimit { most, beyond });
        self
    }

    /// Lifts the [limit](Self::max_sessions_per_user) of a user's sessions: in a file, `max_sessions_per_user = "off"`.
    ///
    /// A user, or a script with a user's password, can then have as many sessions as the store has room for.
    #[must_use]
    pub fn unlimited_sessions(mut self) -> Self {
        self.max_sessions_per_user = UserLimit::Off;
        self
    }

    /// Whether a response for a logged-in user has `Cache-Control: private`. On by default.
    ///
    /// Most content delivery networks ignore `Vary: Cookie`, and would show the page of one user to the next. The layer sets
    /// the header if the handler used the session of a logged-in user, or if the body of the response still can, and if the
    /// application has set no `Cache-Control` itself. A response that sets the cookie has `no-store` instead, in any case. ASVS
    /// 5.0, 14.2.2; RFC 9111, section 5.2.2.7.
    #[must_use]
    pub fn cache_private(mut self, private: bool) -> Self {
        self.cache_private = private;
        self
    }

    /// Whether a logout makes the browser drop everything it has cached and stored of the site. Off by default.
    ///
    /// The response to the logout then has the header `Clear-Site-Data: "cache", "storage"`. It does not list `"cookies"`,
    /// which would also remove the cookies of other layers. The session's own cookie is removed by its name. ASVS 5.0,
    /// 14.3.1; [W3C Clear Site Data](https://www.w3.org/TR/clear-site-data/).
    #[must_use]
    pub fn clear_site_data(mut self, clear: bool) -> Self {
        self.clear_site_data = clear;
        self
    }

    /// The name that separates this layer's sessions from those of other layers over the same store. By default the cookie's
    /// name.
    ///
    /// The namespace is part of the store's keys, and the hash of the cookie's secret covers it: a token of one namespace
    /// opens nothing in another. A [marked](crate::middleware::SessionLayerBuilder::marked) layer adds `/` and its label. If you change the namespace, all sessions start anew. It has 1 to 64 characters: letters,
    /// digits and ``!#$%&'*+-.^_`|~``.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// The cookie's name, without the prefix. `id` by default, or `idp` for a [`partitioned`](Self::partitioned) cookie.
    ///
    /// [`cookie_prefix`](Self::cookie_prefix) adds the prefix, so the full name is `__Host-id`. A name that already begins
    /// with such a prefix stays as it is. Names are case-sensitive. A
    /// [marked](crate::middleware::SessionLayerBuilder::marked) layer adds `-` and its label.
    #[must_use]
    pub fn cookie_name(mut self, name: impl Into<String>) -> Self {
        self.cookie.name = Some(name.into());
        self
    }

    /// Whether the cookie's name gets the strongest prefix that the attributes allow. On by default.
    ///
    /// The prefix is `__Host-` if the cookie is Secure, has the path `/` and no domain. No other host, and no sibling
    /// subdomain, can then set it. The prefix is `__Secure-` with a domain or another path. There is none without Secure.
    /// RFC 6265bis, section 4.1.3; ASVS 5.0, 3.3.1 and 3.3.3.
    #[must_use]
    pub fn cookie_prefix(mut self, prefix: bool) -> Self {
        self.cookie.prefix = prefix;
        self
    }

    /// The domain to which the cookie is sent, with all its subdomains, such as `example.com`. None by default: the cookie is
    /// sent only to the host that set it.
    ///
    /// With a domain, every subdomain can read, replace and shadow the cookie. If you change the domain, name the old cookie in
    /// [`former_cookies`](Self::former_cookies): browsers keep it in addition to the new one, and send both.
    #[must_use]
    pub fn cookie_domain(mut self, domain: impl Into<String>) -> Self {
        self.cookie.domain = Some(domain.into());
        self
    }

    /// The path below which the cookie is sent. `/` by default.
    ///
    /// A path protects nothing: pages of the same host can reach each other's cookies. If you change the path, name the old
    /// cookie in [`former_cookies`](Self::former_cookies).
    #[must_use]
    pub fn cookie_path(mut self, path: impl Into<String>) -> Self {
        self.cookie.path = path.into();
        self
    }

    /// Whether the cookie is sent over TLS only. On by default. Browsers make an exception for `http://localhost`.
    ///
    /// At another address that is reached by plain HTTP they drop the cookie, and every request begins a new session. The layer
    /// logs it once per process (`secure_cookie_dropped`) when a form that a browser sends shows it: by its `Origin`, or by the
    /// `Forwarded` or `X-Forwarded-Proto` of a proxy.
    #[must_use]
    pub fn secure(mut self, secure: bool) -> Self {
        self.cookie.secure = secure;
        self
    }

    /// Whether the cookie is hidden from scripts. On by default.
    #[must_use]
    pub fn http_only(mut self, http_only: bool) -> Self {
        self.cookie.http_only = http_only;
        self
    }

    /// Which requests from other sites carry the cookie. [`Lax`](crate::config::SameSite::Lax) by default.
    #[must_use]
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.cookie.same_site = same_site;
        self
    }

    /// Whether browsers keep a separate cookie for each site that embeds this one (CHIPS). Off by default. It requires Secure
    /// and [`SameSite::None`](crate::config::SameSite::None).
    ///
    /// If you change it, also change the [`cookie_name`](Self::cookie_name), because browsers keep both cookies, and name the old
    /// one in [`former_cookies`](Self::former_cookies). The default name changes by itself.
    #[must_use]
    pub fn partitioned(mut self, partitioned: bool) -> Self {
        self.cookie.partitioned = partitioned;
        self
    }

    /// Cookies that this layer set before its cookie's name, domain, path or partition was changed. None by default.
    ///
    /// The names are whole, with the prefix if there was one: the prefix changes with [`secure`](Self::secure), the domain and the
    /// path.
    ///
    /// A browser keeps a cookie for each name, domain and path. So after such a change it has the old cookie beside the new one,
    /// and sends both. If both open a session, nobody can tell which is the user's: reads see no session, until a login or a
    /// logout ends both. If only one does, it is used; but the response that sets the new cookie cannot reach the old one
    /// without this option.
    ///
    /// Each former cookie is expired along with every cookie that is set or removed, by a `Set-Cookie` line of its own. Remove the
    /// option when the former cookies have expired: after [`absolute`](Self::absolute), or the limits of
    /// [`remember_me`](Self::remember_me). RFC 6265bis, sections 5.7 and 8.6.
    ///
    /// ```
    /// use tower_keycard::SessionConfig;
    /// use tower_keycard::config::FormerCookie;
    ///
    /// // It was set for all of example.com, and is now for this host only.
    /// let config = SessionConfig::new()
    ///     .former_cookies([FormerCookie::new("__Secure-id").domain("example.com")]);
    /// ```
    #[must_use]
    pub fn former_cookies(mut self, former: impl IntoIterator<Item = FormerCookie>) -> Self {
        self.former_cookies = former.into_iter().collect();
        self
    }
}
