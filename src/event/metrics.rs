//! Counters of events and durations of store calls, for the `metrics` facade (feature `metrics`). `docs/events.md` names them.
//! Without the feature nothing is counted or measured.

#[cfg(feature = "metrics")]
pub(crate) use self::on::{Measurement, Metrics};

#[cfg(not(feature = "metrics"))]
pub(crate) use self::off::{Measurement, Metrics};

#[cfg(feature = "metrics")]
mod on {
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::time::Instant;

    use metrics::{Key, Label, Level, Metadata, Unit, with_recorder};

    use super::super::guarded::guarded;
    use super::super::hook::Hook;
    use super::super::kind::EventKind;
    use crate::store::{StoreCall, StoreError, StoreErrorKind};

    const EVENTS: &str = "keycard_events_total";
    const EVICTED: &str = "keycard_sessions_evicted_total";
    const LOST: &str = "keycard_events_lost_total";
    const PANICS: &str = "keycard_hook_panics_total";
    const CALLS: &str = "keycard_store_call_duration_seconds";

    static METADATA: Metadata<'static> =
        Metadata::new("tower_keycard", Level::INFO, Some("tower_keycard"));

    /// The keys of this layer's metrics, made once, so that counting allocates nothing if there is no recorder.
    #[derive(Clone)]
    pub(crate) struct Metrics(Arc<Keys>);

    struct Keys {
        events: HashMap<(&'static str, Option<&'static str>), Key>,
        evicted: Key,
        lost: Key,
        panics: HashMap<Hook, Key>,
        calls: HashMap<(StoreCall, &'static str), Key>,
    }

    impl Metrics {
        pub(crate) fn new(namespace: &Arc<str>) -> Self {
            guarded(|| {
                with_recorder(|recorder| {
                    let count = Some(Unit::Count);
                    recorder.describe_counter(EVENTS.into(), count, "Events of sessions.".into());
                    recorder.describe_counter(
                        EVICTED.into(),
                        count,
                        "Sessions that a full store evicted.".into(),
                    );
                    recorder.describe_counter(
                        LOST.into(),
                        count,
                        "Events lost because observers were too slow.".into(),
                    );
                    recorder.describe_counter(
                        PANICS.into(),
                        count,
                        "Panics of the application's code that the session layer called.".into(),
                    );
                    let seconds = Some(Unit::Seconds);
                    recorder.describe_histogram(
                        CALLS.into(),
                        seconds,
                        "Duration of session store calls.".into(),
                    );
                });
            });
            let namespace = Label::new("namespace", namespace.clone());
            let key = |name, labels: &[(&'static str, &'static str)]| {
                let named = labels.iter().map(|(name, value)| Label::new(*name, *value));
                let labels: Vec<_> = std::iter::once(namespace.clone()).chain(named).collect();
                Key::from_parts(name, labels)
            };
            let event = |kind: EventKind| {
                let (event, reason) = (kind.name(), kind.reason());
                let labels = [("event", event), ("reason", reason.unwrap_or(""))];
                ((event, reason), key(EVENTS, &labels))
            };
            let call = |call: StoreCall, outcome| {
                let labels = [("call", call.name()), ("outcome", outcome)];
                ((call, outcome), key(CALLS, &labels))
            };
            let calls = StoreCall::ALL.iter().flat_map(|each| {
                let outcomes = StoreErrorKind::ALL.iter().map(|kind| kind.name());
                outcomes
                    .chain(["ok", "cancelled"])
                    .map(move |outcome| call(*each, outcome))
            });
            let panics = Hook::ALL.map(|hook| (hook, key(PANICS, &[("hook", hook.name())])));
            Self(Arc::new(Keys {
                events: EventKind::all().into_iter().map(event).collect(),
                evicted: key(EVICTED, &[]),
                lost: key(LOST, &[]),
                panics: panics.into(),
                calls: calls.collect(),
            }))
        }

        pub(crate) fn count(&self, kind: EventKind) {
            let key = self.0.events.get(&(kind.name(), kind.reason()));
            guarded(|| {
                if let Some(key) = key {
                    increment(key);
                }
                if let EventKind::Evicted { sessions } = kind {
                    increase(&self.0.evicted, sessions);
                }
            });
        }

        pub(crate) fn count_lost(&self) {
            guarded(|| increment(&self.0.lost));
        }

        pub(crate) fn count_panic(&self, hook: Hook) {
            let key = self.0.panics.get(&hook);
            guarded(|| {
                if let Some(key) = key {
                    increment(key);
                }
            });
        }

        pub(crate) fn measure(&self, call: StoreCall) -> Measurement<'_> {
            Measurement {
                keys: &self.0,
                call,
                outcome: "cancelled",
                since: Instant::now(),
            }
        }
    }

    fn increment(key: &Key) {
        increase(key, 1);
    }

    fn increase(key: &Key, by: u64) {
        with_recorder(|recorder| recorder.register_counter(key, &METADATA).increment(by));
    }

    /// A store call that is running. If it is dropped before it is done, the call was cancelled.
    pub(crate) struct Measurement<'a> {
        keys: &'a Keys,
        call: StoreCall,
        outcome: &'static str,
        since: Instant,
    }

    impl Measurement<'_> {
        pub(crate) fn done<T>(mut self, result: &Result<T, StoreError>) {
            self.outcome = match result {
                Ok(_) => "ok",
                Err(error) => error.kind().name(),
            };
        }
    }

    impl Drop for Measurement<'_> {
        fn drop(&mut self) {
            let taken = self.since.elapsed().as_secs_f64();
            let key = self.keys.calls.get(&(self.call, self.outcome));
            guarded(|| {
                if let Some(key) = key {
                    with_recorder(|to| to.register_histogram(key, &METADATA).record(taken));
                }
            });
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod off {
    use std::marker::PhantomData;
    use std::sync::Arc;

    use super::super::hook::Hook;
    use super::super::kind::EventKind;
    use crate::store::{StoreCall, StoreError};

    #[derive(Clone)]
    pub(crate) struct Metrics;

    impl Metrics {
        pub(crate) fn new(_: &Arc<str>) -> Self {
            Self
        }

        pub(crate) fn count(&self, _: EventKind) {}

        pub(crate) fn count_lost(&self) {}

        pub(crate) fn count_panic(&self, _: Hook) {}

        pub(crate) fn measure(&self, _: StoreCall) -> Measurement<'_> {
            Measurement(PhantomData)
        }
    }

    pub(crate) struct Measurement<'a>(PhantomData<&'a Metrics>);

    impl Measurement<'_> {
        pub(crate) fn done<T>(self, _: &Result<T, StoreError>) {}
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
