//! Reports events to the log, the metrics and the observers.

use std::sync::Arc;

use super::borrowed::Event;
use super::diagnostics;
use super::guarded::guarded;
use super::hook::Hook;
use super::metrics::Metrics;
use super::observer::Observers;
use super::session_event::SessionEvent;
#[cfg(feature = "tracing")]
use super::tracing_log;
use crate::client::ClientFacts;
use crate::clock::Clock;

/// The log, the metrics and the observers of a layer.
pub(crate) struct Reporter {
    pub(crate) clock: Clock,
    pub(crate) namespace: Arc<str>,
    pub(crate) metrics: Metrics,
    pub(crate) observers: Option<Observers>,
}

impl Reporter {
    /// Reports an event. Listeners belong to the application: a panic of one must not stop a logout, or anything else.
    #[inline]
    pub(crate) fn report(&self, event: Event<'_>, client: Option<&Arc<ClientFacts>>) {
        #[cfg(feature = "tracing")]
        if tracing_log::is_on(event.kind) && !guarded(|| tracing_log::log(&event, client)) {
            self.metrics.count_panic(Hook::Log);
        }
        self.metrics.count(event.kind);
        if let Some(observers) = &self.observers
            && observers.listen_to(event.kind)
        {
            guarded(|| observers.enqueue(&self.session_event(event, client)));
        }
    }

    /// Reports that code of the application panicked.
    pub(crate) fn report_panic(&self, hook: Hook) {
        guarded(|| diagnostics::hook_panicked(hook));
        self.metrics.count_panic(hook);
    }

    fn session_event(&self, event: Event<'_>, client: Option<&Arc<ClientFacts>>) -> SessionEvent {
        SessionEvent {
            kind: event.kind,
            time: self.clock.now().into(),
            namespace: self.namespace.clone(),
            session: event.session,
            user: event.user.cloned(),
            client: client.cloned(),
        }
    }
}
