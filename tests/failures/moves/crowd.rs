//! Visitors who log in, write, rotate and log out, one thing after the other, and know what they were told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::app::{Answer, App};
use crate::support::cookie::Cookie;

const VISITORS: usize = 12;

/// How many answers in a row make a visitor believe that everything works.
const ENOUGH: u32 = 10;

/// What they saw, together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) answered: u64,
    pub(crate) unavailable: u64,
    /// Changes that were acknowledged, and are not there, or the session that they were made in.
    pub(crate) undone_writes: u64,
    /// Cards that were ended, and that was acknowledged; by [`End`].
    pub(crate) ended: [u64; 3],
    /// Those of them that open their session all the same.
    pub(crate) reopened: [u64; 3],
}

/// How a card was ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Rotation,
    Logout,
    Revocation,
}

pub(crate) struct Crowd {
    app: App,
    stop: Arc<AtomicBool>,
    count: Arc<Mutex<Count>>,
    /// How many answers each has had in a row.
    in_a_row: watch::Sender<Vec<u32>>,
    visitors: Vec<JoinHandle<Visitor>>,
}

struct Visitor {
    app: App,
    user: String,
    /// How often all sessions of this visitor's users were ended: nobody logs in as the same one for a while.
    revoked: u32,
    count: Arc<Mutex<Count>>,
    number: usize,
    in_a_row: watch::Sender<Vec<u32>>,
    /// The card, and how often its session was written: at least, and at most.
    card: Option<(String, [u32; 2])>,
    /// Cards that are dead, for all that is known.
    ended: Vec<(End, String, String)>,
}

impl Crowd {
    /// Everybody is logged in.
    pub(crate) async fn gather(app: App) -> Self {
        let mut crowd = Self {
            app,
            stop: Arc::default(),
            count: Arc::default(),
            in_a_row: watch::Sender::new(vec![0; VISITORS]),
            visitors: Vec::new(),
        };
        for number in 0..VISITORS {
            let visitor = Visitor {
                app: crowd.app.clone(),
                user: format!("user-{number}-0"),
                revoked: 0,
                count: Arc::clone(&crowd.count),
                number,
                in_a_row: crowd.in_a_row.clone(),
                card: None,
                ended: Vec::new(),
            };
            let stop = Arc::clone(&crowd.stop);
            crowd.visitors.push(tokio::spawn(visitor.stroll(stop)));
        }
        crowd.is_served().await;
        crowd
    }

    /// Waits until each visitor has had some answers in a row from now on.
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

    /// Everybody stops and looks once more at what they were told: also at the cards that are dead.
    pub(crate) async fn disperse(self) -> Count {
        self.stop.store(true, Ordering::SeqCst);
        for visitor in self.visitors {
            visitor.await.unwrap().look_back().await;
        }
        *self.count.lock().unwrap()
    }
}

impl Visitor {
    async fn stroll(mut self, stop: Arc<AtomicBool>) -> Self {
        let mut step = self.number;
        while !stop.load(Ordering::SeqCst) {
            match (&self.card, step % 8) {
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
            self.card = Some((answer.card().to_owned(), [0, 0]));
        }
    }

    async fn read(&mut self) {
        let answer = self.ask("/read", self.card()).await;
        self.note(&answer);
    }

    async fn write(&mut self) {
        let answer = self.ask("/write", self.card()).await;
        if let Some((_, [least, most])) = &mut self.card {
            // An increment without an answer was made, or not; it is never made twice.
            *most += 1;
            if answer.status == 200 && answer.body == self.user {
                *least += 1;
            }
        }
        self.note(&answer);
    }

    /// The count is what the visitor was told.
    async fn look(&mut self) {
        let answer = self.ask("/count", self.card()).await;
        if answer.status == 200 && answer.cookie == Cookie::Untouched {
            self.check(&answer);
        } else {
            self.note(&answer);
        }
    }

    fn check(&mut self, answer: &Answer) {
        let (_, told) = self.card.as_mut().unwrap();
        let count: u32 = answer.body.parse().unwrap();
        assert!(count <= told[1], "{}: {count} of {told:?}", self.user);
        let undone = told[0].saturating_sub(count);
        self.count.lock().unwrap().undone_writes += u64::from(undone);
        // One that had no answer may still come.
        told[0] = count;
    }

    async fn rotate(&mut self) {
        let answer = self.ask("/rotate", self.card()).await;
        match (&answer.cookie, &mut self.card) {
            (Cookie::Set(new), Some((card, _))) if answer.body == self.user => {
                let old = std::mem::replace(card, new.clone());
                self.ended(End::Rotation, old);
            }
            // The new card may have been lost on its way here.
            _ if answer.status == 503 => self.card = None,
            _ => self.note(&answer),
        }
    }

    async fn log_out(&mut self) {
        let answer = self.ask("/logout", self.card()).await;
        if answer.status == 503 {
            // The user tries again. This one forgets the card instead.
            self.card = None;
        } else if answer.body == self.user {
            assert_eq!(answer.cookie, Cookie::Removed, "{answer:?}");
            let (card, _) = self.card.take().unwrap();
            self.ended(End::Logout, card);
        } else {
            self.note(&answer);
        }
    }

    async fn log_out_everywhere(&mut self) {
        let answer = self.ask("/logout_everywhere", self.card()).await;
        let ended = answer.status == 200 && answer.body == self.user;
        match self.card.take() {
            Some((card, _)) if ended => self.ended(End::Revocation, card),
            _ => self.note(&answer),
        }
        self.revoked += 1;
        self.user = format!("user-{}-{}", self.number, self.revoked);
    }

    fn ended(&mut self, end: End, card: String) {
        self.count.lock().unwrap().ended[end as usize] += 1;
        self.ended.push((end, card, self.user.clone()));
    }

    /// A card that was good and opens nothing was undone with the login or the rotation it came from.
    fn note(&mut self, answer: &Answer) {
        // 401: nobody is logged in who could be logged out everywhere.
        if matches!(answer.status, 401 | 409) || (answer.status == 200 && answer.body != self.user)
        {
            self.count.lock().unwrap().undone_writes += 1;
            self.card = None;
        }
    }

    fn card(&self) -> Option<String> {
        self.card.as_ref().map(|(card, _)| card.clone())
    }

    async fn ask(&self, path: &str, card: Option<String>) -> Answer {
        let answer = self.app.get(path, card.as_deref()).await;
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
        if self.card.is_some() {
            self.look().await;
        }
        for (end, card, user) in std::mem::take(&mut self.ended) {
            self.user = user;
            let answer = loop {
                let answer = self.ask("/read", Some(card.clone())).await;
                if answer.status == 200 {
                    break answer;
                }
            };
            let reopened = answer.body == self.user;
            self.count.lock().unwrap().reopened[end as usize] += u64::from(reopened);
        }
    }
}
