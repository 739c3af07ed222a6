//! The limits of logins that are to be remembered.

use std::fmt;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::durations;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The limits of a login that is to be [remembered](crate::Login::remember), in place of the layer's own limits.
///
/// By default 14 days without a request, and 30 days at most, which is the longest time that NIST SP 800-63B-4 allows at
/// assurance level 1 (section 2.1.3). Set it with [`SessionConfig::remember_me`](crate::SessionConfig::remember_me).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RememberMe {
    #[serde(with = "durations::plain")]
    pub(crate) idle: Duration,
    #[serde(with = "durations::plain")]
    pub(crate) absolute: Duration,
}

impl RememberMe {
    /// Limits of your own: `idle` counts the time without a request, `absolute` the time since the login whatever the
    /// activity.
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
    deserializer.deserialize_any(RememberMeVisitor)
}

struct RememberMeVisitor;

impl<'de> Visitor<'de> for RememberMeVisitor {
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
