//! What every store keeps, of a Redis one. (The suite of `store::conformance` belongs here too, over `RedisServer`.)

use super::support::redis_server::RedisServer;
use super::*;
use tower_keycard::store::DecodeError;

async fn start() -> (RedisServer, RedisStore) {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.unwrap();
    (server, store)
}

#[tokio::test]
async fn a_record_is_loaded_as_it_was_created_with_its_remaining_life() {
    let (_server, store) = start().await;
    let record = Record::sample(r#"{"cart":["a","b"]}"#, Some("alice"));
    let ttl = Duration::from_secs(100);
    store.create(&key(1), &record, ttl).await.unwrap();
    let (found, remaining) = loaded(&store, &key(1)).await;
    assert_eq!(found.encode(), record.encode());
    assert!(
        remaining <= ttl && remaining > ttl - Duration::from_secs(10),
        "{remaining:?}"
    );
}

#[tokio::test]
async fn what_was_never_created_is_absent() {
    let (_server, store) = start().await;
    assert!(matches!(store.load(&key(1)).await.unwrap(), Loaded::Absent));
}

#[tokio::test]
async fn create_overwrites_nothing() {
    let (server, store) = start().await;
    let first = created(&store, &key(1)).await;
    let other = Record::sample("{}", None);
    assert_eq!(
        store.create(&key(1), &other, LONG).await.unwrap(),
        Created::Exists
    );
    assert_eq!(loaded(&store, &key(1)).await.0.revision(), first.revision());

    store.delete(&key(2)).await.unwrap();
    assert_eq!(
        store.create(&key(2), &other, LONG).await.unwrap(),
        Created::Exists
    );

    server.cli(&["RPUSH", &format!("keycard:{}", key(3)), "x"]);
    assert_eq!(
        store.create(&key(3), &other, LONG).await.unwrap(),
        Created::Exists
    );
}

#[tokio::test]
async fn replace_at_the_expected_revision_replaces_record_and_life() {
    let (_server, store) = start().await;
    let first = created(&store, &key(1)).await;
    let second = first.revised(r#"{"n":2}"#);
    let ttl = Duration::from_secs(30);
    let replaced = store.replace(&key(1), first.revision(), &second, ttl).await;
    assert!(is_replaced(&replaced.unwrap()));
    let (found, remaining) = loaded(&store, &key(1)).await;
    assert_eq!(found.json(), r#"{"n":2}"#);
    assert!(
        remaining <= ttl && remaining > ttl - Duration::from_secs(10),
        "{remaining:?}"
    );
}

#[tokio::test]
async fn replace_at_another_revision_hands_back_what_is_there() {
    let (_server, store) = start().await;
    let first = created(&store, &key(1)).await;
    let winner = first.revised(r#"{"winner":true}"#);
    let loser = first.revised(r#"{"winner":false}"#);
    store
        .replace(&key(1), first.revision(), &winner, LONG)
        .await
        .unwrap();
    let replaced = store
        .replace(&key(1), first.revision(), &loser, LONG)
        .await
        .unwrap();
    let Replaced::Conflict(Loaded::Record { record, remaining }) = replaced else {
        panic!("a conflict: {replaced:?}");
    };
    assert_eq!(record.encode(), winner.encode());
    assert!(remaining > LONG / 2);
}

#[tokio::test]
async fn replace_and_touch_create_nothing() {
    let (server, store) = start().await;
    let record = Record::sample("{}", None);
    let next = record.revised("{}");
    let replaced = store
        .replace(&key(1), record.revision(), &next, LONG)
        .await
        .unwrap();
    assert!(
        matches!(replaced, Replaced::Conflict(Loaded::Absent)),
        "{replaced:?}"
    );
    assert!(!store.touch(&key(1), record.revision(), LONG).await.unwrap());

    store.delete(&key(2)).await.unwrap();
    let replaced = store
        .replace(&key(2), record.revision(), &next, LONG)
        .await
        .unwrap();
    assert!(
        matches!(replaced, Replaced::Conflict(Loaded::Tombstone)),
        "{replaced:?}"
    );
    assert!(!store.touch(&key(2), record.revision(), LONG).await.unwrap());
    assert_eq!(server.cli(&["DBSIZE"]), "1");
}

#[tokio::test]
async fn a_replace_that_arrives_twice_has_succeeded_and_writes_once() {
    let (_server, store) = start().await;
    let first = created(&store, &key(1)).await;
    let second = first.revised(r#"{"n":2}"#);
    let name = key(1);
    let again = || store.replace(&name, first.revision(), &second, LONG);
    assert!(is_replaced(&again().await.unwrap()));
    // Its life is what was set last, and not what the late copy says.
    let short = Duration::from_secs(20);
    assert!(
        store
            .touch(&key(1), second.revision(), short)
            .await
            .unwrap()
    );
    assert!(is_replaced(&again().await.unwrap()));
    assert!(loaded(&store, &key(1)).await.1 <= short);

    // Others have written on top of it meanwhile: one, then another. The third is more than a record remembers.
    let mut newest = second.clone();
    for remembered in [true, true, false] {
        let next = newest.revised(r#"{"n":3}"#);
        let replaced = store.replace(&key(1), newest.revision(), &next, LONG).await;
        assert!(is_replaced(&replaced.unwrap()));
        assert_eq!(is_replaced(&again().await.unwrap()), remembered);
        newest = next;
    }
    assert_eq!(
        loaded(&store, &key(1)).await.0.revision(),
        newest.revision()
    );
}

#[tokio::test]
async fn of_many_writers_at_one_revision_exactly_one_wins() {
    let (_server, store) = start().await;
    let first = created(&store, &key(1)).await;
    let writers: Vec<_> = (0..50)
        .map(|_| {
            let (store, record) = (store.clone(), first.revised("{}"));
            let expected = first.revision();
            tokio::spawn(async move {
                let replaced = store
                    .replace(&key(1), expected, &record, LONG)
                    .await
                    .unwrap();
                is_replaced(&replaced).then(|| record.revision())
            })
        })
        .collect();
    let mut winners = Vec::new();
    for writer in writers {
        winners.extend(writer.await.unwrap());
    }
    assert_eq!(winners, [loaded(&store, &key(1)).await.0.revision()]);
}

#[tokio::test]
async fn touch_moves_the_expiry_of_the_expected_revision_only() {
    let (_server, store) = start().await;
    let first = created(&store, &key(1)).await;
    let short = Duration::from_secs(30);
    assert!(store.touch(&key(1), first.revision(), short).await.unwrap());
    let (found, remaining) = loaded(&store, &key(1)).await;
    assert!(remaining <= short);
    assert_eq!(found.encode(), first.encode());

    let stale = first.revised("{}").revision();
    assert!(!store.touch(&key(1), stale, LONG).await.unwrap());
    assert!(loaded(&store, &key(1)).await.1 <= short);
}

#[tokio::test]
async fn delete_leaves_a_tombstone_for_a_minute_also_where_nothing_was() {
    let (server, store) = start().await;
    created(&store, &key(1)).await;
    for number in [1, 2] {
        store.delete(&key(number)).await.unwrap();
        assert!(matches!(
            store.load(&key(number)).await.unwrap(),
            Loaded::Tombstone
        ));
        let ttl: u64 = server
            .cli(&["PTTL", &format!("keycard:{}", key(number))])
            .parse()
            .unwrap();
        assert!((50_000..=60_000).contains(&ttl), "{ttl}");
    }
}

#[tokio::test]
async fn delete_removes_what_another_program_put_there() {
    let (server, store) = start().await;
    server.cli(&["RPUSH", &format!("keycard:{}", key(1)), "x"]);
    store.delete(&key(1)).await.unwrap();
    assert!(matches!(
        store.load(&key(1)).await.unwrap(),
        Loaded::Tombstone
    ));
}

#[tokio::test]
async fn a_value_of_another_type_is_unreadable_and_left_alone() {
    let (server, store) = start().await;
    let name = format!("keycard:{}", key(1));
    server.cli(&["RPUSH", &name, "x"]);
    let foreign = |loaded: &Loaded| matches!(loaded, Loaded::Unreadable(DecodeError::ForeignType));
    assert!(foreign(&store.load(&key(1)).await.unwrap()));
    let record = Record::sample("{}", None);
    let replaced = store
        .replace(&key(1), record.revision(), &record, LONG)
        .await
        .unwrap();
    let Replaced::Conflict(found) = replaced else {
        panic!("a conflict");
    };
    assert!(foreign(&found));
    assert!(!store.touch(&key(1), record.revision(), LONG).await.unwrap());
    assert_eq!(server.cli(&["TYPE", &name]), "list");
}

#[tokio::test]
async fn bytes_that_are_no_record_are_unreadable_and_left_alone() {
    let (server, store) = start().await;
    let name = format!("keycard:{}", key(1));
    server.cli(&["SET", &name, "hello"]);
    let record = Record::sample("{}", None);
    let replaced = store
        .replace(&key(1), record.revision(), &record, LONG)
        .await
        .unwrap();
    assert!(
        matches!(replaced, Replaced::Conflict(Loaded::Unreadable(_))),
        "{replaced:?}"
    );
    assert_eq!(server.cli(&["GET", &name]), "hello");
}

#[tokio::test]
async fn a_record_is_gone_when_its_life_is_over() {
    let (_server, store) = start().await;
    let record = Record::sample("{}", None);
    // A life too short to measure is no error, and lasts a millisecond.
    store
        .create(&key(1), &record, Duration::ZERO)
        .await
        .unwrap();
    let absent =
        async || matches!(store.load(&key(1)).await.unwrap(), Loaded::Absent).then_some(());
    support::eventually("the record expires", absent).await;
    let replaced = store
        .replace(&key(1), record.revision(), &record, LONG)
        .await
        .unwrap();
    assert!(matches!(replaced, Replaced::Conflict(Loaded::Absent)));
    assert!(!store.touch(&key(1), record.revision(), LONG).await.unwrap());
}

#[tokio::test]
async fn the_longest_life_there_is_is_taken_as_a_hundred_years() {
    let (_server, store) = start().await;
    let record = Record::sample("{}", None);
    store.create(&key(1), &record, Duration::MAX).await.unwrap();
    assert!(
        store
            .touch(&key(1), record.revision(), Duration::MAX)
            .await
            .unwrap()
    );
    let century = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    assert!(loaded(&store, &key(1)).await.1 > century - LONG);
}

#[tokio::test]
async fn a_record_whose_expiry_was_taken_away_is_due_for_the_touch_that_repairs_it() {
    let (server, store) = start().await;
    let record = created(&store, &key(1)).await;
    server.cli(&["PERSIST", &format!("keycard:{}", key(1))]);
    assert_eq!(loaded(&store, &key(1)).await.1, Duration::ZERO);
    assert!(store.touch(&key(1), record.revision(), LONG).await.unwrap());
    assert!(loaded(&store, &key(1)).await.1 > LONG / 2);
}

#[tokio::test]
async fn a_record_of_a_mebibyte_is_kept_whole() {
    let (_server, store) = start().await;
    let header = Record::sample("{}", None).encode().len();
    let text = "x".repeat(Record::MAX_LEN - header - r#""t":"""#.len());
    let record = Record::sample(&format!(r#"{{"t":"{text}"}}"#), None);
    assert_eq!(record.encode().len(), Record::MAX_LEN);
    store.create(&key(1), &record, LONG).await.unwrap();
    assert_eq!(loaded(&store, &key(1)).await.0.encode(), record.encode());
    let next = record.revised(record.json());
    let replaced = store
        .replace(&key(1), record.revision(), &next, LONG)
        .await
        .unwrap();
    assert!(is_replaced(&replaced));
    assert_eq!(loaded(&store, &key(1)).await.0.encode(), next.encode());
}

#[tokio::test]
async fn the_server_keeps_the_records_bytes_under_prefix_namespace_and_id_and_nothing_else() {
    let (server, store) = start().await;
    let record = created(&store, &key(1)).await;
    let next = record.revised(r#"{"n":2}"#);
    store
        .replace(&key(1), record.revision(), &next, LONG)
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
async fn stores_with_different_prefixes_see_nothing_of_each_other() {
    let server = RedisServer::start();
    let config = |prefix: &str| tower_keycard::store::RedisConfig::new(server.url()).prefix(prefix);
    let shop = RedisStore::connect(config("shop:")).await.unwrap();
    let admin = RedisStore::connect(config("admin:")).await.unwrap();
    assert_eq!(shop.prefix(), "shop:");
    created(&shop, &key(1)).await;
    assert!(matches!(admin.load(&key(1)).await.unwrap(), Loaded::Absent));
    admin.delete(&key(1)).await.unwrap();
    loaded(&shop, &key(1)).await;
}
