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
use std::time::Duration;

use crate::clock::Timestamp;
use crate::store::{MARKER_LIFETIME, REVOCATION_LIFETIME, SessionId};

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
    /// Whether a login on this session, which began so long ago, began too soon after all sessions were ended, or before.
    pub(super) fn refuses(&self, id: SessionId, age: Duration, now: Timestamp) -> bool {
        self.marked(now).is_some_and(|marker| {
            let passed = MARKER_LIFETIME.saturating_sub(marker.until.since(now));
            marker.except != Some(id) && passed < REVOCATION_LIFETIME.saturating_add(age)
        })
    }

    pub(super) fn mark(&mut self, except: Option<SessionId>, now: Timestamp) {
        let until = now.plus(MARKER_LIFETIME);
        self.marker = Some(Marker { until, except });
    }

    fn marked(&self, now: Timestamp) -> Option<Marker> {
        // One that ends later than any can end was left before the clock was put back.
        let possible =
            |marker: &Marker| now < marker.until && marker.until <= now.plus(MARKER_LIFETIME);
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

#[cfg(test)]
mod tests {
    use super::super::MemoryStore;
    use super::*;
    use crate::clock::Clock;
    use crate::store::conformance::{sample_key, sample_login, sample_login_of};
    use crate::store::{RecordKey, SessionStore, StoreErrorKind, UserIndex};

    const MINUTE: Duration = Duration::from_secs(60);

    fn store(max: usize) -> (MemoryStore, Clock) {
        let clock = Clock::manual(Timestamp::from_millis(1_000_000));
        let builder = MemoryStore::builder().max_sessions(max);
        (builder.clock(clock.clone()).build(), clock)
    }

    async fn log_in(store: &MemoryStore, user: &str) -> RecordKey {
        let (key, login) = (sample_key(), sample_login(user, 100 * MINUTE));
        store.create(&key, &login, MINUTE).await.unwrap();
        key
    }

    #[tokio::test]
    async fn an_entry_goes_with_its_session_and_a_user_with_the_last_entry() {
        let (store, clock) = store(1_000);
        for number in 0..50 {
            log_in(&store, &format!("user {}", number % 10)).await;
        }
        assert_eq!(store.0.users.len(), (10, 50));
        let key = log_in(&store, "alice").await;
        store.delete(&key, Some("alice")).await.unwrap();
        assert_eq!(store.0.users.len(), (10, 50));
        // Nobody asks for those that expired.
        clock.advance(MINUTE);
        store.purge_expired();
        assert_eq!(store.0.users.len(), (0, 0));
    }

    #[tokio::test]
    async fn logins_that_are_refused_for_want_of_room_leave_nothing_behind() {
        let (store, clock) = store(1);
        log_in(&store, "alice").await;
        for _ in 0..100 {
            let login = sample_login("bob", 100 * MINUTE);
            let refused = store.create(&sample_key(), &login, MINUTE).await;
            assert_eq!(refused.unwrap_err().kind(), StoreErrorKind::Full);
        }
        assert_eq!(store.0.users.len(), (1, 1));
        // What makes room is forgotten by its user: here while another one is locked.
        clock.advance(MINUTE);
        log_in(&store, "bob").await;
        assert_eq!(store.0.users.len(), (1, 1));
        clock.advance(MINUTE);
        log_in(&store, "bob").await;
        assert_eq!(store.0.users.len(), (1, 1));
    }

    #[tokio::test]
    async fn a_session_that_changes_hands_leaves_its_first_user() {
        let (store, _) = store(10);
        let (key, login) = (sample_key(), sample_login("alice", MINUTE));
        store.create(&key, &login, MINUTE).await.unwrap();
        let bobs = sample_login_of(&login, "bob", MINUTE);
        let replaced = store.replace(&key, login.revision(), &bobs, MINUTE);
        replaced.await.unwrap();
        assert_eq!(store.0.users.len(), (1, 1));
    }

    #[tokio::test]
    async fn markers_are_freed_in_time() {
        let (store, clock) = store(10);
        for number in 0..1_000 {
            let user = format!("user {number}");
            store.delete_user("id", &user, None).await.unwrap();
        }
        assert_eq!(store.0.users.len(), (1_000, 0));
        clock.advance(MARKER_LIFETIME);
        for number in 0..2_000 {
            let user = format!("another {number}");
            store.sessions_of("id", &user).await.unwrap();
        }
        assert!(store.0.users.len().0 < 20);
    }

    #[tokio::test]
    async fn a_clock_that_is_put_back_keeps_nobody_out() {
        let (store, clock) = store(10);
        clock.advance(100 * MINUTE);
        store.delete_user("id", "alice", None).await.unwrap();
        clock.set(Timestamp::from_millis(1_000_000));
        log_in(&store, "alice").await;
        assert_eq!(store.0.users.len(), (1, 1));
    }

    #[test]
    fn threads_that_bind_list_end_and_expire_do_not_wait_for_each_other_for_ever() {
        let (store, clock) = store(64);
        std::thread::scope(|scope| {
            for thread in 0..8_u32 {
                let (store, clock) = (&store, &clock);
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build();
                    runtime.unwrap().block_on(async {
                        for round in 0..500_u32 {
                            let user = format!("user {}", (thread + round) % 5);
                            let (key, login) = (sample_key(), sample_login(&user, MINUTE));
                            let ttl = Duration::from_millis(1 + u64::from(round % 7));
                            store.create(&key, &login, ttl).await.ok();
                            match round % 4 {
                                0 => drop(store.sessions_of("id", &user).await),
                                1 => drop(store.delete(&key, Some(&user)).await),
                                2 if round % 50 == 2 => {
                                    drop(store.delete_user("id", &user, None).await);
                                }
                                _ => clock.advance(Duration::from_millis(1)),
                            }
                        }
                    });
                });
            }
        });
        clock.advance(100 * MINUTE);
        store.purge_expired();
        let entries = store.0.users.len().1;
        assert_eq!(entries, 0);
    }
}
