//! Everything that a Redis server holds.

use crate::support::redis_server::RedisServer;

/// Sends one command, and reads its answer.
pub(crate) fn ask<T: redis::FromRedisValue>(server: &RedisServer, words: &[impl AsRef<[u8]>]) -> T {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(word.as_ref());
    }
    command.query(&mut connection).unwrap()
}

/// All keys with their values.
#[derive(Default)]
pub(crate) struct Dump {
    entries: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Dump {
    pub(crate) fn take(server: &RedisServer) -> Self {
        let keys: Vec<Vec<u8>> = ask(server, &["KEYS", "*"]);
        let value = |key: &Vec<u8>| -> Vec<u8> {
            let kind: String = ask(server, &[&b"TYPE"[..], key.as_slice()]);
            if kind == "string" {
                return ask(server, &[&b"GET"[..], key.as_slice()]);
            }
            // A user's index: a sorted set of sessions' public ids.
            assert_eq!(kind, "zset");
            let members: Vec<Vec<u8>> = ask(server, &[&b"ZRANGE"[..], key.as_slice(), b"0", b"-1"]);
            members.join(&b'\n')
        };
        let entries = keys.into_iter().map(|key| {
            let value = value(&key);
            (key, value)
        });
        Self {
            entries: entries.collect(),
        }
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().map(|(_, value)| value.as_slice())
    }

    /// Keys and values, one after the other.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (key, value) in &self.entries {
            bytes.extend_from_slice(key);
            bytes.push(b'\n');
            bytes.extend_from_slice(value);
            bytes.push(b'\n');
        }
        bytes
    }

    pub(crate) fn contains(&self, piece: &[u8]) -> bool {
        self.bytes()
            .windows(piece.len())
            .any(|window| window == piece)
    }
}
