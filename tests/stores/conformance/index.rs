//! Every case about the index of users can fail.

use std::collections::BTreeSet;

use tower_keycard::store::testing::conformance::{self, Harness, INDEX_CASES, Outcome};
use tower_keycard::store::{
    AnyStore, IndexMoment, Marker, SessionStore, StoreErrorKind, UserIndex,
};

use super::careless_index::{Breach, CarelessHarness};

async fn failed_cases(breach: Option<Breach>) -> Vec<&'static str> {
    let harness = CarelessHarness::new(breach);
    super::failed_cases(INDEX_CASES, async |name| {
        conformance::index_case(&harness, name).await
    })
    .await
}

#[tokio::test]
async fn a_careless_store_that_breaks_nothing_keeps_the_contract() {
    assert_eq!(failed_cases(None).await, [""; 0]);
}

#[tokio::test]
async fn a_store_that_breaks_a_clause_fails_the_case_of_that_clause() {
    use Breach as B;
    let breaches = [
        (B::SaysItHasNone, "a_store_with_an_index_returns_it"),
        (
            B::ForgetsLoginsThatBegin,
            "a_session_that_begins_with_a_login_is_listed",
        ),
        (
            B::ForgetsLoginsThatBegin,
            "concurrent_logins_are_all_listed",
        ),
        (
            B::ForgetsLaterLogins,
            "a_session_that_logs_in_later_is_listed",
        ),
        (
            B::ClonesHaveIndexesOfTheirOwn,
            "a_list_is_the_same_on_every_clone",
        ),
        (
            B::ListsWhatItWas,
            "a_list_shows_the_sessions_as_they_are_now",
        ),
        (B::RotationRemovesTheEntry, "a_rotation_keeps_the_entry"),
        (B::LogoutLeavesTheSession, "a_logout_removes_the_entry"),
        (B::OneForAllUsers, "sessions_of_another_user_are_not_listed"),
        (
            B::OneForAllNamespaces,
            "sessions_of_another_namespace_are_not_listed",
        ),
        (
            B::ListsAnotherUsers,
            "a_session_that_belongs_to_another_user_is_not_listed",
        ),
        (
            B::ListsAnotherUsers,
            "a_login_whose_record_was_not_written_is_not_listed",
        ),
        (B::CutsUsers, "user_ids_of_any_text_are_distinct"),
        (B::OnePage, "ten_thousand_sessions_of_one_user_are_listed"),
        (
            B::PrunesLoginsUnderWay,
            "lists_leave_the_entries_of_logins_in_progress",
        ),
        (B::ListsTheExpired, "an_expired_session_is_not_listed"),
        (
            B::ExpiresWithTheShortest,
            "an_entry_outlives_those_of_shorter_sessions",
        ),
        (
            B::EntryLivesAsLongAsTheRecord,
            "an_entry_lives_as_long_as_the_login_said",
        ),
        (
            B::LaterLoginsCutTheEntry,
            "a_second_login_does_not_end_the_entry_of_the_first_earlier",
        ),
        (B::TouchDoesNotProlong, "a_touch_lets_the_entry_live_on"),
        (B::WriteDoesNotProlong, "a_write_lets_the_entry_live_on"),
        (
            B::EndsNothing,
            "a_revocation_ends_every_session_and_leaves_tombstones",
        ),
        (
            B::LeavesNoTombstone,
            "a_revocation_ends_every_session_and_leaves_tombstones",
        ),
        (
            B::CountsEntries,
            "a_revocation_leaves_a_session_that_belongs_to_another_user",
        ),
        (
            B::EndsTheExcepted,
            "a_revocation_keeps_the_excepted_session",
        ),
        (
            B::EndsAnotherUsers,
            "a_revocation_leaves_a_session_that_belongs_to_another_user",
        ),
        (
            B::EndsEverybodys,
            "a_revocation_leaves_other_users_and_namespaces_alone",
        ),
        (
            B::EndsEverybodys,
            "a_revocation_of_a_user_without_sessions_ends_nothing",
        ),
        (
            B::LeavesNoMarker,
            "a_login_right_after_a_revocation_is_refused",
        ),
        (
            B::EndsOnlyWhatItFinds,
            "a_login_that_began_before_a_revocation_does_not_survive_it",
        ),
        (
            B::MarkerRefusesTheExcepted,
            "the_excepted_session_may_log_in_again",
        ),
        (
            B::MarkersAddUp,
            "a_later_revocation_keeps_only_its_own_exception",
        ),
        (B::MarkerForEver, "logins_are_possible_again_after_a_while"),
        (B::MarkerIsShort, "logins_are_possible_again_after_a_while"),
        (
            B::MarkerIgnoresTheAge,
            "a_slow_login_does_not_outlast_the_marker",
        ),
        (B::MarkerForEver, "a_slow_login_does_not_outlast_the_marker"),
        (
            B::MarkerIsForgotten,
            "the_oldest_possible_login_does_not_outlast_the_marker",
        ),
        (B::RecordFirst, "no_login_survives_a_concurrent_revocation"),
        (B::RecordFirst, "a_dropped_login_is_listed_if_it_was_made"),
        (B::EntryIsLost, "a_session_that_logs_in_later_is_listed"),
        (B::ForgetsWhoCameLater, "a_list_says_which_login_came_later"),
        (
            B::MiscountsEntries,
            "a_login_says_how_many_entries_there_are_at_least",
        ),
        (
            B::ListsAllAtOnce,
            "ten_thousand_sessions_of_one_user_are_listed",
        ),
        (
            B::MarkersAreAllTheSame,
            "a_login_that_is_known_to_have_begun_after_the_marker_is_made",
        ),
        (
            B::MarkerSeemsOld,
            "a_refused_login_is_told_when_the_marker_was_left",
        ),
        (
            B::MarkerSeemsNew,
            "a_refused_login_is_told_when_the_marker_was_left",
        ),
        (
            B::RefusesWhoeverCameAfter,
            "a_login_that_is_known_to_have_begun_after_the_marker_is_made",
        ),
        (
            B::EndsWhoeverCameAfter,
            "a_revocation_leaves_the_logins_that_came_after_it",
        ),
        (
            B::EndsAllAtOnce,
            "a_revocation_that_was_given_up_is_continued_by_the_next",
        ),
        (
            B::ForgetsWhatIsLeft,
            "a_revocation_that_was_given_up_is_continued_by_the_next",
        ),
        (B::ListsAGhost, "no_session_is_listed_before_a_login"),
        (
            B::JoinsNamesWithoutCare,
            "sessions_of_another_namespace_are_not_listed",
        ),
        (B::IgnoresCase, "user_ids_of_any_text_are_distinct"),
        (B::Panics, "a_list_is_the_same_on_every_clone"),
    ];
    let mut noticed = BTreeSet::new();
    let mut missed = Vec::new();
    for (breach, case) in breaches {
        let failed = failed_cases(Some(breach)).await;
        if !failed.contains(&case) {
            missed.push((breach, case, failed.clone()));
        }
        // What panics fails everything, and so proves nothing.
        if breach != B::Panics {
            noticed.extend(failed);
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
    // A case that no store fails proves nothing.
    let cases = INDEX_CASES.iter();
    let idle: Vec<_> = cases.filter(|case| !noticed.contains(*case)).collect();
    assert!(idle.is_empty(), "{idle:?}");
}

#[tokio::test]
async fn a_case_that_does_not_exist_fails() {
    let outcome = conformance::index_case(&CarelessHarness::new(None), "there_is_no_spoon").await;
    assert!(matches!(outcome, Outcome::Failed(_)));
}

#[tokio::test]
async fn a_store_without_an_index_refuses_to_be_asked() {
    let harness = CarelessHarness::new(Some(Breach::SaysItHasNone));
    let store = AnyStore::new(harness.store().await);
    assert!(SessionStore::user_index(&store).is_none());
    let error = store.sessions_of("id", "alice", None).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    let error = store.revoke_user("id", "alice", None).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    let marker = Marker {
        left: IndexMoment::default(),
        except: None,
        replicated: true,
    };
    let ended = store.delete_sessions_of("id", "alice", &marker, None);
    assert_eq!(ended.await.unwrap_err().kind(), StoreErrorKind::Refused);
}
