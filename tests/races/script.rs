//! What requests do: the scripted application behind the real layer.
//!
//! Every value that a handler writes says who wrote it and in which request, as `author/tag`. So what anybody sees, or the
//! store keeps, can be traced back to one operation of one request.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use tower_keycard::{Session, SessionError};

/// The author of what was written while nobody was logged in.
pub(crate) const ANYBODY: &str = "anybody";
/// The key under which updates append, so that one that is lost or carried out twice shows.
pub(crate) const LOG: &str = "log";

/// One step of a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    /// Looks at everything.
    Read,
    Insert(&'static str),
    Remove(&'static str),
    /// Updates the log: appends this operation's tag.
    Append,
    Clear,
    Login(&'static str),
    Logout,
    Rotate,
    /// Ends after this many seconds without activity.
    SetExpiry(u32),
    /// An explicit save.
    Save,
    /// A save that is not polled any more once it waits, and another save beside it.
    SaveTwice,
    /// Reads the session anew, and drops what was not saved.
    Reload,
    /// Answers 500 from here on.
    Fail,
}

/// What befalls a store call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Never sent, and the caller knows.
    Unavailable,
    /// Never sent, and the caller does not know.
    RequestLost,
    /// Carried out, and the caller does not know.
    ReplyLost,
    /// Given up by the caller, and carried out some time later.
    AppliedLate,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) operations: Vec<Operation>,
    /// What befalls the request's store calls, in their order; nothing befalls later ones.
    pub(crate) faults: Vec<Fault>,
    /// Whether the client may hang up at any await.
    pub(crate) vanishes: bool,
}

impl Script {
    pub(crate) fn new(operations: &[Operation]) -> Self {
        Self {
            operations: operations.to_vec(),
            faults: Vec::new(),
            vanishes: false,
        }
    }

    pub(crate) fn faults(mut self, faults: &[Fault]) -> Self {
        self.faults = faults.to_vec();
        self
    }

    pub(crate) fn does(&self, wanted: impl Fn(&Operation) -> bool) -> bool {
        self.operations.iter().any(wanted)
    }

    pub(crate) fn saves(&self) -> bool {
        self.does(|operation| matches!(operation, Operation::Save | Operation::SaveTwice))
    }

    /// As whom the request is logged in at its end, if it logged in.
    pub(crate) fn login(&self) -> Option<&'static str> {
        let mut steps = self.operations.iter().rev();
        let last = |step: &&Operation| {
            use Operation::{Login, Logout, Reload};
            matches!(step, Login(_) | Logout | Reload)
        };
        match steps.find(last) {
            Some(Operation::Login(user)) => Some(user),
            _ => None,
        }
    }
}

/// What the browser holds before the first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Nothing,
    /// A session of nobody, with data.
    Anonymous,
    /// A session of Alice, with data.
    Alice,
    /// A token that opens nothing.
    Unknown,
}

impl Start {
    /// What made the session that is there before the first request, if one is.
    pub(crate) fn operations(self) -> Option<&'static [Operation]> {
        match self {
            Self::Nothing | Self::Unknown => None,
            Self::Anonymous => Some(&[Operation::Insert("a"), Operation::Append]),
            Self::Alice => Some(&[
                Operation::Login("alice"),
                Operation::Insert("a"),
                Operation::Append,
            ]),
        }
    }
}

/// Which token a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    /// The one that the browser held before the first request: all were sent at the same time.
    TheFirst,
    /// The one that the browser holds when the request starts.
    TheLatest,
}

/// Requests that run at the same time, and the world around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scene {
    pub(crate) start: Start,
    pub(crate) carries: Carries,
    pub(crate) requests: Vec<Script>,
    /// Time that passes at any moment, in this order.
    pub(crate) time: Vec<Duration>,
    pub(crate) save_every_request: bool,
}

impl Scene {
    pub(crate) fn new(start: Start, requests: Vec<Script>) -> Self {
        Self {
            start,
            carries: Carries::TheFirst,
            requests,
            time: Vec::new(),
            save_every_request: false,
        }
    }
}

/// What an operation's value is called in the data.
pub(crate) fn tag(request: usize, operation: usize) -> String {
    format!("r{request}o{operation}")
}

/// What a handler saw at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sight {
    pub(crate) exists: bool,
    pub(crate) user: Option<String>,
    /// Every key with its entries: one, or those of the log.
    pub(crate) data: Vec<(String, Vec<String>)>,
}

impl Sight {
    pub(crate) fn of(session: &Session) -> Self {
        let keys = session.keys();
        let read = |key: String| {
            let entries = match key.as_str() {
                LOG => session.get::<Vec<String>>(LOG).unwrap().unwrap(),
                other => vec![session.get::<String>(other).unwrap().unwrap()],
            };
            (key, entries)
        };
        Self {
            exists: session.exists(),
            user: session.user(),
            data: keys.into_iter().map(read).collect(),
        }
    }

    /// Another user's data among what was seen.
    pub(crate) fn foreign(&self) -> Option<&str> {
        let own = |entry: &&String| {
            let author = entry.split('/').next();
            author == Some(ANYBODY) || author == self.user.as_deref()
        };
        let mut entries = self.data.iter().flat_map(|(_, entries)| entries);
        entries.find(|entry| !own(entry)).map(String::as_str)
    }
}

/// What a handler did and saw, kept where the driver can look at it.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    sights: Vec<Sight>,
    logged_out: bool,
}

impl Notes {
    pub(crate) fn sights(&self) -> Vec<Sight> {
        self.0.lock().unwrap().sights.clone()
    }

    pub(crate) fn logged_out(&self) -> bool {
        self.0.lock().unwrap().logged_out
    }

    fn look(&self, session: &Session) {
        self.0.lock().unwrap().sights.push(Sight::of(session));
    }
}

/// The application: carries out a script.
pub(crate) async fn handle(
    request: Request<()>,
    number: usize,
    script: Script,
    notes: Notes,
) -> Result<Response<()>, Infallible> {
    let mut response = Response::new(());
    match carry_out(&request, number, &script, &notes).await {
        Ok(status) => *response.status_mut() = status,
        // The layer answers with the failure of the save that this was.
        Err(_interrupted) => {}
    }
    Ok(response)
}

async fn carry_out(
    request: &Request<()>,
    number: usize,
    script: &Script,
    notes: &Notes,
) -> Result<StatusCode, SessionError> {
    let session = match Session::load(request.extensions()).await {
        Ok(session) => session,
        Err(SessionError::Store(_)) => return Ok(StatusCode::SERVICE_UNAVAILABLE),
        Err(other) => panic!("{other}"),
    };
    let mut status = StatusCode::OK;
    for (place, operation) in script.operations.iter().enumerate() {
        let author = session.user().unwrap_or_else(|| ANYBODY.to_owned());
        let entry = format!("{author}/{}", tag(number, place));
        match *operation {
            Operation::Read => {}
            Operation::Insert(key) => session.insert(key, entry)?,
            Operation::Remove(key) => drop(session.remove(key)?),
            Operation::Append => {
                session.update(LOG, move |log: Option<Vec<String>>| {
                    let mut log = log.unwrap_or_default();
                    log.push(entry.clone());
                    log
                })?;
            }
            Operation::Clear => session.clear()?,
            Operation::Login(user) => session.login(user)?,
            Operation::Logout => {
                session.logout()?;
                notes.0.lock().unwrap().logged_out = true;
            }
            Operation::Rotate => session.rotate_token()?,
            Operation::SetExpiry(seconds) => {
                session.set_expiry(Duration::from_secs(seconds.into()))?;
            }
            Operation::Save => session.save().await?,
            Operation::SaveTwice => {
                let mut first = Box::pin(session.save());
                let polled = poll_fn(|context| Poll::Ready(first.as_mut().poll(context))).await;
                session.save().await?;
                match polled {
                    Poll::Ready(saved) => saved?,
                    Poll::Pending => first.await?,
                }
            }
            Operation::Reload => {
                if session.reload().await.is_err() {
                    return Ok(StatusCode::SERVICE_UNAVAILABLE);
                }
            }
            Operation::Fail => status = StatusCode::INTERNAL_SERVER_ERROR,
        }
        notes.look(&session);
    }
    Ok(status)
}
