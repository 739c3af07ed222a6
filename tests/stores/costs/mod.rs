//! What the store costs: each kind of request, from the router to a real server, as the commands that are executed there
//! and the round trips that they take.

mod memory;
mod page;
mod requests;

use std::time::Duration;

use crate::support::AGE;
use crate::support::app::App;
use crate::support::cookie::key;
use crate::support::proxy::Proxy;
use crate::support::redis_server::{Monitor, RedisServer};
use tower_keycard::store::RedisStore;
use tower_keycard::{SessionLayer, SessionLayerBuilder};

/// The idle limit, in milliseconds.
const IDLE: u64 = 24 * 60 * 60 * 1000;

/// The absolute limit, in milliseconds.
const ABSOLUTE: u64 = 14 * IDLE;

/// An application, its server, and what passes between them.
struct Stack {
    app: App,
    server: RedisServer,
    monitor: Monitor,
    proxy: Proxy,
}

impl Stack {
    async fn start() -> Self {
        Self::with(|layer| layer).await
    }

    async fn with(configure: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder) -> Self {
        let server = RedisServer::start();
        let proxy = Proxy::to(server.port()).await;
        let store = RedisStore::connect(proxy.url()).await.unwrap();
        let layer = configure(SessionLayer::builder(store)).build().unwrap();
        let app = App::new(layer);
        // The server learns the scripts.
        let card = app.logged_in("alice").await;
        app.get("/write", Some(&card)).await;
        age(&server, &card, 61_000);
        app.get("/read", Some(&card)).await;
        let monitor = server.monitor();
        let mut this = Self {
            app,
            monitor,
            server,
            proxy,
        };
        this.cost();
        this
    }

    /// The card of somebody who has logged in, which is not counted.
    async fn visitor(&mut self) -> String {
        let card = self.app.logged_in("alice").await;
        self.cost();
        card
    }

    /// Lets a session of this card lose so many milliseconds of its life, which is not counted.
    fn age(&mut self, card: &str, millis: u64) {
        age(&self.server, card, millis);
        self.cost();
    }

    /// The commands since the last time, and the round trips that they took.
    fn cost(&mut self) -> (Vec<String>, u32) {
        let commands = self.monitor.commands();
        let commands = commands.iter().map(|words| shown(words)).collect();
        (commands, self.proxy.round_trips())
    }

    /// Asserts what has been executed since the last time, in how many round trips.
    #[track_caller]
    fn costs(&mut self, round_trips: u32, commands: &[&[String]]) {
        let (executed, taken) = self.cost();
        assert_eq!(executed, commands.concat());
        assert_eq!(taken, round_trips, "round trips of {commands:?}");
    }
}

fn age(server: &RedisServer, card: &str, millis: u64) {
    server.cli(&["EVAL", AGE, "0", &key(card), &millis.to_string()]);
}

/// A command on one line, without what is different each time: the record, its revision, a script's hash.
fn shown(words: &[String]) -> String {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["lua", "TIME"] => "lua TIME".to_owned(),
        ["lua", name, key, ..] => format!("lua {name} {key}"),
        // What is left of the absolute limit is some milliseconds less than the limit.
        ["EVALSHA", _script, "1", key, .., life] if key.contains(":user=") => {
            let life = life.parse::<u64>().unwrap().next_multiple_of(1000);
            format!("EVALSHA {key} {life}")
        }
        ["EVALSHA", _script, "1", key, .., life] => format!("EVALSHA {key} {life}"),
        ["SET", key, record, ref options @ ..] if record.len() > 60 => {
            format!("SET {key} record {}", options.join(" "))
        }
        _ => words.join(" "),
    }
}

fn load(key: &str) -> [String; 1] {
    [format!("GET {key}")]
}

fn create(key: &str) -> [String; 1] {
    [format!("SET {key} record NX PX {IDLE}")]
}

fn replace(key: &str) -> [String; 3] {
    [
        format!("EVALSHA {key} {IDLE}"),
        format!("lua GETRANGE {key}"),
        format!("lua SET {key}"),
    ]
}

fn touch(key: &str) -> [String; 4] {
    [
        format!("EVALSHA {key} {IDLE}"),
        format!("lua GETRANGE {key}"),
        format!("lua PEXPIRE {key}"),
        format!("lua SETRANGE {key}"),
    ]
}

fn delete(key: &str) -> [String; 1] {
    [format!("SET {key} \\x00 PX 60000")]
}

/// The index of a user.
fn index(user: &str) -> String {
    format!("keycard:__Host-id:user={user}")
}

/// The entry that comes before the record of a login. It lives as long as the absolute limit lets the session live, and a
/// minute more.
fn bind(user: &str) -> Vec<String> {
    let (index, life) = (index(user), ABSOLUTE + 60_000);
    let mut commands = vec![format!("EVALSHA {index} {life}")];
    for name in [
        "TIME",
        "ZMSCORE",
        "ZADD",
        "ZREMRANGEBYSCORE",
        "ZRANGE",
        "PEXPIREAT",
    ] {
        commands.push(match name {
            "TIME" => "lua TIME".to_owned(),
            _ => format!("lua {name} {index}"),
        });
    }
    commands
}

/// The entry that goes with the record.
fn unbind(user: &str, card: &str) -> [String; 1] {
    [format!("ZREM {} {id} +{id}", index(user), id = &card[..20])]
}

#[tokio::test]
async fn a_request_that_does_not_ask_for_its_session_costs_nothing() {
    let mut stack = Stack::start().await;
    let card = stack.visitor().await;
    for card in [None, Some(&card[..]), Some("not a card")] {
        let answer = stack.app.get("/untouched", card).await;
        assert_eq!(answer.body, "untouched");
        stack.costs(0, &[]);
    }
}

#[tokio::test]
async fn a_read_is_one_get() {
    let mut stack = Stack::start().await;
    let card = stack.visitor().await;
    assert_eq!(stack.app.get("/read", Some(&card)).await.body, "alice");
    stack.costs(1, &[&load(&key(&card))]);
}

#[tokio::test]
async fn a_visitor_without_a_card_who_reads_costs_nothing() {
    let mut stack = Stack::start().await;
    assert_eq!(stack.app.get("/read", None).await.body, "nobody");
    stack.costs(0, &[]);
}

#[tokio::test]
async fn a_new_session_is_one_set_that_overwrites_nothing() {
    let mut stack = Stack::start().await;
    let answer = stack.app.get("/write", None).await;
    stack.costs(1, &[&create(&key(answer.card()))]);
}

#[tokio::test]
async fn a_modification_is_a_load_and_one_compare_and_swap() {
    let mut stack = Stack::start().await;
    let card = stack.visitor().await;
    stack.app.get("/write", Some(&card)).await;
    stack.costs(2, &[&load(&key(&card)), &replace(&key(&card))]);
}

#[tokio::test]
async fn a_rotation_costs_what_a_modification_does() {
    let mut stack = Stack::start().await;
    let card = stack.visitor().await;
    let answer = stack.app.get("/rotate", Some(&card)).await;
    assert_eq!(key(answer.card()), key(&card));
    stack.costs(2, &[&load(&key(&card)), &replace(&key(&card))]);
}

#[tokio::test]
async fn a_login_on_a_session_costs_what_a_modification_does_and_an_entry_before_it() {
    let mut stack = Stack::start().await;
    let card = stack.app.get("/write", None).await.card().to_owned();
    stack.cost();
    stack.app.get("/login/alice", Some(&card)).await;
    let key = key(&card);
    stack.costs(3, &[&load(&key), &bind("alice"), &replace(&key)]);
}

#[tokio::test]
async fn a_login_without_a_session_is_an_entry_and_one_set() {
    let mut stack = Stack::start().await;
    let answer = stack.app.get("/login/alice", None).await;
    stack.costs(2, &[&bind("alice"), &create(&key(answer.card()))]);
}

#[tokio::test]
async fn a_login_as_another_user_deletes_the_old_session_before_it_creates_the_new() {
    let mut stack = Stack::start().await;
    let card = stack.visitor().await;
    let answer = stack.app.get("/login/bob", Some(&card)).await;
    let (old, new) = (key(&card), key(answer.card()));
    stack.costs(
        4,
        &[
            &load(&old),
            &delete(&old),
            &unbind("alice", &card),
            &bind("bob"),
            &create(&new),
        ],
    );
}

#[tokio::test]
async fn a_logout_is_a_load_and_one_set_of_a_tombstone_and_the_end_of_the_entry() {
    let mut stack = Stack::start().await;
    let card = stack.visitor().await;
    stack.app.get("/logout", Some(&card)).await;
    let key = key(&card);
    stack.costs(2, &[&load(&key), &delete(&key), &unbind("alice", &card)]);
}

#[tokio::test]
async fn a_read_is_followed_by_a_touch_once_the_session_has_lost_a_refresh_interval() {
    let mut stack = Stack::start().await;
    let card = stack.visitor().await;
    let key = key(&card);
    stack.age(&card, 59_000);
    assert_eq!(stack.app.get("/read", Some(&card)).await.body, "alice");
    stack.costs(1, &[&load(&key)]);
    stack.age(&card, 2_000);
    assert_eq!(stack.app.get("/read", Some(&card)).await.body, "alice");
    stack.costs(2, &[&load(&key), &touch(&key)]);
    stack.app.get("/read", Some(&card)).await;
    stack.costs(1, &[&load(&key)]);
}

#[tokio::test]
async fn saving_every_request_adds_a_load_and_a_touch_to_one_that_does_not_ask() {
    let mut stack = Stack::with(|layer| layer.save_every_request(true)).await;
    let card = stack.visitor().await;
    for _ in 0..2 {
        stack.app.get("/untouched", Some(&card)).await;
        stack.costs(2, &[&load(&key(&card)), &touch(&key(&card))]);
    }
    stack.app.get("/untouched", None).await;
    stack.costs(0, &[]);
}

#[tokio::test]
async fn saving_every_request_with_a_refresh_interval_adds_a_load_and_now_and_then_a_touch() {
    let configure = |layer: SessionLayerBuilder| {
        layer
            .save_every_request(true)
            .refresh_interval(Duration::from_secs(60))
    };
    let mut stack = Stack::with(configure).await;
    let card = stack.visitor().await;
    let key = key(&card);
    stack.app.get("/untouched", Some(&card)).await;
    stack.costs(1, &[&load(&key)]);
    stack.age(&card, 61_000);
    stack.app.get("/untouched", Some(&card)).await;
    stack.costs(2, &[&load(&key), &touch(&key)]);
}

#[tokio::test]
async fn a_logout_of_nobody_is_a_load_and_one_set_of_a_tombstone() {
    let mut stack = Stack::start().await;
    let card = stack.app.get("/write", None).await.card().to_owned();
    stack.cost();
    stack.app.get("/logout", Some(&card)).await;
    stack.costs(2, &[&load(&key(&card)), &delete(&key(&card))]);
}

#[tokio::test]
async fn without_an_absolute_limit_the_entry_lives_on_in_the_same_round_trip() {
    let mut stack = Stack::with(|layer| layer.absolute(None)).await;
    let card = stack.visitor().await;
    let (key, index) = (key(&card), index("alice"));
    let mut prolong = vec![format!("EVALSHA {index} {}", IDLE + 60_000)];
    prolong.push("lua TIME".to_owned());
    for name in ["ZREMRANGEBYSCORE", "ZADD", "ZRANGE", "PEXPIREAT"] {
        prolong.push(format!("lua {name} {index}"));
    }
    stack.app.get("/write", Some(&card)).await;
    stack.costs(2, &[&load(&key), &prolong, &replace(&key)]);
    stack.age(&card, 61_000);
    stack.app.get("/read", Some(&card)).await;
    stack.costs(2, &[&load(&key), &prolong, &touch(&key)]);
    // A session that belongs to nobody has none.
    let anonymous = stack.app.get("/write", None).await.card().to_owned();
    stack.cost();
    let key = format!("keycard:__Host-id:{}", &anonymous[..20]);
    stack.app.get("/write", Some(&anonymous)).await;
    stack.costs(2, &[&load(&key), &replace(&key)]);
}
