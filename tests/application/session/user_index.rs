//! Logins and logouts through the layer, and what becomes of those that are under way when all sessions of the user end.

use std::time::Duration;

use http::header::{RETRY_AFTER, SET_COOKIE};
use http::{Response, StatusCode};
use tower_keycard::session::Timestamp;
use tower_keycard::store::testing::fault::{Fault, FaultStore, Faults};
use tower_keycard::store::testing::{all_sessions_of, end_all};
use tower_keycard::store::{
    LOGIN_LIFETIME, MemoryStore, REVOCATION_LIFETIME, RecordKey, SessionStore, StoreCall,
    StoreErrorKind,
};
use tower_keycard::{Clock, Session, SessionConfig, SessionId, SessionLayer};

use crate::support::client::Client;

const NAMESPACE: &str = "__Host-id";
const SECOND: Duration = Duration::from_secs(1);

/// One browser, and the store behind it.
struct Stage {
    client: Client,
    store: FaultStore<MemoryStore>,
    faults: Faults,
    clock: Clock,
}

impl Stage {
    fn new() -> Self {
        Self::with(None)
    }

    fn with(absolute: impl Into<Option<Duration>>) -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_000));
        let store = FaultStore::new(MemoryStore::builder().clock(clock.clone()).build());
        let layer = SessionLayer::builder(store.clone())
            .config(SessionConfig::new().absolute(absolute))
            .clock(clock.clone())
            .build()
            .unwrap();
        Self {
            client: Client::with(layer),
            faults: store.faults(),
            store,
            clock,
        }
    }

    /// The sessions of a user, as they are behind all faults.
    async fn listed(&self, user: &str) -> Vec<SessionId> {
        let listed = all_sessions_of(self.store.inner(), NAMESPACE, user).await;
        listed
            .unwrap()
            .iter()
            .map(|session| session.key.id())
            .collect()
    }

    async fn end_all(&self, user: &str) -> usize {
        let ended = end_all(self.store.inner(), NAMESPACE, user, None).await;
        ended.unwrap().len()
    }

    async fn log_in(&self, user: &str) -> Response<String> {
        self.client
            .request(async |session: Session| session.login(user))
            .await
    }

    async fn id(&self) -> Option<SessionId> {
        let mut id = None;
        self.client
            .request(async |session: Session| id = session.id())
            .await;
        id
    }

    async fn user(&self) -> Option<String> {
        let mut user = None;
        self.client
            .request(async |session: Session| user = session.user())
            .await;
        user
    }

    /// Logs in, ends all sessions while a call of the login waits, and lets it go on.
    async fn log_in_around(&self, call: StoreCall, fault: Fault) -> (Response<String>, usize) {
        self.faults.next(call, fault);
        let meanwhile = async {
            self.faults.until_waiting(1).await;
            let ended = self.end_all("alice").await;
            self.faults.release().await;
            ended
        };
        tokio::join!(self.log_in("alice"), meanwhile)
    }
}

fn says_to_try_again(response: &Response<String>) {
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[RETRY_AFTER], "1");
    assert!(!response.headers().contains_key(SET_COOKIE));
}

#[tokio::test]
async fn a_session_is_in_the_index_from_its_login_to_its_logout() {
    let stage = Stage::new();
    let write = async |session: Session| session.insert("cart", 1);
    stage.client.request(write).await;
    let id = stage.id().await.unwrap();
    assert_eq!(stage.listed("alice").await, []);
    stage.log_in("alice").await;
    assert_eq!(stage.listed("alice").await, [id]);
    stage
        .client
        .request(async |session: Session| session.insert("cart", 2))
        .await;
    stage
        .client
        .request(async |session: Session| session.rotate_token())
        .await;
    assert_eq!(stage.listed("alice").await, [id]);
    // A login as another user is another session.
    stage.log_in("bob").await;
    assert_eq!(stage.listed("alice").await, []);
    let other = stage.id().await.unwrap();
    assert_eq!(stage.listed("bob").await, [other]);
    stage
        .client
        .request(async |session: Session| session.logout())
        .await;
    assert_eq!(stage.listed("bob").await, []);
}

#[tokio::test]
async fn a_session_that_was_ended_is_over_for_its_browser() {
    let stage = Stage::new();
    stage.log_in("alice").await;
    assert_eq!(stage.end_all("alice").await, 1);
    assert_eq!(stage.user().await, None);
    assert_eq!(stage.log_in("alice").await.status(), StatusCode::OK);
    assert_eq!(stage.user().await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_login_that_waits_to_open_a_session_does_not_survive_the_end_of_all() {
    let stage = Stage::new();
    let (response, ended) = stage.log_in_around(StoreCall::Create, Fault::Hold).await;
    says_to_try_again(&response);
    assert_eq!(ended, 0);
    assert_eq!(stage.listed("alice").await, []);
    assert!(stage.store.inner().is_empty());
}

#[tokio::test]
async fn a_login_that_waits_to_take_its_session_over_does_not_survive_the_end_of_all() {
    let stage = Stage::new();
    stage
        .client
        .request(async |session: Session| session.insert("cart", 1))
        .await;
    let (response, _) = stage.log_in_around(StoreCall::Replace, Fault::Hold).await;
    says_to_try_again(&response);
    assert_eq!(stage.listed("alice").await, []);
    assert_eq!(stage.user().await, None);
}

#[tokio::test]
async fn a_login_that_was_made_and_not_yet_answered_does_not_survive_the_end_of_all() {
    for anonymous in [false, true] {
        let stage = Stage::new();
        if anonymous {
            stage
                .client
                .request(async |session: Session| session.insert("cart", 1))
                .await;
        }
        let call = match anonymous {
            true => StoreCall::Replace,
            false => StoreCall::Create,
        };
        let (response, ended) = stage.log_in_around(call, Fault::HoldReply).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(ended, 1);
        assert_eq!(stage.listed("alice").await, []);
        assert_eq!(stage.user().await, None, "its token opens nothing");
    }
}

#[tokio::test]
async fn a_login_whose_handler_takes_its_time_does_not_survive_the_end_of_all() {
    for anonymous in [false, true] {
        for took in [REVOCATION_LIFETIME, LOGIN_LIFETIME - SECOND] {
            let stage = Stage::new();
            if anonymous {
                stage
                    .client
                    .request(async |session: Session| session.insert("cart", 1))
                    .await;
            }
            let handler = async |session: Session| {
                session.login("alice").unwrap();
                // The marker as it is for those who log in afterwards has ended when this login is committed.
                stage.end_all("alice").await;
                stage.clock.advance(took);
            };
            says_to_try_again(&stage.client.request(handler).await);
            assert_eq!(stage.listed("alice").await, []);
            assert_eq!(stage.user().await, None);
            assert_eq!(stage.log_in("alice").await.status(), StatusCode::OK);
        }
    }
}

#[tokio::test]
async fn a_login_that_nobody_could_have_revoked_is_to_be_committed_within_a_minute() {
    let stage = Stage::new();
    let slowly = async |took, saved: bool| {
        let handler = async |session: Session| {
            session.login("alice").unwrap();
            if saved {
                session.save().await.unwrap();
            }
            stage.clock.advance(took);
        };
        stage.client.request(handler).await
    };
    let longer = LOGIN_LIFETIME;
    says_to_try_again(&slowly(longer, false).await);
    assert_eq!(stage.user().await, None);
    for (took, saved) in [(LOGIN_LIFETIME - SECOND, false), (longer, true)] {
        assert_eq!(slowly(took, saved).await.status(), StatusCode::OK);
        assert_eq!(stage.user().await.as_deref(), Some("alice"));
    }
}

#[tokio::test]
async fn a_login_whose_answer_was_lost_does_not_survive_the_end_of_all() {
    let stage = Stage::new();
    stage.faults.next(StoreCall::Create, Fault::LostReply);
    // It finds out what became of it, after all sessions were ended.
    let (response, ended) = stage.log_in_around(StoreCall::Load, Fault::Hold).await;
    assert_eq!(ended, 1);
    says_to_try_again(&response);
    assert_eq!(stage.listed("alice").await, []);
}

#[tokio::test]
async fn a_login_whose_write_arrives_late_does_not_survive_the_end_of_all() {
    let stage = Stage::new();
    stage.faults.next(StoreCall::Create, Fault::AppliedLate);
    stage.faults.always(StoreCall::Load, Fault::Unavailable);
    let response = stage.log_in("alice").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(stage.end_all("alice").await, 0);
    stage.faults.release().await;
    assert_eq!(stage.listed("alice").await, []);
    assert!(stage.store.inner().is_empty());
}

#[tokio::test]
async fn a_write_under_way_does_not_bring_back_a_session_that_was_ended() {
    let stage = Stage::new();
    stage.log_in("alice").await;
    stage.faults.next(StoreCall::Replace, Fault::Hold);
    let meanwhile = async {
        stage.faults.until_waiting(1).await;
        assert_eq!(stage.end_all("alice").await, 1);
        stage.faults.release().await;
    };
    let write = stage
        .client
        .request(async |session: Session| session.insert("cart", 1));
    let (response, ()) = tokio::join!(write, meanwhile);
    assert_eq!(response.status(), StatusCode::CONFLICT);
    assert_eq!(stage.listed("alice").await, []);
}

#[tokio::test]
async fn a_user_who_changes_a_password_stays_logged_in_and_nobody_else_does() {
    let stage = Stage::new();
    stage.log_in("alice").await;
    let mine = stage.client.cookie();
    stage.client.set_cookie(None);
    stage.log_in("alice").await;
    let theirs = stage.client.cookie();
    stage.client.set_cookie(mine);
    let store = stage.store.clone();
    let response = stage
        .client
        .request(async |session: Session| {
            let ended = end_all(&store, NAMESPACE, "alice", session.id()).await;
            assert_eq!(ended.unwrap().len(), 1);
            // A new token for the one session that is left.
            session.login("alice")
        })
        .await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(stage.user().await.as_deref(), Some("alice"));
    stage.client.set_cookie(theirs);
    assert_eq!(stage.user().await, None);
}

#[tokio::test]
async fn a_login_is_not_stored_where_its_entry_cannot_be_made() {
    let stage = Stage::new();
    stage.end_all("alice").await;
    let id = sample_id();
    let login =
        tower_keycard::store::testing::conformance::sample_login("alice", REVOCATION_LIFETIME);
    let key = RecordKey::new(NAMESPACE, id);
    let created = stage
        .store
        .create(&key, &login.write(REVOCATION_LIFETIME))
        .await;
    assert_eq!(created.unwrap_err().kind(), StoreErrorKind::Revoked);
    assert!(stage.store.inner().is_empty());
}

fn sample_id() -> SessionId {
    tower_keycard::store::testing::conformance::sample_key().id()
}
