//! Exactly which commands the server executes.

use super::*;
use crate::support::redis_server::{Monitor, RedisServer, documented_user};

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
    let mut connecting = names(&mut monitor);
    assert_eq!(connecting[..2], ["HELLO", "HELLO"], "to connect");
    // Then every command once that the documented user may run, and no other.
    connecting.retain(|name| name != "HELLO");
    connecting.sort_unstable();
    let rights = documented_user().split(' ');
    let rights = rights.filter_map(|word| word.strip_prefix('+'));
    let mut rights: Vec<_> = rights.map(str::to_uppercase).collect();
    rights.sort_unstable();
    assert_eq!(connecting, rights);
    let name = format!("keycard:{}", key(1));

    let record = created(&store, &key(1)).await;
    let commands = monitor.commands();
    assert_eq!(commands.len(), 1);
    assert_eq!(commands[0][..2], ["SET", &name]);
    assert_eq!(commands[0][3..], ["NX", "PX", "600000"]);

    loaded(&store, &key(1)).await;
    assert_eq!(monitor.commands(), [["GET", &name]]);

    let next = sample_revision_of(&record, "{}");
    // The first time, the server does not know the script.
    store
        .replace(&key(1), record.revision(), &next.write(LONG))
        .await
        .unwrap();
    assert_eq!(
        names(&mut monitor),
        ["EVALSHA", "EVAL", "lua GETRANGE", "lua SET"]
    );

    let last = sample_revision_of(&next, "{}");
    store
        .replace(&key(1), next.revision(), &last.write(LONG))
        .await
        .unwrap();
    let commands = monitor.commands();
    assert_eq!(commands[0][0], "EVALSHA");
    assert_eq!(commands[0][2..4], ["1", &name]);
    assert_eq!(commands[0][6..], ["600000"]);
    assert_eq!(commands[1], ["lua", "GETRANGE", &name, "1", "8"]);
    assert_eq!(commands[2][..3], ["lua", "SET", &name]);
    assert_eq!(commands[2][4..], ["PX", "600000"]);
    assert_eq!(commands.len(), 3);

    store
        .replace(
            &key(1),
            next.revision(),
            &sample_revision_of(&last, "{}").write(LONG),
        )
        .await
        .unwrap();
    assert_eq!(
        names(&mut monitor),
        ["EVALSHA", "lua GETRANGE", "lua GET"],
        "conflict"
    );

    store
        .replace(&key(1), next.revision(), &last.write(LONG))
        .await
        .unwrap();
    assert_eq!(
        names(&mut monitor),
        ["EVALSHA", "lua GETRANGE", "lua GET"],
        "sent twice"
    );

    store
        .touch(&key(1), last.revision(), LONG, None)
        .await
        .unwrap();
    assert_eq!(
        names(&mut monitor),
        [
            "EVALSHA",
            "EVAL",
            "lua GETRANGE",
            "lua PEXPIRE",
            "lua SETRANGE"
        ]
    );
    store
        .touch(&key(1), last.revision(), LONG, None)
        .await
        .unwrap();
    assert_eq!(
        names(&mut monitor),
        ["EVALSHA", "lua GETRANGE", "lua PEXPIRE", "lua SETRANGE"]
    );
    store
        .touch(&key(1), next.revision(), LONG, None)
        .await
        .unwrap();
    assert_eq!(names(&mut monitor), ["EVALSHA", "lua GETRANGE"], "stale");

    let kept = sample_revision_of(&last, "{}").keeping_expiry();
    store
        .replace(&key(1), last.revision(), &kept.write(LONG / 2))
        .await
        .unwrap();
    let commands = monitor.commands();
    assert_eq!(commands[0].len(), 6, "no time to live");
    assert_eq!(commands[1], ["lua", "GETRANGE", &name, "1", "8"]);
    assert_eq!(commands[2], ["lua", "GETRANGE", &name, "19", "24"]);
    assert_eq!(commands[3][..3], ["lua", "SET", &name]);
    assert_eq!(commands[3][4..], ["KEEPTTL"]);
    assert_eq!(commands.len(), 4);

    store.delete(&key(1), None).await.unwrap();
    assert_eq!(monitor.commands(), [["SET", &name, "\\x00", "PX", "60000"]]);
}

#[tokio::test]
async fn a_record_that_keeps_its_end_is_as_unconfirmed_as_the_write_says() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.unwrap();
    let new = sample_anonymous();
    for (before, after) in [(false, false), (false, true), (true, false), (true, true)] {
        let write = |write: OwnedWrite, unconfirmed| match unconfirmed {
            true => write.unconfirmed(),
            false => write,
        };
        let first = write(new.clone(), before);
        let kept = write(sample_revision_of(&new, "{}").keeping_expiry(), after);
        let key = key(1 + 2 * u32::from(before) + u32::from(after));
        store.create(&key, &first.write(LONG)).await.unwrap();
        let write = kept.write(LONG * 2);
        let replaced = store.replace(&key, first.revision(), &write).await.unwrap();
        assert!(is_replaced(&replaced));
        let Loaded::Record {
            record,
            remaining,
            unconfirmed,
            ..
        } = store.load(&key).await.unwrap()
        else {
            panic!("no record");
        };
        assert_eq!(record.encode(), kept.encode());
        assert!(remaining <= LONG && remaining > LONG / 2, "{remaining:?}");
        assert_eq!(unconfirmed, after);
        let life: u128 = server
            .cli(&["PTTL", &format!("keycard:{key}")])
            .parse()
            .unwrap();
        assert!(life <= LONG.as_millis() && life > LONG.as_millis() / 2);
    }
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
            .replace(&key(1), record.revision(), &next.write(LONG))
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
