//! What is traced, kept for a test to look at.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};

/// Hears what is traced.
pub(crate) trait Ear: Send + Sync + 'static {
    /// Whether it wants to hear what comes from there.
    fn wants(&self, _: &Metadata<'_>) -> bool {
        true
    }

    /// Hears an event or a span, which `record` writes down. More about a span has no metadata.
    fn hear(&self, metadata: Option<&Metadata<'_>>, record: &dyn Fn(&mut dyn Visit));
}

/// Lets an ear hear what this thread traces, until the guard is dropped.
pub(crate) fn hear(ear: impl Ear) -> DefaultGuard {
    listen();
    tracing::subscriber::set_default(Listener::new(ear))
}

/// Listens to every event from the start, and does nothing. To be called before anything is traced.
///
/// `tracing` remembers for each place that traces whether anybody is interested. A place that is reached for the first time
/// while another thread begins to listen may be remembered as one that nobody wants to hear, and then a test waits in vain
/// for its events. With a listener that was there before, no place is ever remembered so.
pub(crate) fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        let listener = Listener::new(Deaf);
        tracing::subscriber::set_global_default(listener).expect("nobody else listens everywhere");
    });
}

struct Deaf;

impl Ear for Deaf {
    fn hear(&self, _: Option<&Metadata<'_>>, _: &dyn Fn(&mut dyn Visit)) {}
}

struct Listener<E> {
    ear: E,
    spans: AtomicU64,
}

impl<E> Listener<E> {
    fn new(ear: E) -> Self {
        let spans = AtomicU64::new(1);
        Self { ear, spans }
    }
}

impl<E: Ear> Subscriber for Listener<E> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.ear.wants(metadata)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let record = |visitor: &mut dyn Visit| span.record(visitor);
        self.ear.hear(Some(span.metadata()), &record);
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let record = |visitor: &mut dyn Visit| values.record(visitor);
        self.ear.hear(None, &record);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let record = |visitor: &mut dyn Visit| event.record(visitor);
        self.ear.hear(Some(event.metadata()), &record);
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
        let guard = hear(lines.clone());
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

impl Ear for Lines {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "tower_keycard"
    }

    fn hear(&self, metadata: Option<&Metadata<'_>>, record: &dyn Fn(&mut dyn Visit)) {
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
