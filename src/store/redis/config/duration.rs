//! Durations in a configuration file.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// A duration as people write it: `"500ms"`, `"1s"`.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(serde::de::Error::custom)
}
