//! Messages for the next page.

use http::StatusCode;
use http::header::SET_COOKIE;
use serde::{Deserialize, Serialize};
use tokio::sync::Barrier;
use tower_keycard::session::Flash;
use tower_keycard::store::testing::fault::FaultStore;
use tower_keycard::{FlashLevel, MemoryStore, Session, SessionConfig, SessionError, SessionLayer};

use crate::support::client::Client;

/// What the next page shows.
async fn shown(client: &Client) -> Vec<String> {
    let mut shown = Vec::new();
    client
        .request(async |session| shown = contents(&session))
        .await;
    shown
}

fn contents(session: &Session) -> Vec<String> {
    let flashes = session.take_flashes().unwrap();
    flashes.into_iter().map(|flash| flash.content).collect()
}

fn flash(session: &Session, content: &str) {
    session.flash(FlashLevel::Info, content).unwrap();
}

#[tokio::test]
async fn a_message_is_shown_once_by_the_next_page_that_asks() {
    let client = Client::new();
    client
        .request(async |session| {
            session.flash(FlashLevel::Success, "saved").unwrap();
            session.flash(FlashLevel::Warning, "but look").unwrap();
        })
        .await;
    client.request(async |_| ()).await;
    client
        .request(async |session| {
            let flashes = session.take_flashes().unwrap();
            let seen: Vec<_> = flashes.iter().map(|f| (f.level, &*f.content)).collect();
            let expected = [
                (FlashLevel::Success, "saved"),
                (FlashLevel::Warning, "but look"),
            ];
            assert_eq!(seen, expected);
            assert_eq!(
                contents(&session),
                Vec::<String>::new(),
                "once in a request too"
            );
        })
        .await;
    assert_eq!(shown(&client).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_page_of_the_same_request_shows_it_too() {
    let client = Client::new();
    client
        .request(async |session| {
            flash(&session, "wrong password");
            assert_eq!(contents(&session), ["wrong password"]);
        })
        .await;
    assert_eq!(client.cookie(), None, "nothing is left to be kept");
}

#[tokio::test]
async fn where_there_are_no_messages_nothing_is_written() {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let client = Client::with(SessionLayer::new(store));
    let response = client
        .request(async |session| assert!(contents(&session).is_empty()))
        .await;
    assert_eq!(response.headers().get(SET_COOKIE), None);
    assert_eq!(faults.all_calls(), 0);

    client.request(async |session| flash(&session, "one")).await;
    assert_eq!(shown(&client).await, ["one"]);
    let before = faults.all_calls();
    assert!(shown(&client).await.is_empty());
    assert_eq!(faults.all_calls() - before, 1, "to load it, and no more");
}

#[tokio::test]
async fn a_page_that_fails_leaves_them_for_the_next() {
    let client = Client::new();
    client
        .request(async |session| flash(&session, "kept"))
        .await;
    client
        .request(async |session| {
            assert_eq!(contents(&session), ["kept"]);
            StatusCode::INTERNAL_SERVER_ERROR
        })
        .await;
    assert_eq!(shown(&client).await, ["kept"]);
}

#[tokio::test]
async fn a_message_outlives_the_login_of_its_request_and_of_the_next() {
    type Login = fn(&Session) -> Result<(), SessionError>;
    let logins: [Login; 2] = [
        |session| session.login("alice"),
        |session| session.login_keeping("alice", &["cart"]),
    ];
    for login in logins {
        let client = Client::new();
        client
            .request(async |session| flash(&session, "before"))
            .await;
        client
            .request(async |session| {
                flash(&session, "in it, before");
                login(&session).unwrap();
                flash(&session, "in it, after");
            })
            .await;
        assert_eq!(
            shown(&client).await,
            ["before", "in it, before", "in it, after"]
        );
    }
}

#[tokio::test]
async fn a_switch_of_users_takes_along_what_its_own_request_said_and_no_more() {
    let client = Client::new();
    client
        .request(async |session| {
            session.login("alice").unwrap();
            flash(&session, "for alice");
        })
        .await;
    client
        .request(async |session| {
            flash(&session, "hello");
            session.login("bob").unwrap();
            flash(&session, "bob");
        })
        .await;
    assert_eq!(shown(&client).await, ["hello", "bob"]);

    client
        .request(async |session| flash(&session, "for bob"))
        .await;
    client.request(async |session| session.login("carol")).await;
    assert!(shown(&client).await.is_empty());
}

#[tokio::test]
async fn after_a_logout_it_goes_to_the_fresh_session() {
    let client = Client::new();
    client.request(async |session| session.login("alice")).await;
    client
        .request(async |session| {
            flash(&session, "to alice");
            session.logout().unwrap();
            flash(&session, "to nobody");
        })
        .await;
    let mut seen = (None, Vec::new());
    client
        .request(async |session| seen = (session.user(), contents(&session)))
        .await;
    assert_eq!(seen, (None, vec!["to nobody".to_owned()]));
}

#[tokio::test]
async fn a_logout_with_a_message_clears_the_sites_data_all_the_same() {
    let layer = SessionLayer::builder(MemoryStore::new())
        .config(SessionConfig::new().clear_site_data(true));
    let client = Client::with(layer.build().unwrap());
    let clears =
        |response: &http::Response<String>| response.headers().contains_key("clear-site-data");
    let login = client.request(async |session| session.login("alice")).await;
    assert!(!clears(&login));
    let logout = async |session: Session| {
        session.logout().unwrap();
        flash(&session, "bye");
    };
    assert!(clears(&client.request(logout).await));
    assert_eq!(shown(&client).await, ["bye"]);

    client.request(async |session| session.login("alice")).await;
    let in_two_steps = async |session: Session| {
        session.logout().unwrap();
        session.save().await.unwrap();
        flash(&session, "bye");
    };
    assert!(clears(&client.request(in_two_steps).await));
    let switch = client.request(async |session| session.login("bob")).await;
    assert!(!clears(&switch));
}

#[tokio::test]
async fn a_message_that_comes_while_a_page_is_rendered_waits_for_the_next() {
    let client = Client::new();
    client
        .request(async |session| flash(&session, "first"))
        .await;
    let both_loaded = Barrier::new(2);
    let flashed = Barrier::new(2);
    let page = client.request(async |session| {
        both_loaded.wait().await;
        assert_eq!(contents(&session), ["first"]);
        flashed.wait().await;
    });
    let form = client.request(async |session| {
        both_loaded.wait().await;
        flash(&session, "second");
        session.save().await.unwrap();
        flashed.wait().await;
    });
    let (page, form) = tokio::join!(page, form);
    assert_eq!(
        (page.status(), form.status()),
        (StatusCode::OK, StatusCode::OK)
    );
    assert_eq!(shown(&client).await, ["second"]);
}

#[tokio::test]
async fn two_pages_at_the_same_time_may_both_show_it_and_none_after_them() {
    let client = Client::new();
    client
        .request(async |session| flash(&session, "hello"))
        .await;
    let both_loaded = Barrier::new(2);
    let page = || {
        client.request(async |session| {
            both_loaded.wait().await;
            assert_eq!(contents(&session), ["hello"]);
        })
    };
    let (one, other) = tokio::join!(page(), page());
    assert_eq!(
        (one.status(), other.status()),
        (StatusCode::OK, StatusCode::OK)
    );
    assert!(shown(&client).await.is_empty());
}

#[tokio::test]
async fn messages_are_of_any_type_and_what_does_not_fit_the_type_is_dropped() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Notice {
        Saved { title: String },
    }

    let client = Client::new();
    client
        .request(async |session| {
            let title = "Q3".to_owned();
            session
                .flash(FlashLevel::Success, Notice::Saved { title })
                .unwrap();
            flash(&session, "text");
        })
        .await;
    client
        .request(async |session| {
            let notices: Vec<Flash<Notice>> = session.take_flashes_as().unwrap();
            assert_eq!(notices.len(), 1);
            assert_eq!(notices[0].content, Notice::Saved { title: "Q3".into() });
        })
        .await;
    assert!(shown(&client).await.is_empty());
}

#[tokio::test]
async fn what_does_not_fit_into_the_session_is_an_error_at_once() {
    let layer =
        SessionLayer::builder(MemoryStore::new()).config(SessionConfig::new().max_data_size(100));
    let client = Client::with(layer.build().unwrap());
    client
        .request(async |session| {
            let error = session
                .flash(FlashLevel::Info, "x".repeat(100))
                .unwrap_err();
            assert!(matches!(error, SessionError::TooLarge { limit: 100 }));
            flash(&session, "short");
        })
        .await;
    assert_eq!(shown(&client).await, ["short"]);
}

#[tokio::test]
async fn a_client_that_never_looks_fills_no_session() {
    let client = Client::new();
    for number in 0..40 {
        client
            .request(async |session| flash(&session, &number.to_string()))
            .await;
    }
    let expected: Vec<_> = (8..40).map(|number| number.to_string()).collect();
    assert_eq!(shown(&client).await, expected);
}

#[tokio::test]
async fn clearing_the_session_loses_no_message() {
    let client = Client::new();
    client
        .request(async |session| {
            session.insert("cart", 1).unwrap();
            flash(&session, "before");
        })
        .await;
    client
        .request(async |session| {
            flash(&session, "in it");
            session.clear().unwrap();
            assert!(session.is_empty());
        })
        .await;
    assert_eq!(shown(&client).await, ["before", "in it"]);
}

#[tokio::test]
async fn messages_are_no_values_of_the_application() {
    let client = Client::new();
    client
        .request(async |session| {
            flash(&session, "hello");
            assert!(session.is_empty());
            let error = session.insert("_keycard.flashes", "mine").unwrap_err();
            assert!(matches!(error, SessionError::ReservedKey { .. }));
        })
        .await;
}
