//! Observers, and the queue in which events wait for them.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;

use super::diagnostics;
use super::guarded::guarded;
use super::kind::EventKind;
use super::metrics::Metrics;
use super::session_event::SessionEvent;
use crate::clock::Clock;
use crate::config::ConfigError;
use crate::sync;

/// Receives the events of sessions: see the [module](crate::event). Any `Fn(&SessionEvent)` is an observer.
///
/// Implement it to act on events in your application. A thread of the layer calls it, one event after the other. A slow
/// observer never delays a request. If events come faster than it handles them, some are lost, and it receives their number.
/// If it panics, it still receives the next event.
pub trait SessionObserver: Send + Sync + 'static {
    /// Receives an event.
    fn observe(&self, event: &SessionEvent);

    /// Whether it also receives [`EventKind::Resumed`], for every request with a valid token. The default is `false`. Called
    /// once, when the layer is built.
    fn every_request(&self) -> bool {
        false
    }
}

impl<F: Fn(&SessionEvent) + Send + Sync + 'static> SessionObserver for F {
    fn observe(&self, event: &SessionEvent) {
        self(event);
    }
}

/// A shared observer, for example with a page that shows what it has received.
impl<O: SessionObserver + ?Sized> SessionObserver for Arc<O> {
    fn observe(&self, event: &SessionEvent) {
        (**self).observe(event);
    }

    fn every_request(&self) -> bool {
        (**self).every_request()
    }
}

/// The observers of the application, and the capacity of their queue.
pub(crate) struct ObserverHooks {
    pub(crate) observers: Vec<Box<dyn SessionObserver>>,
    pub(crate) queue: usize,
}

impl Default for ObserverHooks {
    fn default() -> Self {
        Self {
            observers: Vec::new(),
            queue: 1_024,
        }
    }
}

/// How long a server waits for its observers when it stops.
pub(crate) const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// The queue and its thread, which empties it and ends when this is dropped.
pub(crate) struct Observers {
    shared: Arc<Shared>,
    every_request: bool,
    metrics: Metrics,
}

struct Shared {
    queue: Mutex<Queue>,
    /// An event was queued or reported, or the queue was closed.
    changed: Condvar,
    capacity: usize,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<SessionEvent>,
    lost: u64,
    /// Whether the thread is reporting an event.
    reporting: bool,
    /// Whether no more events will come.
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        sync::lock(&self.queue)
    }
}

impl Observers {
    /// Starts the thread, if there is an observer.
    pub(crate) fn start(
        hooks: ObserverHooks,
        namespace: &Arc<str>,
        clock: &Clock,
        metrics: &Metrics,
    ) -> Result<Option<Self>, ConfigError> {
        if hooks.queue == 0 {
            return Err(ConfigError::new(
                "observer_queue",
                "a queue without capacity loses every event; give it a capacity of at least one",
            ));
        }
        if hooks.observers.is_empty() {
            return Ok(None);
        }
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            changed: Condvar::new(),
            capacity: hooks.queue,
        });
        let mut observers = Vec::with_capacity(hooks.observers.len());
        for observer in hooks.observers {
            let every_request = catch_unwind(AssertUnwindSafe(|| observer.every_request()));
            observers.push((observer, every_request.unwrap_or(false)));
        }
        let worker = Worker {
            shared: shared.clone(),
            observers,
            namespace: namespace.clone(),
            clock: clock.clone(),
        };
        let observers = Self {
            shared,
            metrics: metrics.clone(),
            every_request: worker
                .observers
                .iter()
                .any(|(_, every_request)| *every_request),
        };
        let thread = thread::Builder::new().name("keycard-events".to_owned());
        match thread.spawn(move || worker.run()) {
            Ok(_runs_until_closed) => Ok(Some(observers)),
            Err(_) => Err(ConfigError::new(
                "observer",
                "the system could not start the thread that calls it",
            )),
        }
    }

    /// Whether any observer receives this kind.
    pub(super) fn listen_to(&self, kind: EventKind) -> bool {
        self.every_request || kind != EventKind::Resumed
    }

    /// Puts an event into the queue, or counts it as lost if the queue is full.
    pub(super) fn enqueue(&self, event: SessionEvent) {
        let capacity = match event.kind.any_client_can_cause(event.user.is_some()) {
            true => self.shared.capacity.div_ceil(2),
            false => self.shared.capacity,
        };
        let mut queue = self.shared.lock();
        let fits = queue.events.len() < capacity;
        if fits {
            queue.events.push_back(event);
        } else {
            queue.lost += 1;
        }
        drop(queue);
        self.shared.changed.notify_all();
        if !fits {
            self.metrics.count_lost();
        }
    }

    /// Waits until all queued events were reported, for `limit` at most, and returns how many were not.
    pub(crate) async fn drained(&self, limit: Duration) -> usize {
        let shared = self.shared.clone();
        if shared.lock().is_idle() {
            return 0;
        }
        let (done, drained) = oneshot::channel();
        // A thread that waits needs no runtime and no timer, which a stopping server may have stopped already.
        let wait = move || {
            let busy = |queue: &mut Queue| !queue.is_idle();
            let waited = shared
                .changed
                .wait_timeout_while(shared.lock(), limit, busy);
            let (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
            let _caller_is_gone = done.send(queue.events.len() + usize::from(queue.reporting));
        };
        match thread::Builder::new()
            .name("keycard-drain".to_owned())
            .spawn(wait)
        {
            Ok(_) => drained.await.unwrap_or_default(),
            Err(_) => self.shared.lock().events.len(),
        }
    }
}

impl Queue {
    fn is_idle(&self) -> bool {
        self.events.is_empty() && !self.reporting && self.lost == 0
    }
}

impl Drop for Observers {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observers").finish_non_exhaustive()
    }
}

/// What the thread works with.
struct Worker {
    shared: Arc<Shared>,
    /// Each with whether it receives every request.
    observers: Vec<(Box<dyn SessionObserver>, bool)>,
    namespace: Arc<str>,
    clock: Clock,
}

impl Worker {
    fn run(self) {
        while let Some((lost, event)) = self.next() {
            // A panic in the log must not end the thread either.
            guarded(|| {
                if lost > 0 {
                    self.report_lost(lost);
                }
            });
            guarded(|| {
                if let Some(event) = &event {
                    self.report(event);
                }
            });
        }
    }

    /// Waits for what to report next: the number of lost events, and the next event. Returns `None` once the queue is closed
    /// and empty.
    fn next(&self) -> Option<(u64, Option<SessionEvent>)> {
        let mut queue = self.shared.lock();
        queue.reporting = false;
        self.shared.changed.notify_all();
        let nothing = |queue: &mut Queue| queue.is_idle() && !queue.closed;
        let waited = self.shared.changed.wait_while(queue, nothing);
        queue = waited.unwrap_or_else(PoisonError::into_inner);
        if queue.is_idle() {
            return None;
        }
        queue.reporting = true;
        Some((std::mem::take(&mut queue.lost), queue.events.pop_front()))
    }

    fn report(&self, event: &SessionEvent) {
        for (observer, every_request) in &self.observers {
            if event.kind == EventKind::Resumed && !every_request {
                continue;
            }
            if catch_unwind(AssertUnwindSafe(|| observer.observe(event))).is_err() {
                diagnostics::hook_panicked("observer");
            }
        }
    }

    fn report_lost(&self, events: u64) {
        diagnostics::lost(events);
        let time = SystemTime::from(self.clock.now());
        let kind = EventKind::Lost { events };
        self.report(&SessionEvent::new(kind, time, self.namespace.clone()));
    }
}
