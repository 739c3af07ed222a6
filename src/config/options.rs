//! Every option as a builder's method, written once for all the types that have them.

/// Gives a type the options of a [`SessionConfig`](crate::SessionConfig): the configuration itself, or a type that holds
/// one in a field.
macro_rules! session_options {
    (impl<$($generic:ident),*> $target:ty, $field:ident) => {
        impl<$($generic),*> $target {
            $crate::config::session_options!(@methods $field);
        }
    };
    (impl $target:ident) => {
        impl $target {
            $crate::config::session_options!(@methods);
        }
    };
    (@methods $($field:ident)?) => {
        /// How long a session lives without a request that uses it: the idle limit, 24 hours by default.
        ///
        /// It is enforced by the server, and counted in milliseconds. A session can set its own with
        /// `Session::set_expiry`. ASVS 5.0, 7.3.1.
        #[must_use]
        pub fn idle(mut self, limit: ::std::time::Duration) -> Self {
            self$(.$field)?.idle = limit;
            self
        }

        /// How long a session lives after its login, or its creation, whatever its activity: 14 days by default, `None`
        /// for no such limit.
        ///
        /// It is enforced by the server, from the record. Nothing but a login moves it, and shortening it takes effect
        /// at once, for sessions that exist as well. ASVS 5.0, 7.3.2; NIST SP 800-63B-4 wants at most 30 days (2.1.3).
        ///
        /// The store drops the record a little later, by a hundredth of the idle limit at most, so that a
        /// [list of sessions](crate::UserSession::last_seen) can tell to the end when each was last used. Nobody can use it then.
        #[must_use]
        pub fn absolute(mut self, limit: impl Into<Option<::std::time::Duration>>) -> Self {
            self$(.$field)?.absolute = limit.into();
            self
        }

        /// How much of its idle limit an active session may lose before it is slid: 60 seconds by default, none under
        /// [`save_every_request`](Self::save_every_request); never more than a twentieth of the limit.
        ///
        /// A session in constant use costs the store one touch per interval, and ends at most that much early, never
        /// late.
        #[must_use]
        pub fn refresh_interval(mut self, interval: ::std::time::Duration) -> Self {
            self$(.$field)?.refresh_interval = Some(interval);
            self
        }

        /// Whether every request with a valid card counts as activity, also one that never asks for its session, and is
        /// answered with a refreshed cookie: off by default, as Django's `SESSION_SAVE_EVERY_REQUEST`.
        ///
        /// The idle limit is slid by a touch; the data is not written again.
        #[must_use]
        pub fn save_every_request(mut self, every: bool) -> Self {
            self$(.$field)?.save_every_request = every;
            self
        }

        /// Whether the cookie outlives the browser: it does by default.
        #[must_use]
        pub fn persistence(mut self, persistence: $crate::Persistence) -> Self {
            self$(.$field)?.persistence = persistence;
            self
        }

        /// The limits of a login that is to be [remembered](crate::Login::remember), whose cookie is persistent: by default
        /// 14 days without a request, and 30 days at most. With `None` nobody is remembered: such a login is as any other.
        ///
        /// Both limits are enforced by the server, and shortening them takes effect at once, for sessions that exist as well.
        #[must_use]
        pub fn remember_me(mut self, limits: impl Into<Option<$crate::RememberMe>>) -> Self {
            self$(.$field)?.remember_me = limits.into();
            self
        }

        /// What becomes of a request whose changes cannot be stored, because its session was rotated or ended by another
        /// request meanwhile: 409 by default.
        #[must_use]
        pub fn on_interrupted(mut self, on_interrupted: $crate::OnInterrupted) -> Self {
            self$(.$field)?.on_interrupted = on_interrupted;
            self
        }

        /// How long a call of the store may take: 500 milliseconds by default. After that the request is answered with
        /// `503 Service Unavailable`; it does not wait for a second time-out to find out what became of the first call.
        /// ASVS 5.0, 13.1.3.
        #[must_use]
        pub fn store_timeout(mut self, timeout: ::std::time::Duration) -> Self {
            self$(.$field)?.store_timeout = timeout;
            self
        }

        /// How large a session's data may grow, in bytes of its JSON text: 64 KiB by default, 1,020 KiB at most. What
        /// would exceed it is refused when it is inserted.
        #[must_use]
        pub fn max_data_size(mut self, bytes: usize) -> Self {
            self$(.$field)?.max_data_size = bytes;
            self
        }

        /// How many sessions a user may have at the same time, and what becomes of a login beyond that: no limit by default.
        ///
        /// The store has to keep an index of users, as `MemoryStore` and `RedisStore` do; a login then costs a look into it,
        /// and where it may be refused two. Up to two other sessions whose login is younger than ten seconds are neither
        /// counted nor evicted, so that a double click on "log in" does not end in a dead cookie. ASVS 5.0, 7.1.2.
        ///
        /// Whoever knows a user's password and refuses to log out keeps them out where logins are refused, until those
        /// sessions end: a user who proves to be the owner in another way wants [`Users::end_all`](crate::Users::end_all).
        #[must_use]
        pub fn max_sessions_per_user(
            mut self,
            most: u32,
            beyond: $crate::BeyondLimit,
        ) -> Self {
            self$(.$field)?.max_sessions_per_user = Some($crate::SessionLimit { most, beyond });
            self
        }

        /// Whether a logout also tells the browser to drop what it has cached and stored of the site: off by default.
        ///
        /// The response to it then has `Clear-Site-Data: "cache", "storage"`. Not `"cookies"`, which would take those of
        /// other layers too; the session's own is removed by name. ASVS 5.0, 14.3.1;
        /// [W3C Clear Site Data](https://www.w3.org/TR/clear-site-data/).
        #[must_use]
        pub fn clear_site_data(mut self, clear: bool) -> Self {
            self$(.$field)?.clear_site_data = clear;
            self
        }

        /// What tells this layer's sessions from those of other layers over the same store: the cookie's name by
        /// default.
        ///
        /// It is part of the store's keys, and of what the cookie's secret is checked against: a card of one namespace
        /// opens nothing in another. With another namespace, all sessions start anew. 1 to 64 characters: letters,
        /// digits and ``!#$%&'*+-.^_`|~``.
        #[must_use]
        pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
            self$(.$field)?.namespace = Some(namespace.into());
            self
        }

        /// The cookie's name: `id` by default (`idp` for a [`partitioned`](Self::partitioned) one), with the prefix that
        /// [`cookie_prefix`](Self::cookie_prefix) puts in front, so `__Host-id`.
        ///
        /// A name that already begins with such a prefix stays as it is. Names are case-sensitive.
        #[must_use]
        pub fn cookie_name(mut self, name: impl Into<String>) -> Self {
            self$(.$field)?.cookie.name = Some(name.into());
            self
        }

        /// Whether the strongest prefix that the attributes allow is put in front of the cookie's name: on by default.
        ///
        /// `__Host-` while the cookie is Secure, has the path `/` and no domain: no other host, and no sibling
        /// subdomain, can then set it. `__Secure-` with a domain or another path. None without Secure. RFC 6265bis,
        /// section 4.1.3; ASVS 5.0, 3.3.1 and 3.3.3.
        #[must_use]
        pub fn cookie_prefix(mut self, prefix: bool) -> Self {
            self$(.$field)?.cookie.prefix = prefix;
            self
        }

        /// The domain whose hosts all get the cookie, such as `example.com`: none by default, so that it is sent to the
        /// very host that set it.
        ///
        /// Every subdomain can then read, replace and shadow the cookie. Changing it wants a new
        /// [`cookie_name`](Self::cookie_name): browsers would keep the old cookie beside the new one.
        #[must_use]
        pub fn cookie_domain(mut self, domain: impl Into<String>) -> Self {
            self$(.$field)?.cookie.domain = Some(domain.into());
            self
        }

        /// The path below which the cookie is sent: `/` by default.
        ///
        /// A path keeps nobody out: pages of the same host reach each other's cookies. Changing it wants a new
        /// [`cookie_name`](Self::cookie_name).
        #[must_use]
        pub fn cookie_path(mut self, path: impl Into<String>) -> Self {
            self$(.$field)?.cookie.path = path.into();
            self
        }

        /// Whether the cookie is sent over TLS only: on by default. Browsers make an exception for `http://localhost`.
        #[must_use]
        pub fn secure(mut self, secure: bool) -> Self {
            self$(.$field)?.cookie.secure = secure;
            self
        }

        /// Whether the cookie is hidden from scripts: on by default.
        #[must_use]
        pub fn http_only(mut self, http_only: bool) -> Self {
            self$(.$field)?.cookie.http_only = http_only;
            self
        }

        /// Whether other sites' requests carry the cookie: [`Lax`](crate::SameSite::Lax) by default.
        #[must_use]
        pub fn same_site(mut self, same_site: $crate::SameSite) -> Self {
            self$(.$field)?.cookie.same_site = same_site;
            self
        }

        /// Whether the cookie is kept apart for each site that embeds this one (CHIPS): off by default. Wants Secure and
        /// [`SameSite::None`](crate::SameSite::None).
        ///
        /// Changing it wants a new [`cookie_name`](Self::cookie_name), since browsers keep both: the default name
        /// changes by itself.
        #[must_use]
        pub fn partitioned(mut self, partitioned: bool) -> Self {
            self$(.$field)?.cookie.partitioned = partitioned;
            self
        }
    };
}

pub(crate) use session_options;
