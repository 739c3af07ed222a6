//! The code of the application that the layer calls, and whose panics it counts.

/// The code that a panic came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Hook {
    /// An observer of events.
    Observer,
    /// The function that describes the client of a request.
    Client,
    /// The function that says whether a request counts as activity.
    Activity,
    /// The subscriber of the log.
    Log,
}

impl Hook {
    #[cfg_attr(
        not(feature = "metrics"),
        allow(dead_code, reason = "for the metrics alone")
    )]
    pub(super) const ALL: [Self; 4] = [Self::Observer, Self::Client, Self::Activity, Self::Log];

    /// The name in the log and in the metrics.
    #[cfg_attr(
        not(any(feature = "metrics", feature = "tracing")),
        allow(dead_code, reason = "for the log and the metrics")
    )]
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Observer => "observer",
            Self::Client => "client",
            Self::Activity => "activity",
            Self::Log => "log",
        }
    }
}
