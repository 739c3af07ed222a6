//! What a promotion undoes: a primary is lost with what its replica has not got yet.
//!
//! The replica is a network away, which takes a while: on one machine it would have everything before the primary can be
//! killed. What is on its way when the primary is lost is lost with it, as with a machine that is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use super::*;
use crate::support::eventually;
use crate::support::redis_server::RedisServer;

/// How long it takes from the primary to the replica, and back again.
const DISTANCE: Duration = Duration::from_millis(2);
const WAIT: Duration = Duration::from_millis(100);
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/failover.md");

/// Carries bytes to a port that may change, with a delay; what is on its way when it is dropped arrives nowhere.
struct Wire {
    port: u16,
    to: Arc<AtomicU16>,
    task: JoinHandle<()>,
}

impl Wire {
    async fn to(port: u16, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let to = Arc::new(AtomicU16::new(port));
        let target = Arc::clone(&to);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let port = target.load(Ordering::SeqCst);
                connections.spawn(async move {
                    let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else {
                        return;
                    };
                    near.set_nodelay(true).unwrap();
                    far.set_nodelay(true).unwrap();
                    let (near_read, near_write) = near.into_split();
                    let (far_read, far_write) = far.into_split();
                    tokio::select! {
                        () = carry(near_read, far_write, delay) => {}
                        () = carry(far_read, near_write, delay) => {}
                    }
                });
            }
        });
        Self {
            port: own,
            to,
            task,
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    delay: Duration,
) {
    let (sender, mut receiver) = mpsc::unbounded_channel::<(tokio::time::Instant, Vec<u8>)>();
    let read = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let due = tokio::time::Instant::now() + delay;
            if sender.send((due, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
    };
    let write = async {
        while let Some((due, bytes)) = receiver.recv().await {
            if !delay.is_zero() {
                tokio::time::sleep_until(due).await;
            }
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = read => {}
        () = write => {}
    }
}

/// Two servers, of which one follows the other across a wire, and a name that leads to the primary.
struct Pair {
    primary: RedisServer,
    replica: RedisServer,
    between: Wire,
    name: Wire,
}

impl Pair {
    async fn start() -> Self {
        let args = [
            "--repl-diskless-sync-delay",
            "0",
            "--repl-backlog-size",
            "16mb",
        ];
        let (primary, replica) = (RedisServer::with(&args), RedisServer::with(&args));
        let pair = Self {
            name: Wire::to(primary.port(), Duration::ZERO).await,
            between: Wire::to(primary.port(), DISTANCE).await,
            primary,
            replica,
        };
        pair.follow().await;
        pair
    }

    async fn follow(&self) {
        let port = self.between.port.to_string();
        self.replica.cli(&["REPLICAOF", "127.0.0.1", &port]);
        let up = async || {
            let state = tokio::task::block_in_place(|| self.replica.cli(&["INFO", "replication"]));
            state.contains("master_link_status:up").then_some(())
        };
        eventually("the replica follows", up).await;
    }

    /// The primary is lost, and the replica takes its place; then the other one comes back as its replica.
    async fn promote(&mut self, clients: &Clients) {
        // What is between them goes down with the primary.
        self.between.task.abort();
        self.primary.kill();
        assert_eq!(self.replica.cli(&["REPLICAOF", "NO", "ONE"]), "OK");
        self.name.to.store(self.replica.port(), Ordering::SeqCst);
        std::mem::swap(&mut self.primary, &mut self.replica);
        tokio::task::block_in_place(|| self.replica.restart());
        self.between = Wire::to(self.primary.port(), DISTANCE).await;
        self.follow().await;
        clients.is_served().await;
    }
}

/// What clients saw while this many primaries were lost.
async fn promotions(count: u32, wait: bool) -> Count {
    let mut pair = Pair::start().await;
    let config = RedisConfig::new(format!("redis://127.0.0.1:{}", pair.name.port));
    let config = match wait {
        true => config.wait_replicas(1, WAIT),
        false => config,
    };
    let clients = Clients::start(app(config).await).await;
    for _ in 0..count {
        pair.promote(&clients).await;
    }
    clients.stop().await
}

/// A short form, but for `KEYCARD_PROMOTIONS=100`.
#[tokio::test(flavor = "multi_thread")]
async fn what_promotions_undo_with_and_without_waiting_for_the_replica() {
    let _alone = alone().await;
    let number = std::env::var("KEYCARD_PROMOTIONS").map_or(4, |number| number.parse().unwrap());
    let without = promotions(number, false).await;
    let with = promotions(number, true).await;
    println!("without: {without:?}\nwith: {with:?}");
    assert!(without.ended.iter().all(|ended| *ended > 0), "{without:?}");
    assert!(with.ended.iter().all(|ended| *ended > 0), "{with:?}");
    assert_eq!(with.reopened, [0; 3], "what a replica had is not undone");
    if std::env::var_os("KEYCARD_WRITE_DOCS").is_some() {
        std::fs::write(PAGE, page(number, &without, &with)).unwrap();
    }
}

/// A figure of the table, and what it is called there.
type Row = (&'static str, fn(&Count) -> u64);

const ROWS: [Row; 9] = [
    ("acknowledged: rotations", |count| count.ended[0]),
    ("acknowledged: logouts", |count| count.ended[1]),
    ("acknowledged: logouts everywhere", |count| count.ended[2]),
    ("**undone: rotations**", |count| count.reopened[0]),
    ("**undone: logouts**", |count| count.reopened[1]),
    ("**undone: logouts everywhere**", |count| count.reopened[2]),
    ("undone: changes, and new sessions", |count| {
        count.undone_writes
    }),
    ("requests that were answered", |count| count.answered),
    ("requests that got 503", |count| count.unavailable),
];

fn page(number: u32, without: &Count, with: &Count) -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("| | by default | `wait_replicas(1, 100 ms)` |\n|---|---:|---:|\n");
    page.push_str(&format!("| promotions | {number} | {number} |\n"));
    for (name, of) in ROWS {
        page.push_str(&format!("| {name} | {} | {} |\n", of(without), of(with)));
    }
    page.push_str(MEANING);
    page
}

#[test]
fn the_page_reports_100_promotions_and_nothing_ended_that_came_back_with_replicas_waited_for() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    assert!(page.starts_with(INTRODUCTION) && page.ends_with(MEANING));
    assert!(page.contains("| promotions | 100 | 100 |\n"));
    let with = |name: &str| -> u64 {
        let row = page.lines().find(|line| line.contains(name)).unwrap();
        row.split('|').nth(3).unwrap().trim().parse().unwrap()
    };
    for (name, _) in &ROWS[3..6] {
        assert_eq!(with(name), 0, "{name}");
    }
}

const INTRODUCTION: &str = "\
# What a fail-over undoes

Redis acknowledges a change before its replicas have it. If a primary is lost at that moment and a replica takes its place, the
change is undone: a user who has logged out is logged in again, and a token that a rotation replaced opens the session again.

In this test 12 clients log in, change their sessions, rotate their tokens, log out, and log out everywhere, as fast as they get
answers. Meanwhile a primary is killed with `SIGKILL` and its replica is promoted, again and again. The network between them
takes 2 ms in each direction, and loses what is in transit when the primary dies. The test remembers every acknowledged change,
and at the end tries each token that was ended.

";

const MEANING: &str = "
By default, a promotion may undo each change that was acknowledged within about the last 2 ms. With a longer network delay it
undoes more, and with a replica that lags, as much as the replica lags.

With `RedisConfig::wait_replicas`, rotations (which include a login on an existing session), logouts and logouts everywhere wait
for the replica. They are acknowledged when the replica has them, so its promotion does not undo them. Changes of data and new
sessions do not wait. For a new session with a user, the entry in the user index does.

If not enough replicas have the change in time, the response is 503. The change was made on the primary, and may or may not
last. After a logout the session is gone, unless a promotion restores it. After a rotation the browser has no token that opens
the session, and its user logs in again. A login is the exception: it writes the user index first, and is not made if too few
replicas have that entry. While a replica that is waited for is gone, no login, rotation or logout succeeds. Therefore run one
more replica than you wait for.

A connection is blocked while it waits, and later calls on it queue up. While replicas are missing, a server handles one such
call per timeout on each of the store's `connections`: ten per second with a timeout of 100 ms. A call that is not sent within
the response timeout gets a 503 too, and its change may not have been made: a session may continue after its logout, until the
user tries again. Therefore keep the timeout short, and configure more connections if many users log out at once.

Some changes can still be undone. If there are more replicas than are waited for, a replica without the change may be promoted.
Redis prefers the replica that has received most, which is the one that answered, unless that one is cut off too. And if the
network splits a cluster or a set of sentinels, a replica may be promoted while its old primary, and a replica with it, are
alive on the other side.

This page is written by
`KEYCARD_PROMOTIONS=100 KEYCARD_WRITE_DOCS=1 cargo test --all-features --test failures promotions`; a few promotions are
part of every test run.
";
