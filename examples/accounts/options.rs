//! What can be said on the command line, and how the server is told to stop.

use std::time::Duration;

use clap::Parser;

/// A site with accounts on sessions of `tower-keycard`.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// Where to listen; port 0 takes a free one
    #[arg(
        long,
        env = "KEYCARD_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:3000"
    )]
    pub(crate) listen: String,

    /// Where sessions are kept: `memory`, or the URL of a Redis: redis://[user:password@]host[:port][/db]. Accounts and the
    /// security log are in this process's memory in any case
    #[arg(
        long,
        env = "KEYCARD_STORE",
        value_name = "STORE",
        default_value = "memory",
        hide_env_values = true // the URL may hold a password
    )]
    pub(crate) store: String,

    /// A session that is not used for so long ends, unless it is remembered
    #[arg(long, env = "KEYCARD_IDLE", value_name = "TIME", default_value = "30m", value_parser = humantime::parse_duration)]
    pub(crate) idle: Duration,

    /// A session ends so long after the login, used or not, unless it is remembered
    #[arg(long, env = "KEYCARD_ABSOLUTE", value_name = "TIME", default_value = "8h", value_parser = humantime::parse_duration)]
    pub(crate) absolute: Duration,

    /// For so long after the password was typed it is not asked for again
    #[arg(long, env = "KEYCARD_FRESH", value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration)]
    pub(crate) fresh: Duration,
}

/// Resolves on ctrl-c, and on the SIGTERM of a service manager or `docker stop`.
pub(crate) async fn asked_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else {
            return; // no way to stop cleanly later: better to stop now than to lose writes then
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    {
        let _ = tokio::signal::ctrl_c().await;
    }
}
