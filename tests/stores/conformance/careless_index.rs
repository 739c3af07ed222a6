//! A store whose index keeps the contract, except for one clause.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tower_keycard::Clock;
use tower_keycard::session::Timestamp;
use tower_keycard::store::testing::conformance::{Harness, sample_key, sample_login};
use tower_keycard::store::{
    Created, DeletedPage, IndexChange, IndexCursor, IndexEntry, IndexMoment, IndexPage, Indexed,
    LOGIN_LIFETIME, Loaded, Marker, MemoryStore, PIECE, REVOCATION_LIFETIME, Record, RecordKey,
    Replaced, Revision, SessionId, SessionStore, StoreError, UserIndex, UserIndexRef, Write,
};

/// What a [`Careless`] store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breach {
    SaysItHasNone,
    ListsAGhost,
    ForgetsLoginsThatBegin,
    ForgetsLaterLogins,
    ClonesHaveIndexesOfTheirOwn,
    ListsWhatItWas,
    RotationRemovesTheEntry,
    LogoutLeavesTheSession,
    OneForAllUsers,
    OneForAllNamespaces,
    JoinsNamesWithoutCare,
    ListsAnotherUsers,
    IgnoresCase,
    CutsUsers,
    OnePage,
    PrunesLoginsUnderWay,
    ListsTheExpired,
    ExpiresWithTheShortest,
    EntryLivesAsLongAsTheRecord,
    LaterLoginsCutTheEntry,
    TouchDoesNotProlong,
    WriteDoesNotProlong,
    EndsNothing,
    LeavesNoTombstone,
    CountsEntries,
    EndsTheExcepted,
    EndsAnotherUsers,
    EndsEverybodys,
    LeavesNoMarker,
    EndsOnlyWhatItFinds,
    MarkerRefusesTheExcepted,
    MarkersAddUp,
    MarkerForEver,
    MarkerIsShort,
    MarkerIgnoresTheAge,
    MarkerIsForgotten,
    RecordFirst,
    EntryIsLost,
    ForgetsWhoCameLater,
    MiscountsEntries,
    ListsAllAtOnce,
    MarkersAreAllTheSame,
    MarkerSeemsOld,
    MarkerSeemsNew,
    RefusesWhoeverCameAfter,
    EndsWhoeverCameAfter,
    EndsAllAtOnce,
    ForgetsWhatIsLeft,
    Panics,
}

type Name = (String, String);

#[derive(Default)]
struct Indexes {
    /// When the entries end, and when they were made.
    entries: BTreeMap<Name, BTreeMap<SessionId, (Timestamp, IndexMoment)>>,
    markers: BTreeMap<Name, Left>,
    /// The last moment.
    moment: u64,
}

/// A marker.
struct Left {
    /// Until when nobody logs in, and no older login is carried out for as much longer as it took.
    until: Timestamp,
    /// But for whom.
    except: BTreeSet<SessionId>,
    at: Timestamp,
    moment: IndexMoment,
}

impl Indexes {
    fn moment(&mut self) -> IndexMoment {
        self.moment += 1;
        IndexMoment(self.moment)
    }
}

/// Keeps its records well, and an index beside them.
pub(crate) struct Careless {
    breach: Option<Breach>,
    clock: Clock,
    records: MemoryStore,
    indexes: Arc<Mutex<Indexes>>,
    /// One at a time: neither a login nor a list sees half of another.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Clone for Careless {
    fn clone(&self) -> Self {
        let indexes = match self.breach {
            Some(Breach::ClonesHaveIndexesOfTheirOwn) => Arc::default(),
            _ => self.indexes.clone(),
        };
        Self {
            breach: self.breach,
            clock: self.clock.clone(),
            records: self.records.clone(),
            indexes,
            turn: self.turn.clone(),
        }
    }
}

impl Careless {
    fn is(&self, breach: Breach) -> bool {
        self.breach == Some(breach)
    }

    fn indexes(&self) -> MutexGuard<'_, Indexes> {
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self, namespace: &str, user: &str) -> Name {
        let mut name = (namespace.to_owned(), user.to_owned());
        match self.breach {
            Some(Breach::OneForAllUsers) => name.1.clear(),
            Some(Breach::OneForAllNamespaces) => name.0.clear(),
            Some(Breach::JoinsNamesWithoutCare) => {
                name = (String::new(), format!("{namespace}:user:{user}"));
            }
            Some(Breach::IgnoresCase) => name.1 = user.to_lowercase(),
            Some(Breach::CutsUsers) => name.1 = user.chars().take(100).collect(),
            _ => {}
        }
        name
    }

    /// Makes the entry of a login, or refuses it.
    fn bind(&self, key: &RecordKey, write: &Write<'_>) -> Result<(), StoreError> {
        let (entry, login_age, after) = match write.index {
            IndexChange::None => return Ok(()),
            IndexChange::Extend(entry) => {
                if !self.is(Breach::WriteDoesNotProlong) {
                    self.enter(key, entry, write.ttl);
                }
                return Ok(());
            }
            IndexChange::Bind {
                entry,
                login_age,
                after,
            } => (entry, login_age, after),
        };
        let name = self.name(key.namespace(), entry.user);
        if let Some(left) = self.indexes().markers.get(&name)
            && self.clock.now() < left.until.plus(self.age(login_age))
            && (self.is(Breach::MarkerRefusesTheExcepted) || !left.except.contains(&key.id()))
            && (self.is(Breach::RefusesWhoeverCameAfter) || after != Some(left.moment))
        {
            let age = self.clock.now().since(left.at);
            let moment = match self.is(Breach::MarkersAreAllTheSame) {
                true => IndexMoment(1),
                false => left.moment,
            };
            return Err(StoreError::revoked(
                moment,
                match self.breach {
                    Some(Breach::MarkerSeemsOld) => age + REVOCATION_LIFETIME,
                    Some(Breach::MarkerSeemsNew) => Duration::ZERO,
                    _ => age,
                },
            ));
        }
        if !self.is(Breach::EntryIsLost) {
            self.enter(key, entry, write.ttl);
            let mut indexes = self.indexes();
            let moment = indexes.moment();
            let entries = indexes.entries.entry(name).or_default();
            if let Some((_, bound)) = entries.get_mut(&key.id())
                && !self.is(Breach::ForgetsWhoCameLater)
            {
                *bound = moment;
            }
            if let Some(told) = write.entries {
                told.set(match self.is(Breach::MiscountsEntries) {
                    true => entries.len() - 1,
                    false => entries.len(),
                });
            }
        }
        Ok(())
    }

    fn age(&self, login_age: Duration) -> Duration {
        match self.breach {
            Some(Breach::MarkerIgnoresTheAge) => Duration::ZERO,
            Some(Breach::MarkerIsForgotten) => login_age.min(LOGIN_LIFETIME / 2),
            _ => login_age,
        }
    }

    fn enter(&self, key: &RecordKey, entry: IndexEntry<'_>, ttl: Duration) {
        let life = match self.breach {
            Some(Breach::EntryLivesAsLongAsTheRecord) => ttl,
            _ => entry.lifetime,
        };
        let ends = self.clock.now().plus(life);
        let name = self.name(key.namespace(), entry.user);
        let mut indexes = self.indexes();
        let entries = indexes.entries.entry(name).or_default();
        let (before, bound) = entries.get(&key.id()).copied().unzip();
        let cut = self.is(Breach::LaterLoginsCutTheEntry);
        let ends = before.map_or(ends, |before| if cut { ends } else { ends.max(before) });
        entries.insert(key.id(), (ends, bound.unwrap_or_default()));
        if self.is(Breach::ExpiresWithTheShortest) {
            let shortest = entries.values().map(|(ends, _)| *ends).min();
            let shortest = shortest.unwrap_or(ends);
            entries.values_mut().for_each(|(ends, _)| *ends = shortest);
        }
    }

    fn leave(&self, key: &RecordKey, user: &str) {
        let name = self.name(key.namespace(), user);
        if let Some(entries) = self.indexes().entries.get_mut(&name) {
            entries.remove(&key.id());
        }
    }

    /// The entries that live, in the order of their ids, and when they were made.
    fn entries(&self, namespace: &str, user: &str) -> Vec<(RecordKey, IndexMoment)> {
        let now = self.clock.now();
        let indexes = self.indexes();
        let entries = indexes.entries.get(&self.name(namespace, user));
        let living = entries
            .into_iter()
            .flatten()
            .filter(|(_, (ends, _))| now < *ends);
        living
            .map(|(id, (_, bound))| (RecordKey::new(namespace, *id), *bound))
            .collect()
    }
}

/// The entries after a cursor.
fn after(
    mut entries: Vec<(RecordKey, IndexMoment)>,
    after: Option<&IndexCursor>,
) -> Vec<(RecordKey, IndexMoment)> {
    entries.retain(|(key, _)| after.is_none_or(|after| key.id().as_str() > after.as_str()));
    entries
}

/// Where the next piece begins, if this one is cut to its size.
fn cut(piece: &mut Vec<(RecordKey, IndexMoment)>, size: usize) -> Option<IndexCursor> {
    let more = piece.len() > size;
    piece.truncate(size);
    let last = piece.last().filter(|_| more);
    last.map(|(key, _)| IndexCursor::new(key.id().as_str()))
}

/// The write for the records alone, whose own index says nothing.
fn uncounted<'a>(write: &Write<'a>) -> Write<'a> {
    Write {
        entries: None,
        ..*write
    }
}

fn binds(write: &Write<'_>) -> bool {
    matches!(write.index, IndexChange::Bind { .. })
}

impl SessionStore for Careless {
    fn prefix(&self) -> &str {
        self.records.prefix()
    }

    async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
        self.records.load(key).await
    }

    async fn create(&self, key: &RecordKey, write: &Write<'_>) -> Result<Created, StoreError> {
        assert!(!self.is(Breach::Panics) || !binds(write), "a login");
        // It gives way between the entry and the record, unless it takes care.
        let careless = self.is(Breach::PrunesLoginsUnderWay) || self.is(Breach::RecordFirst);
        let _turn = match careless {
            true => None,
            false => Some(self.turn.lock().await),
        };
        if self.is(Breach::RecordFirst) {
            let created = self.records.create(key, &uncounted(write)).await?;
            tokio::task::yield_now().await;
            self.bind(key, write).ok();
            return Ok(created);
        }
        if !self.is(Breach::ForgetsLoginsThatBegin) {
            self.bind(key, write)?;
        }
        if careless {
            tokio::task::yield_now().await;
        }
        self.records.create(key, &uncounted(write)).await
    }

    async fn replace(
        &self,
        key: &RecordKey,
        expected: Revision,
        write: &Write<'_>,
    ) -> Result<Replaced, StoreError> {
        let _turn = self.turn.lock().await;
        if self.is(Breach::RotationRemovesTheEntry)
            && let Some(user) = write.record.user()
            && !binds(write)
        {
            self.leave(key, user);
        }
        if !self.is(Breach::ForgetsLaterLogins) {
            self.bind(key, write)?;
        }
        let write = uncounted(write);
        self.records.replace(key, expected, &write).await
    }

    async fn touch(
        &self,
        key: &RecordKey,
        expected: Revision,
        ttl: Duration,
        extends: Option<IndexEntry<'_>>,
    ) -> Result<bool, StoreError> {
        if let Some(entry) = extends.filter(|_| !self.is(Breach::TouchDoesNotProlong)) {
            self.enter(key, entry, ttl);
        }
        self.records.touch(key, expected, ttl, None).await
    }

    async fn delete(&self, key: &RecordKey, user: Option<&str>) -> Result<(), StoreError> {
        if self.is(Breach::LogoutLeavesTheSession) && user.is_some() {
            return Ok(());
        }
        if let Some(user) = user {
            self.leave(key, user);
        }
        self.records.delete(key, user).await
    }

    fn user_index(&self) -> Option<UserIndexRef<'_>> {
        (!self.is(Breach::SaysItHasNone)).then(|| UserIndexRef::new(self))
    }
}

impl UserIndex for Careless {
    async fn sessions_of(
        &self,
        namespace: &str,
        user: &str,
        from: Option<&IndexCursor>,
    ) -> Result<IndexPage, StoreError> {
        let _turn = match self.is(Breach::PrunesLoginsUnderWay) {
            true => None,
            false => Some(self.turn.lock().await),
        };
        let mut piece = after(self.entries(namespace, user), from);
        let size = match self.is(Breach::ListsAllAtOnce) {
            true => usize::MAX,
            false => PIECE,
        };
        let mut next = cut(&mut piece, size);
        if self.is(Breach::OnePage) {
            next = None;
        }
        let mut listed = Vec::new();
        let indexed = |key, record: &Record, remaining, bound| {
            Indexed::new(key, record.into(), remaining, bound)
        };
        for (key, bound) in piece {
            match self.records.load(&key).await? {
                Loaded::Record {
                    record, remaining, ..
                } if record.user() == Some(user)
                    || self.is(Breach::ListsAnotherUsers)
                    || self.is(Breach::OneForAllUsers) =>
                {
                    let record = match self.breach {
                        Some(Breach::ListsWhatItWas) => {
                            Record::clone(&sample_login(user, remaining))
                        }
                        _ => record,
                    };
                    listed.push(indexed(key, &record, remaining, bound));
                }
                _ if self.is(Breach::PrunesLoginsUnderWay) => self.leave(&key, user),
                Loaded::Absent if self.is(Breach::ListsTheExpired) => {
                    let record = Record::clone(&sample_login(user, Duration::ZERO));
                    listed.push(indexed(key, &record, Duration::ZERO, bound));
                }
                _ => {}
            }
        }
        if self.is(Breach::ListsAGhost) && listed.is_empty() {
            let record = Record::clone(&sample_login(user, REVOCATION_LIFETIME));
            let bound = IndexMoment::default();
            listed.push(indexed(sample_key(), &record, REVOCATION_LIFETIME, bound));
        }
        Ok(IndexPage {
            sessions: listed,
            next,
        })
    }

    async fn revoke_user(
        &self,
        namespace: &str,
        user: &str,
        except: Option<SessionId>,
    ) -> Result<Marker, StoreError> {
        let _turn = self.turn.lock().await;
        let name = self.name(namespace, user);
        let life = match self.breach {
            Some(Breach::LeavesNoMarker | Breach::EndsOnlyWhatItFinds) => Duration::ZERO,
            Some(Breach::MarkerIsShort) => REVOCATION_LIFETIME / 5,
            Some(Breach::MarkerForEver) => Duration::MAX,
            _ => REVOCATION_LIFETIME,
        };
        let now = self.clock.now();
        let mut indexes = self.indexes();
        let moment = indexes.moment();
        let earlier = indexes.markers.remove(&name);
        let mut excepted: BTreeSet<_> = except.into_iter().collect();
        if self.is(Breach::MarkersAddUp) {
            excepted.extend(earlier.into_iter().flat_map(|left| left.except));
        }
        indexes.markers.insert(
            name,
            Left {
                until: now.plus(life),
                except: excepted,
                at: now,
                moment,
            },
        );
        Ok(Marker {
            left: moment,
            except,
            replicated: true,
        })
    }

    async fn delete_sessions_of(
        &self,
        namespace: &str,
        user: &str,
        marker: &Marker,
        from: Option<&IndexCursor>,
    ) -> Result<DeletedPage, StoreError> {
        let _turn = self.turn.lock().await;
        let mut piece = after(self.entries(namespace, user), from);
        if self.is(Breach::EndsEverybodys) {
            let indexes = self.indexes();
            let all = indexes
                .entries
                .iter()
                .flat_map(|((namespace, _), entries)| {
                    entries.iter().map(move |(id, (_, bound))| {
                        (RecordKey::new(namespace.as_str(), *id), *bound)
                    })
                });
            piece = all.collect();
        }
        let size = match self.is(Breach::EndsAllAtOnce) {
            true => usize::MAX,
            false => PIECE,
        };
        let next = cut(&mut piece, size).filter(|_| !self.is(Breach::ForgetsWhatIsLeft));
        let mut ended = Vec::new();
        for (key, bound) in piece {
            let excepted = marker.except == Some(key.id()) && !self.is(Breach::EndsTheExcepted);
            if excepted || bound > marker.left && !self.is(Breach::EndsWhoeverCameAfter) {
                continue;
            }
            let owner = match self.records.load(&key).await? {
                Loaded::Record { record, .. } => record.user().map(str::to_owned),
                _ => None,
            };
            let foreign = owner.as_deref().is_some_and(|owner| owner != user);
            if owner.as_deref() == Some(user) || self.is(Breach::CountsEntries) {
                ended.push(key.id());
            }
            let missing = owner.is_none() && self.is(Breach::EndsOnlyWhatItFinds);
            let spared = missing
                || foreign
                    && !self.is(Breach::EndsAnotherUsers)
                    && !self.is(Breach::EndsEverybodys);
            if !spared && !self.is(Breach::EndsNothing) && !self.is(Breach::LeavesNoTombstone) {
                self.records.delete(&key, None).await?;
            }
            if !self.is(Breach::CountsEntries) && !self.is(Breach::EndsNothing) {
                self.leave(&key, user);
            }
        }
        Ok(DeletedPage {
            ended,
            next,
            replicated: true,
        })
    }
}

/// Careless stores, and their clock.
pub(crate) struct CarelessHarness {
    breach: Option<Breach>,
    clock: Clock,
}

impl CarelessHarness {
    pub(crate) fn new(breach: Option<Breach>) -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_000));
        Self { breach, clock }
    }
}

impl Harness for CarelessHarness {
    type Store = Careless;

    async fn store(&self) -> Careless {
        let records = MemoryStore::builder().clock(self.clock.clone()).build();
        Careless {
            breach: self.breach,
            clock: self.clock.clone(),
            records,
            indexes: Arc::default(),
            turn: Arc::default(),
        }
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}
