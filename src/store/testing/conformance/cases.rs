//! The list of the cases about records.

use super::context::Context;
use super::harness::Harness;
use super::report::{CaseResult, Stop};
use super::{bytes, deleting, eviction, lifetimes, races, writing};

macro_rules! cases {
    ($($topic:ident: $($name:ident)+;)+) => {
        /// The names of all cases, in the order in which [`suite`](super::suite) runs them.
        pub const CASES: &[&str] = &[$($(stringify!($name),)+)+];

        pub(super) async fn run<H: Harness>(name: &str, context: &Context<'_, H>) -> CaseResult {
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
        a_created_record_is_loaded_unchanged
        create_never_overwrites_a_record
        replace_stores_the_new_record
        replace_of_an_absent_record_creates_nothing
        replace_at_another_revision_is_a_conflict_with_the_current_record
        a_replace_sent_twice_has_succeeded_and_changes_nothing
        a_replace_sent_again_after_later_ones_has_succeeded_and_changes_nothing
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
        a_second_delete_succeeds
        create_never_overwrites_a_tombstone
        replace_of_a_tombstone_creates_nothing
        touch_of_a_tombstone_creates_nothing
        a_tombstone_outlasts_the_record_it_stands_for
        a_tombstone_ends_after_its_lifetime;
    lifetimes:
        an_expired_record_is_never_returned
        replace_of_an_expired_record_creates_nothing
        touch_of_an_expired_record_creates_nothing
        create_overwrites_an_expired_record
        the_remaining_time_is_the_ttl_minus_the_time_passed
        replace_makes_the_lifetime_longer
        replace_makes_the_lifetime_shorter
        replace_keeps_the_expiry_that_a_touch_has_set
        touch_makes_the_lifetime_longer
        touch_makes_the_lifetime_shorter
        a_conflict_leaves_the_expiry_alone
        lifetimes_are_not_rounded_to_seconds
        very_long_lifetimes_are_kept
        a_lifetime_of_zero_is_not_for_ever;
    eviction:
        an_unconfirmed_session_is_confirmed_by_a_touch_and_by_a_write;
    races:
        exactly_one_of_concurrent_creates_wins
        exactly_one_of_concurrent_replaces_wins
        no_write_is_lost_among_many
        a_deleted_session_stays_deleted_whatever_else_happens
        the_call_after_a_dropped_one_gets_its_own_reply
        a_dropped_write_was_made_or_was_not;
    bytes:
        every_byte_is_kept
        revisions_of_any_bytes_are_compared
        the_largest_record_is_kept
        unreadable_bytes_are_left_as_they_are
        unreadable_bytes_can_be_deleted;
}
