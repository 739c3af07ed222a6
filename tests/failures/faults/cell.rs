//! One cell of the table: sends one kind of request during one fault, and checks what must hold in every cell.

use std::time::{Duration, Instant};

use super::DEADLINE;
use super::fault::{Fault, Gone};
use super::stage::Stage;
use crate::support::app::{Answer, App};
use crate::support::cookie::Cookie;

/// The time that a request may take beyond the store's timeout.
const SLACK: Duration = Duration::from_millis(50);

/// The time within which everything must work again.
const RECOVERY: Duration = Duration::from_secs(1);

/// The time after which the test no longer waits for the recovery.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);

/// How often a request is tried if it takes too long: a machine that runs other tests too may pause for a moment.
const TRIES: u32 = 3;

const USERS: [&str; 2] = ["alice", "bob"];

/// What a client requests.
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
    /// Before the request.
    Before,
    /// While the handler runs, after it has read the session.
    During,
}

/// The observations for one cell.
pub(crate) struct Observed {
    /// The text of the cell, the same for all clients.
    pub(crate) cell: String,
    /// How long the slower client waited.
    pub(crate) taken: Duration,
    /// The time from the end of the fault until everything worked again.
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
        "{fault:?} {request:?} {moment:?}: at best answered after {:?}, and recovered after {:?}",
        seen.taken,
        seen.recovery
    );
    seen
}

async fn once(stage: &mut Stage, fault: Fault, request: Request, moment: Moment) -> Observed {
    let mut tokens = Vec::new();
    for user in USERS {
        tokens.push(stage.app.logged_in(user).await);
    }
    let requests = tokens.iter().map(|token| {
        let token = (request != Request::Create).then(|| token.clone());
        send(stage.app.clone(), request.path(), token)
    });
    let (answers, taken) = match moment {
        Moment::Before => {
            let requests: Vec<_> = requests.collect();
            fault.begin(stage, &tokens);
            let start = Instant::now();
            let answers = join_all(requests.into_iter().map(tokio::spawn)).await;
            (answers, start.elapsed())
        }
        Moment::During => {
            stage.app.gate.close();
            let requests: Vec<_> = requests.map(tokio::spawn).collect();
            stage.app.gate.gathered(2).await;
            fault.begin(stage, &tokens);
            let start = Instant::now();
            stage.app.gate.open(2);
            let answers = join_all(requests).await;
            (answers, start.elapsed())
        }
    };
    let about = format!("{fault:?} {request:?} {moment:?}");
    let cells: Vec<_> = tokens
        .iter()
        .zip(&answers)
        .map(|(token, answer)| cell(token, answer, request))
        .collect();
    assert_eq!(cells[0], cells[1], "{about}: all users see the same");
    for (user, answer) in USERS.into_iter().zip(&answers) {
        shows_no_other_user(user, fault, request, moment, answer);
    }

    fault.end(stage);
    let recovery = recover(&stage.app, &about).await;
    for ((user, token), answer) in USERS.into_iter().zip(&tokens).zip(&answers) {
        happened_as_acknowledged(&stage.app, user, token, answer, (fault, request, moment)).await;
    }
    Observed {
        cell: cells[0].clone(),
        taken,
        recovery,
    }
}

/// Waits until a session can be stored again, and returns how long that takes.
async fn recover(app: &App, about: &str) -> Duration {
    let start = Instant::now();
    while app.get("/write", None).await.status != 200 {
        assert!(start.elapsed() < GIVE_UP_AFTER, "{about}: no recovery");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    start.elapsed()
}

async fn send(app: App, path: &'static str, token: Option<String>) -> Answer {
    app.post(path, token.as_deref()).await
}

/// Waits for all answers. Fails if a handler or a commit panicked.
async fn join_all(
    requests: impl IntoIterator<Item = tokio::task::JoinHandle<Answer>>,
) -> Vec<Answer> {
    let requests: Vec<_> = requests.into_iter().collect();
    let mut answers = Vec::new();
    for request in requests {
        answers.push(request.await.unwrap());
    }
    answers
}

/// An answer as the text of a cell.
fn cell(token: &str, answer: &Answer, request: Request) -> String {
    let status = answer.status;
    match &answer.cookie {
        Cookie::Set(new) if new[..20] == token[..20] => format!("{status} new token"),
        Cookie::Set(_) => format!("{status} new session"),
        Cookie::Removed => format!("{status} token removed"),
        Cookie::Untouched if answer.body == "nobody" && request != Request::Create => {
            format!("{status} no session")
        }
        Cookie::Untouched => status.to_string(),
    }
}

/// Checks that a successful response shows the user's own session, or none if it is gone, and that a failure sends no cookie.
fn shows_no_other_user(
    user: &str,
    fault: Fault,
    request: Request,
    moment: Moment,
    answer: &Answer,
) {
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

/// Checks after the fault that what was acknowledged has happened.
async fn happened_as_acknowledged(
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
    let outcome_unknown = !done && fault.may_hide_a_change();
    match (&answer.cookie, request) {
        (Cookie::Set(token), Request::Create | Request::Modify) => {
            let expected = if fault.new_sessions_stay() { "1" } else { "0" };
            assert_eq!(count(app, token).await, expected, "{about}");
            assert_eq!(owner(app, token).await, "nobody", "{about}");
        }
        (Cookie::Set(token), _) => {
            assert_eq!(owner(app, token).await, user, "{about}");
            assert_eq!(
                owner(app, old).await,
                "nobody",
                "{about}: the old token is dead"
            );
        }
        // For the application the session had expired, so it did not end it.
        (Cookie::Removed, _)
            if fault.sessions_are_gone() == Gone::Meanwhile && moment == Moment::Before =>
        {
            assert_eq!(owner(app, old).await, user, "{about}");
        }
        (Cookie::Removed, _) => assert_eq!(owner(app, old).await, "nobody", "{about}"),
        // The write replaces a record that was damaged after it was read.
        (_, Request::Modify) if done && moment == Moment::During => {
            assert_eq!(owner(app, old).await, user, "{about}");
            assert_eq!(count(app, old).await, "1", "{about}");
        }
        _ if gone => assert_eq!(owner(app, old).await, "nobody", "{about}"),
        (_, Request::Modify) => {
            assert_eq!(owner(app, old).await, user, "{about}");
            let expected = if done { "1" } else { "0" };
            let count = count(app, old).await;
            assert!(
                count == expected || outcome_unknown && count == "1",
                "{about}: {count}"
            );
        }
        (_, Request::Rotate | Request::LogOut) if outcome_unknown => {
            let owner = owner(app, old).await;
            assert!(owner == user || owner == "nobody", "{about}: now {owner}");
        }
        _ => assert_eq!(owner(app, old).await, user, "{about}"),
    }
}

/// The user of the session that a token opens.
async fn owner(app: &App, token: &str) -> String {
    app.get("/read", Some(token)).await.body
}

/// How often the session was written.
async fn count(app: &App, token: &str) -> String {
    app.get("/count", Some(token)).await.body
}
