//! Whose sessions a [`MemoryStore`](super::MemoryStore) keeps.
//!
//! A user's part of the index is behind a lock, and who binds a session to the user holds it until the record is written, as
//! does who lists or ends the user's sessions. So nobody ever sees a login under way, and the index is exact: it holds the
//! sessions that are there, expired ones included until they are freed.
//!
//! A lock of the index is taken before one of the records, never after it, and never together with another one of the index.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use crate::clock::Timestamp;
use crate::store::{REVOCATION_LIFETIME, SessionId};

/// A power of two; a lock is held for as long as it takes to list a user's sessions.
const SHARDS: usize = 64;

/// How many markers that are due a call frees: more than the one it may leave.
const STEP: usize = 2;

/// A namespace and a user.
type Name = (Box<str>, Box<str>);

/// The users who have sessions, in parts.
pub(super) struct Users {
    shards: Box<[Mutex<Shard>]>,
    // Keyed: user ids are chosen by those who register.
    hasher: RandomState,
}

#[derive(Default)]
struct Shard {
    users: HashMap<Name, User>,
    /// Whose markers end when, in the order in which they were left.
    markers: VecDeque<(Timestamp, Name)>,
}

/// One user, in one namespace.
#[derive(Default)]
pub(super) struct User {
    pub(super) sessions: HashSet<SessionId>,
    marker: Option<Marker>,
}

/// All sessions were ended, but for one perhaps.
#[derive(Clone, Copy)]
struct Marker {
    until: Timestamp,
    except: Option<SessionId>,
}

impl User {
    /// Whether a login on this session comes too soon after all sessions were ended.
    pub(super) fn refuses(&self, id: SessionId, now: Timestamp) -> bool {
        self.marked(now)
            .is_some_and(|marker| marker.except != Some(id))
    }

    pub(super) fn mark(&mut self, except: Option<SessionId>, now: Timestamp) {
        let until = now.plus(REVOCATION_LIFETIME);
        self.marker = Some(Marker { until, except });
    }

    fn marked(&self, now: Timestamp) -> Option<Marker> {
        // One that ends later than any can end was left before the clock was put back.
        let possible =
            |marker: &Marker| now < marker.until && marker.until <= now.plus(REVOCATION_LIFETIME);
        self.marker.filter(possible)
    }
}

impl Users {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Does something with a user, while nobody else does. No other lock may be held, and the lock of one shard of records
    /// at a time may be taken meanwhile.
    pub(super) fn with<T>(
        &self,
        (namespace, user): (&str, &str),
        now: Timestamp,
        change: impl FnOnce(&mut User) -> T,
    ) -> T {
        let name: Name = (namespace.into(), user.into());
        // The remainder fits, whatever the size of a word.
        let place = self.hasher.hash_one(&name) % SHARDS as u64;
        let place = usize::try_from(place).unwrap_or_default();
        let shard = self.shards[place].lock();
        let shard = &mut *shard.unwrap_or_else(PoisonError::into_inner);
        shard.free_markers(now);
        let user = shard.users.entry(name.clone()).or_default();
        let before = user.marker.map(|marker| marker.until);
        let result = change(user);
        if user.sessions.capacity() > 64 && user.sessions.len() < user.sessions.capacity() / 8 {
            user.sessions.shrink_to_fit();
        }
        match user.marked(now) {
            None if user.sessions.is_empty() => {
                shard.users.remove(&name);
                if shard.users.capacity() > 1024 && shard.users.len() < shard.users.capacity() / 8 {
                    shard.users.shrink_to_fit();
                }
            }
            Some(marker) if before != Some(marker.until) => {
                shard.markers.push_back((marker.until, name));
            }
            _ => {}
        }
        result
    }

    /// How many users there are, those with nothing but a marker included, and how many entries.
    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        let (mut users, mut entries) = (0, 0);
        for shard in &self.shards {
            let shard = shard.lock().unwrap();
            users += shard.users.len();
            entries += shard
                .users
                .values()
                .map(|user| user.sessions.len())
                .sum::<usize>();
        }
        (users, entries)
    }
}

impl Shard {
    /// Frees what nothing but a marker that has ended is left of.
    fn free_markers(&mut self, now: Timestamp) {
        for _ in 0..STEP {
            if self.markers.front().is_none_or(|(until, _)| *until > now) {
                break;
            }
            let Some((_, name)) = self.markers.pop_front() else {
                break;
            };
            let idle = |user: &User| user.sessions.is_empty() && user.marked(now).is_none();
            if self.users.get(&name).is_some_and(idle) {
                self.users.remove(&name);
            }
        }
    }
}
