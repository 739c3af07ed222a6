use std::time::Duration;

use super::{OnInterrupted, Persistence, SameSite, SessionConfig, Weakness};

mod files;
mod names;
mod refusals;
mod weaknesses;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Ways to change a configuration, each with its name or with the expected result.
type Changes<'a> = &'a [(&'a str, fn(SessionConfig) -> SessionConfig)];

fn config() -> SessionConfig {
    SessionConfig::new()
}

/// The option for which an invalid configuration is refused.
fn refused(config: &SessionConfig) -> &'static str {
    config.validate().unwrap_err().option()
}
