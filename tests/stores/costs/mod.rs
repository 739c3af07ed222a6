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
use tower_keycard::{SessionConfig, SessionLayer};

/// The idle limit, in milliseconds.
const IDLE: u64 = 24 * 60 * 60 * 1000;

/// The idle limit of a session whose token has not come back, in milliseconds.
const UNCONFIRMED: u64 = 60 * 60 * 1000;

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
        Self::with(SessionConfig::new()).await
    }

    async fn with(config: SessionConfig) -> Self {
        let server = RedisServer::start();
        let proxy = Proxy::to(server.port()).await;
        let store = RedisStore::connect(proxy.url()).await.unwrap();
        let layer = SessionLayer::builder(store).config(config);
        let app = App::new(layer.build().unwrap());
        // The server learns the scripts.
        let token = app.logged_in("alice").await;
        app.get("/write", Some(&token)).await;
        age(&server, &token, 61_000);
        app.get("/read", Some(&token)).await;
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

    /// The token of a user who has logged in, which is not counted.
    async fn logged_in(&mut self) -> String {
        let token = self.app.logged_in("alice").await;
        self.cost();
        token
    }

    /// Lets a session of this token lose so many milliseconds of its life, which is not counted.
    fn age(&mut self, token: &str, millis: u64) {
        age(&self.server, token, millis);
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

fn age(server: &RedisServer, token: &str, millis: u64) {
    server.cli(&["EVAL", AGE, "0", &key(token), &millis.to_string()]);
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
        "ZCARD",
    ] {
        commands.push(match name {
            "TIME" => "lua TIME".to_owned(),
            _ => format!("lua {name} {index}"),
        });
    }
    commands
}

/// The entry that goes with the record.
fn unbind(user: &str, token: &str) -> [String; 1] {
    [format!(
        "ZREM {} {id} +{id}",
        index(user),
        id = &token[..20]
    )]
}

#[tokio::test]
async fn a_request_that_does_not_ask_for_its_session_costs_nothing() {
    let mut stack = Stack::start().await;
    let token = stack.logged_in().await;
    for token in [None, Some(&token[..]), Some("not a token")] {
        let answer = stack.app.get("/untouched", token).await;
        assert_eq!(answer.body, "untouched");
        stack.costs(0, &[]);
    }
}

#[tokio::test]
async fn a_read_is_one_get() {
    let mut stack = Stack::start().await;
    let token = stack.logged_in().await;
    assert_eq!(stack.app.get("/read", Some(&token)).await.body, "alice");
    stack.costs(1, &[&load(&key(&token))]);
}

#[tokio::test]
async fn a_read_without_a_token_costs_nothing() {
    let mut stack = Stack::start().await;
    assert_eq!(stack.app.get("/read", None).await.body, "nobody");
    stack.costs(0, &[]);
}

#[tokio::test]
async fn a_new_session_is_one_set_that_overwrites_nothing() {
    let mut stack = Stack::start().await;
    let answer = stack.app.get("/write", None).await;
    let key = key(answer.token());
    stack.costs(1, &[&[format!("SET {key} record NX PX {UNCONFIRMED}")]]);
}

#[tokio::test]
async fn the_first_read_of_a_new_session_confirms_it_by_a_touch_and_a_write_needs_none() {
    let mut stack = Stack::start().await;
    let token = stack.app.get("/write", None).await.token().to_owned();
    let key = key(&token);
    stack.cost();
    stack.app.get("/read", Some(&token)).await;
    stack.costs(2, &[&load(&key), &touch(&key)]);
    stack.app.get("/read", Some(&token)).await;
    stack.costs(1, &[&load(&key)]);
    let token = stack.app.get("/write", None).await.token().to_owned();
    let key = self::key(&token);
    stack.cost();
    stack.app.get("/write", Some(&token)).await;
    stack.cost();
    stack.app.get("/read", Some(&token)).await;
    stack.costs(1, &[&load(&key)]);
}

#[tokio::test]
async fn a_modification_is_a_load_and_one_compare_and_swap() {
    let mut stack = Stack::start().await;
    let token = stack.logged_in().await;
    stack.app.get("/write", Some(&token)).await;
    stack.costs(2, &[&load(&key(&token)), &replace(&key(&token))]);
}

#[tokio::test]
async fn a_rotation_costs_what_a_modification_does() {
    let mut stack = Stack::start().await;
    let token = stack.logged_in().await;
    let answer = stack.app.get("/rotate", Some(&token)).await;
    assert_eq!(key(answer.token()), key(&token));
    stack.costs(2, &[&load(&key(&token)), &replace(&key(&token))]);
}

#[tokio::test]
async fn a_login_on_a_session_costs_what_a_modification_does_and_an_entry_before_it() {
    let mut stack = Stack::start().await;
    let token = stack.app.get("/write", None).await.token().to_owned();
    stack.cost();
    stack.app.get("/login/alice", Some(&token)).await;
    let key = key(&token);
    stack.costs(3, &[&load(&key), &bind("alice"), &replace(&key)]);
}

#[tokio::test]
async fn a_login_without_a_session_is_an_entry_and_one_set() {
    let mut stack = Stack::start().await;
    let answer = stack.app.get("/login/alice", None).await;
    stack.costs(2, &[&bind("alice"), &create(&key(answer.token()))]);
}

#[tokio::test]
async fn a_login_as_another_user_deletes_the_old_session_before_it_creates_the_new() {
    let mut stack = Stack::start().await;
    let token = stack.logged_in().await;
    let answer = stack.app.get("/login/bob", Some(&token)).await;
    let (old, new) = (key(&token), key(answer.token()));
    stack.costs(
        5,
        &[
            &load(&old),
            &delete(&old),
            &unbind("alice", &token),
            &bind("bob"),
            &create(&new),
        ],
    );
}

#[tokio::test]
async fn a_logout_is_a_load_and_one_set_of_a_tombstone_and_then_the_end_of_the_entry() {
    let mut stack = Stack::start().await;
    let token = stack.logged_in().await;
    stack.app.get("/logout", Some(&token)).await;
    let key = key(&token);
    stack.costs(3, &[&load(&key), &delete(&key), &unbind("alice", &token)]);
}

#[tokio::test]
async fn a_read_is_followed_by_a_touch_once_the_session_has_lost_a_refresh_interval() {
    let mut stack = Stack::start().await;
    let token = stack.logged_in().await;
    let key = key(&token);
    stack.age(&token, 59_000);
    assert_eq!(stack.app.get("/read", Some(&token)).await.body, "alice");
    stack.costs(1, &[&load(&key)]);
    stack.age(&token, 2_000);
    assert_eq!(stack.app.get("/read", Some(&token)).await.body, "alice");
    stack.costs(2, &[&load(&key), &touch(&key)]);
    stack.app.get("/read", Some(&token)).await;
    stack.costs(1, &[&load(&key)]);
}

#[tokio::test]
async fn saving_every_request_adds_a_load_and_a_touch_to_one_that_does_not_ask() {
    let mut stack = Stack::with(SessionConfig::new().save_every_request(true)).await;
    let token = stack.logged_in().await;
    for _ in 0..2 {
        stack.app.get("/untouched", Some(&token)).await;
        stack.costs(2, &[&load(&key(&token)), &touch(&key(&token))]);
    }
    stack.app.get("/untouched", None).await;
    stack.costs(0, &[]);
}

#[tokio::test]
async fn saving_every_request_with_a_refresh_interval_adds_a_load_and_now_and_then_a_touch() {
    let config = SessionConfig::new()
        .save_every_request(true)
        .refresh_interval(Duration::from_secs(60));
    let mut stack = Stack::with(config).await;
    let token = stack.logged_in().await;
    let key = key(&token);
    stack.app.get("/untouched", Some(&token)).await;
    stack.costs(1, &[&load(&key)]);
    stack.age(&token, 61_000);
    stack.app.get("/untouched", Some(&token)).await;
    stack.costs(2, &[&load(&key), &touch(&key)]);
}

#[tokio::test]
async fn a_logout_of_nobody_is_a_load_and_one_set_of_a_tombstone() {
    let mut stack = Stack::start().await;
    let token = stack.app.get("/write", None).await.token().to_owned();
    stack.cost();
    stack.app.get("/logout", Some(&token)).await;
    stack.costs(2, &[&load(&key(&token)), &delete(&key(&token))]);
}

#[tokio::test]
async fn without_an_absolute_limit_the_entry_lives_on_in_the_same_round_trip() {
    let mut stack = Stack::with(SessionConfig::new().absolute(None)).await;
    let token = stack.logged_in().await;
    let (key, index) = (key(&token), index("alice"));
    let mut prolong = vec![format!("EVALSHA {index} {}", IDLE + 60_000)];
    prolong.push("lua TIME".to_owned());
    for name in ["ZREMRANGEBYSCORE", "ZADD", "ZRANGE", "PEXPIREAT"] {
        prolong.push(format!("lua {name} {index}"));
    }
    stack.app.get("/write", Some(&token)).await;
    stack.costs(2, &[&load(&key), &prolong, &replace(&key)]);
    stack.age(&token, 61_000);
    stack.app.get("/read", Some(&token)).await;
    stack.costs(2, &[&load(&key), &prolong, &touch(&key)]);
    // A session that belongs to nobody has none.
    let anonymous = stack.app.get("/write", None).await.token().to_owned();
    stack.cost();
    let key = format!("keycard:__Host-id:{}", &anonymous[..20]);
    stack.app.get("/write", Some(&anonymous)).await;
    stack.costs(2, &[&load(&key), &replace(&key)]);
}
