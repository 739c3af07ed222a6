//! A user's sessions on several devices: listed, ended, limited.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header::SET_COOKIE;
use tokio::time::Instant;
use tower_keycard::config::BeyondLimit;
use tower_keycard::session::{Timestamp, UserSession};
use tower_keycard::store::testing::fault::{Fault, FaultStore, Faults};
use tower_keycard::store::{
    AnyStore, Created, IndexEntry, Loaded, REVOCATION_LIFETIME, RecordKey, Replaced, Revision,
    SessionStore, StoreCall, StoreError, StoreErrorKind, Write,
};
use tower_keycard::{
    ClientFacts, Clock, Login, MemoryStore, Session, SessionConfig, SessionError, SessionId,
    SessionLayer,
};

use crate::support::client::{Client, ask};

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A layer with a clock.
fn layer(limit: Option<(u32, BeyondLimit)>) -> (SessionLayer, Clock) {
    let clock = Clock::manual(START);
    let store = MemoryStore::builder().clock(clock.clone()).build();
    let mut config = SessionConfig::new();
    if let Some((most, beyond)) = limit {
        config = config.max_sessions_per_user(most, beyond);
    }
    let layer = SessionLayer::builder(store).config(config);
    (layer.clock(clock.clone()).build().unwrap(), clock)
}

/// The same with a limit, over a store that can fail.
fn faulty(most: u32, beyond: BeyondLimit) -> (SessionLayer, Faults, Clock) {
    let clock = Clock::manual(START);
    let store = FaultStore::new(MemoryStore::builder().clock(clock.clone()).build());
    let faults = store.faults();
    let config = SessionConfig::new().max_sessions_per_user(most, beyond);
    let layer = SessionLayer::builder(store).config(config);
    (layer.clock(clock.clone()).build().unwrap(), faults, clock)
}

/// A device of its own, where the user has just logged in.
async fn logged_in(layer: &SessionLayer, user: &'static str) -> Client {
    let device = Client::with(layer.clone());
    let response = device
        .request(async move |session| session.login(user))
        .await;
    assert_eq!(response.status(), StatusCode::OK);
    device
}

async fn user(device: &Client) -> Option<String> {
    ask(device, async |session| session.user()).await
}

async fn id(device: &Client) -> SessionId {
    ask(device, async |session| session.id().unwrap()).await
}

fn ids(sessions: &[UserSession]) -> Vec<SessionId> {
    sessions.iter().map(|session| session.id).collect()
}

#[tokio::test]
async fn a_user_sees_where_they_are_logged_in_the_newest_first() {
    let (layer, clock) = layer(None);
    let phone = logged_in(&layer, "alice").await;
    clock.advance(Duration::from_secs(60));
    let laptop = logged_in(&layer, "alice").await;
    let stranger = logged_in(&layer, "bob").await;
    let seen = ask(&phone, async |session| session.sessions().await.unwrap()).await;
    assert_eq!(ids(&seen), [id(&laptop).await, id(&phone).await]);
    let current: Vec<_> = seen.iter().map(|session| session.current).collect();
    assert_eq!(current, [false, true]);
    assert_eq!(seen[1].created, SystemTime::from(START));
    for at in [seen[1].logged_in_at, seen[1].authenticated_at] {
        assert_eq!(at, Some(SystemTime::from(START)));
    }
    assert_eq!(
        seen[0].expires_at,
        SystemTime::from(clock.now().plus(Duration::from_secs(86_400)))
    );
    let outside = layer.users().sessions_of("bob").await.unwrap();
    assert_eq!(ids(&outside), [id(&stranger).await]);
    assert!(!outside[0].current, "nobody asks");

    // A new authentication is no new login.
    clock.advance(Duration::from_secs(60));
    phone
        .request(async |session| session.reauthenticate())
        .await;
    let seen = ask(&phone, async |session| session.sessions().await.unwrap()).await;
    assert_eq!(ids(&seen), [id(&laptop).await, id(&phone).await]);
    assert_eq!(seen[1].logged_in_at, Some(SystemTime::from(START)));
    assert_eq!(
        seen[1].authenticated_at,
        Some(SystemTime::from(clock.now()))
    );
}

#[tokio::test]
async fn a_list_says_when_each_session_was_last_used_to_the_refresh_interval() {
    let clock = Clock::manual(START);
    let store = MemoryStore::builder().clock(clock.clone()).build();
    let layer = SessionLayer::builder(store).clock(clock.clone());
    let layer = layer.build().unwrap();
    let (hour, minute) = (Duration::from_secs(3_600), Duration::from_secs(60));
    let used = logged_in(&layer, "alice").await;
    let mut last = clock.now();
    // To the end of the absolute limit, which is nearer than the idle one in the last day.
    'life: for gap in [30, 61, 300, 3_600, 7_200].into_iter().cycle() {
        for _ in 0..3 {
            clock.advance(Duration::from_secs(gap) / 3);
            let listed = layer.users().sessions_of("alice").await.unwrap();
            let Some(session) = listed.first() else {
                break 'life;
            };
            let seen = Timestamp::from(session.last_seen);
            // Never later, except for what the store cannot know: milliseconds, a hundredfold.
            assert!(seen.since(last) < Duration::from_millis(200));
            assert!(last.since(seen) <= minute, "{seen:?}, not {last:?}");
        }
        if user(&used).await.is_some() {
            last = clock.now();
        }
    }
    assert!(clock.now().since(START) >= 14 * 24 * hour);
    assert!(last.since(START) >= 14 * 24 * hour - 3 * hour);
}

#[tokio::test]
async fn no_session_is_said_to_have_been_used_before_its_login() {
    let clock = Clock::manual(START);
    let store = MemoryStore::builder().clock(clock.clone()).build();
    let with = |idle| {
        let layer = SessionLayer::builder(store.clone()).clock(clock.clone());
        let layer = layer.config(SessionConfig::new().idle(idle));
        layer.build().unwrap()
    };
    let minute = Duration::from_secs(60);
    logged_in(&with(minute), "alice").await;
    for longer in [minute / 2, minute, 60 * minute] {
        let listed = with(longer).users().sessions_of("alice").await.unwrap();
        assert_eq!(listed[0].last_seen, SystemTime::from(START));
    }
}

#[tokio::test]
async fn a_list_shows_the_client_that_logged_in_whatever_uses_the_session_since() {
    let description = Arc::new(Mutex::new(Some("Firefox on Linux")));
    let shown = description.clone();
    let layer = SessionLayer::builder(MemoryStore::new())
        .client(move |_| match *shown.lock().unwrap() {
            Some(text) => ClientFacts::new().with_description(text),
            None => ClientFacts::new(),
        })
        .build()
        .unwrap();
    let listed = async || {
        let sessions = layer.users().sessions_of("alice").await.unwrap();
        let described = |session: UserSession| (session.client, session.remembered);
        sessions.into_iter().map(described).collect::<Vec<_>>()
    };
    let device = Client::with(layer.clone());
    let login = async |session: Session| session.login(Login::new("alice").remember(true));
    device.request(login).await;
    let firefox = [(Some("Firefox on Linux".to_owned()), true)];
    assert_eq!(listed().await, firefox);
    *description.lock().unwrap() = Some("curl");
    device.request(async |session| session.insert("n", 1)).await;
    device.request(async |session| session.rotate_token()).await;
    assert_eq!(listed().await, firefox);
    device.request(async |session| session.login("alice")).await;
    assert_eq!(listed().await, [(Some("curl".to_owned()), false)]);
    *description.lock().unwrap() = None;
    device.request(async |session| session.login("alice")).await;
    assert_eq!(listed().await, [(None, false)]);
}

#[tokio::test]
async fn a_user_ends_one_session_of_theirs_and_none_of_others() {
    let (layer, _clock) = layer(None);
    let phone = logged_in(&layer, "alice").await;
    let laptop = logged_in(&layer, "alice").await;
    let stranger = logged_in(&layer, "bob").await;
    let (theirs, not_theirs) = (id(&laptop).await, id(&stranger).await);
    let ended = ask(&phone, async move |session| {
        assert!(!session.end_session(not_theirs).await.unwrap());
        session.end_session(theirs).await.unwrap()
    });
    assert!(ended.await);
    assert_eq!(user(&laptop).await, None);
    assert_eq!(user(&phone).await.as_deref(), Some("alice"));
    assert_eq!(user(&stranger).await.as_deref(), Some("bob"));
    layer.users().end(not_theirs).await.unwrap();
    assert_eq!(user(&stranger).await, None);
}

#[tokio::test]
async fn all_other_sessions_end_and_this_one_goes_on() {
    let (layer, _clock) = layer(None);
    let phone = logged_in(&layer, "alice").await;
    let others = [
        logged_in(&layer, "alice").await,
        logged_in(&layer, "alice").await,
    ];
    let ended = ask(&phone, async |session| {
        session.end_other_sessions().await.unwrap()
    })
    .await;
    assert_eq!(ended, 2);
    assert_eq!(user(&phone).await.as_deref(), Some("alice"));
    for other in &others {
        assert_eq!(user(other).await, None);
    }
}

#[tokio::test]
async fn a_task_ends_all_sessions_of_a_user_but_one() {
    let (layer, _clock) = layer(None);
    let (phone, laptop) = (
        logged_in(&layer, "alice").await,
        logged_in(&layer, "alice").await,
    );
    let stranger = logged_in(&layer, "bob").await;
    let kept = id(&phone).await;
    assert_eq!(layer.users().end_others("alice", kept).await.unwrap(), 1);
    assert_eq!(user(&phone).await.as_deref(), Some("alice"));
    assert_eq!(user(&laptop).await, None);
    // A session of another user is none that could be kept.
    let theirs = id(&stranger).await;
    assert_eq!(layer.users().end_others("alice", theirs).await.unwrap(), 1);
    assert_eq!(user(&phone).await, None);
    assert_eq!(user(&stranger).await.as_deref(), Some("bob"));
}

#[tokio::test]
async fn a_login_that_then_ends_all_others_is_itself_kept() {
    let (layer, _clock) = layer(None);
    let phone = logged_in(&layer, "alice").await;
    let laptop = Client::with(layer.clone());
    let ended = ask(&laptop, async |session| {
        session.login("alice").unwrap();
        session.end_other_sessions().await.unwrap()
    });
    assert_eq!(ended.await, 1);
    assert_eq!(user(&laptop).await.as_deref(), Some("alice"));
    assert_eq!(user(&phone).await, None);
}

#[tokio::test]
async fn a_user_logs_out_everywhere_here_too() {
    let (layer, _clock) = layer(None);
    let phone = logged_in(&layer, "alice").await;
    let laptop = logged_in(&layer, "alice").await;
    let response = phone
        .request(async |session| assert_eq!(session.logout_everywhere().await.unwrap(), 2))
        .await;
    assert!(
        response.headers()[SET_COOKIE]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    assert_eq!(user(&laptop).await, None);
    assert!(layer.users().sessions_of("alice").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_user_who_is_not_logged_in_has_no_sessions_to_list_or_end() {
    let client = Client::new();
    client
        .request(async |session| {
            let nobody = SessionError::NotLoggedIn.to_string();
            let list = session.sessions().await.map(drop);
            let others = session.end_other_sessions().await.map(drop);
            let everywhere = session.logout_everywhere().await.map(drop);
            for refused in [list, others, everywhere] {
                assert_eq!(refused.unwrap_err().to_string(), nobody);
            }
        })
        .await;
}

#[tokio::test]
async fn a_session_past_its_absolute_limit_is_not_listed() {
    let (layer, clock) = layer(None);
    let phone = logged_in(&layer, "alice").await;
    clock.advance(Duration::from_secs(13 * 86_400));
    // The store would keep it for the idle limit: it did not, so nothing is left to list.
    assert!(layer.users().sessions_of("alice").await.unwrap().is_empty());
    assert_eq!(user(&phone).await, None);
}

#[tokio::test]
async fn beyond_the_limit_the_oldest_login_ends() {
    let (layer, clock) = layer(Some((2, BeyondLimit::EvictOldest)));
    let settled = Duration::from_secs(10);
    let mut devices = Vec::new();
    for _ in 0..4 {
        devices.push(logged_in(&layer, "alice").await);
        clock.advance(settled);
    }
    let stranger = logged_in(&layer, "bob").await;
    let mut live = Vec::new();
    for device in &devices {
        live.push(user(device).await.is_some());
    }
    assert_eq!(live, [false, false, true, true]);
    assert_eq!(user(&stranger).await.as_deref(), Some("bob"));
    // To log in once more on a device that counts already ends no other.
    devices[3]
        .request(async |session| session.login("alice"))
        .await;
    assert_eq!(user(&devices[2]).await.as_deref(), Some("alice"));
}

/// Two logins of one browser at the same time, of which the one whose entry came first is answered last.
async fn double_click(layer: &SessionLayer, faults: &Faults) -> (Client, StatusCode) {
    let browser = Client::with(layer.clone());
    faults.next(StoreCall::Create, Fault::HoldReply);
    let first = browser.request(async |session| session.login("alice"));
    let second = async {
        faults.until_waiting(1).await;
        let second = logged_in(layer, "alice").await;
        browser.set_cookie(second.cookie());
        faults.release().await;
    };
    let (first, ()) = tokio::join!(first, second);
    (browser, first.status())
}

#[tokio::test]
async fn a_double_click_on_log_in_with_a_limit_of_one_leaves_the_browser_logged_in() {
    let (layer, faults, _clock) = faulty(1, BeyondLimit::EvictOldest);
    let (browser, first) = double_click(&layer, &faults).await;
    assert_eq!(first, StatusCode::OK);
    assert_eq!(user(&browser).await.as_deref(), Some("alice"));
    let live = layer.users().sessions_of("alice").await.unwrap();
    assert_eq!(ids(&live), [id(&browser).await]);
}

#[tokio::test]
async fn a_double_click_on_log_in_with_a_limit_that_refuses_leaves_one_session() {
    let (layer, faults, _clock) = faulty(1, BeyondLimit::Refuse);
    let browser = Client::with(layer.clone());
    faults.next(StoreCall::Create, Fault::HoldReply);
    let first = browser.request(async |session| session.login("alice"));
    let second = async {
        faults.until_waiting(1).await;
        let second = Client::with(layer.clone());
        let response = second.request(async |session| session.login("alice")).await;
        faults.release().await;
        response.status()
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(
        (first.status(), second),
        (StatusCode::OK, StatusCode::FORBIDDEN)
    );
    assert_eq!(user(&browser).await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn beyond_the_limit_a_login_can_be_refused_and_changes_nothing() {
    let (layer, clock) = layer(Some((1, BeyondLimit::Refuse)));
    let phone = logged_in(&layer, "alice").await;
    clock.advance(Duration::from_secs(10));
    let laptop = Client::with(layer.clone());
    laptop
        .request(async |session| session.insert("cart", 1))
        .await;
    let before = laptop.cookie();
    let refused = laptop.request(async |session| session.login("alice")).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(!refused.headers().contains_key(SET_COOKIE));
    assert_eq!(laptop.cookie(), before);
    laptop
        .request(async |session| {
            assert_eq!(
                (session.user(), session.keys()),
                (None, vec!["cart".to_owned()])
            );
        })
        .await;
    assert_eq!(user(&phone).await.as_deref(), Some("alice"));
    // Where they are logged in already they may log in again; and elsewhere once that session is over.
    phone.request(async |session| session.login("alice")).await;
    phone.request(async |session| session.logout()).await;
    let response = laptop.request(async |session| session.login("alice")).await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_limit_needs_a_store_with_an_index_and_says_so_when_the_layer_is_built() {
    struct Plain(MemoryStore);
    impl SessionStore for Plain {
        fn prefix(&self) -> &str {
            self.0.prefix()
        }
        async fn load(&self, key: &RecordKey) -> Result<Loaded, StoreError> {
            self.0.load(key).await
        }
        async fn create(&self, key: &RecordKey, write: &Write<'_>) -> Result<Created, StoreError> {
            self.0.create(key, write).await
        }
        async fn replace(
            &self,
            key: &RecordKey,
            expected: Revision,
            write: &Write<'_>,
        ) -> Result<Replaced, StoreError> {
            self.0.replace(key, expected, write).await
        }
        async fn touch(
            &self,
            key: &RecordKey,
            expected: Revision,
            ttl: Duration,
            _: Option<IndexEntry<'_>>,
        ) -> Result<bool, StoreError> {
            self.0.touch(key, expected, ttl, None).await
        }
        async fn delete(&self, key: &RecordKey, _: Option<&str>) -> Result<(), StoreError> {
            self.0.delete(key, None).await
        }
    }
    let limited = SessionLayer::builder(Plain(MemoryStore::new()))
        .config(SessionConfig::new().max_sessions_per_user(1, BeyondLimit::Refuse))
        .build();
    assert_eq!(limited.unwrap_err().option(), "max_sessions_per_user");
    let nobody = SessionLayer::builder(MemoryStore::new())
        .config(SessionConfig::new().max_sessions_per_user(0, BeyondLimit::Refuse))
        .build();
    assert_eq!(nobody.unwrap_err().option(), "max_sessions_per_user");
    // Without a limit it works, and only cannot list. Nor is a login ever too old, where none can be revoked.
    let clock = Clock::manual(START);
    let layer = SessionLayer::builder(Plain(MemoryStore::new())).clock(clock.clone());
    let phone = Client::with(layer.build().unwrap());
    let slowly = phone.request(async |session| {
        session.login("alice").unwrap();
        clock.advance(Duration::from_secs(600));
    });
    assert_eq!(slowly.await.status(), StatusCode::OK);
    let listed = ask(&phone, async |session| session.sessions().await.is_err());
    assert!(listed.await);
}

#[tokio::test]
async fn an_eviction_that_fails_does_not_undo_the_login() {
    let clock = Clock::manual(START);
    let store = FaultStore::new(MemoryStore::builder().clock(clock.clone()).build());
    let faults = store.faults();
    let layer = SessionLayer::builder(store)
        .config(SessionConfig::new().max_sessions_per_user(1, BeyondLimit::EvictOldest))
        .clock(clock.clone())
        .build()
        .unwrap();
    let phone = logged_in(&layer, "alice").await;
    clock.advance(Duration::from_secs(10));
    faults.next(StoreCall::Delete, Fault::Unavailable);
    let laptop = logged_in(&layer, "alice").await;
    assert!(user(&phone).await.is_some() && user(&laptop).await.is_some());
}

#[tokio::test]
async fn a_copy_of_the_token_that_ends_all_others_ends_with_them() {
    let (layer, _clock) = layer(None);
    let phone = logged_in(&layer, "alice").await;
    let thief = Client::with(layer.clone());
    thief.set_cookie(phone.cookie());
    ask(&phone, async |session| {
        session.end_other_sessions().await.unwrap()
    })
    .await;
    assert_eq!(user(&thief).await, None);
    assert_eq!(user(&phone).await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_session_that_was_ended_lists_and_ends_none_however_long_its_stream_goes_on() {
    let (layer, clock) = layer(None);
    let thief = logged_in(&layer, "alice").await;
    let sealed = ask(&thief, async |session| session).await;
    let reopened = ask(&thief, async |session| session).await;
    reopened.reload().await.unwrap();
    layer.users().end_all("alice").await.unwrap();
    clock.advance(REVOCATION_LIFETIME);
    let phone = logged_in(&layer, "alice").await;
    let theirs = id(&phone).await;

    let attempts = [
        sealed.sessions().await.map(drop),
        sealed.end_session(theirs).await.map(drop),
        reopened.end_other_sessions().await.map(drop),
        reopened.logout_everywhere().await.map(drop),
    ];
    for refused in attempts {
        assert!(
            matches!(refused, Err(SessionError::Interrupted)),
            "{refused:?}"
        );
    }
    assert_eq!(user(&phone).await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_session_that_was_taken_over_meanwhile_ends_no_others() {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let layer = SessionLayer::new(store);
    let phone = logged_in(&layer, "alice").await;
    let laptop = logged_in(&layer, "alice").await;
    let stream = ask(&phone, async |session| session).await;
    stream.reload().await.unwrap();
    stream.insert("n", 1).unwrap();
    // The stream's write arrives, its answer does not; before it looks, a login rotates the token.
    faults.next(StoreCall::Replace, Fault::LostReply);
    faults.next(StoreCall::Load, Fault::Hold);
    let meanwhile = async {
        faults.until_waiting(1).await;
        phone.request(async |session| session.login("alice")).await;
        faults.release().await;
    };
    let (ended, ()) = tokio::join!(stream.end_other_sessions(), meanwhile);
    assert!(ended.is_err(), "{ended:?}");
    for device in [&phone, &laptop] {
        assert_eq!(user(device).await.as_deref(), Some("alice"));
    }
}

#[tokio::test]
async fn after_ten_logins_in_a_moment_the_limit_is_exact() {
    for beyond in [BeyondLimit::EvictOldest, BeyondLimit::Refuse] {
        let (layer, _clock) = layer(Some((3, beyond)));
        for _ in 0..10 {
            let device = Client::with(layer.clone());
            device.request(async |session| session.login("alice")).await;
        }
        let live = layer.users().sessions_of("alice").await.unwrap().len();
        assert_eq!(live, 3, "{beyond:?}");
    }
}

#[tokio::test]
async fn logins_at_the_same_time_do_not_slip_past_a_limit() {
    for beyond in [BeyondLimit::EvictOldest, BeyondLimit::Refuse] {
        log_in_ten_times_at_once(beyond).await;
    }
}

async fn log_in_ten_times_at_once(beyond: BeyondLimit) {
    let (layer, faults, _clock) = faulty(1, beyond);
    faults.always(StoreCall::Create, Fault::Hold);
    let logins: Vec<_> = (0..10)
        .map(|_| {
            let device = Client::with(layer.clone());
            tokio::spawn(async move {
                let response = device.request(async |session| session.login("alice")).await;
                (response.status(), user(&device).await.is_some())
            })
        })
        .collect();
    faults.until_waiting(10).await;
    faults.always(StoreCall::Create, Fault::Pass);
    faults.release().await;
    for login in logins {
        let (status, logged_in) = login.await.unwrap();
        let expected = match beyond {
            BeyondLimit::EvictOldest => &[StatusCode::OK][..],
            BeyondLimit::Refuse => &[StatusCode::OK, StatusCode::FORBIDDEN],
        };
        assert!(expected.contains(&status), "{status}");
        assert!(status == StatusCode::OK || !logged_in);
    }
    let live = layer.users().sessions_of("alice").await.unwrap().len();
    assert_eq!(live, 1, "{beyond:?}");
}

#[tokio::test]
async fn a_login_ends_a_few_of_many_sessions_beyond_a_limit_and_later_ones_end_the_rest() {
    let clock = Clock::manual(START);
    let store = MemoryStore::builder().clock(clock.clone()).build();
    let at = |config: SessionConfig| {
        let layer = SessionLayer::builder(store.clone()).config(config);
        layer.clock(clock.clone()).build().unwrap()
    };
    let unlimited = at(SessionConfig::new().unlimited_sessions());
    for _ in 0..200 {
        logged_in(&unlimited, "alice").await;
        clock.advance(Duration::from_secs(1));
    }
    let limited = at(SessionConfig::new().max_sessions_per_user(5, BeyondLimit::EvictOldest));
    let mut left = 200;
    while left > 5 {
        clock.advance(Duration::from_secs(1));
        let newest = logged_in(&limited, "alice").await;
        let live = limited.users().sessions_of("alice").await.unwrap();
        assert_eq!(live.len(), (left + 1_usize).saturating_sub(64).max(5));
        assert_eq!(live[0].id, id(&newest).await);
        left = live.len();
    }
}

#[tokio::test]
async fn by_default_a_user_has_a_thousand_sessions_at_most_and_a_builder_can_lift_that() {
    let clock = Clock::manual(START);
    let store = FaultStore::new(MemoryStore::builder().clock(clock.clone()).build());
    let faults = store.faults();
    let at = |config: SessionConfig| {
        let layer = SessionLayer::builder(store.clone()).config(config);
        layer.clock(clock.clone()).build().unwrap()
    };
    let capped = at(SessionConfig::new());
    // No login lists anything before.
    faults.always(StoreCall::SessionsOf, Fault::Unavailable);
    let oldest = logged_in(&capped, "alice").await;
    for _ in 1..1_000 {
        logged_in(&capped, "alice").await;
    }
    faults.always(StoreCall::SessionsOf, Fault::Pass);
    let count = async |layer: &SessionLayer| {
        let live = layer.users().sessions_of("alice").await.unwrap();
        live.len()
    };
    assert_eq!(count(&capped).await, 1_000);
    assert_eq!(user(&oldest).await.as_deref(), Some("alice"));
    let newest = logged_in(&capped, "alice").await;
    // It makes room for a few more.
    assert_eq!(count(&capped).await, 1_000 - 1_000 / 16);
    assert_eq!(user(&oldest).await, None);
    assert_eq!(user(&newest).await.as_deref(), Some("alice"));
    let unlimited = at(SessionConfig::new().unlimited_sessions());
    for _ in 0..100 {
        logged_in(&unlimited, "alice").await;
    }
    assert_eq!(count(&unlimited).await, 1_100 - 1_000 / 16);
}

#[tokio::test]
async fn a_login_dated_in_the_future_counts_and_makes_room_like_any_other() {
    let clock = Clock::manual(START);
    let store = MemoryStore::builder().clock(clock.clone()).build();
    let at = |clock| {
        let layer = SessionLayer::builder(store.clone()).clock(clock);
        let one = SessionConfig::new().max_sessions_per_user(1, BeyondLimit::EvictOldest);
        layer.config(one).build().unwrap()
    };
    // One server's clock is a day ahead.
    let wrong = Clock::manual(START.plus(Duration::from_secs(86_400)));
    let phone = logged_in(&at(wrong), "alice").await;
    clock.advance(Duration::from_secs(10));
    let right = at(clock);
    logged_in(&right, "alice").await;
    let phone_there = Client::with(right);
    phone_there.set_cookie(phone.cookie());
    assert_eq!(user(&phone_there).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_login_spends_two_seconds_at_most_on_the_limit() {
    const CALL: Duration = Duration::from_millis(500);
    const MOST: Duration = Duration::from_secs(2).saturating_add(CALL);
    let clock = Clock::manual(START);
    let store = FaultStore::new(MemoryStore::builder().clock(clock.clone()).build());
    let (faults, store) = (store.faults(), AnyStore::new(store));
    let at = |config: SessionConfig| {
        let config = config.store_timeout(CALL);
        let layer = SessionLayer::builder(store.clone()).config(config);
        layer.clock(clock.clone()).build().unwrap()
    };
    let unlimited = at(SessionConfig::new().unlimited_sessions());
    for (sessions, call) in [(100, StoreCall::Delete), (2_500, StoreCall::SessionsOf)] {
        for _ in 0..sessions {
            logged_in(&unlimited, "alice").await;
        }
        for beyond in [BeyondLimit::EvictOldest, BeyondLimit::Refuse] {
            let limited = at(SessionConfig::new().max_sessions_per_user(50, beyond));
            let calls = faults.calls(call);
            faults.always(call, Fault::Delay(CALL * 4 / 5));
            let begun = Instant::now();
            let device = Client::with(limited);
            let response = device.request(async |session| session.login("alice"));
            let status = response.await.status();
            assert!(begun.elapsed() <= MOST, "{call:?} {:?}", begun.elapsed());
            assert_eq!(status == StatusCode::OK, beyond == BeyondLimit::EvictOldest);
            if beyond == BeyondLimit::EvictOldest {
                assert_eq!(faults.calls(call) - calls, 5, "{call:?}");
            }
            faults.always(call, Fault::Delay(Duration::ZERO));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_waits_too_long_for_others_of_its_user_was_not_sent() {
    let (layer, faults, _clock) = faulty(5, BeyondLimit::Refuse);
    let phone = logged_in(&layer, "alice").await;
    let calls = faults.calls(StoreCall::SessionsOf);
    faults.next(StoreCall::SessionsOf, Fault::Hang);
    let users = layer.users();
    let mut first = Box::pin(users.sessions_of("alice"));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(first.as_mut().poll(&mut context).is_pending());
    let second = users.sessions_of("alice").await.unwrap_err();
    assert_eq!(second.kind(), StoreErrorKind::Unavailable);
    assert_eq!(faults.calls(StoreCall::SessionsOf), calls + 1);
    drop(first);
    assert_eq!(
        ids(&users.sessions_of("alice").await.unwrap()),
        [id(&phone).await]
    );
}
