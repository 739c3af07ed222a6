//! How many sessions a user may have at the same time.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::durations;

/// The number of sessions that a user may have at the same time, if it is limited. ASVS 5.0, 7.1.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum UserLimit {
    /// [`SessionLimit::DEFAULT`], if the store keeps an index.
    #[default]
    Default,
    Off,
    Set(SessionLimit),
}

/// A number of sessions, and what happens to one more login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionLimit {
    pub(crate) most: u32,
    pub(crate) beyond: BeyondLimit,
}

/// What happens to a login beyond the limit of a user's sessions.
///
/// Set it with [`SessionConfig::max_sessions_per_user`](crate::SessionConfig::max_sessions_per_user).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BeyondLimit {
    /// The login succeeds, and the session with the oldest login ends.
    EvictOldest,
    /// The login is refused, with 403.
    Refuse,
}

impl SessionLimit {
    /// More than any person has: it keeps a client that logs in for every request from filling the store.
    pub(crate) const DEFAULT: Self = Self {
        most: 1_000,
        beyond: BeyondLimit::EvictOldest,
    };

    pub(crate) fn most(self) -> usize {
        self.most as usize
    }
}

impl UserLimit {
    pub(crate) fn limit(self) -> Option<SessionLimit> {
        match self {
            Self::Default => Some(SessionLimit::DEFAULT),
            Self::Off => None,
            Self::Set(limit) => Some(limit),
        }
    }

    pub(super) fn is_default(&self) -> bool {
        *self == Self::Default
    }
}

impl Serialize for UserLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.limit() {
            Some(limit) => limit.serialize(serializer),
            None => serializer.serialize_str(durations::OFF),
        }
    }
}

impl<'de> Deserialize<'de> for UserLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UserLimitVisitor)
    }
}

struct UserLimitVisitor;

impl<'de> Visitor<'de> for UserLimitVisitor {
    type Value = UserLimit;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table with `most` and `beyond`, or \"off\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<UserLimit, E> {
        match text {
            durations::OFF => Ok(UserLimit::Off),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<UserLimit, A::Error> {
        SessionLimit::deserialize(MapAccessDeserializer::new(table)).map(UserLimit::Set)
    }
}
