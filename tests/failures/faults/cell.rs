//! One fault and one kind of request: what is to be seen, and what must be true of it.

use std::time::{Duration, Instant};

use super::DEADLINE;
use super::fault::{Fault, Gone};
use super::stage::Stage;
use crate::support::app::{Answer, App};
use crate::support::cookie::Cookie;

/// What a request may take above its deadline.
const SLACK: Duration = Duration::from_millis(50);

/// How soon all must be well again.
const RECOVERY: Duration = Duration::from_secs(1);

/// How long to wait for it before giving up.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a request that took too long is tried again: a machine that runs other tests too may stop for a moment.
const TRIES: u32 = 3;

const USERS: [&str; 2] = ["alice", "bob"];

/// What a visitor asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Untouched,
    Read,
    Create,
    Modify,
    Rotate,
    LogOut,
}

impl Request {
    pub(crate) const ALL: [Self; 6] = [
        Self::Untouched,
        Self::Read,
        Self::Create,
        Self::Modify,
        Self::Rotate,
        Self::LogOut,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Untouched => "untouched",
            Self::Read => "read",
            Self::Create => "new session",
            Self::Modify => "modify",
            Self::Rotate => "rotate",
            Self::LogOut => "log out",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Untouched => "/untouched",
            Self::Read => "/read",
            Self::Create | Self::Modify => "/write",
            Self::Rotate => "/rotate",
            Self::LogOut => "/logout",
        }
    }
}

/// When a fault begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Moment {
    /// Before the request comes.
    Before,
    /// While its handler runs, which has read the session.
    Amidst,
}

/// What was seen.
pub(crate) struct Observed {
    /// What all visitors got, as it stands in the table.
    pub(crate) cell: String,
    /// How long the slower visitor waited.
    pub(crate) taken: Duration,
    /// How long it took until all was well again.
    pub(crate) recovery: Duration,
}

pub(crate) async fn observe(
    stage: &mut Stage,
    fault: Fault,
    request: Request,
    moment: Moment,
) -> Observed {
    let mut seen = once(stage, fault, request, moment).await;
    let in_time = |seen: &Observed| seen.taken <= DEADLINE + SLACK && seen.recovery <= RECOVERY;
    for _ in 1..TRIES {
        if in_time(&seen) {
            break;
        }
        let again = once(stage, fault, request, moment).await;
        assert_eq!(seen.cell, again.cell, "{fault:?} {request:?} {moment:?}");
        seen.taken = seen.taken.min(again.taken);
        seen.recovery = seen.recovery.min(again.recovery);
    }
    assert!(
        in_time(&seen),
        "{fault:?} {request:?} {moment:?}: at best answered after {:?}, and well again after {:?}",
        seen.taken,
        seen.recovery
    );
    seen
}

async fn once(stage: &mut Stage, fault: Fault, request: Request, moment: Moment) -> Observed {
    let mut cards = Vec::new();
    for user in USERS {
        cards.push(stage.app.logged_in(user).await);
    }
    let visits = cards.iter().map(|card| {
        let card = (request != Request::Create).then(|| card.clone());
        visit(stage.app.clone(), request.path(), card)
    });
    let (answers, taken) = match moment {
        Moment::Before => {
            let visits: Vec<_> = visits.collect();
            fault.begin(stage, &cards);
            let start = Instant::now();
            let answers = together(visits.into_iter().map(tokio::spawn)).await;
            (answers, start.elapsed())
        }
        Moment::Amidst => {
            stage.app.gate.close();
            let visits: Vec<_> = visits.map(tokio::spawn).collect();
            stage.app.gate.gathered(2).await;
            fault.begin(stage, &cards);
            let start = Instant::now();
            stage.app.gate.open(2);
            let answers = together(visits).await;
            (answers, start.elapsed())
        }
    };
    let about = format!("{fault:?} {request:?} {moment:?}");
    let cells: Vec<_> = cards
        .iter()
        .zip(&answers)
        .map(|(card, answer)| cell(card, answer, request))
        .collect();
    assert_eq!(cells[0], cells[1], "{about}: all are treated alike");
    for (user, answer) in USERS.into_iter().zip(&answers) {
        is_nobody_else(user, fault, request, moment, answer);
    }

    fault.end(stage);
    let recovery = until_well(&stage.app, &about).await;
    for ((user, card), answer) in USERS.into_iter().zip(&cards).zip(&answers) {
        is_as_promised(&stage.app, user, card, answer, (fault, request, moment)).await;
    }
    Observed {
        cell: cells[0].clone(),
        taken,
        recovery,
    }
}

/// How long it takes until a session can be stored again.
async fn until_well(app: &App, about: &str) -> Duration {
    let start = Instant::now();
    while app.get("/write", None).await.status != 200 {
        assert!(start.elapsed() < PATIENCE, "{about}: not well again");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    start.elapsed()
}

async fn visit(app: App, path: &'static str, card: Option<String>) -> Answer {
    app.get(path, card.as_deref()).await
}

/// All the answers. A handler or a commit that panicked is a failure of the test.
async fn together(
    visits: impl IntoIterator<Item = tokio::task::JoinHandle<Answer>>,
) -> Vec<Answer> {
    let visits: Vec<_> = visits.into_iter().collect();
    let mut answers = Vec::new();
    for visit in visits {
        answers.push(visit.await.unwrap());
    }
    answers
}

/// An answer as it stands in the table.
fn cell(card: &str, answer: &Answer, request: Request) -> String {
    let status = answer.status;
    match &answer.cookie {
        Cookie::Set(new) if new[..20] == card[..20] => format!("{status} new card"),
        Cookie::Set(_) => format!("{status} new session"),
        Cookie::Removed => format!("{status} card removed"),
        Cookie::Untouched if answer.body == "nobody" && request != Request::Create => {
            format!("{status} no session")
        }
        Cookie::Untouched => status.to_string(),
    }
}

/// Whoever is answered sees their own session, or none where there is none; and what fails sends no cookie.
fn is_nobody_else(user: &str, fault: Fault, request: Request, moment: Moment, answer: &Answer) {
    let about = format!("{fault:?} {request:?} {moment:?} {user}: {answer:?}");
    let gone = fault.sessions_are_gone();
    let none = request == Request::Create
        || moment == Moment::Before && matches!(gone, Gone::AtOnce | Gone::Meanwhile);
    match (answer.status, request) {
        (200, Request::Untouched) => assert_eq!(answer.cookie, Cookie::Untouched, "{about}"),
        (200, _) => assert_eq!(answer.body, if none { "nobody" } else { user }, "{about}"),
        (409 | 503, _) => {
            assert_eq!(answer.body, "", "{about}");
            assert_eq!(answer.cookie, Cookie::Untouched, "{about}");
        }
        _ => panic!("{about}"),
    }
}

/// Afterwards, what was answered is true.
async fn is_as_promised(
    app: &App,
    user: &str,
    old: &str,
    answer: &Answer,
    (fault, request, moment): (Fault, Request, Moment),
) {
    let about = format!("{fault:?} {request:?} {moment:?} {user}: {answer:?}");
    let gone = match fault.sessions_are_gone() {
        Gone::Never | Gone::Meanwhile => false,
        Gone::AtOnce | Gone::Afterwards => true,
    };
    let done = answer.status == 200;
    let unsure = !done && fault.may_hide_a_change();
    match (&answer.cookie, request) {
        (Cookie::Set(card), Request::Create | Request::Modify) => {
            let expected = if fault.new_sessions_stay() { "1" } else { "0" };
            assert_eq!(count(app, card).await, expected, "{about}");
            assert_eq!(owner(app, card).await, "nobody", "{about}");
        }
        (Cookie::Set(card), _) => {
            assert_eq!(owner(app, card).await, user, "{about}");
            assert_eq!(
                owner(app, old).await,
                "nobody",
                "{about}: the old card is dead"
            );
        }
        // Nothing was there to be ended.
        (Cookie::Removed, _)
            if fault.sessions_are_gone() == Gone::Meanwhile && moment == Moment::Before =>
        {
            assert_eq!(owner(app, old).await, user, "{about}");
        }
        (Cookie::Removed, _) => assert_eq!(owner(app, old).await, "nobody", "{about}"),
        // A record that was damaged after it was read is replaced by a whole one.
        (_, Request::Modify) if done && moment == Moment::Amidst => {
            assert_eq!(owner(app, old).await, user, "{about}");
            assert_eq!(count(app, old).await, "1", "{about}");
        }
        _ if gone => assert_eq!(owner(app, old).await, "nobody", "{about}"),
        (_, Request::Modify) => {
            assert_eq!(owner(app, old).await, user, "{about}");
            let expected = if done { "1" } else { "0" };
            let count = count(app, old).await;
            assert!(
                count == expected || unsure && count == "1",
                "{about}: {count}"
            );
        }
        (_, Request::Rotate | Request::LogOut) if unsure => {
            let owner = owner(app, old).await;
            assert!(owner == user || owner == "nobody", "{about}: now {owner}");
        }
        _ => assert_eq!(owner(app, old).await, user, "{about}"),
    }
}

/// Whose session a card opens.
async fn owner(app: &App, card: &str) -> String {
    app.get("/read", Some(card)).await.body
}

/// How often it was written to.
async fn count(app: &App, card: &str) -> String {
    app.get("/count", Some(card)).await.body
}
