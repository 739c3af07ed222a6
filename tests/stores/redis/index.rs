//! What the index of users is on the server, and what it does when things go wrong between it and a record.

use std::task::{Context, Waker};

use tower_keycard::store::testing::{all_sessions_of, end_all};
use tower_keycard::store::{IndexEntry, MARKER_LIFETIME, PIECE};

use super::*;
use crate::support::redis_server::RedisServer;

const NAMESPACE: &str = "__Host-id";
/// Alice's index.
const INDEX: &str = "keycard:__Host-id:user=alice";

async fn logged_in(store: &RedisStore, number: u32) -> OwnedWrite {
    let login = sample_login("alice", LONG);
    let created = store
        .create(&key(number), &login.write(LONG))
        .await
        .unwrap();
    assert_eq!(created, Created::Created);
    login
}

async fn listed(store: &RedisStore) -> Vec<RecordKey> {
    let listed = all_sessions_of(store, NAMESPACE, "alice").await.unwrap();
    let mut keys: Vec<_> = listed.into_iter().map(|session| session.key).collect();
    keys.sort();
    keys
}

async fn ended(store: &RedisStore) -> usize {
    let ended = end_all(store, NAMESPACE, "alice", None).await;
    ended.unwrap().len()
}

/// Adds a member that ends so many milliseconds from now.
fn plant(server: &RedisServer, member: &str, life: i64) {
    let script = "local t = redis.call('TIME') return redis.call('ZADD', KEYS[1], \
                  t[1] * 1000 + ARGV[2], ARGV[1])";
    server.cli(&["EVAL", script, "1", INDEX, member, &life.to_string()]);
}

fn id(number: u32) -> String {
    key(number).id().to_string()
}

#[tokio::test]
async fn an_index_is_a_sorted_set_that_expires_with_its_last_member() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.unwrap();
    for (number, life) in [(1, 100), (2, 1000), (3, 500)] {
        let login = sample_login("alice", Duration::from_secs(life));
        store
            .create(&key(number), &login.write(LONG))
            .await
            .unwrap();
    }
    assert_eq!(server.cli(&["TYPE", INDEX]), "zset");
    let life: u64 = server.cli(&["PTTL", INDEX]).parse().unwrap();
    assert!((990_000..=1_000_000).contains(&life), "{life}");
    let members = server.cli(&["ZRANGE", INDEX, "0", "-1"]);
    let mut members: Vec<_> = members.lines().collect();
    members.sort_unstable();
    let mut expected = Vec::new();
    for number in 1..=3 {
        expected.extend([id(number), format!("+{}", id(number))]);
    }
    expected.sort();
    assert_eq!(members, expected);
}

#[tokio::test]
async fn entries_that_have_ended_are_removed_by_the_next_login() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.unwrap();
    for number in 10..60 {
        plant(&server, &id(number), -1);
    }
    logged_in(&store, 1).await;
    assert_eq!(server.cli(&["ZCARD", INDEX]), "2");
}

#[tokio::test]
async fn an_entry_without_a_record_is_removed_once_no_login_can_be_under_way() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.unwrap();
    logged_in(&store, 1).await;
    for number in [2, 3] {
        plant(&server, &id(number), 600_000);
    }
    plant(&server, &format!("+{}", id(2)), 60_000);
    assert_eq!(listed(&store).await, [key(1)]);
    let score = |number| server.cli(&["ZSCORE", INDEX, &id(number)]);
    assert_ne!(score(2), "", "its login may be under way");
    assert_eq!(score(3), "");
    plant(&server, &format!("+{}", id(2)), -1);
    assert_eq!(listed(&store).await, [key(1)]);
    assert_eq!(score(2), "");
}

#[tokio::test]
async fn a_login_whose_entry_came_before_the_marker_meets_a_tombstone() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.unwrap();
    // The entries are there, and the records have not been written: of a fresh session, and of one that belongs to nobody.
    let anonymous = Record::decode(without_user()).unwrap();
    store
        .create(&key(2), &Write::new(&anonymous, LONG))
        .await
        .unwrap();
    for number in [1, 2] {
        plant(&server, &id(number), 600_000);
        plant(&server, &format!("+{}", id(number)), 60_000);
    }
    assert_eq!(ended(&store).await, 0, "nobody was logged in");
    for number in [1, 2] {
        let loaded = store.load(&key(number)).await.unwrap();
        assert!(matches!(loaded, Loaded::Tombstone), "{loaded:?}");
    }
    // The writes that were under way: as the server gets them, past their entries.
    let record = sample_record("{}");
    let created = store.create(&key(1), &record.write(LONG)).await.unwrap();
    assert_eq!(created, Created::Exists);
    let replaced = store
        .replace(&key(2), anonymous.revision(), &record.write(LONG))
        .await;
    let replaced = replaced.unwrap();
    assert!(matches!(replaced, Replaced::Conflict(Loaded::Tombstone)));
    // And the fresh sessions they fall back to.
    let login = sample_login_of(&record, "alice", LONG);
    let error = store.create(&key(3), &login.write(LONG)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Revoked);
    assert_eq!(listed(&store).await, []);
}

/// An encoded record that belongs to nobody.
fn without_user() -> Vec<u8> {
    let mut bytes = sample_record("{}").encode();
    let (flags, user) = (63, "alice".len() + 1);
    bytes[flags] &= !4;
    bytes.drain(64..64 + user);
    bytes
}

#[tokio::test]
async fn a_marker_lasts_as_long_as_it_is_said_to_and_its_key_no_longer() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.unwrap();
    assert_eq!(ended(&store).await, 0);
    let life: u128 = server.cli(&["PTTL", INDEX]).parse().unwrap();
    let whole = MARKER_LIFETIME.as_millis();
    assert!((whole - 1_000..=whole).contains(&life), "{life}");
}

#[tokio::test]
async fn a_clock_that_is_put_back_keeps_nobody_out() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.unwrap();
    plant(&server, "!", 3_600_000);
    logged_in(&store, 1).await;
    assert_eq!(listed(&store).await, [key(1)]);
    assert_eq!(ended(&store).await, 1);
    let login = sample_login("alice", LONG);
    let error = store.create(&key(2), &login.write(LONG)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Revoked);
}

#[tokio::test]
async fn sessions_that_cannot_be_read_are_not_listed_and_are_ended_all_the_same() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.unwrap();
    logged_in(&store, 1).await;
    // A newer version has written it since.
    let name = format!("keycard:{}", key(1));
    server.cli(&["SETRANGE", &name, "0", "\u{3}"]);
    assert_eq!(listed(&store).await, []);
    ended(&store).await;
    let loaded = store.load(&key(1)).await.unwrap();
    assert!(matches!(loaded, Loaded::Tombstone), "{loaded:?}");
}

#[tokio::test]
async fn what_the_sessions_hold_is_not_loaded_to_end_them() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.unwrap();
    let large = format!(r#"{{"n":"{}"}}"#, "x".repeat(1 << 19));
    for number in 0..20 {
        let login = sample_login_of(&sample_record(&large), "alice", LONG);
        store
            .create(&key(number), &login.write(LONG))
            .await
            .unwrap();
    }
    // And what is no record at all, which nobody asks for before.
    plant(&server, &id(20), 600_000);
    server.cli(&["RPUSH", &format!("keycard:{}", key(20)), "mine"]);
    let before = sent(&server);
    assert_eq!(ended(&store).await, 20);
    let sent = sent(&server) - before;
    assert!(sent < 40_000, "{sent} bytes");
    for number in 0..=20 {
        let loaded = store.load(&key(number)).await.unwrap();
        assert!(matches!(loaded, Loaded::Tombstone), "{loaded:?}");
    }
}

#[tokio::test]
async fn on_a_full_server_an_entry_lives_on_with_its_session() {
    let server = RedisServer::with(&["--maxmemory-policy", "noeviction"]);
    let store = RedisStore::connect(server.url()).await.unwrap();
    let login = logged_in(&store, 1).await;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let (user, lifetime) = ("alice", 2 * LONG);
    let entry = Some(IndexEntry { user, lifetime });
    let touched = store.touch(&key(1), login.revision(), LONG, entry).await;
    assert!(touched.unwrap());
    let left: u128 = server.cli(&["PTTL", INDEX]).parse().unwrap();
    assert!(left > LONG.as_millis(), "{left}");
    assert_eq!(listed(&store).await, [key(1)]);
}

#[tokio::test]
async fn a_full_server_refuses_logins_and_still_ends_all_sessions() {
    let server = RedisServer::with(&["--maxmemory-policy", "noeviction"]);
    let store = RedisStore::connect(server.url()).await.unwrap();
    let first = logged_in(&store, 1).await;
    logged_in(&store, 2).await;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let login = sample_login("alice", LONG);
    let error = store.create(&key(3), &login.write(LONG)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Full, "{error:?}");
    assert_eq!(listed(&store).await, [key(1), key(2)]);
    store.delete(&key(1), first.user()).await.unwrap();
    assert_eq!(listed(&store).await, [key(2)]);
    assert_eq!(ended(&store).await, 1);
    for number in [1, 2] {
        let loaded = store.load(&key(number)).await.unwrap();
        assert!(matches!(loaded, Loaded::Tombstone), "{loaded:?}");
    }
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    let error = store.create(&key(3), &login.write(LONG)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Revoked, "{error:?}");
}

#[tokio::test]
async fn what_is_no_index_stops_logins_and_no_logout() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.unwrap();
    let login = logged_in(&store, 1).await;
    server.cli(&["SET", INDEX, "mine"]);
    let error = store.create(&key(2), &login.write(LONG)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused, "{error:?}");
    let loaded = store.load(&key(2)).await.unwrap();
    assert!(
        matches!(loaded, Loaded::Absent),
        "no record without an entry"
    );
    for error in [
        store
            .sessions_of(NAMESPACE, "alice", None)
            .await
            .unwrap_err(),
        store
            .revoke_user(NAMESPACE, "alice", None)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{error:?}");
    }
    // A touch that cannot prolong the entry says so.
    let entry = IndexEntry {
        user: "alice",
        lifetime: LONG,
    };
    let touched = store
        .touch(&key(1), login.revision(), LONG, Some(entry))
        .await;
    let error = touched.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::OutcomeUnknown, "{error:?}");
    store.delete(&key(1), Some("alice")).await.unwrap();
    let loaded = store.load(&key(1)).await.unwrap();
    assert!(matches!(loaded, Loaded::Tombstone), "{loaded:?}");
    assert_eq!(server.cli(&["GET", INDEX]), "mine");
}

#[tokio::test]
async fn scripts_of_the_index_that_were_flushed_are_sent_again() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.unwrap();
    server.cli(&["SCRIPT", "FLUSH"]);
    let mut login = logged_in(&store, 1).await;
    for _ in 0..2 {
        server.cli(&["SCRIPT", "FLUSH"]);
        let entry = IndexEntry {
            user: "alice",
            lifetime: LONG,
        };
        let touched = store
            .touch(&key(1), login.revision(), LONG, Some(entry))
            .await;
        assert!(touched.unwrap());
        let next = sample_login_of(&login, "alice", LONG);
        let replaced = store
            .replace(&key(1), login.revision(), &next.write(LONG))
            .await;
        assert!(is_replaced(&replaced.unwrap()));
        login = next;
    }
    plant(&server, &id(2), 600_000);
    server.cli(&["SCRIPT", "FLUSH"]);
    assert_eq!(listed(&store).await, [key(1)]);
    assert_eq!(server.cli(&["ZSCORE", INDEX, &id(2)]), "");
    server.cli(&["SCRIPT", "FLUSH"]);
    assert_eq!(ended(&store).await, 1);
}

#[tokio::test]
async fn every_call_of_the_index_sends_the_commands_that_are_documented_and_no_more() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.unwrap();
    // The server learns the scripts.
    let login = logged_in(&store, 1).await;
    let entry = IndexEntry {
        user: "alice",
        lifetime: LONG,
    };
    let touched = store
        .touch(&key(1), login.revision(), LONG, Some(entry))
        .await;
    assert!(touched.unwrap());
    plant(&server, &id(9), 600_000);
    listed(&store).await;
    store.revoke_user(NAMESPACE, "bob", None).await.unwrap();
    let mut monitor = server.monitor();
    let mut names = || -> Vec<String> {
        let name = |words: Vec<String>| match &words[0][..] {
            "lua" => format!("lua {}", words[1]),
            _ => words[0].clone(),
        };
        monitor.commands().into_iter().map(name).collect()
    };
    let script = |commands: &str| -> Vec<String> {
        let commands = commands.split(' ').map(|name| format!("lua {name}"));
        std::iter::once("EVALSHA".to_owned())
            .chain(commands)
            .collect()
    };

    logged_in(&store, 2).await;
    let mut expected = script("TIME ZMSCORE ZADD ZREMRANGEBYSCORE ZRANGE PEXPIREAT ZCARD");
    expected.push("SET".to_owned());
    assert_eq!(names(), expected, "a login");

    let touched = store
        .touch(&key(1), login.revision(), LONG, Some(entry))
        .await;
    assert!(touched.unwrap());
    let mut expected = script("TIME ZREMRANGEBYSCORE ZADD ZRANGE PEXPIREAT");
    expected.extend(script("GETRANGE PEXPIRE SETRANGE"));
    assert_eq!(names(), expected, "a touch without an absolute limit");

    listed(&store).await;
    assert_eq!(names(), ["ZRANGE", "ZMSCORE", "GETRANGE", "GETRANGE"]);

    store.delete(&key(2), Some("alice")).await.unwrap();
    assert_eq!(names(), ["SET", "ZREM"], "a logout");

    assert_eq!(ended(&store).await, 1);
    let mut expected = script("TIME ZREMRANGEBYSCORE ZADD ZRANGE PEXPIREAT");
    let piece = ["ZRANGE", "ZMSCORE", "GETRANGE", "SET", "ZREM"];
    expected.extend(piece.map(str::to_owned));
    assert_eq!(names(), expected, "the end of all sessions");
}

#[tokio::test]
async fn what_the_sessions_hold_is_not_loaded_to_list_them() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.unwrap();
    let large = format!(r#"{{"n":"{}"}}"#, "x".repeat(1 << 19));
    for number in 0..20 {
        let login = sample_login_of(&sample_record(&large), "alice", LONG);
        let created = store.create(&key(number), &login.write(LONG)).await;
        assert_eq!(created.unwrap(), Created::Created);
    }
    let before = sent(&server);
    assert_eq!(listed(&store).await.len(), 20);
    let sent = sent(&server) - before;
    assert!(sent < 40_000, "{sent} bytes");
}

/// How many bytes the server has sent so far.
fn sent(server: &RedisServer) -> u64 {
    let info = server.cli(&["INFO", "stats"]);
    let line = |line: &str| {
        let bytes = line.strip_prefix("total_net_output_bytes:")?;
        bytes.trim().parse().ok()
    };
    info.lines().find_map(line).unwrap()
}

/// Gives Alice so many sessions, numbered from a million on, whose entries end in groups of a thousand at one moment.
async fn plant_sessions(server: &RedisServer, count: u32) {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let record = sample_record("{}").encode();
    let end = std::time::SystemTime::now() + LONG;
    let end = end.duration_since(std::time::UNIX_EPOCH).unwrap();
    let end = u64::try_from(end.as_millis()).unwrap();
    let numbers: Vec<u32> = (1_000_000..1_000_000 + count).collect();
    for group in numbers.chunks(1_000) {
        let mut pipeline = redis::pipe();
        for number in group {
            let moment = end + u64::from(number / 1_000);
            let set = pipeline.cmd("SET").arg(format!("keycard:{}", key(*number)));
            set.arg(&record).arg("PX").arg(3_600_000).ignore();
            let add = pipeline.cmd("ZADD").arg(INDEX);
            add.arg(moment).arg(id(*number)).ignore();
        }
        pipeline.exec_async(&mut connection).await.unwrap();
    }
}

#[tokio::test]
async fn a_user_with_fifty_thousand_sessions_is_listed_and_logged_out_in_pieces() {
    const MANY: u32 = 50_000;
    let server = RedisServer::start();
    let store = RedisStore::connect(server.patiently()).await.unwrap();
    plant_sessions(&server, MANY).await;
    let all = all_sessions_of(&store, NAMESPACE, "alice").await.unwrap();
    assert_eq!(all.len(), MANY as usize);
    // The marker comes first. Whoever then gives up after two pieces has ended these.
    let marker = store.revoke_user(NAMESPACE, "alice", None).await.unwrap();
    let login = sample_login("alice", LONG);
    let error = store.create(&key(1), &login.write(LONG)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Revoked);
    let end = |after| store.delete_sessions_of(NAMESPACE, "alice", &marker, after);
    let first = end(None).await.unwrap();
    let second = end(first.next.as_ref()).await.unwrap();
    let progress = first.ended.len() + second.ended.len();
    assert!((PIECE..=2 * PIECE).contains(&progress), "{progress}");
    let entries: usize = server.cli(&["ZCARD", INDEX]).parse().unwrap();
    assert_eq!(entries, MANY as usize - progress + 1, "and the marker");
    // The next one ends what is left, and no session twice.
    assert_eq!(ended(&store).await, MANY as usize - progress);
    assert_eq!(server.cli(&["ZCARD", INDEX]), "1", "the marker");
    for number in [1_000_000, 1_000_000 + MANY - 1] {
        let loaded = store.load(&key(number)).await.unwrap();
        assert!(matches!(loaded, Loaded::Tombstone), "{loaded:?}");
    }
}

#[tokio::test]
async fn pieces_of_a_list_have_a_connection_of_their_own_and_few_at_a_time() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.patiently()).await.unwrap();
    let connections = || -> usize {
        let clients = server.cli(&["CLIENT", "LIST"]);
        // The one that asks is none of the store's.
        clients.lines().count() - 1
    };
    logged_in(&store, 1).await;
    assert_eq!(connections(), 1, "a login needs none");
    plant_sessions(&server, 2_000).await;
    let lists = (0..50).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { all_sessions_of(&store, NAMESPACE, "alice").await })
    });
    for list in lists.collect::<Vec<_>>() {
        assert_eq!(list.await.unwrap().unwrap().len(), 2_001);
    }
    assert_eq!(connections(), 2);
}

#[tokio::test]
async fn a_revocation_waits_for_no_list() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.patiently()).await.unwrap();
    logged_in(&store, 1).await;
    assert_eq!(listed(&store).await, [key(1)]);
    // They begin, take the places that there are, and do not go on.
    let lists: Vec<_> = (0..50)
        .map(|_| {
            let mut list = Box::pin(store.sessions_of(NAMESPACE, "mallory", None));
            let mut context = Context::from_waker(Waker::noop());
            assert!(list.as_mut().poll(&mut context).is_pending());
            list
        })
        .collect();
    assert_eq!(ended(&store).await, 1);
    drop(lists);
}
