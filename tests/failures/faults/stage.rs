//! An application, its server, the network between them, and its clock.

use std::time::SystemTime;

use redis::Value;
use tower_keycard::store::RedisStore;
use tower_keycard::{Clock, SessionLayer};

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
    /// With these options for the server, and the proxy on the way to it or not.
    pub(crate) async fn start(options: &[&str], through_proxy: bool) -> Self {
        let server = tokio::task::block_in_place(|| RedisServer::with(options));
        let proxy = Proxy::to(server.port()).await;
        let url = match through_proxy {
            true => proxy.url(),
            false => server.url(),
        };
        let store = RedisStore::lazy(url).unwrap();
        let clock = Clock::manual(SystemTime::now());
        let layer = SessionLayer::builder(store)
            .clock(clock.clone())
            .store_timeout(DEADLINE)
            .build()
            .unwrap();
        Self {
            app: App::new(layer),
            server,
            proxy,
            clock,
        }
    }

    /// What the server answers, past store and proxy.
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

    /// What is kept under a card.
    pub(crate) fn kept(&self, card: &str) -> Vec<u8> {
        match self.ask(&["GET", &key(card)]) {
            Value::BulkString(bytes) => bytes,
            other => panic!("nothing is kept: {other:?}"),
        }
    }

    /// Puts this in its place, for as long as that would have lived.
    pub(crate) fn keep(&self, card: &str, bytes: &[u8]) {
        self.ask_bytes(&[b"SET", key(card).as_bytes(), bytes, b"KEEPTTL"]);
    }
}
