//! Named configurations.

use std::time::Duration;

use super::settings::{Persistence, SessionConfig};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

impl SessionConfig {
    /// The defaults: 24 hours idle, 14 days at most, and a `__Host-` cookie that is Secure, HttpOnly and SameSite=Lax.
    ///
    /// These limits are within those of NIST SP 800-63B-4 at assurance level 1 (section 2.1.3: 30 days at most).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A working day: 30 minutes idle, 8 hours at most, and nobody is remembered for longer. Use it for back offices and
    /// shared computers.
    ///
    /// The limits are within those of NIST SP 800-63B-4 at assurance level 2 (section 2.2.3). The idle limit is the one that
    /// the OWASP Session Management Cheat Sheet advises for low-risk applications.
    #[must_use]
    pub fn strict() -> Self {
        Self::new()
            .idle(30 * MINUTE)
            .absolute(8 * HOUR)
            .remember_me(None)
    }

    /// The limits of NIST SP 800-63B-4 at authentication assurance level 2 (section 2.2.3): 1 hour idle, 24 hours at
    /// most. The cookie ends with the browser, and nobody is remembered.
    ///
    /// The level also has requirements for the way a user logs in, which this crate does not see.
    #[must_use]
    pub fn aal2() -> Self {
        Self::new()
            .idle(HOUR)
            .absolute(24 * HOUR)
            .persistence(Persistence::BrowserSession)
            .remember_me(None)
    }

    /// The limits of NIST SP 800-63B-4 at authentication assurance level 3 (section 2.3.3): 15 minutes idle, 12 hours at
    /// most. The cookie ends with the browser, and nobody is remembered.
    ///
    /// The level also has requirements for the way a user logs in, which this crate does not see.
    #[must_use]
    pub fn aal3() -> Self {
        Self::new()
            .idle(15 * MINUTE)
            .absolute(12 * HOUR)
            .persistence(Persistence::BrowserSession)
            .remember_me(None)
    }

    /// The defaults without Secure and without a name prefix, for development over `http://` on a host other than `localhost`.
    ///
    /// On `localhost`, browsers accept the hardened cookie as well. Never use it in production: anyone on the network path can
    /// read the cookie.
    #[must_use]
    pub fn insecure_for_development() -> Self {
        Self::new().secure(false).cookie_prefix(false)
    }
}
