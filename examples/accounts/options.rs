//! The options of the command line, and the signal to stop.

use std::time::Duration;

use clap::Parser;

/// A site with accounts on sessions of `tower-keycard`.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// Address to listen on; port 0 takes a free port
    #[arg(
        long,
        env = "KEYCARD_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:3000"
    )]
    pub(crate) listen: String,

    /// Where sessions are kept: `memory`, or the URL of a Redis server: redis://[user:password@]host[:port][/db]. Accounts and
    /// the security log are always in this process's memory
    #[arg(
        long,
        env = "KEYCARD_STORE",
        value_name = "STORE",
        default_value = "memory",
        hide_env_values = true // the URL may hold a password
    )]
    pub(crate) store: String,

    /// Idle limit: a session ends after this time without a request, unless it is remembered
    #[arg(long, env = "KEYCARD_IDLE", value_name = "TIME", default_value = "30m", value_parser = humantime::parse_duration)]
    pub(crate) idle: Duration,

    /// Absolute limit: a session ends this long after the login, even if it is used, unless it is remembered
    #[arg(long, env = "KEYCARD_ABSOLUTE", value_name = "TIME", default_value = "8h", value_parser = humantime::parse_duration)]
    pub(crate) absolute: Duration,

    /// How long after the password was typed it is not asked for again
    #[arg(long, env = "KEYCARD_FRESH", value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration)]
    pub(crate) fresh: Duration,
}

/// Resolves on ctrl-c, and on the SIGTERM of a service manager or `docker stop`.
pub(crate) async fn shutdown_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else {
            return; // without the signal a clean stop is impossible: stop now, before writes can be lost
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
