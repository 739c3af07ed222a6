use std::time::Duration;

use super::{OnInterrupted, Persistence, SameSite, SessionConfig, Weakness, session_options};

mod files;
mod names;
mod refusals;
mod weaknesses;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Ways to change a configuration, each under its name or what is to come of it.
type Changes<'a> = &'a [(&'a str, fn(SessionConfig) -> SessionConfig)];

fn config() -> SessionConfig {
    SessionConfig::new()
}

/// The option that an invalid configuration is refused for.
fn refused(config: &SessionConfig) -> &'static str {
    config.validate().unwrap_err().option()
}

/// As the layer's builder: options are the same wherever they are set.
#[derive(Debug)]
struct Builder<M, F> {
    config: SessionConfig,
    rest: (M, F),
}

#[allow(dead_code, unreachable_pub)]
mod options {
    use super::{Builder, session_options};

    session_options!(impl<M, F> Builder<M, F>, config);
}

#[test]
fn whatever_holds_a_configuration_has_its_options() {
    let builder = Builder {
        config: config(),
        rest: ((), 1),
    };
    let builder = builder.idle(SECOND).absolute(None).cookie_name("sid");
    assert_eq!(
        builder.config,
        config().idle(SECOND).absolute(None).cookie_name("sid")
    );
    assert_eq!(builder.rest, ((), 1));
}
