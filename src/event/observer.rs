//! Who is told, and the queue in which events wait for them.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;

use super::{EventKind, Meters, SessionEvent, hook_panicked};
use crate::clock::Clock;
use crate::config::ConfigError;

/// Is told what happens to sessions: see the [module](super). Any `Fn(&SessionEvent)` is one.
///
/// It is called by a thread of the layer's, one event after the other: no request waits for it. Many requests make many
/// events, and an observer that is slower than they come loses some, and is told how many. If it panics, the next event is told
/// all the same.
pub trait SessionObserver: Send + Sync + 'static {
    /// Something happened.
    fn observe(&self, event: &SessionEvent);

    /// Whether it is told of every request that comes with a valid card, too: [`EventKind::Resumed`]. No by default; asked
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

/// Shared, with a page that shows what it has seen for instance.
impl<O: SessionObserver + ?Sized> SessionObserver for Arc<O> {
    fn observe(&self, event: &SessionEvent) {
        (**self).observe(event);
    }

    fn every_request(&self) -> bool {
        (**self).every_request()
    }
}

/// What the application wants told to whom.
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

/// How long a server that stops waits for its observers.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// The queue and its thread, which works it off and ends when this is dropped.
pub(crate) struct Observers {
    shared: Arc<Shared>,
    every_request: bool,
    meters: Meters,
}

struct Shared {
    waiting: Mutex<Waiting>,
    /// Something was queued, or told, or there will be nothing more.
    changed: Condvar,
    capacity: usize,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<SessionEvent>,
    lost: u64,
    /// Whether the thread is telling one.
    telling: bool,
    /// Whether there will be no more.
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics under the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observers {
    /// Starts the thread, if there is anybody to be told.
    pub(crate) fn start(
        hooks: ObserverHooks,
        namespace: &Arc<str>,
        clock: &Clock,
        meters: &Meters,
    ) -> Result<Option<Self>, ConfigError> {
        if hooks.queue == 0 {
            return Err(ConfigError::new(
                "observer_queue",
                "a queue without room loses every event; give it room for one at least",
            ));
        }
        if hooks.observers.is_empty() {
            return Ok(None);
        }
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            changed: Condvar::new(),
            capacity: hooks.queue,
        });
        let mut observers = Vec::with_capacity(hooks.observers.len());
        for observer in hooks.observers {
            let asked = catch_unwind(AssertUnwindSafe(|| observer.every_request()));
            observers.push((observer, asked.unwrap_or(false)));
        }
        let worker = Worker {
            shared: shared.clone(),
            observers,
            namespace: namespace.clone(),
            clock: clock.clone(),
        };
        let observers = Self {
            shared,
            meters: meters.clone(),
            every_request: worker.observers.iter().any(|(_, asked)| *asked),
        };
        let thread = thread::Builder::new().name("keycard-events".to_owned());
        match thread.spawn(move || worker.run()) {
            Ok(_runs_until_closed) => Ok(Some(observers)),
            Err(_) => Err(ConfigError::new(
                "observer",
                "the system has no thread left to call it from",
            )),
        }
    }

    /// Whether any of them is told of this kind.
    pub(super) fn hear(&self, kind: EventKind) -> bool {
        self.every_request || kind != EventKind::Resumed
    }

    /// Puts an event into the queue, or counts it where there is no room.
    pub(super) fn queue(&self, event: SessionEvent) {
        let room = match event.kind.is_anybodys(event.user.is_some()) {
            true => self.shared.capacity.div_ceil(2),
            false => self.shared.capacity,
        };
        let mut waiting = self.shared.lock();
        let fits = waiting.events.len() < room;
        if fits {
            waiting.events.push_back(event);
        } else {
            waiting.lost += 1;
        }
        drop(waiting);
        self.shared.changed.notify_all();
        if !fits {
            self.meters.lose();
        }
    }

    /// Waits until everything that is queued has been told, for so long at most, and says how much has not.
    pub(crate) async fn told(&self, patience: Duration) -> usize {
        let shared = self.shared.clone();
        if shared.lock().is_idle() {
            return 0;
        }
        let (done, told) = oneshot::channel();
        // A thread that waits needs neither a runtime nor its timer, which a server that stops may have stopped already.
        let wait = move || {
            let busy = |waiting: &mut Waiting| !waiting.is_idle();
            let waited = shared
                .changed
                .wait_timeout_while(shared.lock(), patience, busy);
            let (waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
            let _nobody_waits = done.send(waiting.events.len() + usize::from(waiting.telling));
        };
        match thread::Builder::new()
            .name("keycard-drain".to_owned())
            .spawn(wait)
        {
            Ok(_) => told.await.unwrap_or_default(),
            Err(_) => self.shared.lock().events.len(),
        }
    }
}

impl Waiting {
    fn is_idle(&self) -> bool {
        self.events.is_empty() && !self.telling && self.lost == 0
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
    /// Each with whether it is told of every request.
    observers: Vec<(Box<dyn SessionObserver>, bool)>,
    namespace: Arc<str>,
    clock: Clock,
}

impl Worker {
    fn run(self) {
        while let Some((lost, event)) = self.next() {
            // A log that panics must not end the thread either.
            let _panicked = catch_unwind(AssertUnwindSafe(|| {
                if lost > 0 {
                    self.tell_lost(lost);
                }
            }));
            let _panicked = catch_unwind(AssertUnwindSafe(|| {
                if let Some(event) = &event {
                    self.tell(event);
                }
            }));
        }
    }

    /// What to tell next, as soon as there is something: how many were lost, and the next one. `None`: there is nothing more
    /// to come.
    fn next(&self) -> Option<(u64, Option<SessionEvent>)> {
        let mut waiting = self.shared.lock();
        waiting.telling = false;
        self.shared.changed.notify_all();
        let nothing = |waiting: &mut Waiting| waiting.is_idle() && !waiting.closed;
        let waited = self.shared.changed.wait_while(waiting, nothing);
        waiting = waited.unwrap_or_else(PoisonError::into_inner);
        if waiting.is_idle() {
            return None;
        }
        waiting.telling = true;
        Some((
            std::mem::take(&mut waiting.lost),
            waiting.events.pop_front(),
        ))
    }

    fn tell(&self, event: &SessionEvent) {
        for (observer, every_request) in &self.observers {
            if event.kind == EventKind::Resumed && !every_request {
                continue;
            }
            if catch_unwind(AssertUnwindSafe(|| observer.observe(event))).is_err() {
                hook_panicked("observer");
            }
        }
    }

    fn tell_lost(&self, events: u64) {
        #[cfg(feature = "tracing")]
        tracing::warn!(target: "tower_keycard", event = "lost", events, "observers of sessions are too slow");
        let time = SystemTime::from(self.clock.now());
        let kind = EventKind::Lost { events };
        self.tell(&SessionEvent::new(kind, time, self.namespace.clone()));
    }
}
