//! The error of a configuration that cannot work.

use std::borrow::Cow;
use std::fmt;

/// A configuration cannot work. The message says which option is wrong, the reason, and what to write instead.
///
/// The builder of the layer returns it: [`SessionLayerBuilder::build`](crate::middleware::SessionLayerBuilder::build).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    option: &'static str,
    problem: Cow<'static, str>,
}

impl ConfigError {
    pub(crate) fn new(option: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self {
            option,
            problem: problem.into(),
        }
    }

    /// The same problem, of what another option names.
    pub(super) fn of(self, option: &'static str, what: &str) -> Self {
        Self::new(option, format!("{what:?}: {}", self.problem))
    }

    /// The name of the wrong option in a file, such as `idle` or `cookie.path`.
    #[must_use]
    pub fn option(&self) -> &'static str {
        self.option
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session option `{}`: {}", self.option, self.problem)
    }
}

impl std::error::Error for ConfigError {}
