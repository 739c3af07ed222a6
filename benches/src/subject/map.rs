//! Hand-written sessions in a sharded map: the lower limit of the cost in memory. There is no layer and no limit on size, and
//! only the expiry is checked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::get;

use super::Setting;
use super::cookie::{self, Reply};
use crate::visitor::App;
use crate::work::{CSRF, NAME, USER_ID, Work};

struct Data {
    user_id: u64,
    name: String,
    csrf: String,
    count: u64,
    expires: Instant,
}

type Shard = Mutex<HashMap<u128, Data>>;

struct Sessions {
    shards: [Shard; 64],
    idle: Duration,
}

type Shared = State<Arc<Sessions>>;

impl Sessions {
    fn shard(&self, id: u128) -> MutexGuard<'_, HashMap<u128, Data>> {
        let shard = &self.shards[(id % 64) as usize];
        shard.lock().expect("no handler panics")
    }

    fn with<T>(&self, id: u128, act: impl FnOnce(&mut Data) -> T) -> T {
        let mut shard = self.shard(id);
        let data = shard.get_mut(&id).expect("a session");
        assert!(data.expires > Instant::now());
        act(data)
    }

    fn insert(&self, data: Data) -> u128 {
        let id = cookie::new_id();
        self.shard(id).insert(id, data);
        id
    }
}

async fn create(State(sessions): Shared) -> Reply {
    let data = Data {
        user_id: USER_ID,
        name: NAME.to_owned(),
        csrf: CSRF.to_owned(),
        count: 0,
        expires: Instant::now() + sessions.idle,
    };
    cookie::set(sessions.insert(data))
}

async fn untouched() -> &'static str {
    "ok"
}

async fn read(State(sessions): Shared, headers: HeaderMap) -> &'static str {
    let id = cookie::presented(&headers).expect("a session cookie");
    let user_id = sessions.with(id, |data| {
        assert_eq!((data.name.len(), data.csrf.len()), (20, 32));
        data.user_id
    });
    assert_eq!(user_id, USER_ID);
    "ok"
}

async fn slide(State(sessions): Shared, headers: HeaderMap) -> &'static str {
    let id = cookie::presented(&headers).expect("a session cookie");
    slide_expiry(&sessions, id);
    "ok"
}

async fn slide_and_set(State(sessions): Shared, headers: HeaderMap) -> Reply {
    let id = cookie::presented(&headers).expect("a session cookie");
    slide_expiry(&sessions, id);
    cookie::set(id)
}

fn slide_expiry(sessions: &Sessions, id: u128) {
    let user_id = sessions.with(id, |data| {
        data.expires = Instant::now() + sessions.idle;
        data.user_id
    });
    assert_eq!(user_id, USER_ID);
}

async fn count(State(sessions): Shared, headers: HeaderMap) -> &'static str {
    let id = cookie::presented(&headers).expect("a session cookie");
    sessions.with(id, |data| data.count += 1);
    "ok"
}

async fn rotate(State(sessions): Shared, headers: HeaderMap) -> Reply {
    let id = cookie::presented(&headers).expect("a session cookie");
    let data = sessions.shard(id).remove(&id).expect("a session");
    cookie::set(sessions.insert(data))
}

pub(super) fn app(setting: Setting) -> App {
    let sessions = Arc::new(Sessions {
        shards: std::array::from_fn(|_| Shard::default()),
        idle: setting.idle,
    });
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
