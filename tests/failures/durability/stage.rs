//! A server, an application on it, and its clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower_keycard::SessionLayer;
use tower_keycard::session::Users;
use tower_keycard::store::{Loaded, RecordKey, RedisStore, SessionStore};

use super::client::Client;
use super::tally::Tally;
use crate::support::app::App;
use crate::support::cookie::{NAME, id};
use crate::support::eventually;
use crate::support::redis_server::RedisServer;

/// How many send requests at the same time.
const CLIENTS: usize = 32;

/// What a session holds, as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) user: String,
    pub(crate) count: u32,
}

impl Seen {
    pub(crate) fn session(user: &str, count: u32) -> Self {
        Self {
            user: user.to_owned(),
            count,
        }
    }
}

/// The application, and a look past it.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) app: App,
    users: Users,
    store: RedisStore,
}

impl Site {
    /// What a token opens.
    pub(crate) async fn see(&self, token: &str) -> Option<Seen> {
        let user = self.answer("/read", token).await;
        let count = self.answer("/count", token).await.parse().unwrap();
        // A session begins with a count or a login.
        (user != "nobody" || count > 0).then_some(Seen { user, count })
    }

    /// The server may still be reading its file, or the machine be busy, here and below.
    async fn answer(&self, path: &str, token: &str) -> String {
        let answered = eventually("an answer", async || {
            let answer = self.app.get(path, Some(token)).await;
            (answer.status == 200).then_some(answer.body)
        });
        answered.await.0
    }

    /// What the session of a token counts that may open it no more.
    pub(crate) async fn count(&self, token: &str) -> Option<u32> {
        let key = RecordKey::new(NAME, id(token));
        let loaded = eventually("the record", async || self.store.load(&key).await.ok());
        match loaded.await.0 {
            Loaded::Record { record, .. } => {
                let data: serde_json::Value = serde_json::from_str(record.json()).unwrap();
                let count = data["count"].as_u64().unwrap_or(0);
                Some(u32::try_from(count).unwrap())
            }
            _ => None,
        }
    }

    /// Whether a user's list has the session of a token.
    pub(crate) async fn lists(&self, user: &str, token: &str) -> bool {
        let listed = eventually("a list", async || self.users.sessions_of(user).await.ok());
        listed.await.0.iter().any(|session| session.id == id(token))
    }
}

pub(crate) struct Stage {
    server: RedisServer,
    site: Site,
    clients: Vec<Client>,
    kills: u32,
}

impl Stage {
    pub(crate) async fn start(args: &[&str]) -> Self {
        let server = RedisServer::with(args);
        let store = RedisStore::connect(server.url()).await.unwrap();
        let layer = SessionLayer::new(store.clone());
        let site = Site {
            users: layer.users(),
            app: App::new(layer),
            store,
        };
        Self {
            server,
            site,
            clients: (0..CLIENTS).map(Client::new).collect(),
            kills: 0,
        }
    }

    /// Lets the clients write until so many writes were acknowledged; kills the server amidst of it, and starts it again.
    pub(crate) async fn load(&mut self, writes: u32) {
        self.kills += 1;
        let mut load = Load::start(&self.site, std::mem::take(&mut self.clients));
        load.acknowledged(writes).await;
        self.server.kill();
        self.clients = load.stop(|| self.server.restart()).await;
    }

    /// The same, with a snapshot before so many of the last writes, from which the server starts again.
    pub(crate) async fn load_after_a_snapshot(&mut self, before: u32, after: u32) {
        self.kills += 1;
        let mut load = Load::start(&self.site, std::mem::take(&mut self.clients));
        load.acknowledged(before).await;
        assert_eq!(self.server.cli(&["SAVE"]), "OK");
        load.acknowledged(after).await;
        self.server.kill();
        self.clients = load.stop(|| self.server.restart()).await;
    }

    /// Lets each client look whether everything is as it was acknowledged.
    pub(crate) async fn look(&mut self) {
        self.each(async |client, site| client.look(site).await)
            .await;
    }

    /// The same for the tokens that ended before the last kill.
    pub(crate) async fn look_at_all_that_ended(&mut self) {
        self.each(async |client, site| client.look_at_all_that_ended(site).await)
            .await;
    }

    async fn each(&mut self, look: impl AsyncFn(&mut Client, &Site)) {
        for client in &mut self.clients {
            look(client, &self.site).await;
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        let mut all = Tally {
            kills: self.kills,
            ..Tally::default()
        };
        for client in &self.clients {
            all.add(client.tally());
        }
        all
    }
}

/// Clients that write, each one request after the other, until one fails or they are to stop.
struct Load {
    clients: JoinSet<Client>,
    failed: Vec<Client>,
    acknowledged: Arc<Semaphore>,
    killed: Arc<AtomicBool>,
}

impl Load {
    fn start(site: &Site, clients: Vec<Client>) -> Self {
        let acknowledged = Arc::new(Semaphore::new(0));
        let killed = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for mut client in clients {
            let (site, acknowledged) = (site.clone(), acknowledged.clone());
            let killed = killed.clone();
            tasks.spawn(async move {
                while !killed.load(Ordering::SeqCst) && client.step(&site, &killed).await {
                    acknowledged.add_permits(1);
                }
                client
            });
        }
        Self {
            clients: tasks,
            failed: Vec::new(),
            acknowledged,
            killed,
        }
    }

    /// Returns when so many more writes were acknowledged, or nobody is left who writes.
    async fn acknowledged(&mut self, writes: u32) {
        let acknowledged = self.acknowledged.clone();
        let enough = acknowledged.acquire_many(writes);
        tokio::pin!(enough);
        loop {
            tokio::select! {
                acknowledged = &mut enough => return acknowledged.unwrap().forget(),
                client = self.clients.join_next() => match client {
                    // On a machine that stands still for half a second.
                    Some(client) => self.failed.push(client.unwrap()),
                    // For all of them: as good a moment as any other.
                    None => return,
                },
            }
        }
    }

    /// Lets nobody begin another request, restarts the server, and waits for the requests that are under way: some find the
    /// server again before they give up.
    async fn stop(self, restart: impl FnOnce()) -> Vec<Client> {
        self.killed.store(true, Ordering::SeqCst);
        restart();
        let mut clients = self.clients.join_all().await;
        clients.extend(self.failed);
        clients
    }
}
