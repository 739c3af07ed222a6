//! Signs of session hijacking, and the responses to them.

use crate::named_enum::named_enum;

named_enum! {
    /// A sign of session hijacking that a [monitor](crate::monitor) looks for.
    Signal {
        /// A valid token came from another client than the one that it was issued to.
        FingerprintChanged = "fingerprint_changed",
        /// A token came that was rotated out more than a minute ago.
        StaleToken = "stale_token",
        /// More requests came with one token than a person makes.
        RequestRate = "request_rate",
        /// Many different tokens that open nothing came from one client.
        UnknownTokens = "unknown_tokens",
        /// One client began many sessions without a login.
        NewSessions = "new_sessions",
    }
}

named_enum! {
    /// What a [monitor](crate::monitor) does about a signal. It reports every signal, whatever the response.
    Response {
        /// Only report the signal.
        Report = "report",
        /// The user must authenticate again. Until then [`require_fresh`](crate::Session::require_fresh) lets no request of the
        /// session pass, on any server.
        RequireReauthentication = "require_reauthentication",
        /// End the session.
        Revoke = "revoke",
    }
}
