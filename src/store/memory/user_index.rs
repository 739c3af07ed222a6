//! The user index of a [`MemoryStore`](super::MemoryStore).
//!
//! Each user's part of the index is behind a lock. A call that binds a session to the user takes the lock until the record is
//! written. A call that lists or ends the user's sessions takes it, too. So no call ever sees a login in progress, and the
//! index is exact: it has the sessions that exist, including expired ones that are not freed yet.
//!
//! A lock of the index is taken before a lock of the records, never after it, and never together with another lock of the
//! index.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::ops::Bound;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{Clock, Moment, Timestamp};
use crate::record::SessionId;
use crate::store::error::StoreError;
use crate::store::index_moment::IndexMoment;
use crate::store::user_index::{IndexCursor, MARKER_LIFETIME, Marker, PIECE, REVOCATION_LIFETIME};
use crate::sync;

/// A power of two. There are many, because a lock is taken for as long as a piece of a list takes.
const SHARDS: usize = 64;

/// How many due markers a call frees. It is more than the one marker that the call may leave.
const MARKERS_PER_CALL: usize = 2;

/// A namespace and a user.
type Name = (Box<str>, Box<str>);

/// The users who have sessions or a marker, in shards.
pub(super) struct IndexShards {
    shards: Box<[Mutex<Shard>]>,
    // With a random key, because users may choose their own ids.
    hasher: RandomState,
    /// The last moment that was given away, of all users.
    moments: AtomicU64,
}

#[derive(Default)]
struct Shard {
    users: HashMap<Name, User>,
    /// When each marker ends, and whose it is, in the order in which they were left.
    markers: VecDeque<(Timestamp, Name)>,
}

/// One user, in one namespace.
#[derive(Default)]
pub(super) struct User {
    /// The sessions, and when each was bound to the user.
    pub(super) sessions: BTreeMap<SessionId, IndexMoment>,
    marker: Option<LeftMarker>,
}

/// Remembers that all sessions were ended, perhaps except one.
#[derive(Clone, Copy)]
struct LeftMarker {
    until: Timestamp,
    marker: Marker,
    since: Moment,
}

impl User {
    /// Refuses a login on this session, which began `age` ago, if that was before all sessions were ended, or too soon after it
    /// to know. A login that began after the marker `after` is not refused because of that marker.
    pub(super) fn admit(
        &self,
        id: SessionId,
        (age, after): (Duration, Option<IndexMoment>),
        clock: &Clock,
    ) -> Result<(), StoreError> {
        let now = clock.now();
        let Some(left) = self.marked(now) else {
            return Ok(());
        };
        let passed = MARKER_LIFETIME.saturating_sub(left.until.since(now));
        let exempt = left.marker.except == Some(id) || after == Some(left.marker.left);
        match !exempt && passed < REVOCATION_LIFETIME.saturating_add(age) {
            true => Err(StoreError::revoked(
                left.marker.left,
                clock.since(left.since),
            )),
            false => Ok(()),
        }
    }

    pub(super) fn mark(&mut self, marker: Marker, clock: &Clock) {
        self.marker = Some(LeftMarker {
            until: clock.now().plus(MARKER_LIFETIME),
            marker,
            since: clock.moment(),
        });
    }

    /// Some sessions, the first ones or those after a cursor, and where the next ones begin.
    pub(super) fn piece(
        &self,
        after: Option<&IndexCursor>,
    ) -> (Vec<(SessionId, IndexMoment)>, Option<IndexCursor>) {
        let after = after.and_then(|cursor| cursor.as_str().parse::<SessionId>().ok());
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.sessions.range((start, Bound::Unbounded));
        let piece: Vec<_> = rest.take(PIECE).map(|(id, bound)| (*id, *bound)).collect();
        let last = piece.last().filter(|_| piece.len() == PIECE);
        let next = last.map(|(id, _)| IndexCursor::new(id.as_str()));
        (piece, next)
    }

    fn marked(&self, now: Timestamp) -> Option<LeftMarker> {
        // A marker that lasts longer than any marker can last was left before the clock was set back.
        let valid =
            |marker: &LeftMarker| now < marker.until && marker.until <= now.plus(MARKER_LIFETIME);
        self.marker.filter(valid)
    }
}

impl IndexShards {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            moments: AtomicU64::new(0),
        }
    }

    /// A moment after all that were given away.
    pub(super) fn moment(&self) -> IndexMoment {
        IndexMoment(self.moments.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Runs `change` on a user under the user's lock. The caller must have no other lock. Meanwhile `change` may lock one shard
    /// of records at a time.
    pub(super) fn with<T>(
        &self,
        (namespace, user): (&str, &str),
        now: Timestamp,
        change: impl FnOnce(&mut User) -> T,
    ) -> T {
        let name: Name = (namespace.into(), user.into());
        // The remainder fits into a `usize` of any size.
        let number = self.hasher.hash_one(&name) % SHARDS as u64;
        let number = usize::try_from(number).unwrap_or_default();
        let shard = &mut *sync::lock(&self.shards[number]);
        shard.free_markers(now);
        let user = shard.users.entry(name.clone()).or_default();
        let before = user.marker.map(|marker| marker.until);
        let result = change(user);
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

    /// The number of users, including those with nothing but a marker, and the number of entries.
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
    /// Frees a few users that have nothing but a marker that has ended.
    fn free_markers(&mut self, now: Timestamp) {
        for _ in 0..MARKERS_PER_CALL {
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
    use crate::store::testing::conformance::{sample_key, sample_login, sample_login_of};
    use crate::store::testing::end_all;
    use crate::store::{RecordKey, SessionStore, StoreErrorKind, UserIndex};

    const MINUTE: Duration = Duration::from_secs(60);

    fn store(max: usize) -> (MemoryStore, Clock) {
        let clock = Clock::manual(Timestamp::from_millis(1_000_000));
        let builder = MemoryStore::builder().max_sessions(max);
        (builder.clock(clock.clone()).build(), clock)
    }

    async fn log_in(store: &MemoryStore, user: &str) -> RecordKey {
        let (key, login) = (sample_key(), sample_login(user, 100 * MINUTE));
        store.create(&key, &login.write(MINUTE)).await.unwrap();
        key
    }

    #[tokio::test]
    async fn an_entry_ends_with_its_session_and_a_user_with_the_last_entry() {
        let (store, clock) = store(1_000);
        for number in 0..50 {
            log_in(&store, &format!("user {}", number % 10)).await;
        }
        assert_eq!(store.0.user_index.len(), (10, 50));
        let key = log_in(&store, "alice").await;
        store.delete(&key, Some("alice")).await.unwrap();
        assert_eq!(store.0.user_index.len(), (10, 50));
        // No call asks for the expired ones.
        clock.advance(MINUTE);
        store.purge_expired();
        assert_eq!(store.0.user_index.len(), (0, 0));
    }

    #[tokio::test]
    async fn logins_that_a_full_store_refuses_leave_nothing_in_the_index() {
        let (store, clock) = store(1);
        log_in(&store, "alice").await;
        for _ in 0..100 {
            let login = sample_login("bob", 100 * MINUTE);
            let refused = store.create(&sample_key(), &login.write(MINUTE)).await;
            assert_eq!(refused.unwrap_err().kind(), StoreErrorKind::Full);
        }
        assert_eq!(store.0.user_index.len(), (1, 1));
        // The expired session that is freed for the new one leaves the index of its user, also while another user is locked.
        clock.advance(MINUTE);
        log_in(&store, "bob").await;
        assert_eq!(store.0.user_index.len(), (1, 1));
        clock.advance(MINUTE);
        log_in(&store, "bob").await;
        assert_eq!(store.0.user_index.len(), (1, 1));
    }

    #[tokio::test]
    async fn a_session_that_changes_its_user_leaves_the_index_of_the_first() {
        let (store, _) = store(10);
        let (key, login) = (sample_key(), sample_login("alice", MINUTE));
        store.create(&key, &login.write(MINUTE)).await.unwrap();
        let bobs = sample_login_of(&login, "bob", MINUTE);
        let write = bobs.write(MINUTE);
        let replaced = store.replace(&key, login.revision(), &write);
        replaced.await.unwrap();
        assert_eq!(store.0.user_index.len(), (1, 1));
    }

    #[tokio::test]
    async fn markers_are_freed_in_time() {
        let (store, clock) = store(10);
        for number in 0..1_000 {
            let user = format!("user {number}");
            store.revoke_user("id", &user, None).await.unwrap();
        }
        assert_eq!(store.0.user_index.len(), (1_000, 0));
        clock.advance(MARKER_LIFETIME);
        for number in 0..2_000 {
            let user = format!("another {number}");
            store.sessions_of("id", &user, None).await.unwrap();
        }
        assert!(store.0.user_index.len().0 < 20);
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_refuses_no_login() {
        let (store, clock) = store(10);
        clock.advance(100 * MINUTE);
        store.revoke_user("id", "alice", None).await.unwrap();
        clock.set(Timestamp::from_millis(1_000_000));
        log_in(&store, "alice").await;
        assert_eq!(store.0.user_index.len(), (1, 1));
    }

    #[test]
    fn threads_that_bind_list_end_and_expire_do_not_deadlock() {
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
                            store.create(&key, &login.write(ttl)).await.ok();
                            match round % 4 {
                                0 => drop(store.sessions_of("id", &user, None).await),
                                1 => drop(store.delete(&key, Some(&user)).await),
                                2 if round % 50 == 2 => {
                                    drop(end_all(store, "id", &user, None).await);
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
        let entries = store.0.user_index.len().1;
        assert_eq!(entries, 0);
    }
}
