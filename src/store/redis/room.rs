//! Makes room on a full server, at the cost of the sessions whose tokens nobody has brought back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{self, Arc};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::store::redis::protocol::CallError;
use crate::store::redis::protocol::reply::Step;
use crate::store::redis::sync::unpoisoned;

/// How long to wait after a scan that found nothing to evict. Each of them reads all keys of the server.
const PAUSE: Duration = Duration::from_secs(1);

/// Where a scan begins, and what the server says at its end.
const START: &[u8] = b"0";

/// The servers of a store that were full. Each has its own keys to scan.
#[derive(Default)]
pub(super) struct Rooms {
    servers: sync::Mutex<HashMap<String, Arc<Room>>>,
}

impl Rooms {
    pub(super) fn of(&self, server: String) -> Arc<Room> {
        let mut servers = unpoisoned(self.servers.lock());
        let room = servers
            .entry(server)
            .or_insert_with(|| Arc::new(Room::new()));
        Arc::clone(room)
    }

    /// How many sessions were evicted so far.
    pub(super) fn evicted(&self) -> u64 {
        let servers = unpoisoned(self.servers.lock());
        servers.values().map(|room| room.evicted()).sum()
    }
}

/// Makes room on one server, in one call at a time: the others wait for it, and find the room that it made.
pub(super) struct Room {
    scan: Mutex<Scan>,
    evicted: AtomicU64,
}

struct Scan {
    /// Where the next step begins: where the last one ended, so that no session is looked at twice before all were looked at
    /// once.
    cursor: Vec<u8>,
    /// The end of the pause after a scan that found nothing.
    pauses_until: Option<Instant>,
}

impl Room {
    fn new() -> Self {
        Self {
            scan: Mutex::new(Scan {
                cursor: START.to_vec(),
                pauses_until: None,
            }),
            evicted: AtomicU64::new(0),
        }
    }

    fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Scans until a `step` has evicted a session, and returns whether one has, or another call has made room meanwhile. Gives
    /// up at the deadline, and once it has looked at every key.
    pub(super) async fn make<F>(&self, deadline: Instant, step: impl Fn(Vec<u8>) -> F) -> bool
    where
        F: Future<Output = Result<Step, CallError>>,
    {
        let before = self.evicted();
        let Ok(mut scan) = timeout_at(deadline, self.scan.lock()).await else {
            return false;
        };
        if self.evicted() != before {
            return true;
        }
        if scan
            .pauses_until
            .is_some_and(|until| Instant::now() < until)
        {
            return false;
        }
        // From the beginning to the end, or to the end and then all of it.
        let mut ends = match scan.cursor == START {
            true => 1,
            false => 2,
        };
        while ends > 0 {
            let Ok(Step { cursor, evicted }) = step(scan.cursor.clone()).await else {
                return false;
            };
            ends -= u32::from(cursor == START);
            scan.cursor = cursor;
            if evicted > 0 {
                self.evicted.fetch_add(evicted, Ordering::Relaxed);
                return true;
            }
        }
        scan.pauses_until = Some(Instant::now() + PAUSE);
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as Lock;

    use super::*;

    /// Plays these steps, and returns the cursors that were asked for.
    async fn play(room: &Room, steps: Vec<(&str, u64)>) -> (bool, Vec<String>) {
        let (steps, asked) = (Lock::new(steps.into_iter()), Lock::new(Vec::new()));
        let made = room.make(Instant::now() + PAUSE, |cursor| {
            asked
                .lock()
                .unwrap()
                .push(String::from_utf8(cursor).unwrap());
            let next = steps.lock().unwrap().next();
            async move {
                let (cursor, evicted) = next.ok_or(CallError::TimedOut)?;
                let cursor = cursor.as_bytes().to_vec();
                Ok(Step { cursor, evicted })
            }
        });
        let made = made.await;
        (made, asked.into_inner().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_scan_goes_on_where_the_last_one_ended_and_looks_at_everything_once() {
        let room = Room::new();
        let (made, asked) = play(&room, vec![("7", 0), ("3", 5)]).await;
        assert!(made);
        assert_eq!((asked, room.evicted()), (vec!["0".into(), "7".into()], 5));
        let (made, asked) = play(
            &room,
            vec![("0", 0), ("7", 0), ("3", 0), ("0", 0), ("7", 9)],
        )
        .await;
        assert!(!made);
        assert_eq!(asked, ["3", "0", "7", "3"]);
        // Nothing is asked for a second.
        assert_eq!(play(&room, vec![("0", 1)]).await, (false, vec![]));
        tokio::time::advance(PAUSE).await;
        assert_eq!(play(&room, vec![("0", 1)]).await, (true, vec!["0".into()]));
        assert_eq!(room.evicted(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_waited_finds_the_room_that_another_made() {
        let room = Room::new();
        let deadline = Instant::now() + PAUSE;
        let step = async |_| {
            tokio::time::sleep(PAUSE / 4).await;
            let cursor = START.to_vec();
            Ok(Step { cursor, evicted: 1 })
        };
        let calls = tokio::join!(
            room.make(deadline, step),
            room.make(deadline, step),
            room.make(Instant::now() + PAUSE / 8, step),
        );
        assert_eq!((calls, room.evicted()), ((true, true, false), 1));
    }

    #[tokio::test]
    async fn a_step_that_fails_ends_the_scan_without_a_pause() {
        let room = Room::new();
        assert_eq!(play(&room, vec![]).await, (false, vec!["0".into()]));
        assert_eq!(play(&room, vec![("0", 2)]).await, (true, vec!["0".into()]));
    }
}
