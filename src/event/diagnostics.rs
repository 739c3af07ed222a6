//! Log entries that are no session events: mistakes of the application, and problems of this crate.

#![cfg_attr(
    not(feature = "tracing"),
    allow(unused_variables, reason = "only the log uses them")
)]

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};

use super::hook::Hook;

/// Logs a `tracing` event with this crate's target. Does nothing without the feature `tracing`.
macro_rules! log {
    ($level:ident, $($event:tt)+) => {
        #[cfg(feature = "tracing")]
        tracing::$level!(target: "tower_keycard", $($event)+);
    };
}

/// A handler asked for a session, and the layer that provides it is missing.
pub(crate) fn missing_layer(marker: &str, error: &dyn Display) {
    log!(error, event = "missing_layer", marker, "{error}");
}

/// A request came to two layers that contradict each other.
pub(crate) fn conflicting_layers(outer: &dyn Display, inner: &dyn Display, reason: &str) {
    log!(
        error,
        event = "conflicting_layers",
        outer = %outer,
        inner = %inner,
        "two session layers are around one service, and {reason}"
    );
}

/// The application made a mistake. The client sees only the status 500.
#[cfg(feature = "axum")]
pub(crate) fn answered_500(error: &dyn Display) {
    log!(error, event = "answered_500", "{error}");
}

/// The program ends before the observers received these events.
pub(crate) fn unreported(events: usize) {
    if events > 0 {
        log!(
            error,
            event = "unreported",
            events,
            "session observers are too slow: events were not reported before the shutdown"
        );
    }
}

/// Events came faster than an observer handled them.
pub(super) fn lost(events: u64) {
    log!(
        warn,
        event = "lost",
        events,
        "a session observer is too slow: events were lost"
    );
}

/// A page took messages of another type than was stored.
pub(crate) fn undecodable_flash() {
    log!(
        warn,
        event = "undecodable_flash",
        "a flash message is not of the requested type and was dropped",
    );
}

/// A function that the application gave to the layer panicked.
pub(super) fn hook_panicked(hook: Hook) {
    log!(
        error,
        event = "hook_panicked",
        hook = hook.name(),
        "a function given to the session layer panicked"
    );
}

/// A setting is valid but weak.
pub(crate) fn weak_setting(id: &str, weakness: &dyn Display) {
    log!(warn, event = "weak_setting", id, "{weakness}");
}

/// A browser reached the site by plain HTTP, and got a Secure cookie. Logged once in the life of the process.
pub(crate) fn secure_cookie_dropped() {
    static LOGGED: AtomicBool = AtomicBool::new(false);
    if !LOGGED.swap(true, Ordering::Relaxed) {
        log!(
            warn,
            event = "secure_cookie_dropped",
            "a browser reached this site by plain HTTP, where it drops the Secure session cookie, so each of its requests begins \
             a new session; serve the site by HTTPS, or build the layer with `SessionConfig::secure(false)` for development \
             only; on http://localhost browsers keep the cookie"
        );
    }
}

/// An event could not be written to the audit log.
pub(super) fn audit_failed(error: &dyn Display) {
    log!(error, event = "audit_failed", %error, "an event could not be written to the audit log");
}

/// The audit log can be written again.
pub(super) fn audit_resumed(events: u64) {
    log!(
        warn,
        event = "audit_resumed",
        events,
        "the audit log can be written again; some events are missing in it"
    );
}
