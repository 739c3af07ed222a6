//! The list of the cases, and what they have in common.

use std::time::Duration;

use super::{Context, Harness, Stop, Verdict, bytes, deleting, lifetimes, races, said, writing};
use crate::store::{Created, Loaded, Record, RecordKey, Replaced, Revision};

/// Longer than any case takes.
pub(super) const LONG: Duration = Duration::from_secs(3600);
/// Long enough to be asked for the record before it expires, short enough to wait for.
pub(super) const SHORT: Duration = Duration::from_millis(300);
/// Longer than [`SHORT`], by more than clocks and time-outs are inaccurate.
pub(super) const LONGER_THAN_SHORT: Duration = Duration::from_millis(450);

macro_rules! cases {
    ($($topic:ident: $($name:ident)+;)+) => {
        /// The names of all cases, in the order in which [`suite`](super::suite) runs them.
        pub const CASES: &[&str] = &[$($(stringify!($name),)+)+];

        pub(super) async fn run<H: Harness>(name: &str, context: &Context<'_, H>) -> Verdict {
            match name {
                $($(stringify!($name) => $topic::$name(context).await,)+)+
                _ => Err(Stop::Failed("there is no such case".to_owned())),
            }
        }
    };
}

cases! {
    writing:
        an_absent_record_is_absent
        what_was_created_is_loaded_as_it_was
        create_never_overwrites_a_record
        replace_puts_the_new_record_there
        replace_of_an_absent_record_creates_nothing
        replace_at_another_revision_is_a_conflict_with_the_current_record
        a_replace_sent_twice_has_succeeded_and_changes_nothing
        a_replace_that_others_came_after_has_succeeded_and_changes_nothing
        touch_never_changes_the_record
        touch_at_another_revision_changes_nothing
        touch_of_an_absent_record_creates_nothing
        namespaces_are_separate
        fresh_stores_are_separate
        clones_are_the_same_store
        the_prefix_is_stable_and_not_empty;
    deleting:
        delete_leaves_a_tombstone
        delete_of_an_absent_record_leaves_a_tombstone
        delete_twice_is_fine
        create_never_overwrites_a_tombstone
        replace_of_a_tombstone_creates_nothing
        touch_of_a_tombstone_creates_nothing
        a_tombstone_outlasts_the_record_it_stands_for
        a_tombstone_ends_after_its_lifetime;
    lifetimes:
        an_expired_record_is_never_returned
        replace_of_an_expired_record_creates_nothing
        touch_of_an_expired_record_creates_nothing
        create_takes_the_place_of_an_expired_record
        the_remaining_time_is_what_was_given_less_what_passed
        replace_gives_a_longer_life
        replace_gives_a_shorter_life
        touch_gives_a_longer_life
        touch_gives_a_shorter_life
        a_conflict_leaves_the_expiry_alone
        lifetimes_are_not_rounded_to_seconds
        very_long_lifetimes_are_kept
        a_lifetime_of_nothing_is_not_for_ever;
    races:
        of_concurrent_creates_exactly_one_wins
        of_concurrent_replaces_exactly_one_wins
        no_write_is_lost_among_many
        a_deleted_session_stays_deleted_whatever_else_happens
        a_dropped_call_leaves_the_next_one_its_own_answer
        a_dropped_write_was_made_or_was_not;
    bytes:
        every_byte_is_kept
        revisions_of_any_bytes_are_compared
        the_largest_record_is_kept
        what_cannot_be_read_is_left_as_it_is
        what_cannot_be_read_can_be_deleted;
}

/// Ends a case as failed unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err($crate::store::conformance::Stop::Failed(format!($($why)+)));
        }
    };
}
pub(super) use ensure;

impl<H: Harness> Context<'_, H> {
    /// Creates a record where there is none.
    pub(super) async fn created(&self, key: &RecordKey, record: &Record, ttl: Duration) -> Verdict {
        match self.create(key, record, ttl).await? {
            Created::Created => Ok(()),
            Created::Exists => failed("create answered Exists where nothing was"),
        }
    }

    /// Replaces a record, where that must succeed.
    pub(super) async fn replaced(
        &self,
        key: &RecordKey,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Verdict {
        match self.replace(key, expected, record, ttl).await? {
            Replaced::Replaced => Ok(()),
            Replaced::Conflict(with) => failed(format!("replace was in conflict with {with:?}")),
        }
    }

    /// Tries to replace a record, where that must be a conflict.
    pub(super) async fn conflict(
        &self,
        key: &RecordKey,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Verdict<Loaded> {
        match self.replace(key, expected, record, ttl).await? {
            Replaced::Conflict(with) => Ok(with),
            Replaced::Replaced => failed("replace succeeded where it must not"),
        }
    }

    /// Loads what must be this record, and says how long it will be kept.
    pub(super) async fn holds(&self, key: &RecordKey, record: &Record) -> Verdict<Duration> {
        is_record(&self.load(key).await?, record)
    }

    /// Loads what must be nothing.
    pub(super) async fn holds_nothing(&self, key: &RecordKey) -> Verdict {
        is_absent(&self.load(key).await?)
    }

    /// Loads what must be a tombstone.
    pub(super) async fn holds_a_tombstone(&self, key: &RecordKey) -> Verdict {
        is_tombstone(&self.load(key).await?)
    }
}

pub(super) fn failed<T>(why: impl Into<String>) -> Verdict<T> {
    Err(Stop::Failed(why.into()))
}

pub(super) fn is_record(loaded: &Loaded, expected: &Record) -> Verdict<Duration> {
    match loaded {
        Loaded::Record { record, remaining } if record.encode() == expected.encode() => {
            Ok(*remaining)
        }
        other => failed(format!("found {other:?}, not {expected:?}")),
    }
}

pub(super) fn is_absent(loaded: &Loaded) -> Verdict {
    match loaded {
        Loaded::Absent => Ok(()),
        other => failed(format!("found {other:?}, not Absent")),
    }
}

pub(super) fn is_tombstone(loaded: &Loaded) -> Verdict {
    match loaded {
        Loaded::Tombstone => Ok(()),
        other => failed(format!("found {other:?}, not Tombstone")),
    }
}

/// Runs as many tasks as there are calls, which start together, and collects what they return.
pub(super) async fn together<T, F>(calls: impl IntoIterator<Item = F>) -> Verdict<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = Verdict<T>> + Send + 'static,
{
    let calls: Vec<F> = calls.into_iter().collect();
    let start = std::sync::Arc::new(tokio::sync::Barrier::new(calls.len()));
    let mut tasks = Vec::with_capacity(calls.len());
    for call in calls {
        let start = start.clone();
        tasks.push(tokio::spawn(async move {
            start.wait().await;
            call.await
        }));
    }
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        let result = task.await.map_err(|error| match error.try_into_panic() {
            Ok(panic) => Stop::Failed(said(&*panic)),
            Err(error) => Stop::Failed(error.to_string()),
        });
        results.push(result??);
    }
    Ok(results)
}
