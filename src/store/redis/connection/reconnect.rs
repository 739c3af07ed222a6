//! One connection to one endpoint, replaced when it fails.
//!
//! All calls share it. The server answers them in the order in which they were written, so that thousands of calls can wait
//! for their answers at the same time. Calls also share an attempt to connect, which continues if the call that began it is
//! given up.
//!
//! A connection is discarded, and the next call makes a new one, if
//!
//! - it is closed or broken: this is noticed when it happens, not by the next call;
//! - a call got no answer in time, or was given up after a while, and nothing has arrived from the server since it began: the
//!   connection may be half open. Calls that still wait on it may yet be answered. An impatient caller alone proves nothing:
//!   while answers arrive, for others or for nobody, the connection stays;
//! - the server is read-only: after a fail-over the same name leads to another server.
//!
//! The next attempt locates the [endpoint](Endpoint) again.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rand::TryRng;
use rand::rngs::SysRng;
use redis::aio::MultiplexedConnection;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::connect::{Connected, connect};
use super::endpoint::Endpoint;
use super::error::ConnectError;
use crate::store::StoreError;
use crate::store::redis::sync::unpoisoned;

/// The shortest pause between the two tries of an attempt to connect, between the beginnings of two attempts, and before a
/// connection to a read-only server is replaced. A call that comes sooner fails at once.
///
/// The pauses between tries and between attempts are up to twice as long, at random, so that the clients that lost the same
/// server at the same moment do not return to it all at once.
const PAUSE: Duration = Duration::from_millis(50);

/// If a call is given up after it has waited this long for an answer, the connection may be half open.
const SUSPICIOUS: Duration = Duration::from_millis(100);

/// The connection, if there is one, and how to make another.
pub(crate) struct Reconnect(Arc<Shared>);

struct Shared {
    endpoint: Arc<dyn Endpoint>,
    address: String,
    connect_timeout: Duration,
    state: Mutex<State>,
}

enum State {
    /// The next call connects.
    Idle,
    /// An attempt is under way. Its channel closes without an outcome if its runtime shuts down.
    Connecting(watch::Receiver<Outcome>),
    Connected(Connected),
    /// The last attempt failed. The next one begins no sooner than `until`.
    Down {
        until: Instant,
        error: StoreError,
    },
}

/// How a call gets its connection.
enum Acquire {
    Ready(Connected),
    Attempt(watch::Receiver<Outcome>),
}

type Outcome = Option<Result<Connected, StoreError>>;

impl Reconnect {
    pub(crate) fn new(endpoint: Arc<dyn Endpoint>, connect_timeout: Duration) -> Self {
        Self(Arc::new(Shared {
            address: endpoint.address(),
            endpoint,
            connect_timeout,
            state: Mutex::new(State::Idle),
        }))
    }

    /// The connection for one call. It is made if there is none. An error means that nothing was sent.
    pub(crate) async fn lease(&self, deadline: Instant) -> Result<Lease<'_>, StoreError> {
        // The runtime of the first attempt may be gone, as between two tests. Then a second one is made.
        for _ in 0..2 {
            let mut attempt = match self.0.acquire()? {
                Acquire::Ready(connected) => return Ok(Lease::new(self, connected)),
                Acquire::Attempt(attempt) => attempt,
            };
            match timeout_at(deadline, attempt.wait_for(Option::is_some)).await {
                Ok(Ok(outcome)) => {
                    if let Some(outcome) = &*outcome {
                        return outcome.clone().map(|connected| Lease::new(self, connected));
                    }
                }
                Ok(Err(_)) => {}
                Err(_) => break,
            }
        }
        Err(self.0.timed_out())
    }
}

/// The connection while one call uses it. The call reports what it learnt about the connection.
pub(crate) struct Lease<'a> {
    from: &'a Reconnect,
    connected: Connected,
    taken: Instant,
    /// How often something had arrived on the connection when this call began.
    heard: u64,
    /// Whether the call has reported what it learnt.
    done: bool,
}

impl<'a> Lease<'a> {
    fn new(from: &'a Reconnect, connected: Connected) -> Self {
        Self {
            from,
            taken: Instant::now(),
            heard: connected.signs().times_heard(),
            connected,
            done: false,
        }
    }

    pub(crate) fn connection(&mut self) -> &mut MultiplexedConnection {
        &mut self.connected.connection
    }

    /// The server answered.
    pub(crate) fn answered(&mut self) {
        self.done = true;
    }

    /// The server answered that it is read-only. Discards the connection, but not sooner than a name may have changed.
    pub(crate) fn read_only(&mut self) {
        self.answered();
        if self.connected.since.elapsed() >= PAUSE {
            self.from.0.discard(&self.connected);
        }
    }

    /// There was no answer in time. Discards the connection, unless something else arrived on it meanwhile.
    pub(crate) fn unanswered(&mut self) {
        self.done = true;
        if self.connected.signs().times_heard() == self.heard {
            self.from.0.discard(&self.connected);
        }
    }

    /// The connection broke. Discards it.
    pub(crate) fn broke(&mut self) {
        self.done = true;
        self.from.0.discard(&self.connected);
    }
}

impl Drop for Lease<'_> {
    /// A caller with a shorter deadline drops the call. If it has waited for long, it is a call without an answer.
    fn drop(&mut self) {
        if !self.done && self.taken.elapsed() >= SUSPICIOUS {
            self.unanswered();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        unpoisoned(self.state.lock())
    }

    /// Discards a connection, if it is still the one in use.
    fn discard(&self, failed: &Connected) {
        let mut state = self.state();
        if matches!(&*state, State::Connected(current) if current.is_same(failed)) {
            let old = std::mem::replace(&mut *state, State::Idle);
            drop(state);
            // Dropped outside the lock, because the last clone of a connection ends its task.
            drop(old);
        }
    }

    fn timed_out(&self) -> StoreError {
        let address = self.address.clone();
        ConnectError::TimedOut { address }.into_store_error()
    }

    /// The connection, or the one attempt that is under way. This call begins an attempt if there is none.
    fn acquire(self: &Arc<Self>) -> Result<Acquire, StoreError> {
        let mut state = self.state();
        match &*state {
            State::Connected(connected) if !connected.signs().is_closed() => {
                return Ok(Acquire::Ready(connected.clone()));
            }
            // An error means that the attempt was lost.
            State::Connecting(attempt) if attempt.has_changed().is_ok() => {
                return Ok(Acquire::Attempt(attempt.clone()));
            }
            State::Down { until, error } if Instant::now() < *until => return Err(error.clone()),
            _ => {}
        }
        let (outcome, attempt) = watch::channel(None);
        let old = std::mem::replace(&mut *state, State::Connecting(attempt.clone()));
        drop(state);
        drop(old);
        tokio::spawn(Arc::clone(self).attempt(outcome));
        Ok(Acquire::Attempt(attempt))
    }

    /// Connects, on a task of its own.
    async fn attempt(self: Arc<Self>, outcome: watch::Sender<Outcome>) {
        let begun = Instant::now();
        let result = self.connect_twice(begun).await;
        *self.state() = match &result {
            Ok(connected) => State::Connected(connected.clone()),
            Err(error) => State::Down {
                until: begun + pause(),
                error: error.clone(),
            },
        };
        // Perhaps no call waits for it any more.
        outcome.send_replace(Some(result));
    }

    /// Tries twice within the connect timeout, because a server that is being replaced is often back at once.
    async fn connect_twice(&self, begun: Instant) -> Result<Connected, StoreError> {
        let deadline = begun + self.connect_timeout;
        let tries = async {
            match connect(&*self.endpoint, &self.address).await {
                Err(error) if error.is_transient() => {
                    sleep(pause()).await;
                    connect(&*self.endpoint, &self.address).await
                }
                result => result,
            }
        };
        match timeout_at(deadline, tries).await {
            Ok(result) => result.map_err(ConnectError::into_store_error),
            Err(_) => Err(self.timed_out()),
        }
    }
}

/// [`PAUSE`], and up to as much again.
fn pause() -> Duration {
    let mut random = [0];
    // Without random numbers all clients wait for the same time. That still works.
    let _ = SysRng.try_fill_bytes(&mut random);
    PAUSE + PAUSE * u32::from(random[0]) / 256
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_pauses_between_attempts_are_rarely_equal() {
        let pauses: BTreeSet<_> = (0..1_000).map(|_| pause()).collect();
        assert!(
            pauses
                .iter()
                .all(|pause| (PAUSE..2 * PAUSE).contains(pause))
        );
        assert!(pauses.len() > 100, "{}", pauses.len());
    }
}
