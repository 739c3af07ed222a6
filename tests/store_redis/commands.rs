//! Exactly which commands the server executes.

use super::support::redis_server::{Monitor, RedisServer};
use super::*;
use tower_keycard::store::Binding;

/// The names of the commands since the last time; those in a script with `lua` before them.
fn names(monitor: &mut Monitor) -> Vec<String> {
    let name = |words: Vec<String>| match &words[0][..] {
        "lua" => format!("lua {}", words[1]),
        _ => words[0].clone(),
    };
    monitor.commands().into_iter().map(name).collect()
}

#[tokio::test]
async fn every_call_sends_the_commands_that_are_documented_and_no_more() {
    let server = RedisServer::start();
    let mut monitor = server.monitor();
    let store = RedisStore::connect(server.url()).await.unwrap();
    assert_eq!(names(&mut monitor), ["HELLO", "HELLO"], "to connect");
    let name = format!("keycard:{}", key(1));

    let record = created(&store, &key(1)).await;
    let commands = monitor.commands();
    assert_eq!(commands.len(), 1);
    assert_eq!(commands[0][..2], ["SET", &name]);
    assert_eq!(commands[0][3..], ["NX", "PX", "600000"]);

    loaded(&store, &key(1)).await;
    assert_eq!(monitor.commands(), [["GET", &name], ["PTTL", &name]]);

    let next = sample_revision_of(&record, "{}");
    // The first time, the server does not know the script.
    store
        .replace(&key(1), record.revision(), &next, LONG)
        .await
        .unwrap();
    assert_eq!(
        names(&mut monitor),
        ["EVALSHA", "EVAL", "lua GETRANGE", "lua SET"]
    );

    let last = sample_revision_of(&next, "{}");
    store
        .replace(&key(1), next.revision(), &last, LONG)
        .await
        .unwrap();
    let commands = monitor.commands();
    assert_eq!(commands[0][0], "EVALSHA");
    assert_eq!(commands[0][2..4], ["1", &name]);
    assert_eq!(commands[0][6..], ["600000"]);
    assert_eq!(commands[1], ["lua", "GETRANGE", &name, "1", "24"]);
    assert_eq!(commands[2][..3], ["lua", "SET", &name]);
    assert_eq!(commands[2][4..], ["PX", "600000"]);
    assert_eq!(commands.len(), 3);

    store
        .replace(
            &key(1),
            next.revision(),
            &sample_revision_of(&last, "{}"),
            LONG,
        )
        .await
        .unwrap();
    assert_eq!(
        names(&mut monitor),
        ["EVALSHA", "lua GETRANGE", "lua GET", "lua PTTL"],
        "conflict"
    );

    store
        .replace(&key(1), next.revision(), &last, LONG)
        .await
        .unwrap();
    assert_eq!(
        names(&mut monitor),
        ["EVALSHA", "lua GETRANGE"],
        "sent twice"
    );

    store
        .touch(&key(1), last.revision(), LONG, None)
        .await
        .unwrap();
    assert_eq!(
        names(&mut monitor),
        ["EVALSHA", "EVAL", "lua GETRANGE", "lua PEXPIRE"]
    );
    store
        .touch(&key(1), last.revision(), LONG, None)
        .await
        .unwrap();
    assert_eq!(
        names(&mut monitor),
        ["EVALSHA", "lua GETRANGE", "lua PEXPIRE"]
    );
    store
        .touch(&key(1), next.revision(), LONG, None)
        .await
        .unwrap();
    assert_eq!(names(&mut monitor), ["EVALSHA", "lua GETRANGE"], "stale");

    store.delete(&key(1), None).await.unwrap();
    assert_eq!(monitor.commands(), [["SET", &name, "\\x00", "PX", "60000"]]);
}

#[tokio::test]
async fn scripts_that_were_flushed_are_sent_again_once() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.unwrap();
    let mut record = created(&store, &key(1)).await;
    for _ in 0..2 {
        server.cli(&["SCRIPT", "FLUSH"]);
        let next = sample_revision_of(&record, "{}");
        let replaced = store
            .replace(&key(1), record.revision(), &next, LONG)
            .await
            .unwrap();
        assert!(is_replaced(&replaced));
        assert!(
            store
                .touch(&key(1), next.revision(), LONG, None)
                .await
                .unwrap()
        );
        record = next;
    }
}

#[tokio::test]
async fn a_user_with_the_documented_rights_can_do_everything_in_its_prefix_and_nothing_outside() {
    let server = RedisServer::start();
    let set_user = documented_user();
    assert_eq!(server.cli(&set_user.split(' ').collect::<Vec<_>>()), "OK");
    let config = tower_keycard::store::RedisConfig::new(server.url())
        .username("keycard")
        .password("password");
    let store = RedisStore::connect(config.clone()).await.unwrap();
    let record = created(&store, &key(1)).await;
    let next = sample_revision_of(&record, "{}");
    assert!(is_replaced(
        &store
            .replace(&key(1), record.revision(), &next, LONG)
            .await
            .unwrap()
    ));
    let replaced = store
        .replace(
            &key(1),
            record.revision(),
            &sample_revision_of(&record, "{}"),
            LONG,
        )
        .await;
    assert!(matches!(
        replaced.unwrap(),
        Replaced::Conflict(Loaded::Record { .. })
    ));
    assert!(
        store
            .touch(&key(1), next.revision(), LONG, None)
            .await
            .unwrap()
    );
    loaded(&store, &key(1)).await;
    for number in 2..5 {
        let login = sample_login("alice", LONG);
        store.create(&key(number), &login, LONG).await.unwrap();
        let entry = Binding {
            user: "alice",
            life: LONG,
        };
        let touched = store
            .touch(&key(number), login.revision(), LONG, Some(entry))
            .await;
        assert!(touched.unwrap());
    }
    store.delete(&key(2), Some("alice")).await.unwrap();
    // An entry that is stale.
    let index = "keycard:__Host-id:user=alice";
    server.cli(&["ZADD", index, "9999999999999", key(9).id().as_str()]);
    let except = Some(key(3).id());
    for count in [1, 0] {
        store.sessions_of("__Host-id", "alice").await.unwrap();
        let ended = store.delete_user("__Host-id", "alice", except).await;
        assert_eq!(ended.unwrap().len(), count);
    }
    assert_eq!(server.cli(&["ZSCORE", index, key(9).id().as_str()]), "");
    store.delete(&key(1), None).await.unwrap();
    assert_eq!(server.cli(&["ACL", "LOG"]), "", "nothing was denied");

    let other = RedisStore::connect(config.prefix("other:")).await.unwrap();
    let denied = [
        other.load(&key(1)).await.unwrap_err(),
        other.create(&key(1), &record, LONG).await.unwrap_err(),
        other
            .replace(&key(1), record.revision(), &next, LONG)
            .await
            .unwrap_err(),
        other
            .touch(&key(1), record.revision(), LONG, None)
            .await
            .unwrap_err(),
        other.delete(&key(1), None).await.unwrap_err(),
        other
            .create(&key(1), &sample_login("alice", LONG), LONG)
            .await
            .unwrap_err(),
        other.sessions_of("__Host-id", "alice").await.unwrap_err(),
        other
            .delete_user("__Host-id", "alice", None)
            .await
            .unwrap_err(),
    ];
    for error in denied {
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{error:?}");
        assert!(!format!("{error:?}").contains(key(1).id().as_str()));
    }
}

/// The line in the module's documentation, so that it is this one that is tested.
fn documented_user() -> &'static str {
    let documentation = include_str!("../../src/store/redis/mod.rs");
    let line = documentation
        .lines()
        .find_map(|line| line.strip_prefix("//! ACL SETUSER"));
    let start = documentation.find("ACL SETUSER keycard").unwrap();
    &documentation[start..][.."ACL SETUSER".len() + line.unwrap().len()]
}
