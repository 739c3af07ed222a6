//! What sessions take of the server's memory.

use std::fmt::Write;
use std::time::Duration;

use tower_keycard::SessionId;
use tower_keycard::store::testing::conformance::{sample_login, sample_revision_of};
use tower_keycard::store::{RecordKey, RedisStore, SessionStore};

use crate::support::redis_server::RedisServer;

/// How many sessions there are while it is looked how much they take.
const SESSIONS: u32 = 10_000;

/// How long they live, in which no test ends.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// How many bytes of JSON a session holds.
const DATA: [usize; 4] = [0, 100, 1_000, 10_000];

/// Bytes of memory.
pub(crate) struct Measured {
    data: usize,
    /// Bytes of a record, by `MEMORY USAGE`.
    record: u64,
    /// Bytes of the index of a user, by `MEMORY USAGE`, with one session and with ten.
    lists: [u64; 2],
    /// Bytes of everything, by session, with as many users.
    whole: u64,
}

pub(crate) async fn measure() -> Vec<Measured> {
    let mut measured = Vec::new();
    for data in DATA {
        let server = RedisServer::start();
        let store = RedisStore::connect(server.patiently()).await.unwrap();
        // What the first of them takes once: the scripts, the connection's buffers.
        for number in 0..10 {
            log_in(&store, SESSIONS, number, data).await;
        }
        let before = used(&server);
        let mut calls = tokio::task::JoinSet::new();
        for part in 0..10 {
            let store = store.clone();
            calls.spawn(async move {
                for number in (part..SESSIONS).step_by(10) {
                    log_in(&store, number, number + 10, data).await;
                }
            });
        }
        calls.join_all().await;
        let usage = |key: &str| -> u64 {
            let samples = ["MEMORY", "USAGE", key, "SAMPLES", "0"];
            server.cli(&samples).parse().unwrap()
        };
        measured.push(Measured {
            data,
            record: usage(&format!("keycard:{}", key(100))),
            lists: [0, SESSIONS].map(|user| usage(&format!("keycard:__Host-id:user={}", id(user)))),
            whole: (used(&server) - before).div_ceil(SESSIONS.into()),
        });
    }
    measured
}

/// A user with an id of eight characters logs in, and has this much in the session.
async fn log_in(store: &RedisStore, user: u32, session: u32, data: usize) {
    let (login, key) = (sample_login(&id(user), LIFE), key(session));
    store.create(&key, &login.write(LIFE)).await.unwrap();
    let json = match data.checked_sub(r#"{"a":""}"#.len()) {
        Some(length) => format!(r#"{{"a":"{}"}}"#, "x".repeat(length)),
        None => "{}".to_owned(),
    };
    let next = sample_revision_of(&login, &json);
    let replaced = store
        .replace(&key, login.revision(), &next.write(LIFE))
        .await;
    replaced.unwrap();
}

fn id(user: u32) -> String {
    format!("user{user:04}")
}

fn key(session: u32) -> RecordKey {
    let id: SessionId = format!("{session:A>20}").parse().unwrap();
    RecordKey::new("__Host-id", id)
}

fn used(server: &RedisServer) -> u64 {
    let info = server.cli(&["INFO", "memory"]);
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    line.unwrap().trim().parse().unwrap()
}

pub(crate) fn table(measured: &[Measured]) -> String {
    let mut table = HEAD.to_owned();
    for Measured {
        data,
        record,
        lists: [one, ten],
        whole,
    } in measured
    {
        // A million of so many bytes, in gigabytes, and tenths of one.
        let tenths = whole.div_ceil(100);
        let (gigabytes, tenth) = (tenths / 10, tenths % 10);
        writeln!(
            table,
            "| {data} | {record} | {one} | {ten} | {whole} | {gigabytes}.{tenth} GB |"
        )
        .unwrap();
    }
    table
}

/// Asserts that a table says what was measured, or nearly so: servers differ in what an allocation takes.
pub(crate) fn assert_near(measured: &[Measured], table: &str) {
    let rows = table.strip_prefix(HEAD).unwrap().lines();
    assert_eq!(rows.clone().count(), measured.len());
    for (row, measured) in rows.zip(measured) {
        let cells: Vec<u64> = row
            .split('|')
            .filter_map(|cell| cell.trim().parse().ok())
            .collect();
        let [one, ten] = measured.lists;
        let now = [measured.record, one, ten, measured.whole];
        assert_eq!(cells[0], measured.data as u64);
        for (said, now) in cells[1..].iter().zip(now) {
            assert!(
                said.abs_diff(now) * 5 <= now,
                "{row}: {now} (KEYCARD_WRITE_DOCS=1 writes it anew)"
            );
        }
    }
}

const HEAD: &str = "\
| bytes of data | record | index of a user with one session | with ten | all, per session | a million sessions |
|---:|---:|---:|---:|---:|---:|
";
