//! A client may hang up at any await: its request is dropped after each number of polls that it can take.
//!
//! Whatever was asked for is then either stored as a whole or not at all, and no other request gets to see any of it.

use std::future::poll_fn;
use std::task::Poll;

use http::Response;
use tower_keycard::store::{MemoryStore, RedisStore, SessionStore};
use tower_keycard::{Clock, SessionLayer};

use crate::browser::SetCookie;
use crate::driver::{Answering, START, key_of, request};
use crate::facts::Facts;
use crate::schedules::runtime;
use crate::script::Operation::{
    Append, Clear, Fail, Insert, Login, Logout, Read, Remove, Rotate, Save, SaveTwice, SetExpiry,
};
use crate::script::{Notes, Operation, Script};
use crate::stage::{Found, Stage, StagedStore};
use crate::support::random::Random;
use crate::support::redis_server::RedisServer;

/// How a session stands, apart from what is random.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    Ended,
    Alive {
        user: Option<String>,
        data: Vec<String>,
        rotated: bool,
    },
}

/// A session in the store, whose every value names its number.
struct Client {
    number: usize,
    token: String,
    verifier: [u8; 32],
}

struct Fixture<S> {
    store: S,
    /// Over a store whose every call yields before and after it is carried out.
    layer: SessionLayer,
    /// Over the store itself.
    direct: SessionLayer,
    /// Whether the calls of all requests share a connection.
    one_connection: bool,
    clients: usize,
    drops: u64,
}

impl<S: SessionStore + Clone> Fixture<S> {
    fn new(store: S, one_connection: bool) -> Self {
        let stage = Stage::default();
        let lane = stage.open_free_lane();
        let yielding = StagedStore {
            store: store.clone(),
            stage,
            lane,
        };
        Self {
            layer: SessionLayer::new(yielding),
            direct: SessionLayer::new(store.clone()),
            store,
            one_connection,
            clients: 0,
            drops: 0,
        }
    }

    async fn begin(&mut self, alice: bool) -> Client {
        self.clients += 1;
        let number = self.clients;
        let operations: &[_] = if alice {
            &[Login("alice"), Insert("a"), Append]
        } else {
            &[Insert("a"), Append]
        };
        let script = Script::new(operations);
        let answer = request(&self.direct, number, &script, &Notes::default(), None).await;
        let Some(SetCookie::Set(token)) = SetCookie::of(answer.unwrap().headers()) else {
            panic!("a first write sets a cookie");
        };
        let verifier = self.facts(&token).await.unwrap().verifier;
        Client {
            number,
            token,
            verifier,
        }
    }

    async fn facts(&self, token: &str) -> Option<Facts> {
        match self.store.load(&key_of(token)).await.unwrap().into() {
            Found::Record(record) => Some(Facts::of(&record)),
            Found::Nothing | Found::Tombstone => None,
        }
    }

    async fn standing(&self, client: &Client) -> Standing {
        let Some(facts) = self.facts(&client.token).await else {
            return Standing::Ended;
        };
        let own = format!("/r{}o", client.number);
        let entries = facts.data.into_iter();
        let strip = |entry: String| {
            assert!(entry.contains(&own), "{entry} is another client's");
            entry.replace(&own, "/")
        };
        Standing::Alive {
            user: facts.user,
            data: entries
                .flat_map(|(key, entries)| {
                    std::iter::once(key).chain(entries.into_iter().map(strip))
                })
                .collect(),
            rotated: facts.verifier != client.verifier,
        }
    }

    fn request(&self, client: &Client, operations: &[Operation], notes: &Notes) -> Answering {
        let script = Script::new(operations);
        request(
            &self.layer,
            client.number,
            &script,
            notes,
            Some(&client.token),
        )
    }

    /// How sessions may stand after a part of a script: as before, as after each save, and as after all of it.
    async fn standings(&mut self, operations: &[Operation], alice: bool) -> Vec<Standing> {
        let mut standings = Vec::new();
        for end in 0..=operations.len() {
            let saved = end > 0 && matches!(operations[end - 1], Save | SaveTwice);
            if end == 0 || saved || end == operations.len() {
                let client = self.begin(alice).await;
                let part = &operations[..end];
                self.request(&client, part, &Notes::default())
                    .await
                    .unwrap();
                standings.push(self.standing(&client).await);
            }
        }
        standings
    }

    /// Drops a request after each number of polls, until that is enough for it to be answered.
    async fn drop_everywhere(&mut self, operations: &[Operation], alice: bool) {
        let standings = self.standings(operations, alice).await;
        let bystander = self.begin(!alice).await;
        let mut client = self.begin(alice).await;
        for polls in 0.. {
            let notes = Notes::default();
            let request = self.request(&client, operations, &notes);
            let answer = poll_times(request, polls).await;
            if self.one_connection {
                // While what was left behind is still under way, and its replies are.
                self.is_itself(&bystander).await;
            }
            self.layer.drain().await;

            let standing = self.standing(&client).await;
            let what = format!("{operations:?} dropped after {polls} polls");
            if notes.logged_out() {
                assert_eq!(standing, Standing::Ended, "{what}");
            } else {
                assert!(
                    standings.contains(&standing),
                    "{what}: {standing:?} of {standings:?}"
                );
            }
            if answer.is_some() {
                assert_eq!(Some(&standing), standings.last(), "{what}");
                break;
            }
            self.drops += 1;
            if standing != standings[0] {
                client = self.begin(alice).await;
            }
        }
        self.is_itself(&bystander).await;
    }

    /// A request with a client's token sees that client's data.
    async fn is_itself(&self, client: &Client) {
        let notes = Notes::default();
        let answer = self.request(client, &[Read], &notes).await.unwrap();
        assert_eq!(answer.status(), 200);
        let sight = notes.sights().pop().unwrap();
        assert!(sight.exists);
        let own = format!("/r{}o", client.number);
        let mut entries = sight.data.iter().flat_map(|(_, entries)| entries);
        assert!(entries.all(|entry| entry.contains(&own)), "{sight:?}");
    }
}

/// Polls a request this many times, and drops it if it is not done by then.
async fn poll_times(mut request: Answering, polls: usize) -> Option<Response<()>> {
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match request.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(answer.ok()),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Drops requests of made-up scripts until there were this many drops.
async fn drop_until<S>(store: S, one_connection: bool, drops: u64) -> u64
where
    S: SessionStore + Clone,
{
    const OPERATIONS: &[Operation] = &[
        Read,
        Insert("b"),
        Remove("a"),
        Append,
        Clear,
        Login("alice"),
        Login("bob"),
        Logout,
        Rotate,
        SetExpiry(600),
        Save,
        SaveTwice,
        Fail,
    ];
    let mut random = Random::new(drops);
    let mut fixture = Fixture::new(store, one_connection);
    for alice in [false, true] {
        for operation in OPERATIONS {
            fixture.drop_everywhere(&[*operation], alice).await;
        }
    }
    while fixture.drops < drops {
        let operations: Vec<_> = (0..=random.below(4))
            .map(|_| random.one_of(OPERATIONS))
            .collect();
        fixture
            .drop_everywhere(&operations, random.below(2) == 0)
            .await;
    }
    fixture.drops
}

const IN_MEMORY: u64 = 92_000;
const IN_REDIS: u64 = 8_000;

#[test]
fn a_request_dropped_at_any_await_is_carried_out_as_a_whole_or_not_at_all() {
    let clock = Clock::manual(START);
    let store = MemoryStore::builder().clock(clock).build();
    let drops = runtime().block_on(drop_until(store, false, IN_MEMORY));
    println!("{drops} drops over memory");
    assert!(drops >= IN_MEMORY);
}

#[test]
fn a_request_dropped_at_any_await_of_a_call_to_redis_is_too() {
    let server = RedisServer::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let drops = runtime.block_on(async {
        let store = RedisStore::connect(server.patiently()).await.unwrap();
        drop_until(store, true, IN_REDIS).await
    });
    println!("{drops} drops over Redis");
    assert!(drops >= IN_REDIS);
}
