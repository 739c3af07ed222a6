//! One connection to one place, which mends itself.
//!
//! All calls share it: they are written one after the other and answered in that order, so that thousands of them wait for
//! their answers at the same time. An attempt to connect is shared too, and is not given up with the call that began it.
//!
//! A connection is let go, for the next call to make a new one, when
//!
//! - it is closed or broken: that is noticed when it happens, not by the next call;
//! - a call has had no answer in time, or was given up after a while, so that it may be half open. Calls still waiting on it may well be answered;
//! - the server has become read-only: after a fail-over, the same name leads to another one.
//!
//! The next attempt asks anew where the [target](crate::store::redis::connection::endpoint) is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::TryRng;
use rand::rngs::SysRng;
use redis::aio::MultiplexedConnection;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use crate::store::StoreError;
use crate::store::redis::connection::connect::{Connected, connect};
use crate::store::redis::connection::endpoint::Target;
use crate::store::redis::protocol::error::NoConnection;

/// How long to wait before the second try of an attempt to connect, from the beginning of an attempt that failed to that of
/// the next, and before a connection to a server that is read-only is replaced. A call that comes too soon fails at once.
///
/// Each time it is up to twice as long, at random: the many that lost the same server at the same moment do not all come back
/// to it at once, again and again.
const PAUSE: Duration = Duration::from_millis(50);

/// A call that is given up after it has waited this long for an answer says that the connection may be half open.
const SUSPICIOUS: Duration = Duration::from_millis(100);

/// The connection, if there is one, and the way to another.
pub(crate) struct Link(Arc<Shared>);

struct Shared {
    target: Target,
    address: String,
    connect_timeout: Duration,
    state: Mutex<State>,
}

enum State {
    /// The next call connects.
    Idle,
    /// An attempt is under way; closed without an outcome if it was lost together with its runtime.
    Connecting(watch::Receiver<Outcome>),
    Connected(Connected),
    /// The last attempt failed; there is to be none before then.
    Down {
        until: Instant,
        error: StoreError,
    },
}

/// How a call gets its connection.
enum Way {
    Connected(Connected),
    Attempt(watch::Receiver<Outcome>),
}

type Outcome = Option<Result<Connected, StoreError>>;

impl Link {
    pub(crate) fn new(target: Target, connect_timeout: Duration) -> Self {
        Self(Arc::new(Shared {
            address: target.address(),
            target,
            connect_timeout,
            state: Mutex::new(State::Idle),
        }))
    }

    pub(crate) fn address(&self) -> &str {
        &self.0.address
    }

    /// The connection for one call, made if there is none. An error means that nothing was sent.
    pub(crate) async fn lease(&self, deadline: Instant) -> Result<Lease<'_>, StoreError> {
        // A second attempt, because the runtime that the first one ran on may be gone, as between two tests.
        for _ in 0..2 {
            let mut attempt = match self.0.way()? {
                Way::Connected(connected) => return Ok(Lease::new(self, connected)),
                Way::Attempt(attempt) => attempt,
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

/// The connection in the hands of one call, which says in the end what to think of it.
pub(crate) struct Lease<'a> {
    link: &'a Link,
    connected: Connected,
    taken: Instant,
    answered: bool,
}

impl<'a> Lease<'a> {
    fn new(link: &'a Link, connected: Connected) -> Self {
        Self {
            link,
            connected,
            taken: Instant::now(),
            answered: false,
        }
    }

    pub(crate) fn connection(&mut self) -> &mut MultiplexedConnection {
        &mut self.connected.connection
    }

    /// The server answered.
    pub(crate) fn answered(&mut self) {
        self.answered = true;
    }

    /// The server answered that it is read-only: let it go, but not more often than a name can be expected to change.
    pub(crate) fn read_only(&mut self) {
        self.answered = true;
        if self.connected.since.elapsed() >= PAUSE {
            self.link.0.discard(&self.connected);
        }
    }

    /// No answer, or the connection broke: whatever happened, it is not to be used again.
    pub(crate) fn failed(&mut self) {
        self.link.0.discard(&self.connected);
        self.answered = true;
    }
}

impl Drop for Lease<'_> {
    /// A caller with a deadline shorter than ours gives up without a word. If it has waited for long, that is one.
    fn drop(&mut self) {
        if !self.answered && self.taken.elapsed() >= SUSPICIOUS {
            self.link.0.discard(&self.connected);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code that could panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a connection go, if it is still the one in use.
    fn discard(&self, failed: &Connected) {
        let mut state = self.state();
        if matches!(&*state, State::Connected(current) if current.is(failed)) {
            let old = std::mem::replace(&mut *state, State::Idle);
            drop(state);
            // Outside the lock: the last clone of a connection ends its task.
            drop(old);
        }
    }

    fn timed_out(&self) -> StoreError {
        let address = self.address.clone();
        NoConnection::TimedOut { address }.into_error()
    }

    /// The connection, or the one attempt that is under way, which this call may begin.
    fn way(self: &Arc<Self>) -> Result<Way, StoreError> {
        let mut state = self.state();
        match &*state {
            State::Connected(connected) if !connected.is_closed() => {
                return Ok(Way::Connected(connected.clone()));
            }
            // An error means that it is closed.
            State::Connecting(attempt) if attempt.has_changed().is_ok() => {
                return Ok(Way::Attempt(attempt.clone()));
            }
            State::Down { until, error } if Instant::now() < *until => return Err(error.clone()),
            _ => {}
        }
        let (outcome, attempt) = watch::channel(None);
        let old = std::mem::replace(&mut *state, State::Connecting(attempt.clone()));
        drop(state);
        drop(old);
        tokio::spawn(Arc::clone(self).attempt(outcome));
        Ok(Way::Attempt(attempt))
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
        // Nobody need be waiting.
        outcome.send_replace(Some(result));
    }

    /// Two tries within the connect timeout: a server that is just being replaced is often back at once.
    async fn connect_twice(&self, begun: Instant) -> Result<Connected, StoreError> {
        let deadline = begun + self.connect_timeout;
        let tries = async {
            match connect(&self.target, &self.address).await {
                Err(error) if error.may_pass() => {
                    sleep(pause()).await;
                    connect(&self.target, &self.address).await
                }
                result => result,
            }
        };
        match timeout_at(deadline, tries).await {
            Ok(result) => result.map_err(NoConnection::into_error),
            Err(_) => Err(self.timed_out()),
        }
    }
}

/// [`PAUSE`], and up to as much again.
fn pause() -> Duration {
    let mut dice = [0];
    // Without randomness all wait for the same time, and connect all the same.
    let _ = SysRng.try_fill_bytes(&mut dice);
    PAUSE + PAUSE * u32::from(dice[0]) / 256
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn attempts_are_apart_by_a_pause_that_is_seldom_the_same_twice() {
        let pauses: BTreeSet<_> = (0..1_000).map(|_| pause()).collect();
        assert!(
            pauses
                .iter()
                .all(|pause| (PAUSE..2 * PAUSE).contains(pause))
        );
        assert!(pauses.len() > 100, "{}", pauses.len());
    }
}
