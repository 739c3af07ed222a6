//! An application, its server, the network between them, and its clock.

use std::time::SystemTime;

use redis::Value;
use tower_keycard::store::RedisStore;
use tower_keycard::{Clock, SessionConfig, SessionLayer};

use super::DEADLINE;
use crate::support::app::App;
use crate::support::cookie::key;
use crate::support::proxy::Proxy;
use crate::support::redis_server::RedisServer;

pub(crate) struct Stage {
    pub(crate) app: App,
    pub(crate) server: RedisServer,
    pub(crate) proxy: Proxy,
    pub(crate) clock: Clock,
}

impl Stage {
    /// Starts a server with these options, and an application that reaches it through the proxy or directly.
    pub(crate) async fn start(options: &[&str], through_proxy: bool) -> Self {
        let server = tokio::task::block_in_place(|| RedisServer::with(options));
        let proxy = Proxy::to(server.port()).await;
        let url = match through_proxy {
            true => proxy.url(),
            false => server.url(),
        };
        let store = RedisStore::connect_lazily(url).unwrap();
        let clock = Clock::manual(SystemTime::now());
        let layer = SessionLayer::builder(store)
            .config(SessionConfig::new().store_timeout(DEADLINE))
            .clock(clock.clone())
            .build()
            .unwrap();
        Self {
            app: App::new(layer),
            server,
            proxy,
            clock,
        }
    }

    /// Sends a command to the server, without the store and the proxy, and returns the reply.
    pub(crate) fn ask(&self, words: &[&str]) -> Value {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.ask_bytes(&words)
    }

    pub(crate) fn ask_bytes(&self, words: &[&[u8]]) -> Value {
        tokio::task::block_in_place(|| {
            let client = redis::Client::open(self.server.url()).unwrap();
            let mut connection = client.get_connection().unwrap();
            let mut command = redis::Cmd::new();
            for word in words {
                command.arg(word);
            }
            command.query(&mut connection).unwrap()
        })
    }

    /// The record of a token, as bytes.
    pub(crate) fn record(&self, token: &str) -> Vec<u8> {
        match self.ask(&["GET", &key(token)]) {
            Value::BulkString(bytes) => bytes,
            other => panic!("no record: {other:?}"),
        }
    }

    /// Replaces the record of a token, and keeps its remaining lifetime.
    pub(crate) fn replace_record(&self, token: &str, bytes: &[u8]) {
        self.ask_bytes(&[b"SET", key(token).as_bytes(), bytes, b"KEEPTTL"]);
    }
}
