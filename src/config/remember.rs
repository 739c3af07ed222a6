//! The limits of logins that the browser is to remember.

use std::fmt;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::{SessionConfig, durations};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a login that is to be [remembered](crate::Login::remember) lasts, in place of the layer's own limits.
///
/// By default 14 days without a request, and 30 days at most, which is what NIST SP 800-63B-4 allows at assurance level 1
/// (section 2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RememberMe {
    #[serde(with = "durations::plain")]
    pub(crate) idle: Duration,
    #[serde(with = "durations::plain")]
    pub(crate) absolute: Duration,
}

impl RememberMe {
    /// These limits: without a request, and since the login whatever the activity.
    #[must_use]
    pub fn new(idle: Duration, absolute: Duration) -> Self {
        Self { idle, absolute }
    }
}

impl Default for RememberMe {
    fn default() -> Self {
        Self::new(14 * DAY, 30 * DAY)
    }
}

/// The limits of one session.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) idle: Duration,
    pub(crate) absolute: Option<Duration>,
    /// Whether the cookie outlives the browser.
    pub(crate) persistent: bool,
}

impl SessionConfig {
    /// The limits of a session whose login is to be remembered, or not, or of whose login nothing was said.
    pub(crate) fn limits(&self, remember: Option<bool>) -> Limits {
        if let (Some(true), Some(remembered)) = (remember, self.remember_me) {
            return Limits {
                idle: remembered.idle,
                absolute: Some(remembered.absolute),
                persistent: true,
            };
        }
        Limits {
            idle: self.idle,
            absolute: self.absolute,
            persistent: remember != Some(false)
                && self.persistence == super::Persistence::Persistent,
        }
    }
}

pub(super) fn serialize<S: Serializer>(
    limits: &Option<RememberMe>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match limits {
        Some(limits) => limits.serialize(serializer),
        None => serializer.serialize_str(durations::OFF),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<RememberMe>, D::Error> {
    deserializer.deserialize_any(TableOrOff)
}

struct TableOrOff;

impl<'de> Visitor<'de> for TableOrOff {
    type Value = Option<RememberMe>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table with `idle` and `absolute`, or \"off\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        match text {
            durations::OFF => Ok(None),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Self::Value, A::Error> {
        RememberMe::deserialize(MapAccessDeserializer::new(table)).map(Some)
    }
}
