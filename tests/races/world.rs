//! The model's store: records of a few fields, and the calls that wait for it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::script::{ANYBODY, Fault, LOG, Operation, tag};
use crate::stage::Kind;

pub(crate) type Data = BTreeMap<String, Vec<String>>;

/// A session and which of its verifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) session: usize,
    pub(crate) verifier: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// This write and all before it.
    pub(crate) writes: BTreeSet<u64>,
    pub(crate) revision: u64,
    pub(crate) verifier: u64,
    pub(crate) retired: Vec<u64>,
    pub(crate) expiry: Option<u32>,
    pub(crate) user: Option<String>,
    pub(crate) data: Data,
    /// Whether nobody is logged in on it, and no request has brought its token.
    pub(crate) unconfirmed: bool,
}

/// What a session is once it was created: a record, or gone.
pub(crate) type Slot = Option<Record>;

#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    Load(usize),
    Create(usize, Record),
    Replace(usize, u64, Record),
    Touch(usize, u64),
    Delete(usize),
}

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Nothing was ever there; gone; or a record.
    Found(Option<Slot>),
    Done(bool),
    Conflict(Option<Slot>),
    Unavailable,
    Unknown,
}

#[derive(Default)]
pub(crate) struct Lane {
    pub(crate) wanted: Option<Wanted>,
    pub(crate) answer: Option<Answer>,
}

/// The model's store, and the calls that wait for it.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) sessions: BTreeMap<usize, Slot>,
    pub(crate) lanes: BTreeMap<usize, Lane>,
    late: VecDeque<Wanted>,
    numbers: u64,
    pub(crate) tokens: usize,
    pub(crate) save_every_request: bool,
}

impl World {
    pub(crate) fn new(save_every_request: bool) -> Self {
        Self {
            save_every_request,
            ..Self::default()
        }
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Carries out the call at which a request has arrived.
    pub(crate) fn carry_out(&mut self, request: usize, kind: Kind, fault: Fault, late: bool) {
        if late {
            let call = self.late.pop_front().unwrap();
            self.apply(call);
            return;
        }
        let lane = self.lanes.get_mut(&request);
        let wanted = lane.and_then(|lane| lane.wanted.take());
        let wanted = wanted.unwrap_or_else(|| panic!("the model of {request} makes no {kind:?}"));
        let modelled = match wanted {
            Wanted::Load(_) => Kind::Load,
            Wanted::Create(..) => Kind::Create,
            Wanted::Replace(..) => Kind::Replace,
            Wanted::Touch(..) => Kind::Touch,
            Wanted::Delete(_) => Kind::Delete,
        };
        assert_eq!(modelled, kind, "the model of {request} makes another call");
        let answer = match fault {
            Fault::None => self.apply(wanted),
            Fault::Unavailable => Answer::Unavailable,
            Fault::RequestLost => Answer::Unknown,
            Fault::ReplyLost => {
                self.apply(wanted);
                Answer::Unknown
            }
            Fault::AppliedLate => {
                self.late.push_back(wanted);
                Answer::Unknown
            }
        };
        self.lanes.get_mut(&request).unwrap().answer = Some(answer);
    }

    fn apply(&mut self, wanted: Wanted) -> Answer {
        match wanted {
            Wanted::Load(session) => Answer::Found(self.sessions.get(&session).cloned()),
            Wanted::Create(session, record) => {
                let free = !self.sessions.contains_key(&session);
                if free {
                    self.sessions.insert(session, Some(record));
                }
                Answer::Done(free)
            }
            Wanted::Replace(session, expected, record) => match self.sessions.get_mut(&session) {
                Some(Some(there)) if there.revision == expected => {
                    *there = record;
                    Answer::Done(true)
                }
                other => Answer::Conflict(other.cloned()),
            },
            Wanted::Touch(session, expected) => {
                let there = self.sessions.get_mut(&session).and_then(Option::as_mut);
                let there = there.filter(|record| record.revision == expected);
                let found = there.is_some();
                if let Some(record) = there {
                    record.unconfirmed = false;
                }
                Answer::Done(found)
            }
            Wanted::Delete(session) => {
                self.sessions.insert(session, None);
                Answer::Done(true)
            }
        }
    }
}

/// The sessions that stand before the first request: their script, carried out.
pub(crate) fn first(world: &mut World, operations: &[Operation]) -> Token {
    let mut record = record(world);
    for (place, operation) in operations.iter().enumerate() {
        let author = record.user.clone().unwrap_or_else(|| ANYBODY.to_owned());
        let entry = format!("{author}/{}", tag(crate::driver::BEFORE, place));
        match *operation {
            Operation::Login(user) => record.user = Some(user.to_owned()),
            Operation::Insert(key) => drop(record.data.insert(key.to_owned(), vec![entry])),
            Operation::Append => record.data.entry(LOG.to_owned()).or_default().push(entry),
            _ => panic!("no session begins like this"),
        }
    }
    record.unconfirmed = record.user.is_none();
    let verifier = record.verifier;
    world.sessions.insert(0, Some(record));
    world.tokens = 1;
    Token {
        session: 0,
        verifier,
    }
}

pub(crate) fn record(world: &mut World) -> Record {
    let revision = world.number();
    Record {
        writes: BTreeSet::from([revision]),
        revision,
        verifier: world.number(),
        retired: Vec::new(),
        expiry: None,
        user: None,
        data: Data::new(),
        unconfirmed: true,
    }
}
