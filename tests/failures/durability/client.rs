//! One client, which remembers every answer, and looks afterwards whether it still holds.

use std::sync::atomic::{AtomicBool, Ordering};

use super::stage::{Seen, Site};
use super::tally::Tally;
use crate::support::app::Answer;
use crate::support::cookie::Cookie;

/// What a client does, one after the other and then from the beginning: each way in which a session is written.
const JOURNEY: [Step; 14] = [
    Step::Write,
    Step::Write,
    Step::Login,
    Step::Write,
    Step::Rotate,
    Step::Write,
    Step::Write,
    Step::Login,
    Step::Write,
    Step::Switch,
    Step::Write,
    Step::Rotate,
    Step::Write,
    Step::Logout,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Counts one on, in a new session if there is none.
    Write,
    Rotate,
    Login,
    /// Logs in as another user, which ends the session and begins another.
    Switch,
    Logout,
}

/// A session as its last answer left it.
#[derive(Clone, Debug)]
struct Known {
    token: String,
    seen: Seen,
}

/// How a token came to open nothing.
#[derive(Clone, Copy, Debug)]
enum Ended {
    Rotated,
    LoggedOut,
}

pub(crate) struct Client {
    name: String,
    next: usize,
    /// How often it writes before it goes on, so that not all do the same at the same time.
    early: usize,
    known: Option<Known>,
    /// What was being done when the answer was that the store failed.
    unanswered: Option<Step>,
    /// Tokens that were replaced or logged out since the last look.
    ended: Vec<(String, Ended)>,
    /// Those from before that.
    long_ended: Vec<(String, Ended)>,
    tally: Tally,
}

impl Client {
    pub(crate) fn new(number: usize) -> Self {
        Self {
            name: format!("client-{number}"),
            next: 0,
            early: number % JOURNEY.len(),
            known: None,
            unanswered: None,
            ended: Vec::new(),
            long_ended: Vec::new(),
            tally: Tally::default(),
        }
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// One request, and whether it was acknowledged.
    pub(crate) async fn step(&mut self, site: &Site, killed: &AtomicBool) -> bool {
        let step = JOURNEY[self.next];
        let path = match step {
            Step::Write => "/write".to_owned(),
            Step::Rotate => "/rotate".to_owned(),
            Step::Login | Step::Switch => format!("/login/{}", self.user_of(step)),
            Step::Logout => "/logout".to_owned(),
        };
        let token = self.known.as_ref().map(|known| &known.token[..]);
        let answer = site.app.get(&path, token).await;
        let killed = killed.load(Ordering::SeqCst);
        self.tally.amidst += u64::from(killed);
        if answer.status == 200 && self.acknowledged(step, &answer) {
            if self.early > 0 {
                self.early -= 1;
            } else {
                self.next = (self.next + 1) % JOURNEY.len();
            }
            return true;
        }
        // A request that was under way may find another state after the restart than it had begun with, if one was lost.
        assert!(
            answer.status == 503 || killed,
            "{step:?} of {:?} was answered with {answer:?}",
            self.known
        );
        self.unanswered = Some(step);
        self.tally.unanswered += 1;
        false
    }

    /// The user that a step logs in.
    fn user_of(&self, step: Step) -> String {
        match step {
            Step::Switch => format!("{}-again", self.name),
            _ => self.name.clone(),
        }
    }

    /// Remembers what was answered; says so if that does not fit to what is known.
    fn acknowledged(&mut self, step: Step, answer: &Answer) -> bool {
        let user = match (step, &self.known) {
            (Step::Login | Step::Switch, _) => self.user_of(step),
            (_, Some(known)) => known.seen.user.clone(),
            (_, None) => "nobody".to_owned(),
        };
        if answer.body != user {
            return false;
        }
        let token = match &answer.cookie {
            Cookie::Set(token) => Some(token.clone()),
            Cookie::Removed | Cookie::Untouched => None,
        };
        match (step, self.known.take(), token) {
            (Step::Write, None, Some(token)) => {
                self.tally.begun += 1;
                let seen = Seen::session("nobody", 1);
                self.known = Some(Known { token, seen });
            }
            (Step::Write, Some(mut known), None) => {
                self.tally.changed += 1;
                known.seen.count += 1;
                self.known = Some(known);
            }
            (Step::Rotate | Step::Login, Some(mut known), Some(token)) => {
                if step == Step::Login {
                    self.tally.logged_in += 1;
                    known.seen.user = user;
                } else {
                    self.tally.rotated += 1;
                }
                let old = std::mem::replace(&mut known.token, token);
                self.ended.push((old, Ended::Rotated));
                self.known = Some(known);
            }
            (Step::Switch, Some(known), Some(token)) => {
                self.tally.logged_in += 1;
                self.ended.push((known.token, Ended::LoggedOut));
                let seen = Seen::session(&user, 0);
                self.known = Some(Known { token, seen });
            }
            (Step::Logout, Some(known), None) => {
                self.tally.logged_out += 1;
                self.ended.push((known.token, Ended::LoggedOut));
            }
            (_, known, _) => {
                self.known = known;
                return false;
            }
        }
        true
    }

    /// Looks whether everything is as it was acknowledged, and goes on from what there is.
    pub(crate) async fn look(&mut self, site: &Site) {
        let unanswered = self.unanswered.take();
        let ended = std::mem::take(&mut self.ended);
        // Before the session itself: where a rotation is undone, both tokens show it, and it is one loss.
        let undone = self.look_at_ended(site, ended).await;
        let Some(mut known) = self.known.take() else {
            self.next = 0;
            return;
        };
        let seen = site.see(&known.token).await;
        let kept = seen.as_ref() == Some(&known.seen);
        let advanced = Seen::session(&known.seen.user, known.seen.count + 1);
        match (unanswered, seen) {
            (_, Some(_)) if kept => {}
            (Some(Step::Write), Some(seen)) if seen == advanced => {}
            (Some(Step::Rotate | Step::Login), None) => {
                // It was carried out, and its token was lost with the answer. The session has to be there all the same.
                match site.count(&known.token).await {
                    Some(count) => self.behind(&known.seen, count),
                    None => self.tally.sessions += 1,
                }
            }
            (Some(Step::Switch | Step::Logout), None) => {}
            (_, None) if undone => {}
            (_, None) => self.tally.sessions += 1,
            (_, Some(seen)) if seen.user == known.seen.user => {
                self.behind(&known.seen, seen.count);
            }
            (_, Some(_)) => self.tally.impossible += 1,
        }
        match site.see(&known.token).await {
            None => self.next = 0,
            Some(seen) => {
                if seen.user != "nobody" && !site.lists(&seen.user, &known.token).await {
                    self.tally.unlisted += 1;
                }
                known.seen = seen;
                // Where the journey stands that this session is on.
                self.next = match &known.seen.user[..] {
                    "nobody" => 1,
                    user if user == self.name => 3,
                    _ => 10,
                };
                self.known = Some(known);
            }
        }
    }

    /// A count that is behind what was acknowledged is of changes that were lost; one ahead of it is nobody's.
    fn behind(&mut self, known: &Seen, count: u32) {
        match known.count.checked_sub(count) {
            Some(lost) => self.tally.changes += u64::from(lost),
            None => self.tally.impossible += 1,
        }
    }

    /// Looks whether tokens open anything that opened nothing any more; says so if one does.
    async fn look_at_ended(&mut self, site: &Site, ended: Vec<(String, Ended)>) -> bool {
        let mut undone = false;
        for (token, how) in ended {
            if site.see(&token).await.is_some() {
                undone = true;
                match how {
                    Ended::Rotated => self.tally.rotations += 1,
                    Ended::LoggedOut => self.tally.logouts += 1,
                }
            } else {
                self.long_ended.push((token, how));
            }
        }
        undone
    }

    /// Looks at all tokens that ended before the last look.
    pub(crate) async fn look_at_all_that_ended(&mut self, site: &Site) {
        let ended = std::mem::take(&mut self.long_ended);
        self.look_at_ended(site, ended).await;
    }
}
