//! The model: what sessions are meant to do, written down a second time, as plainly as possible.
//!
//! A record is a few fields, a token two numbers, and a request runs from top to bottom; no bytes, no HTTP, no locks. The model
//! is played beside the real thing: each time a real request's store call was carried out, the model's request must have
//! arrived at the same call, and its answer decides how both go on.
//!
//! It knows neither clients that vanish nor time that passes; the invariants and the drops at every await do.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use crate::script::{ANYBODY, LOG, Operation, Script, tag};
use crate::world::{Answer, Data, Record, Slot, Token, Wanted, World, record};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    Set(Token),
    Remove,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Interrupted,
    Unavailable,
}

/// Whether a commit came to call the store: if not, what was asked for is still asked for.
enum Stored {
    Yes,
    No,
}

/// What the request's token is worth.
#[derive(Clone)]
enum Worth {
    Nothing,
    Unknown,
    Rotated(usize),
    Deleted,
    Valid(Token, Record),
}

#[derive(Clone)]
enum Change {
    Insert(&'static str, String),
    Remove(&'static str),
    Append(String),
    Clear,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    No,
    BySwitch,
    Asked,
}

/// What the browser sent.
#[derive(Clone, Copy)]
pub(crate) enum Sent {
    Nothing,
    NeverIssued,
    Token(Token),
}

/// The model of a request.
struct Request {
    world: Rc<RefCell<World>>,
    number: usize,
    worth: Worth,
    ended: Ended,
    login: Option<&'static str>,
    rotate: bool,
    expiry: Option<u32>,
    changes: Vec<Change>,
    cookie: Option<Cookie>,
    trouble: Option<Trouble>,
    /// Whether this request has begun the session, and nobody is logged in on it.
    unconfirmed: bool,
    /// Whether a touch is due, because the session is unconfirmed and the request brought its token.
    confirms: bool,
}

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) cookie: Option<Cookie>,
}

const ATTEMPTS: usize = 8;

/// A request from its token to its answer.
pub(crate) async fn serve(
    world: Rc<RefCell<World>>,
    number: usize,
    script: Script,
    sent: Sent,
) -> Answered {
    let mut request = Request {
        world,
        number,
        worth: Worth::Nothing,
        ended: Ended::No,
        login: None,
        rotate: false,
        expiry: None,
        changes: Vec::new(),
        cookie: None,
        trouble: None,
        unconfirmed: false,
        confirms: false,
    };
    let status = request.handle(&script, sent).await;
    let committed = request.commit(status >= 500).await;
    Answered {
        status: match committed {
            Ok(()) => status,
            Err(Trouble::Interrupted) => 409,
            Err(Trouble::Unavailable) => 503,
        },
        cookie: request.cookie,
    }
}

impl Request {
    async fn call(&self, wanted: Wanted) -> Answer {
        let number = self.number;
        self.world
            .borrow_mut()
            .lanes
            .entry(number)
            .or_default()
            .wanted = Some(wanted);
        poll_fn(|_| {
            let mut world = self.world.borrow_mut();
            let answer = world
                .lanes
                .get_mut(&number)
                .and_then(|lane| lane.answer.take());
            answer.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    async fn handle(&mut self, script: &Script, sent: Sent) -> u16 {
        match sent {
            Sent::Nothing => {}
            Sent::NeverIssued => match self.call(Wanted::Load(usize::MAX)).await {
                Answer::Found(_) => self.worth = Worth::Unknown,
                _ => return 503,
            },
            Sent::Token(token) => match self.call(Wanted::Load(token.session)).await {
                Answer::Found(found) => {
                    self.worth = evaluate(token, found);
                    self.confirms = self.finds_unconfirmed();
                }
                _ => return 503,
            },
        }
        let mut status = 200;
        for (place, operation) in script.operations.iter().enumerate() {
            let author = self.user().unwrap_or_else(|| ANYBODY.to_owned());
            let entry = format!("{author}/{}", tag(self.number, place));
            match *operation {
                Operation::Read => {}
                Operation::Insert(key) => self.changes.push(Change::Insert(key, entry)),
                Operation::Remove(key) => {
                    if self.data(self.base().as_ref()).contains_key(key) {
                        self.changes.push(Change::Remove(key));
                    }
                }
                Operation::Append => self.changes.push(Change::Append(entry)),
                Operation::Clear => self.changes = vec![Change::Clear],
                Operation::Login(user) => {
                    if self.user().is_some_and(|before| before != user) {
                        let ended = match self.ended {
                            Ended::Asked => Ended::Asked,
                            _ => Ended::BySwitch,
                        };
                        self.forget(ended);
                    }
                    self.login = Some(user);
                }
                Operation::Logout => self.forget(Ended::Asked),
                Operation::Rotate => self.rotate = true,
                Operation::SetExpiry(seconds) => self.expiry = Some(seconds),
                Operation::Save => {
                    if self.commit(false).await.is_err() {
                        return 200;
                    }
                }
                Operation::SaveTwice => {
                    let first = self.commit(false).await;
                    if self.commit(false).await.is_err() || first.is_err() {
                        return 200;
                    }
                }
                Operation::Reload => {
                    if self.reload().await.is_err() {
                        return 503;
                    }
                }
                Operation::Fail => status = 500,
            }
        }
        status
    }

    async fn reload(&mut self) -> Result<(), Trouble> {
        if let Worth::Valid(token, _) = self.worth {
            match self.call(Wanted::Load(token.session)).await {
                Answer::Found(found) => self.worth = evaluate(token, found),
                _ => return Err(Trouble::Unavailable),
            }
            // The client does not have the token of a session that this request has begun.
            self.unconfirmed = self.unconfirmed && self.finds_unconfirmed();
            self.confirms = !self.unconfirmed && self.finds_unconfirmed();
            if !matches!(self.worth, Worth::Valid(..)) {
                self.cookie = None;
            }
        }
        self.trouble = None;
        // A user who logged out stays logged out.
        self.forget(match self.ended {
            Ended::Asked => Ended::Asked,
            Ended::No | Ended::BySwitch => Ended::No,
        });
        Ok(())
    }

    fn finds_unconfirmed(&self) -> bool {
        matches!(&self.worth, Worth::Valid(_, record) if record.unconfirmed)
    }

    fn forget(&mut self, ended: Ended) {
        (self.ended, self.login, self.rotate, self.expiry) = (ended, None, false, None);
        self.changes.clear();
    }

    /// The record that the request still sees.
    fn base(&self) -> Option<Record> {
        match &self.worth {
            Worth::Valid(_, record) if self.ended == Ended::No => Some(record.clone()),
            _ => None,
        }
    }

    fn user(&self) -> Option<String> {
        let base = || self.base().and_then(|record| record.user);
        self.login.map(ToOwned::to_owned).or_else(base)
    }

    fn data(&self, base: Option<&Record>) -> Data {
        let mut data = base.map(|record| record.data.clone()).unwrap_or_default();
        for change in &self.changes {
            match change {
                Change::Insert(key, entry) => {
                    data.insert((*key).to_owned(), vec![entry.clone()]);
                }
                Change::Remove(key) => drop(data.remove(*key)),
                Change::Append(entry) => {
                    data.entry(LOG.to_owned()).or_default().push(entry.clone());
                }
                Change::Clear => data.clear(),
            }
        }
        data
    }

    fn writes(&self) -> bool {
        let Some(base) = self.base() else {
            return self.login.is_some() || !self.data(None).is_empty();
        };
        let sets = self.expiry.is_some() && self.expiry != base.expiry;
        self.login.is_some() || self.rotate || sets || self.data(Some(&base)) != base.data
    }

    async fn commit(&mut self, failed: bool) -> Result<(), Trouble> {
        if let Some(trouble) = self.trouble
            && self.ended != Ended::Asked
            && !failed
        {
            return Err(trouble);
        }
        let result = self.carry_out(failed).await;
        self.trouble = result.as_ref().err().copied();
        match result {
            Ok(Stored::Yes) => self.forget(Ended::No),
            Err(Trouble::Interrupted) => self.cookie = None,
            Ok(Stored::No) | Err(Trouble::Unavailable) => {}
        }
        result.map(drop)
    }

    async fn carry_out(&mut self, failed: bool) -> Result<Stored, Trouble> {
        let (writes, ends) = (self.writes() && !failed, self.ended != Ended::No);
        if failed && self.ended != Ended::Asked {
            return Ok(Stored::No);
        }
        match self.worth.clone() {
            Worth::Valid(Token { session, .. }, _) | Worth::Rotated(session) if ends => {
                self.delete(session).await?;
                if writes {
                    return self.create().await;
                }
                self.worth = Worth::Nothing;
                self.cookie = Some(Cookie::Remove);
                Ok(Stored::Yes)
            }
            Worth::Valid(token, record) if writes => self.replace(token, record).await,
            Worth::Valid(token, record) => Ok(self.touch(token, record).await),
            Worth::Rotated(_) | Worth::Deleted if writes && self.login.is_none() => {
                Err(Trouble::Interrupted)
            }
            _ if writes => self.create().await,
            Worth::Unknown if ends => {
                self.cookie = Some(Cookie::Remove);
                Ok(Stored::No)
            }
            Worth::Nothing | Worth::Unknown | Worth::Rotated(_) | Worth::Deleted => Ok(Stored::No),
        }
    }

    async fn touch(&mut self, token: Token, record: Record) -> Stored {
        let every = self.world.borrow().save_every_request && !self.unconfirmed;
        if !every && !self.confirms {
            return Stored::No;
        }
        match self
            .call(Wanted::Touch(token.session, record.revision))
            .await
        {
            Answer::Done(true) => {
                self.confirms = false;
                if every || record.expiry.is_some() {
                    self.cookie = Some(Cookie::Set(token));
                }
            }
            Answer::Done(false) => self.cookie = None,
            _ => {}
        }
        Stored::Yes
    }

    async fn delete(&mut self, session: usize) -> Result<(), Trouble> {
        for _ in 0..ATTEMPTS {
            match self.call(Wanted::Delete(session)).await {
                Answer::Done(_) => return Ok(()),
                Answer::Unknown => {}
                _ => break,
            }
        }
        Err(Trouble::Unavailable)
    }

    async fn create(&mut self) -> Result<Stored, Trouble> {
        let (session, record) = {
            let mut world = self.world.borrow_mut();
            let session = world.tokens;
            world.tokens += 1;
            let mut record = record(&mut world);
            record.user = self.login.map(ToOwned::to_owned);
            record.unconfirmed = record.user.is_none();
            record.expiry = self.expiry;
            record.data = self.data(None);
            (session, record)
        };
        for _ in 0..ATTEMPTS {
            match self.call(Wanted::Create(session, record.clone())).await {
                Answer::Done(true) => return Ok(self.created(session, record)),
                Answer::Done(false) | Answer::Unknown => {}
                _ => break,
            }
            match self.call(Wanted::Load(session)).await {
                Answer::Found(Some(_)) => return Ok(self.created(session, record)),
                Answer::Found(None) => {}
                _ => break,
            }
        }
        Err(Trouble::Unavailable)
    }

    fn created(&mut self, session: usize, record: Record) -> Stored {
        let verifier = record.verifier;
        let token = Token { session, verifier };
        (self.unconfirmed, self.confirms) = (record.unconfirmed, false);
        self.cookie = Some(Cookie::Set(token));
        self.worth = Worth::Valid(token, record);
        Stored::Yes
    }

    async fn replace(&mut self, token: Token, mut base: Record) -> Result<Stored, Trouble> {
        let rotates = self.rotate || self.login.is_some();
        let new = match rotates {
            true => Token {
                verifier: self.world.borrow_mut().number(),
                ..token
            },
            false => token,
        };
        let mut unanswered: Vec<u64> = Vec::new();
        for _ in 0..ATTEMPTS {
            let mut record = base.clone();
            record.revision = self.world.borrow_mut().number();
            record.writes.insert(record.revision);
            record.data = self.data(Some(&base));
            record.user = self.login.map(ToOwned::to_owned).or(record.user);
            record.expiry = self.expiry.or(record.expiry);
            record.unconfirmed = self.unconfirmed && record.user.is_none();
            if rotates {
                record.retired.push(record.verifier);
                record.verifier = new.verifier;
            }
            let revision = record.revision;
            let call = Wanted::Replace(token.session, base.revision, record.clone());
            let there = match self.call(call).await {
                Answer::Done(_) => {
                    let moved = record.expiry != base.expiry;
                    let slides = self.world.borrow().save_every_request || record.expiry.is_some();
                    if rotates || moved || slides {
                        self.cookie = Some(Cookie::Set(new));
                    }
                    (self.unconfirmed, self.confirms) = (record.unconfirmed, false);
                    self.worth = Worth::Valid(new, record);
                    return Ok(Stored::Yes);
                }
                Answer::Conflict(there) => there,
                Answer::Unknown => {
                    unanswered.push(revision);
                    match self.call(Wanted::Load(token.session)).await {
                        Answer::Found(there) => there,
                        _ => return Err(Trouble::Unavailable),
                    }
                }
                _ => return Err(Trouble::Unavailable),
            };
            let Some(Some(there)) = there else {
                return self.taken_over().await;
            };
            if unanswered.iter().any(|write| there.writes.contains(write)) {
                if there.verifier != new.verifier {
                    self.worth = Worth::Rotated(token.session);
                    self.cookie = None;
                    return Ok(Stored::Yes);
                }
                if rotates {
                    self.cookie = Some(Cookie::Set(new));
                }
                (self.unconfirmed, self.confirms) = (there.unconfirmed, false);
                self.worth = Worth::Valid(new, there);
                return Ok(Stored::Yes);
            }
            if there.verifier != token.verifier {
                return self.taken_over().await;
            }
            // On cleared data an append depends on nothing.
            let clears = matches!(self.changes.first(), Some(Change::Clear));
            let appends = |change: &Change| matches!(change, Change::Append(_));
            let appends = !clears && self.changes.iter().any(appends);
            if there.revision != base.revision && !unanswered.is_empty() && appends {
                return Err(Trouble::Unavailable);
            }
            base = there;
        }
        Err(Trouble::Unavailable)
    }

    async fn taken_over(&mut self) -> Result<Stored, Trouble> {
        if self.login.is_none() {
            return Err(Trouble::Interrupted);
        }
        self.create().await
    }
}

fn evaluate(token: Token, found: Option<Slot>) -> Worth {
    match found {
        None => Worth::Unknown,
        Some(None) => Worth::Deleted,
        Some(Some(record)) if record.verifier == token.verifier => Worth::Valid(token, record),
        Some(Some(record)) if record.retired.contains(&token.verifier) => {
            Worth::Rotated(token.session)
        }
        Some(Some(_)) => Worth::Unknown,
    }
}
