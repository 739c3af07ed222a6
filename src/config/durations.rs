//! Durations as people write them: `"30m"`, `"14d"`, `"1h 30m"`. A number without a unit is refused.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, Error, Expected, Visitor};
use serde::ser::Serializer;

/// A duration.
pub(super) mod plain {
    use super::{Deserializer, Duration, DurationVisitor, HumanDuration, Serializer};

    pub(in crate::config) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&HumanDuration(*duration))
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        deserializer.deserialize_str(DurationVisitor)
    }
}

/// A duration, or `"off"`.
pub(super) mod or_off {
    use super::{Deserializer, Duration, DurationOrOffVisitor, OFF, Serializer, plain};

    pub(in crate::config) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => plain::serialize(duration, serializer),
            None => serializer.serialize_str(OFF),
        }
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        deserializer.deserialize_str(DurationOrOffVisitor)
    }
}

/// A duration, or no value for the default.
pub(super) mod or_unset {
    use serde::Deserialize;

    use super::{Deserializer, Duration, Serializer, plain};

    #[derive(Deserialize)]
    struct Set(#[serde(with = "plain")] Duration);

    pub(in crate::config) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => plain::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<Set>::deserialize(deserializer)?.map(|Set(duration)| duration))
    }
}

pub(super) const OFF: &str = "off";

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration with its unit, such as \"30m\", \"12h\" or \"14d\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        parse(text, &self)
    }
}

fn parse<E: Error>(text: &str, expected: &dyn Expected) -> Result<Duration, E> {
    humantime::parse_duration(text).map_err(|error| {
        E::custom(format_args!(
            "invalid duration \"{text}\" ({error}), expected {expected}"
        ))
    })
}

struct DurationOrOffVisitor;

impl Visitor<'_> for DurationOrOffVisitor {
    type Value = Option<Duration>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        DurationVisitor.expecting(f)?;
        f.write_str(", or \"off\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if text == OFF {
            Ok(None)
        } else {
            parse(text, &self).map(Some)
        }
    }
}

/// Displays a duration as `1d 12h`: exactly, and in no unit larger than a day, since larger units have no obvious length.
pub(super) struct HumanDuration(pub(super) Duration);

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, nanos) = (self.0.as_secs(), u64::from(self.0.subsec_nanos()));
        let parts = [
            (secs / 86_400, "d"),
            (secs / 3_600 % 24, "h"),
            (secs / 60 % 60, "m"),
            (secs % 60, "s"),
            (nanos / 1_000_000, "ms"),
            (nanos / 1_000 % 1_000, "us"),
            (nanos % 1_000, "ns"),
        ];
        let mut space = "";
        for (count, unit) in parts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{space}{count}{unit}")?;
            space = " ";
        }
        if space.is_empty() {
            f.write_str("0s")?;
        }
        Ok(())
    }
}
