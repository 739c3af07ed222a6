//! Everything that is traced, whatever its level and its source.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use tracing::Metadata;
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;

use crate::support::log::{Sink, subscribe};

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
        let text = Arc::new(Mutex::new(String::new()));
        let collector = Collector {
            text: text.clone(),
            panics,
        };
        Self {
            text,
            _guard: subscribe(collector),
        }
    }

    pub(crate) fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }
}

struct Collector {
    text: Arc<Mutex<String>>,
    panics: bool,
}

impl Sink for Collector {
    fn write(&self, metadata: Option<&Metadata<'_>>, record: &dyn Fn(&mut dyn Visit)) {
        let mut line = Line(String::new());
        if let Some(metadata) = metadata {
            let (level, target) = (metadata.level(), metadata.target());
            write!(line.0, "{level} {target} {}", metadata.name()).unwrap();
        }
        record(&mut line);
        let mut text = self.text.lock().unwrap();
        text.push_str(&line.0);
        text.push('\n');
        drop(text);
        let panics = self.panics && metadata.is_some_and(Metadata::is_event);
        assert!(!panics, "as a subscriber should not");
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}
