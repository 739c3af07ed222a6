//! Observers, and the threads that call them.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::oneshot;

use super::diagnostics;
use super::guarded::guarded;
use super::hook::Hook;
use super::kind::EventKind;
use super::loss_log::LossLog;
use super::metrics::Metrics;
use super::queue::Queue;
use super::session_event::SessionEvent;
use crate::clock::Clock;
use crate::config::ConfigError;
use crate::sync;

/// Receives the events of sessions: see the [module](crate::event). Any `Fn(&SessionEvent)` is an observer.
///
/// Implement it to act on events in your application. A thread of its own calls it, one event after the other. A slow
/// observer never delays a request or another observer. If events come faster than it handles them, some are lost, and it
/// receives their number. If it panics, it still receives the next event.
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

/// The observers of a layer, each with a queue and a thread, which empties the queue and ends when this is dropped.
pub(crate) struct Observers {
    queues: Vec<Arc<Shared>>,
    metrics: Metrics,
}

/// What the layer and the thread of one observer share.
struct Shared {
    every_request: bool,
    state: Mutex<State>,
    /// An event was queued or reported, or the queue was closed.
    changed: Condvar,
}

struct State {
    queue: Queue,
    /// The number of lost events that were not reported to the observer yet.
    lost: u64,
    loss_log: LossLog,
    /// Whether the thread is reporting an event.
    reporting: bool,
    /// Whether no more events will come.
    closed: bool,
}

impl State {
    fn is_idle(&self) -> bool {
        self.queue.len() == 0 && !self.reporting && self.lost == 0
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        sync::lock(&self.state)
    }

    fn receives(&self, kind: EventKind) -> bool {
        self.every_request || kind != EventKind::Resumed
    }

    /// Puts an event into the queue, or counts it as lost if there is no room. Returns whether there was.
    fn enqueue(&self, event: SessionEvent) -> bool {
        let mut state = self.lock();
        let fits = state.queue.push(event);
        let mut line = None;
        if !fits {
            state.lost += 1;
            line = state.loss_log.count(Instant::now());
        }
        drop(state);
        self.changed.notify_all();
        log_lost(line);
        fits
    }

    /// Waits until all queued events were reported, until `deadline` at most. Returns how many were not.
    fn left_at(&self, deadline: Instant) -> usize {
        let busy = |state: &mut State| !state.is_idle();
        let limit = deadline.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout_while(self.lock(), limit, busy);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.queue.len() + usize::from(state.reporting)
    }
}

/// Logs a number of lost events, if there is one. A panic in the log must stop nothing.
fn log_lost(events: Option<u64>) {
    guarded(|| events.into_iter().for_each(diagnostics::lost));
}

impl Observers {
    /// Starts a thread for each observer.
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
        // If a thread cannot be started, dropping this ends those that were.
        let mut observers = Self {
            queues: Vec::with_capacity(hooks.observers.len()),
            metrics: metrics.clone(),
        };
        for observer in hooks.observers {
            let every_request = catch_unwind(AssertUnwindSafe(|| observer.every_request()));
            let shared = Arc::new(Shared {
                every_request: every_request.unwrap_or(false),
                state: Mutex::new(State {
                    queue: Queue::new(hooks.queue),
                    lost: 0,
                    loss_log: LossLog::default(),
                    reporting: false,
                    closed: false,
                }),
                changed: Condvar::new(),
            });
            let worker = Worker {
                shared: shared.clone(),
                observer,
                namespace: namespace.clone(),
                clock: clock.clone(),
                metrics: metrics.clone(),
            };
            let thread = thread::Builder::new().name("keycard-events".to_owned());
            let started = thread.spawn(move || worker.run());
            started.map_err(|_| {
                ConfigError::new(
                    "observer",
                    "the system could not start the thread that calls it",
                )
            })?;
            observers.queues.push(shared);
        }
        Ok(Some(observers))
    }

    /// Whether any observer receives this kind.
    pub(super) fn listen_to(&self, kind: EventKind) -> bool {
        self.queues.iter().any(|queue| queue.receives(kind))
    }

    /// Puts an event into the queue of every observer that receives its kind.
    pub(super) fn enqueue(&self, event: &SessionEvent) {
        for queue in &self.queues {
            if queue.receives(event.kind) && !queue.enqueue(event.clone()) {
                self.metrics.count_lost();
            }
        }
    }

    /// Waits until all queued events were reported, for `limit` at most, and returns how many were not.
    pub(crate) async fn drained(&self, limit: Duration) -> usize {
        let left = self.left_after(limit).await;
        for queue in &self.queues {
            let line = queue.lock().loss_log.rest();
            log_lost(line);
        }
        left
    }

    async fn left_after(&self, limit: Duration) -> usize {
        let queues = self.queues.clone();
        if queues.iter().all(|queue| queue.lock().is_idle()) {
            return 0;
        }
        let (done, drained) = oneshot::channel();
        // A thread that waits needs no runtime and no timer, which a stopping server may have stopped already.
        let wait = move || {
            let deadline = Instant::now() + limit;
            let left = queues.iter().map(|queue| queue.left_at(deadline));
            let _caller_is_gone = done.send(left.sum());
        };
        match thread::Builder::new()
            .name("keycard-drain".to_owned())
            .spawn(wait)
        {
            Ok(_) => drained.await.unwrap_or_default(),
            Err(_) => {
                let now = Instant::now();
                self.queues.iter().map(|queue| queue.left_at(now)).sum()
            }
        }
    }
}

impl Drop for Observers {
    fn drop(&mut self) {
        for queue in &self.queues {
            queue.lock().closed = true;
            queue.changed.notify_all();
        }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observers").finish_non_exhaustive()
    }
}

/// What the thread of one observer works with.
struct Worker {
    shared: Arc<Shared>,
    observer: Box<dyn SessionObserver>,
    namespace: Arc<str>,
    clock: Clock,
    metrics: Metrics,
}

impl Worker {
    fn run(self) {
        while let Some((lost, event)) = self.next() {
            if lost > 0 {
                self.report_lost(lost);
            }
            if let Some(event) = &event {
                self.report(event);
            }
        }
        let line = self.shared.lock().loss_log.rest();
        log_lost(line);
    }

    /// Waits for what to report next: the number of lost events, and the next event. Returns `None` once the queue is closed
    /// and empty.
    fn next(&self) -> Option<(u64, Option<SessionEvent>)> {
        let mut state = self.shared.lock();
        state.reporting = false;
        self.shared.changed.notify_all();
        let nothing = |state: &mut State| state.is_idle() && !state.closed;
        let waited = self.shared.changed.wait_while(state, nothing);
        state = waited.unwrap_or_else(PoisonError::into_inner);
        if state.is_idle() {
            return None;
        }
        state.reporting = true;
        Some((std::mem::take(&mut state.lost), state.queue.pop()))
    }

    fn report(&self, event: &SessionEvent) {
        if !guarded(|| self.observer.observe(event)) {
            // A panic in the log must not end the thread either.
            guarded(|| diagnostics::hook_panicked(Hook::Observer));
            self.metrics.count_panic(Hook::Observer);
        }
    }

    fn report_lost(&self, events: u64) {
        // The clock may be the application's too.
        guarded(|| {
            let time = SystemTime::from(self.clock.now());
            let kind = EventKind::Lost { events };
            self.report(&SessionEvent::new(kind, time, self.namespace.clone()));
        });
    }
}
