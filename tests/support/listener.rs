//! Somebody who listens to every event from the start, and does nothing.
//!
//! `tracing` remembers for each place that traces whether anybody is interested. A place that is reached for the first time
//! while another thread begins to listen may be remembered as one that nobody wants to hear, and then a test waits in vain
//! for its events. With a listener that was there before, no place is ever remembered so.

use std::sync::Once;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// To be called before anything is traced.
pub(crate) fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        tracing::subscriber::set_global_default(Listener).expect("nobody else listens everywhere");
    });
}
