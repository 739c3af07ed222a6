//! What is traced, kept for a test to look at.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};

/// Where to put what is traced.
pub(crate) trait Sink: Send + Sync + 'static {
    /// Whether it takes what comes from there.
    fn accepts(&self, _: &Metadata<'_>) -> bool {
        true
    }

    /// Takes an event or a span, whose fields `record` shows. What is added to a span later has no metadata.
    fn write(&self, metadata: Option<&Metadata<'_>>, record: &dyn Fn(&mut dyn Visit));
}

/// Takes what this thread traces, until the guard is dropped.
pub(crate) fn subscribe(sink: impl Sink) -> DefaultGuard {
    listen();
    tracing::subscriber::set_default(Subscribed::new(sink))
}

/// Listens to every event from the start, and does nothing. To be called before anything is traced.
///
/// `tracing` remembers for each place that traces whether anybody is interested. A place that is reached for the first time
/// while another thread begins to listen may be remembered as one that nobody wants to hear, and then a test waits in vain
/// for its events. With a listener that was there before, no place is ever remembered so.
pub(crate) fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        let listener = Subscribed::new(Discard);
        tracing::subscriber::set_global_default(listener).expect("nobody else listens everywhere");
    });
}

struct Discard;

impl Sink for Discard {
    fn write(&self, _: Option<&Metadata<'_>>, _: &dyn Fn(&mut dyn Visit)) {}
}

struct Subscribed<S> {
    sink: S,
    spans: AtomicU64,
}

impl<S> Subscribed<S> {
    fn new(sink: S) -> Self {
        let spans = AtomicU64::new(1);
        Self { sink, spans }
    }
}

impl<S: Sink> Subscriber for Subscribed<S> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.sink.accepts(metadata)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let record = |visitor: &mut dyn Visit| span.record(visitor);
        self.sink.write(Some(span.metadata()), &record);
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let record = |visitor: &mut dyn Visit| values.record(visitor);
        self.sink.write(None, &record);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let record = |visitor: &mut dyn Visit| event.record(visitor);
        self.sink.write(Some(event.metadata()), &record);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What the crate logs in the thread that made it, for as long as it lives.
pub(crate) struct Log {
    lines: Lines,
    _guard: DefaultGuard,
}

impl Log {
    pub(crate) fn start() -> Self {
        let lines = Lines::default();
        let guard = subscribe(lines.clone());
        Self {
            lines,
            _guard: guard,
        }
    }

    /// How often this event was logged.
    pub(crate) fn count(&self, event: &str) -> usize {
        self.events(event).len()
    }

    /// The fields of every such event.
    pub(crate) fn events(&self, event: &str) -> Vec<BTreeMap<String, String>> {
        let lines = self.lines.0.lock().unwrap();
        let named = lines
            .iter()
            .filter(|line| line.get("event").is_some_and(|name| name == event));
        named.cloned().collect()
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<BTreeMap<String, String>>>>);

impl Sink for Lines {
    fn accepts(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "tower_keycard"
    }

    fn write(&self, metadata: Option<&Metadata<'_>>, record: &dyn Fn(&mut dyn Visit)) {
        let mut fields = Fields::default();
        record(&mut fields);
        if let Some(metadata) = metadata {
            let level = metadata.level().to_string();
            fields.0.insert("level".to_owned(), level);
        }
        self.0.lock().unwrap().push(fields.0);
    }
}

#[derive(Default)]
struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}
