//! Clients that log in, write, rotate and log out, one thing after the other, and remember every answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::app::{Answer, App};
use crate::support::cookie::Cookie;

const CLIENTS: usize = 12;

/// How many answers in a row make a client sure that everything works.
const ENOUGH: u32 = 10;

/// What they saw, together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) answered: u64,
    pub(crate) unavailable: u64,
    /// Changes that were acknowledged, and are not there, or the session that they were made in.
    pub(crate) undone_writes: u64,
    /// Tokens that were ended, and that was acknowledged; by [`End`].
    pub(crate) ended: [u64; 3],
    /// Those of them that open their session all the same.
    pub(crate) reopened: [u64; 3],
}

/// How a token was ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Rotation,
    Logout,
    Revocation,
}

pub(crate) struct Clients {
    app: App,
    stop: Arc<AtomicBool>,
    count: Arc<Mutex<Count>>,
    /// How many answers each has had in a row.
    in_a_row: watch::Sender<Vec<u32>>,
    running: Vec<JoinHandle<Client>>,
}

struct Client {
    app: App,
    user: String,
    /// How often all sessions of this client's users were ended: nobody logs in as the same one for a while.
    revoked: u32,
    count: Arc<Mutex<Count>>,
    number: usize,
    in_a_row: watch::Sender<Vec<u32>>,
    /// The token, and how often its session was written: at least, and at most.
    token: Option<(String, [u32; 2])>,
    /// Tokens that are dead, for all that is known.
    ended: Vec<(End, String, String)>,
}

impl Clients {
    /// All clients are logged in.
    pub(crate) async fn start(app: App) -> Self {
        let mut clients = Self {
            app,
            stop: Arc::default(),
            count: Arc::default(),
            in_a_row: watch::Sender::new(vec![0; CLIENTS]),
            running: Vec::new(),
        };
        for number in 0..CLIENTS {
            let client = Client {
                app: clients.app.clone(),
                user: format!("user-{number}-0"),
                revoked: 0,
                count: Arc::clone(&clients.count),
                number,
                in_a_row: clients.in_a_row.clone(),
                token: None,
                ended: Vec::new(),
            };
            let stop = Arc::clone(&clients.stop);
            clients.running.push(tokio::spawn(client.run(stop)));
        }
        clients.is_served().await;
        clients
    }

    /// Waits until each client has had some answers in a row from now on.
    pub(crate) async fn is_served(&self) {
        self.in_a_row.send_modify(|rows| rows.fill(0));
        let mut rows = self.in_a_row.subscribe();
        let served = rows.wait_for(|rows| rows.iter().all(|row| *row >= ENOUGH));
        let served = tokio::time::timeout(Duration::from_secs(60), served).await;
        assert!(served.is_ok(), "not served: {:?}", self.in_a_row.borrow());
    }

    pub(crate) fn so_far(&self) -> Count {
        *self.count.lock().unwrap()
    }

    /// Every client stops and looks once more at what it was answered: also at the tokens that are dead.
    pub(crate) async fn stop(self) -> Count {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.running {
            client.await.unwrap().look_back().await;
        }
        *self.count.lock().unwrap()
    }
}

impl Client {
    async fn run(mut self, stop: Arc<AtomicBool>) -> Self {
        let mut step = self.number;
        while !stop.load(Ordering::SeqCst) {
            match (&self.token, step % 8) {
                (None, _) => self.log_in().await,
                (_, 0 | 2 | 4) => self.write().await,
                (_, 5) => self.rotate().await,
                (_, 7) if step % 32 == 31 => self.log_out_everywhere().await,
                (_, 7) if step % 16 == 7 => self.log_out().await,
                (_, 1) => self.look().await,
                _ => self.read().await,
            }
            step += 1;
        }
        self
    }

    async fn log_in(&mut self) {
        let answer = self.ask(&format!("/login/{}", self.user), None).await;
        if answer.status == 200 {
            self.token = Some((answer.token().to_owned(), [0, 0]));
        }
    }

    async fn read(&mut self) {
        let answer = self.ask("/read", self.token()).await;
        self.note(&answer);
    }

    async fn write(&mut self) {
        let answer = self.ask("/write", self.token()).await;
        if let Some((_, [least, most])) = &mut self.token {
            // An increment without an answer was made, or not; it is never made twice.
            *most += 1;
            if answer.status == 200 && answer.body == self.user {
                *least += 1;
            }
        }
        self.note(&answer);
    }

    /// Compares the count with the answers.
    async fn look(&mut self) {
        let answer = self.ask("/count", self.token()).await;
        if answer.status == 200 && answer.cookie == Cookie::Untouched {
            self.check(&answer);
        } else {
            self.note(&answer);
        }
    }

    fn check(&mut self, answer: &Answer) {
        let (_, answered) = self.token.as_mut().unwrap();
        let count: u32 = answer.body.parse().unwrap();
        assert!(
            count <= answered[1],
            "{}: {count} of {answered:?}",
            self.user
        );
        let undone = answered[0].saturating_sub(count);
        self.count.lock().unwrap().undone_writes += u64::from(undone);
        // One that had no answer may still come.
        answered[0] = count;
    }

    async fn rotate(&mut self) {
        let answer = self.ask("/rotate", self.token()).await;
        match (&answer.cookie, &mut self.token) {
            (Cookie::Set(new), Some((token, _))) if answer.body == self.user => {
                let old = std::mem::replace(token, new.clone());
                self.ended(End::Rotation, old);
            }
            // The new token may have been lost on its way here.
            _ if answer.status == 503 => self.token = None,
            _ => self.note(&answer),
        }
    }

    async fn log_out(&mut self) {
        let answer = self.ask("/logout", self.token()).await;
        if answer.status == 503 {
            // The user tries again. This one forgets the token instead.
            self.token = None;
        } else if answer.body == self.user {
            assert_eq!(answer.cookie, Cookie::Removed, "{answer:?}");
            let (token, _) = self.token.take().unwrap();
            self.ended(End::Logout, token);
        } else {
            self.note(&answer);
        }
    }

    async fn log_out_everywhere(&mut self) {
        let answer = self.ask("/logout_everywhere", self.token()).await;
        let ended = answer.status == 200 && answer.body == self.user;
        match self.token.take() {
            Some((token, _)) if ended => self.ended(End::Revocation, token),
            _ => self.note(&answer),
        }
        self.revoked += 1;
        self.user = format!("user-{}-{}", self.number, self.revoked);
    }

    fn ended(&mut self, end: End, token: String) {
        self.count.lock().unwrap().ended[end as usize] += 1;
        self.ended.push((end, token, self.user.clone()));
    }

    /// A token that was good and opens nothing was undone with the login or the rotation it came from.
    fn note(&mut self, answer: &Answer) {
        // 401: nobody is logged in who could be logged out everywhere.
        if matches!(answer.status, 401 | 409) || (answer.status == 200 && answer.body != self.user)
        {
            self.count.lock().unwrap().undone_writes += 1;
            self.token = None;
        }
    }

    fn token(&self) -> Option<String> {
        self.token.as_ref().map(|(token, _)| token.clone())
    }

    async fn ask(&self, path: &str, token: Option<String>) -> Answer {
        let answer = self.app.post(path, token.as_deref()).await;
        let mut count = self.count.lock().unwrap();
        match answer.status {
            503 => count.unavailable += 1,
            200 | 401 | 409 => count.answered += 1,
            other => panic!("{path}: {other}"),
        }
        let served = answer.status != 503;
        self.in_a_row.send_modify(|rows| {
            let row = &mut rows[self.number];
            *row = if served { *row + 1 } else { 0 };
        });
        let whose = &answer.body;
        if answer.status == 200 && path != "/count" {
            let own = *whose == self.user || whose == "nobody";
            assert!(own, "{path}: {} sees the session of {whose}", self.user);
        }
        answer
    }

    async fn look_back(mut self) {
        if self.token.is_some() {
            self.look().await;
        }
        for (end, token, user) in std::mem::take(&mut self.ended) {
            self.user = user;
            let answer = loop {
                let answer = self.ask("/read", Some(token.clone())).await;
                if answer.status == 200 {
                    break answer;
                }
            };
            let reopened = answer.body == self.user;
            self.count.lock().unwrap().reopened[end as usize] += u64::from(reopened);
        }
    }
}
