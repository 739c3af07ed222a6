//! Everything that is traced, whatever the level and whoever says it.

use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};

/// Captures what this thread traces, for as long as it lives.
pub(crate) struct Capture {
    text: Arc<Mutex<String>>,
    _guard: DefaultGuard,
}

impl Capture {
    pub(crate) fn start() -> Self {
        Self::with(false)
    }

    /// One that panics at every event.
    pub(crate) fn that_panics() -> Self {
        Self::with(true)
    }

    fn with(panics: bool) -> Self {
        crate::support::listener::listen();
        let text = Arc::new(Mutex::new(String::new()));
        let collector = Collector {
            text: text.clone(),
            spans: AtomicU64::new(1),
            panics,
        };
        Self {
            text,
            _guard: tracing::subscriber::set_default(collector),
        }
    }

    pub(crate) fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }
}

struct Collector {
    text: Arc<Mutex<String>>,
    spans: AtomicU64,
    panics: bool,
}

impl Collector {
    fn note(&self, metadata: Option<&Metadata<'_>>, record: impl FnOnce(&mut Line)) {
        let mut line = Line(String::new());
        if let Some(metadata) = metadata {
            let (level, target) = (metadata.level(), metadata.target());
            write!(line.0, "{level} {target} {}", metadata.name()).unwrap();
        }
        record(&mut line);
        let mut text = self.text.lock().unwrap();
        text.push_str(&line.0);
        text.push('\n');
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Collector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.note(Some(span.metadata()), |line| span.record(line));
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        self.note(None, |line| values.record(line));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.note(Some(event.metadata()), |line| event.record(line));
        assert!(!self.panics, "as a subscriber should not");
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
