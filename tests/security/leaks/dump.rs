//! Everything that a Redis server holds.

use crate::redis_server::RedisServer;

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
        let value = |key: &Vec<u8>| {
            let key = key.as_slice();
            match &ask::<String>(server, &[&b"TYPE"[..], key])[..] {
                // A user's index.
                "zset" => {
                    let range = [&b"ZRANGE"[..], key, b"0", b"-1", b"WITHSCORES"];
                    ask::<Vec<(Vec<u8>, String)>>(server, &range)
                        .into_iter()
                        .flat_map(|(member, end)| [member, end.into_bytes()])
                        .collect::<Vec<_>>()
                        .join(&b'\n')
                }
                _ => ask(server, &[&b"GET"[..], key]),
            }
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
