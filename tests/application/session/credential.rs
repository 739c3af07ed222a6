//! Sessions that rest on a credential which has been changed.

use std::time::Duration;

use http::StatusCode;
use http::header::SET_COOKIE;
use tower_keycard::session::Timestamp;
use tower_keycard::store::testing::fault::{Fault, FaultStore};
use tower_keycard::store::{Loaded, RecordKey, SessionStore, StoreCall, Write};
use tower_keycard::{Clock, FlashLevel, Login, MemoryStore, Session, SessionError, SessionLayer};

use crate::support::client::Client;

const OLD: &str = "$argon2id$old";
const NEW: &str = "$argon2id$new";

/// A device of its own, where alice has just logged in with the old password.
async fn logged_in(layer: &SessionLayer) -> Client {
    let device = Client::with(layer.clone());
    let login = async |session: Session| session.login(Login::new("alice").stamp(OLD));
    assert_eq!(device.request(login).await.status(), StatusCode::OK);
    device
}

/// What a request is answered whose user has this password now.
async fn check(device: &Client, present: &str) -> Result<(), SessionError> {
    let mut answer = Ok(());
    device
        .request(async |session: Session| {
            answer = session.check_stamp(present);
            assert_eq!(session.user().is_some(), answer.is_ok());
            match answer {
                Ok(()) => StatusCode::OK,
                Err(_) => StatusCode::UNAUTHORIZED,
            }
        })
        .await;
    answer
}

fn is_out(answer: &Result<(), SessionError>) -> bool {
    matches!(answer, Err(SessionError::NotLoggedIn))
}

#[tokio::test]
async fn a_session_with_an_old_stamp_ends_at_its_next_request() {
    let layer = SessionLayer::new(MemoryStore::new());
    let (phone, laptop) = (logged_in(&layer).await, logged_in(&layer).await);
    for device in [&phone, &laptop] {
        assert!(check(device, OLD).await.is_ok());
    }
    // The change was reported to no session.
    let response = phone
        .request(async |session: Session| {
            assert!(is_out(&session.check_stamp(NEW)));
            assert!(!session.exists());
            StatusCode::UNAUTHORIZED
        })
        .await;
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("Max-Age=0"), "{cookie}");
    let listed = layer.users().sessions_of("alice").await.unwrap();
    assert_eq!(listed.len(), 1, "deleted, though the answer was an error");
    assert!(is_out(&check(&laptop, NEW).await));
}

#[tokio::test]
async fn a_login_that_said_nothing_of_its_credential_passes_no_check() {
    let layer = SessionLayer::new(MemoryStore::new());
    let device = Client::with(layer.clone());
    assert!(is_out(&check(&device, OLD).await));
    for stamp in [OLD, ""] {
        device.request(async |session| session.login("alice")).await;
        assert!(is_out(&check(&device, stamp).await));
        assert!(layer.users().sessions_of("alice").await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_stamp_is_the_users_own_and_that_of_the_last_login() {
    let device = Client::new();
    device
        .request(async |session: Session| {
            session.login(Login::new("alice").stamp(OLD)).unwrap();
            assert!(session.check_stamp(OLD).is_ok(), "before it is stored");
            session.login(Login::new("alice").stamp(NEW)).unwrap();
            session.check_stamp(NEW)
        })
        .await;
    assert!(check(&device, NEW).await.is_ok());
    for keeping in [&["cart"][..], &[]] {
        let login = Login::new("alice").stamp(OLD);
        let again = async |session: Session| session.login_keeping(login, keeping);
        device.request(again).await;
        assert!(check(&device, OLD).await.is_ok());
    }
    device
        .request(async |session: Session| session.login("alice"))
        .await;
    assert!(is_out(&check(&device, OLD).await));
}

#[tokio::test]
async fn a_stamp_stays_through_rotations_writes_and_reauthentications() {
    let device = logged_in(&SessionLayer::new(MemoryStore::new())).await;
    device.request(async |session| session.insert("n", 1)).await;
    device.request(async |session| session.rotate_token()).await;
    device
        .request(async |session| session.reauthenticate())
        .await;
    assert!(check(&device, OLD).await.is_ok());
}

#[tokio::test]
async fn a_user_who_changes_the_password_goes_on_and_every_other_session_ends() {
    let layer = SessionLayer::new(MemoryStore::new());
    let (phone, laptop) = (logged_in(&layer).await, logged_in(&layer).await);
    let stranger = Client::with(layer.clone());
    stranger.request(async |session| session.login("bob")).await;
    let before = phone.cookie();
    phone
        .request(async |session: Session| {
            assert_eq!(session.credential_changed(NEW).await.unwrap(), 1);
            session.check_stamp(NEW)
        })
        .await;
    assert_ne!(phone.cookie(), before, "a copy of the token ends too");
    assert!(check(&phone, NEW).await.is_ok());
    let user = async |session: Session| assert_eq!(session.user(), None);
    laptop.request(user).await;
    let user = async |session: Session| assert_eq!(session.user().as_deref(), Some("bob"));
    stranger.request(user).await;
}

#[tokio::test]
async fn a_check_while_the_same_session_is_changing_the_password_does_not_end_it() {
    let layer = SessionLayer::new(MemoryStore::new());
    let tab = logged_in(&layer).await;
    for head_sent in [false, true] {
        let (old, new) = if head_sent { (NEW, OLD) } else { (OLD, NEW) };
        assert!(check(&tab, old).await.is_ok());
        let other_tab = Client::with(layer.clone());
        other_tab.set_cookie(tab.cookie());
        let mut stream = None;
        tab.request(async |session: Session| stream = Some(session))
            .await;
        let stream = stream.unwrap();
        stream.reload().await.unwrap();
        // The new password is stored already, and not reported to the session yet.
        let response = other_tab
            .request(async |session: Session| {
                assert!(is_out(&session.check_stamp(new)));
                if head_sent {
                    // The token stays the same.
                    stream.credential_changed(new).await.unwrap();
                } else {
                    let change = async |session: Session| {
                        session.credential_changed(new).await.unwrap();
                    };
                    tab.request(change).await;
                }
                StatusCode::UNAUTHORIZED
            })
            .await;
        assert!(!response.headers().contains_key(SET_COOKIE));
        assert!(check(&tab, new).await.is_ok());
    }
}

/// What a handler says to a client that is out, or who logs in at once, is no reason to end what goes on.
#[tokio::test]
async fn nor_does_it_if_the_request_goes_on_to_write() {
    for logs_in in [false, true] {
        let layer = SessionLayer::new(MemoryStore::new());
        let tab = logged_in(&layer).await;
        let other_tab = Client::with(layer.clone());
        other_tab.set_cookie(tab.cookie());
        let response = other_tab
            .request(async |session: Session| {
                assert!(is_out(&session.check_stamp(NEW)));
                let change = async |session: Session| {
                    session.credential_changed(NEW).await.unwrap();
                };
                tab.request(change).await;
                match logs_in {
                    false => session.flash(FlashLevel::Info, "Please log in again."),
                    true => session.login(Login::new("bob").stamp(NEW)),
                }
            })
            .await;
        let expected = [StatusCode::CONFLICT, StatusCode::OK][usize::from(logs_in)];
        assert_eq!(response.status(), expected);
        assert_eq!(response.headers().contains_key(SET_COOKIE), logs_in);
        assert!(check(&tab, NEW).await.is_ok());
    }
}

/// A session that goes on under another token is the same session.
#[tokio::test]
async fn a_check_ends_a_session_whatever_another_request_did_to_it_meanwhile() {
    type Meanwhile = fn(&Session) -> Result<(), SessionError>;
    let meanwhile: [Meanwhile; 5] = [
        |session| session.insert("n", 1),
        Session::logout,
        Session::rotate_token,
        Session::reauthenticate,
        |session| session.login(Login::new("alice").stamp(OLD)),
    ];
    for action in [StatusCode::UNAUTHORIZED, StatusCode::OK] {
        for meanwhile in meanwhile {
            let layer = SessionLayer::new(MemoryStore::new());
            let tab = logged_in(&layer).await;
            let other_tab = Client::with(layer.clone());
            other_tab.set_cookie(tab.cookie());
            other_tab
                .request(async |session: Session| {
                    assert!(is_out(&session.check_stamp(NEW)));
                    tab.request(async |session| meanwhile(&session)).await;
                    if action == StatusCode::OK {
                        session.login(Login::new("bob").stamp(NEW)).unwrap();
                    }
                    action
                })
                .await;
            assert!(layer.users().sessions_of("alice").await.unwrap().is_empty());
            tab.request(async |session: Session| assert_eq!(session.user(), None))
                .await;
        }
    }
}

/// The browser has a newer cookie by then, which this response must not overwrite.
#[tokio::test]
async fn a_saved_token_that_another_request_has_ended_is_not_sent() {
    let layer = SessionLayer::new(MemoryStore::new());
    let tab = logged_in(&layer).await;
    let response = tab
        .request(async |session: Session| {
            session.rotate_token().unwrap();
            session.save().await.unwrap();
            let id = session.id().unwrap();
            layer.users().end(id).await.unwrap();
            assert!(is_out(&session.check_stamp(NEW)));
            StatusCode::UNAUTHORIZED
        })
        .await;
    assert!(!response.headers().contains_key(SET_COOKIE));
}

#[tokio::test]
async fn a_session_that_is_in_no_index_ends_by_its_stamp() {
    let store = MemoryStore::new();
    let layer = SessionLayer::new(store.clone());
    let (phone, laptop) = (logged_in(&layer).await, logged_in(&layer).await);
    // The laptop's record comes back behind the index's back, as after a fail-over.
    let mut id = None;
    laptop
        .request(async |session: Session| id = session.id())
        .await;
    let key = RecordKey::new("__Host-id", id.unwrap());
    let Loaded::Record { record, .. } = store.load(&key).await.unwrap() else {
        panic!("a record");
    };
    let elsewhere = MemoryStore::new();
    let hour = Duration::from_secs(3_600);
    let write = &Write::new(&record, hour);
    elsewhere.create(&key, write).await.unwrap();
    let change = async |session: Session| session.credential_changed(NEW).await.map(drop);
    phone.request(change).await;
    let revived = Client::with(SessionLayer::new(elsewhere));
    revived.set_cookie(laptop.cookie());
    let user = async |session: Session| assert_eq!(session.user().as_deref(), Some("alice"));
    revived.request(user).await;
    assert!(is_out(&check(&revived, NEW).await));
}

#[tokio::test]
async fn a_change_of_the_credential_that_ends_no_others_still_counts_where_it_is_checked() {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let layer = SessionLayer::new(store);
    let (phone, laptop) = (logged_in(&layer).await, logged_in(&layer).await);
    faults.next(StoreCall::RevokeUser, Fault::Unavailable);
    phone
        .request(async |session: Session| {
            let ended = session.credential_changed(NEW).await;
            assert!(matches!(ended, Err(SessionError::Store(_))), "{ended:?}");
        })
        .await;
    assert!(check(&phone, NEW).await.is_ok());
    assert!(is_out(&check(&laptop, NEW).await));
}

#[tokio::test]
async fn a_stream_can_report_that_the_credential_changed_and_keeps_its_token() {
    let layer = SessionLayer::new(MemoryStore::new());
    let (phone, laptop) = (logged_in(&layer).await, logged_in(&layer).await);
    let mut stream = None;
    phone
        .request(async |session: Session| stream = Some(session))
        .await;
    let stream = stream.unwrap();
    let sealed = stream.credential_changed(NEW).await;
    assert!(matches!(sealed, Err(SessionError::Sealed)), "{sealed:?}");
    stream.reload().await.unwrap();
    assert_eq!(stream.credential_changed(NEW).await.unwrap(), 1);
    assert!(check(&phone, NEW).await.is_ok());
    assert!(is_out(&check(&laptop, NEW).await));
}

#[tokio::test]
async fn neither_a_stamp_nor_its_hash_is_printed() {
    let login = Login::new("alice").stamp(OLD).remember(true);
    let printed = format!("{login:?}");
    assert_eq!(printed, "Login { remember: Some(true), .. }");
}

#[tokio::test]
async fn an_id_is_read_as_the_type_that_it_was_written_as() {
    let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_000));
    let layer = SessionLayer::builder(MemoryStore::new()).clock(clock);
    let device = Client::with(layer.build().unwrap());
    device
        .request(async |session: Session| {
            assert_eq!(session.user_as::<u64>(), None);
            session.login(42_u64)
        })
        .await;
    device
        .request(async |session: Session| {
            assert_eq!(session.user_as::<u64>(), Some(42));
            assert_eq!(session.user_as::<String>().as_deref(), Some("42"));
        })
        .await;
}

/// The ids were names once, and are numbers now.
#[tokio::test]
async fn a_user_whose_id_has_another_type_counts_as_not_logged_in_and_can_log_in() {
    let device = Client::new();
    device.request(async |session| session.login("ann")).await;
    device
        .request(async |session: Session| {
            assert_eq!(session.user_as::<i64>(), None);
            assert_eq!(session.user().as_deref(), Some("ann"));
            session.login(42)
        })
        .await;
    device
        .request(async |session: Session| assert_eq!(session.user_as::<i64>(), Some(42)))
        .await;
}
