//! Hand-written sessions over the `redis` crate: the lower limit of the cost in Redis. The last writer wins, a rotation keeps
//! the key, and nothing is checked.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::get;
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use redis::{ExistenceCheck, Expiry, SetExpiry, SetOptions};
use serde::{Deserialize, Serialize};

use super::Setting;
use super::cookie::{self, Reply};
use crate::visitor::App;
use crate::work::{CSRF, NAME, USER_ID, Work};

#[derive(Serialize, Deserialize)]
struct Data {
    user_id: u64,
    name: String,
    csrf: String,
    count: u64,
}

#[derive(Clone)]
struct Sessions {
    connection: MultiplexedConnection,
    idle: Duration,
}

type Shared = State<Sessions>;

impl Sessions {
    fn milliseconds(&self) -> u64 {
        self.idle.as_millis() as u64
    }

    fn options(&self) -> SetOptions {
        SetOptions::default().with_expiration(SetExpiry::PX(self.milliseconds()))
    }

    async fn get(&mut self, id: u128) -> Data {
        let json: Vec<u8> = self.connection.get(key(id)).await.expect("a session");
        serde_json::from_slice(&json).expect("a session")
    }

    async fn get_and_slide(&mut self, id: u128) -> Data {
        let expiry = Expiry::PX(self.milliseconds());
        let json: Vec<u8> = self
            .connection
            .get_ex(key(id), expiry)
            .await
            .expect("a session");
        serde_json::from_slice(&json).expect("a session")
    }

    async fn set(&mut self, id: u128, data: &Data, options: SetOptions) {
        let json = serde_json::to_vec(data).expect("JSON");
        let done: bool = self
            .connection
            .set_options(key(id), json, options)
            .await
            .expect("an answer");
        assert!(done);
    }
}

fn key(id: u128) -> String {
    format!("session:{id:032x}")
}

async fn create(State(mut sessions): Shared) -> Reply {
    let data = Data {
        user_id: USER_ID,
        name: NAME.to_owned(),
        csrf: CSRF.to_owned(),
        count: 0,
    };
    let id = cookie::new_id();
    let options = sessions.options().conditional_set(ExistenceCheck::NX);
    sessions.set(id, &data, options).await;
    cookie::set(id)
}

async fn untouched() -> &'static str {
    "ok"
}

async fn read(State(mut sessions): Shared, headers: HeaderMap) -> &'static str {
    let id = cookie::presented(&headers).expect("a session cookie");
    assert_eq!(sessions.get(id).await.user_id, USER_ID);
    "ok"
}

async fn slide(State(mut sessions): Shared, headers: HeaderMap) -> &'static str {
    let id = cookie::presented(&headers).expect("a session cookie");
    assert_eq!(sessions.get_and_slide(id).await.user_id, USER_ID);
    "ok"
}

async fn slide_and_set(State(mut sessions): Shared, headers: HeaderMap) -> Reply {
    let id = cookie::presented(&headers).expect("a session cookie");
    assert_eq!(sessions.get_and_slide(id).await.user_id, USER_ID);
    cookie::set(id)
}

async fn count(State(mut sessions): Shared, headers: HeaderMap) -> &'static str {
    let id = cookie::presented(&headers).expect("a session cookie");
    let mut data = sessions.get(id).await;
    data.count += 1;
    let options = sessions.options();
    sessions.set(id, &data, options).await;
    "ok"
}

async fn rotate(State(mut sessions): Shared, headers: HeaderMap) -> Reply {
    let id = cookie::presented(&headers).expect("a session cookie");
    let data = sessions.get(id).await;
    let options = sessions.options();
    sessions.set(id, &data, options).await;
    cookie::set(id)
}

pub(super) async fn app(setting: Setting) -> App {
    let client = redis::Client::open(setting.redis.as_str()).expect("a URL");
    let connection = client.get_multiplexed_async_connection().await;
    let sessions = Sessions {
        connection: connection.expect("a Redis server"),
        idle: setting.idle,
    };
    let work = match setting.work {
        Work::W0 | Work::W1 => get(untouched),
        Work::W2 => get(read),
        Work::W3 => get(count),
        Work::W4 => get(create),
        Work::W5 => get(rotate),
        Work::W6 => get(slide),
        Work::W7 => get(slide_and_set),
    };
    let router = Router::new()
        .route("/seed", get(create))
        .route("/work", work);
    App::Axum(router.with_state(sessions))
}
