//! Why a configuration is refused.

use std::borrow::Cow;
use std::fmt;

/// A configuration that cannot work. It says which option is wrong, why, and what to write instead.
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

    /// The option that is wrong, as it stands in a file: `idle`, or `cookie.path`.
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
