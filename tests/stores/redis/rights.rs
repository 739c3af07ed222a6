//! What the user needs who is documented, and that it needs all of it.

use std::error::Error;
use tower_keycard::store::testing::end_all;

use super::*;
use crate::support::redis_server::{RedisServer, documented_user};
use tower_keycard::store::IndexEntry;

const NAMESPACE: &str = "__Host-id";

#[tokio::test]
async fn a_user_with_the_documented_rights_can_do_everything_in_its_prefix_and_nothing_outside() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.restricted()).await.unwrap();
    everything(&server, &store).await.unwrap();
    assert_eq!(server.denied(), "", "nothing was denied");

    let config = server.restricted().prefix("other:");
    let error = RedisStore::connect(config.clone()).await.unwrap_err();
    assert!(error.to_string().contains("~other:*"), "{error}");
    // The rights are taken away after the store has connected.
    server.cli(&["ACL", "SETUSER", "keycard", "~other:*"]);
    let other = RedisStore::connect(config).await.unwrap();
    server.cli(&["ACL", "SETUSER", "keycard", "resetkeys", "~keycard:*"]);
    let (record, login) = (sample_record("{}"), sample_login("alice", LONG));
    let (at, revision) = (key(1), record.revision());
    let denied = [
        other.load(&at).await.unwrap_err(),
        other.create(&at, &record.write(LONG)).await.unwrap_err(),
        other
            .replace(&at, revision, &record.write(LONG))
            .await
            .unwrap_err(),
        other.touch(&at, revision, LONG, None).await.unwrap_err(),
        other.delete(&at, None).await.unwrap_err(),
        other.create(&at, &login.write(LONG)).await.unwrap_err(),
        other
            .sessions_of(NAMESPACE, "alice", None)
            .await
            .unwrap_err(),
        other
            .revoke_user(NAMESPACE, "alice", None)
            .await
            .unwrap_err(),
    ];
    for error in denied {
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{error:?}");
        assert!(!format!("{error:?}").contains(at.id().as_str()));
    }
}

/// The documented rights, without that to ask for the settings.
fn needed() -> Vec<&'static str> {
    let words = documented_user().split(' ');
    let rights = words.filter_map(|word| word.strip_prefix('+'));
    rights.filter(|right| *right != "info").collect()
}

#[tokio::test]
async fn each_right_that_is_missing_is_named_when_the_store_connects() {
    let server = RedisServer::start();
    for right in needed() {
        let config = server.restricted();
        server.cli(&["ACL", "SETUSER", "keycard", &format!("-{right}")]);
        let error = RedisStore::connect(config.clone()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
        let named = format!("the user lacks the rights +{right}");
        assert!(error.to_string().ends_with(&named), "{right}: {error}");
        let lazy = RedisStore::connect_lazily(config).unwrap();
        let error = lazy.load(&key(1)).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{error:?}");
        assert!(format!("{error:?}").contains(&named), "{error:?}");
        // Nobody has to restart the application when the right is granted.
        server.cli(&["ACL", "SETUSER", "keycard", &format!("+{right}")]);
        support::eventually("the store serves", async || lazy.load(&key(1)).await.ok()).await;
    }
    let config = server.restricted();
    server.cli(&["ACL", "SETUSER", "keycard", "-evalsha", "-time"]);
    let error = RedisStore::connect(config).await.unwrap_err().to_string();
    assert!(
        error.ends_with("the user lacks the rights +evalsha +time"),
        "{error}"
    );
    assert_eq!(
        server.cli(&["DBSIZE"]),
        "0",
        "the checks leave nothing behind"
    );
}

#[tokio::test]
async fn keys_that_the_user_may_not_read_or_not_write_are_named_when_the_store_connects() {
    let server = RedisServer::start();
    let config = server.restricted();
    for (keys, missed) in [
        ("~shop:*", "(for get, getrange, set, "),
        ("%R~keycard:*", "(for set, setrange, "),
        ("%W~keycard:*", "(for get, getrange, "),
    ] {
        server.cli(&["ACL", "SETUSER", "keycard", "resetkeys", keys]);
        let error = RedisStore::connect(config.clone()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
        let wanted = format!("the user lacks the keys ~keycard:* {missed}");
        assert!(error.to_string().contains(&wanted), "{keys}: {error}");
    }
}

#[tokio::test]
async fn a_command_that_the_server_does_not_have_is_named_when_the_store_connects() {
    let server = RedisServer::with(&["--rename-command", "EVALSHA", ""]);
    let error = RedisStore::connect(server.url()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
    assert!(
        error
            .to_string()
            .ends_with("does not know the commands evalsha"),
        "{error}"
    );
}

#[tokio::test]
async fn a_right_that_is_taken_away_from_a_store_that_serves_costs_only_the_calls_that_need_it() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.restricted()).await.unwrap();
    created(&store, &key(1)).await;
    server.cli(&["ACL", "SETUSER", "keycard", "-evalsha"]);
    server.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    support::eventually("the store is back", async || store.load(&key(1)).await.ok()).await;
    let revision = sample_record("{}").revision();
    let error = store
        .touch(&key(1), revision, LONG, None)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused, "{error:?}");
}

#[tokio::test]
async fn each_of_the_documented_commands_is_needed() {
    let words = documented_user().split(' ');
    let rights: Vec<_> = words.filter_map(|word| word.strip_prefix('+')).collect();
    assert!(rights.contains(&"evalsha"), "{rights:?}");
    let server = RedisServer::start();
    for right in rights {
        server.cli(&["FLUSHALL"]);
        server.cli(&["SCRIPT", "FLUSH"]);
        server.cli(&["ACL", "LOG", "RESET"]);
        let config = server.restricted();
        server.cli(&["ACL", "SETUSER", "keycard", &format!("-{right}")]);
        // A command that is missed where its answer does not matter is in the server's log all the same.
        if let Ok(store) = RedisStore::connect(config).await {
            let _ = everything(&server, &store).await;
        }
        assert!(
            server.denied().lines().any(|line| line == right),
            "nobody missed {right}"
        );
    }
}

#[tokio::test]
async fn a_user_who_may_not_ask_for_the_settings_has_its_sessions_all_the_same() {
    let server = RedisServer::start();
    let config = server.restricted();
    server.cli(&["ACL", "SETUSER", "keycard", "-info"]);
    let store = RedisStore::connect(config).await.unwrap();
    everything(&server, &store).await.unwrap();
    let error = store.check().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused, "{error:?}");
}

#[tokio::test]
async fn a_database_is_chosen_with_one_right_more() {
    let server = RedisServer::start();
    let _ = server.restricted();
    let config = RedisConfig::new(format!("{}/1", server.url()))
        .username("keycard")
        .password("password");
    let error = RedisStore::connect(config.clone()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
    server.cli(&["ACL", "SETUSER", "keycard", "+select"]);
    let store = RedisStore::connect(config).await.unwrap();
    created(&store, &key(1)).await;
    assert_eq!(server.cli(&["-n", "1", "DBSIZE"]), "1");
}

/// Every call, and every way through each that the server sees another command in.
async fn everything(server: &RedisServer, store: &RedisStore) -> Result<(), Box<dyn Error>> {
    let record = sample_record("{}");
    store.create(&key(1), &record.write(LONG)).await?;
    let next = sample_revision_of(&record, "{}");
    let replaced = store
        .replace(&key(1), record.revision(), &next.write(LONG))
        .await;
    ensure("a replace", is_replaced(&replaced?))?;
    let late = sample_revision_of(&record, "{}");
    let replaced = store
        .replace(&key(1), record.revision(), &late.write(LONG))
        .await;
    let conflict = matches!(replaced?, Replaced::Conflict(Loaded::Record { .. }));
    ensure("a conflict", conflict)?;
    let touched = store.touch(&key(1), next.revision(), LONG, None).await;
    ensure("a touch", touched?)?;
    let loaded = store.load(&key(1)).await?;
    ensure("a record", matches!(loaded, Loaded::Record { .. }))?;
    for key in [key(2), key(3), key(4)] {
        let login = sample_login("alice", LONG);
        store.create(&key, &login.write(LONG)).await?;
        let (user, lifetime) = ("alice", LONG);
        let entry = Some(IndexEntry { user, lifetime });
        let touched = store.touch(&key, login.revision(), LONG, entry).await;
        ensure("a touch of a login", touched?)?;
    }
    store.delete(&key(2), Some("alice")).await?;
    // An entry that is stale.
    let (index, stale) = ("keycard:__Host-id:user=alice", key(9).id());
    server.cli(&["ZADD", index, "9999999999999", stale.as_str()]);
    let except = Some(key(3).id());
    for count in [1, 0] {
        store.sessions_of(NAMESPACE, "alice", None).await?;
        let ended = end_all(store, NAMESPACE, "alice", except).await?;
        ensure("the other sessions' end", ended.len() == count)?;
    }
    let score = server.cli(&["ZSCORE", index, stale.as_str()]);
    ensure("the stale entry's end", score.is_empty())?;
    store.delete(&key(1), None).await?;
    // A full server makes room, here not enough.
    let new = sample_anonymous().unconfirmed();
    store.create(&key(5), &new.write(LONG)).await?;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let full = store.create(&key(6), &new.write(LONG)).await;
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    ensure("a full server", full.is_err())?;
    ensure("an eviction", store.evicted() == 1)?;
    Ok(())
}

fn ensure(what: &str, so: bool) -> Result<(), Box<dyn Error>> {
    if so { Ok(()) } else { Err(what.into()) }
}
