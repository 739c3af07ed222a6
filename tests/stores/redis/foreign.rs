//! What stands on the server, and what the store makes of that which other programs did to it.

use super::*;
use crate::support::redis_server::RedisServer;
use tower_keycard::store::DecodeError;

async fn start() -> (RedisServer, RedisStore) {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.unwrap();
    (server, store)
}

#[tokio::test]
async fn the_server_keeps_the_records_bytes_and_the_time_of_its_end_under_prefix_namespace_and_id_and_nothing_else()
 {
    let (server, store) = start().await;
    let record = created(&store, &key(1)).await;
    let next = sample_revision_of(&record, r#"{"n":2}"#);
    store
        .replace(&key(1), record.revision(), &next.write(LONG))
        .await
        .unwrap();
    assert_eq!(
        server.cli(&["KEYS", "*"]),
        format!("keycard:__Host-id:{}", key(1).id())
    );
    let kept = server.cli(&["STRLEN", &format!("keycard:{}", key(1))]);
    assert_eq!(kept, next.encode().len().to_string());
}

#[tokio::test]
async fn a_value_of_another_type_is_unreadable_and_left_alone_until_it_is_deleted() {
    let (server, store) = start().await;
    let name = format!("keycard:{}", key(1));
    server.cli(&["RPUSH", &name, "x"]);
    let foreign = |loaded: &Loaded| matches!(loaded, Loaded::Unreadable(DecodeError::ForeignType));
    assert!(foreign(&store.load(&key(1)).await.unwrap()));

    let record = sample_record("{}");
    let created = store.create(&key(1), &record.write(LONG)).await.unwrap();
    assert_eq!(created, Created::Exists);
    let replaced = store
        .replace(&key(1), record.revision(), &record.write(LONG))
        .await
        .unwrap();
    let Replaced::Conflict(found) = replaced else {
        panic!("a conflict");
    };
    assert!(foreign(&found));
    assert!(
        !store
            .touch(&key(1), record.revision(), LONG, None)
            .await
            .unwrap()
    );
    assert_eq!(server.cli(&["TYPE", &name]), "list");

    store.delete(&key(1), None).await.unwrap();
    let loaded = store.load(&key(1)).await.unwrap();
    assert!(matches!(loaded, Loaded::Tombstone), "{loaded:?}");
}

#[tokio::test]
async fn a_record_whose_expiry_was_taken_away_is_due_for_the_touch_that_repairs_it_as_if_it_were_there()
 {
    let (server, store) = start().await;
    let record = created(&store, &key(1)).await;
    let name = format!("keycard:{}", key(1));
    server.cli(&["PERSIST", &name]);
    assert!(loaded(&store, &key(1)).await.1 <= LONG);
    let end = (Record::NOTE_OFFSET + 1).to_string();
    server.cli(&["SETRANGE", &name, &end, "\u{1}"]);
    assert_eq!(loaded(&store, &key(1)).await.1, Duration::ZERO, "long past");
    assert!(
        store
            .touch(&key(1), record.revision(), LONG, None)
            .await
            .unwrap()
    );
    assert!(loaded(&store, &key(1)).await.1 > LONG / 2);
    let life: u128 = server.cli(&["PTTL", &name]).parse().unwrap();
    assert!(
        (LONG.as_millis() / 2..=LONG.as_millis()).contains(&life),
        "{life}"
    );
}
