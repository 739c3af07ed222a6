//! The list of the cases about the user index.

use super::super::context::Context;
use super::super::harness::Harness;
use super::super::report::{CaseResult, Stop};
use super::{ending, lifetimes, listing, races};
use crate::store::UserIndex;

macro_rules! cases {
    ($($topic:ident: $($name:ident)+;)+) => {
        /// The names of all cases about the user index, in the order in which [`index_suite`](super::index_suite) runs them.
        pub const INDEX_CASES: &[&str] = &[$($(stringify!($name),)+)+];

        pub(super) async fn run<H: Harness<Store: UserIndex>>(name: &str, context: &Context<'_, H>) -> CaseResult {
            match name {
                $($(stringify!($name) => $topic::$name(context).await,)+)+
                _ => Err(Stop::Failed("there is no such case".to_owned())),
            }
        }
    };
}

cases! {
    listing:
        a_store_with_an_index_returns_it
        no_session_is_listed_before_a_login
        a_session_that_begins_with_a_login_is_listed
        a_session_that_logs_in_later_is_listed
        a_list_is_the_same_on_every_clone
        a_list_shows_the_sessions_as_they_are_now
        a_rotation_keeps_the_entry
        a_logout_removes_the_entry
        sessions_of_another_user_are_not_listed
        sessions_of_another_namespace_are_not_listed
        a_session_that_belongs_to_another_user_is_not_listed
        user_ids_of_any_text_are_distinct
        a_login_whose_record_was_not_written_is_not_listed
        a_list_says_which_login_came_later
        a_login_says_how_many_entries_there_are_at_least;
    lifetimes:
        an_expired_session_is_not_listed
        an_entry_outlives_those_of_shorter_sessions
        an_entry_lives_as_long_as_the_login_said
        a_second_login_does_not_end_the_entry_of_the_first_earlier
        a_touch_lets_the_entry_live_on
        a_write_lets_the_entry_live_on;
    ending:
        a_revocation_ends_every_session_and_leaves_tombstones
        a_revocation_keeps_the_excepted_session
        a_revocation_of_a_user_without_sessions_ends_nothing
        a_revocation_leaves_other_users_and_namespaces_alone
        a_revocation_leaves_a_session_that_belongs_to_another_user
        a_login_right_after_a_revocation_is_refused
        the_excepted_session_may_log_in_again
        a_later_revocation_keeps_only_its_own_exception
        logins_are_possible_again_after_a_while
        a_slow_login_does_not_outlast_the_marker
        the_oldest_possible_login_does_not_outlast_the_marker
        a_login_that_began_before_a_revocation_does_not_survive_it
        a_refused_login_is_told_when_the_marker_was_left
        a_login_that_is_known_to_have_begun_after_the_marker_is_made
        a_revocation_leaves_the_logins_that_came_after_it
        a_revocation_that_was_given_up_is_continued_by_the_next;
    races:
        concurrent_logins_are_all_listed
        lists_leave_the_entries_of_logins_in_progress
        no_login_survives_a_concurrent_revocation
        a_dropped_login_is_listed_if_it_was_made;
    // Last, because a harness may need long to let time pass for all that it leaves behind.
    listing:
        ten_thousand_sessions_of_one_user_are_listed;
}
