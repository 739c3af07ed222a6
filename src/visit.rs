//! One request's session: what all handles of the request share, from the cookie to the response.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use crate::card::Card;
use crate::commit::{self, Cookie, CookieChange};
use crate::cookie::Presented;
use crate::desk::Desk;
use crate::error::SessionError;
use crate::event::Event;
use crate::intent::Intent;
use crate::plan::{self, Ended, Outcome, Plan};
use crate::store::StoreError;
use crate::token::{SessionId, Token};

/// Where a request is with regard to its response, which carries the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The handler runs; the response's head is still to come.
    Open,
    /// The head is being made, or was sent.
    Sealed,
    /// The head was sent, and the session reloaded since: what needs no cookie can be written and saved.
    Reopened,
}

/// What changes during a visit. No code of the application runs while it is locked.
pub(crate) struct State {
    /// Whether anybody asked for the session.
    asked: bool,
    pub(crate) phase: Phase,
    pub(crate) card: Card,
    pub(crate) intent: Intent,
    /// Whether an explicit save is under way.
    pub(crate) saving: bool,
    /// Why a save failed. The response then tells of it too: what was not stored is never lost silently.
    pub(crate) failed: Option<SessionError>,
    /// What was committed, and the browser does not know yet.
    cookie: Option<CookieChange>,
}

/// A request's session, loaded when somebody first asks for it.
pub(crate) struct Visit {
    pub(crate) desk: Arc<Desk>,
    presented: Presented,
    loaded: OnceCell<()>,
    committing: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

/// What the response has to say of the session.
#[derive(Debug)]
pub(crate) struct Farewell {
    pub(crate) asked: bool,
    pub(crate) cookie: Option<CookieChange>,
}

/// What is left to do once the plan is made.
enum Next {
    Done(Result<(), SessionError>),
    Work(Card, Intent, Plan),
}

impl Visit {
    pub(crate) fn new(desk: Arc<Desk>, presented: Presented, withheld: bool) -> Self {
        let card = match presented {
            Presented::Conflicting => Card::Conflicting,
            _ if withheld => Card::Withheld,
            _ => Card::Absent,
        };
        Self {
            desk,
            presented,
            loaded: OnceCell::new(),
            committing: tokio::sync::Mutex::new(()),
            state: Mutex::new(State {
                asked: false,
                phase: Phase::Open,
                card,
                intent: Intent::default(),
                saving: false,
                failed: None,
                cookie: None,
            }),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The public id that the request's cookie names. Nothing is asked or proved.
    pub(crate) fn presented(&self) -> Option<SessionId> {
        match &self.presented {
            Presented::Card(token) => Some(token.selector()),
            Presented::Nothing { .. } | Presented::Conflicting => None,
        }
    }

    /// Loads the session, once for all who ask.
    pub(crate) async fn load(&self) -> Result<(), StoreError> {
        self.state().asked = true;
        self.load_once().await
    }

    async fn load_once(&self) -> Result<(), StoreError> {
        let load = async || {
            match &self.presented {
                Presented::Card(token) => {
                    let card = self.desk.examine(token).await?;
                    self.state().card = card;
                }
                Presented::Nothing { malformed: true } => Event::Malformed.emit(),
                Presented::Nothing { malformed: false } => {}
                Presented::Conflicting => Event::Ambiguous.emit(),
            }
            Ok(())
        };
        self.loaded.get_or_try_init(load).await.copied()
    }

    /// Reads the session anew, drops what was not saved, and lets a sealed session be written again.
    pub(crate) async fn reload(&self) -> Result<(), StoreError> {
        let _turn = self.committing.lock().await;
        let token = match &self.state().card {
            Card::Valid(held) => Some(held.token.clone()),
            _ => match (&self.presented, self.loaded.initialized()) {
                (Presented::Card(token), false) => Some(token.clone()),
                _ => None,
            },
        };
        let card = match token {
            Some(token) => Some(self.examine(&token).await?),
            None => None,
        };
        let mut state = self.state();
        state.asked = true;
        if let Some(card) = card {
            if card.held().is_none() {
                // What an earlier save handed out is dead by now.
                state.cookie = None;
            }
            state.card = card;
        }
        if state.phase == Phase::Sealed {
            state.phase = Phase::Reopened;
        }
        state.failed = None;
        let dropped = std::mem::take(&mut state.intent);
        drop(state);
        drop(dropped);
        Ok(())
    }

    async fn examine(&self, token: &Token) -> Result<Card, StoreError> {
        let card = self.desk.examine(token).await?;
        // Whoever asks next finds it loaded.
        let _ = self.loaded.set(());
        Ok(card)
    }

    /// Seals the session: the response's head comes next.
    pub(crate) fn seal(&self) {
        self.state().phase = Phase::Sealed;
    }

    /// Whether a flush or logout is still to be carried out.
    pub(crate) fn is_to_end(&self) -> bool {
        self.state().intent.ended == Ended::Asked
    }

    /// What the response has to say. Asked once.
    pub(crate) fn farewell(&self) -> Farewell {
        let mut state = self.state();
        Farewell {
            asked: state.asked,
            cookie: state.cookie.take(),
        }
    }

    /// Commits where no store call is needed; otherwise says so by `None`.
    pub(crate) fn commit_at_once(&self, outcome: Outcome) -> Option<Result<(), SessionError>> {
        let _turn = self.committing.try_lock().ok()?;
        if self.must_load_first(outcome) {
            return None;
        }
        match self.next(outcome, true) {
            Next::Done(result) => Some(result),
            Next::Work(..) => None,
        }
    }

    /// Commits what was asked for. To be run to its end whatever becomes of the request.
    pub(crate) async fn commit(self: Arc<Self>, outcome: Outcome) -> Result<(), SessionError> {
        let _counted = self.desk.in_flight.enter();
        let _turn = self.committing.lock().await;
        if self.must_load_first(outcome) && self.load_once().await.is_err() {
            // Nobody asked for the session: the request is answered without it.
            return Ok(());
        }
        let (card, intent, plan) = match self.next(outcome, false) {
            Next::Done(result) => return result,
            Next::Work(card, intent, plan) => (card, intent, plan),
        };
        let result = commit::carry_out(&self.desk, card, intent, plan).await;

        let mut state = self.state();
        state.saving = false;
        let dropped = match result {
            Ok(committed) => {
                state.card = committed.card;
                match committed.cookie {
                    Cookie::Send(cookie) if state.phase != Phase::Reopened => {
                        state.cookie = Some(cookie);
                    }
                    Cookie::Withdraw => state.cookie = None,
                    Cookie::Send(_) | Cookie::Keep => {}
                }
                state.failed = None;
                std::mem::take(&mut state.intent)
            }
            Err(error) => {
                // What an earlier save handed out is dead by now.
                if matches!(error, SessionError::Interrupted) {
                    state.cookie = None;
                }
                state.failed = Some(error.clone());
                return Err(error);
            }
        };
        drop(state);
        drop(dropped);
        Ok(())
    }

    /// Under save-every-request a session counts as used though nobody asked for it.
    fn must_load_first(&self, outcome: Outcome) -> bool {
        self.desk.config.save_every_request
            && outcome == Outcome::Answered
            && matches!(self.presented, Presented::Card(_))
            && !self.loaded.initialized()
    }

    /// Makes the plan, and carries it out as far as no store call is needed (`only_look`: changes nothing otherwise).
    fn next(&self, outcome: Outcome, only_look: bool) -> Next {
        let mut state = self.state();
        let State {
            asked,
            card,
            intent,
            ..
        } = &*state;
        if let (Some(error), false, Outcome::Answered) =
            (&state.failed, intent.ended == Ended::Asked, outcome)
        {
            return Next::Done(Err(error.clone()));
        }
        let wish = intent.wish(card, *asked);
        let every = self.desk.config.save_every_request;
        let plan = plan::plan(card.state(), intent.ended, wish, outcome, every);
        match plan {
            Plan::Nothing => return Next::Done(Ok(())),
            Plan::Touch => {
                let due = card.held().is_some_and(|held| {
                    self.desk
                        .lifetime(&held.record)
                        .touch_is_due(held.remaining)
                });
                if !due {
                    return Next::Done(Ok(()));
                }
            }
            Plan::RemoveCookie => {
                state.cookie = Some(CookieChange::Remove);
                return Next::Done(Ok(()));
            }
            Plan::Discard => {
                Event::Discarded.emit();
                return Next::Done(Ok(()));
            }
            Plan::Refuse => return Next::Done(Err(SessionError::Ambiguous)),
            Plan::Interrupt => {
                if let Some(id) = self.presented() {
                    Event::Interrupted(id).emit();
                }
                return Next::Done(Err(SessionError::Interrupted));
            }
            Plan::Create
            | Plan::Replace
            | Plan::Delete
            | Plan::DeleteThenCreate
            | Plan::Unavailable => {}
        }
        if only_look {
            return Next::Work(Card::Absent, Intent::default(), plan);
        }
        // A sealed session is asked for nothing more; an open one is still to be read while it is saved.
        let intent = match state.phase {
            Phase::Sealed => std::mem::take(&mut state.intent),
            Phase::Open | Phase::Reopened => state.intent.clone(),
        };
        let card = state.card.clone();
        state.saving = true;
        // Until the store says otherwise: a commit that panics, or is lost with its runtime, is not forgotten.
        state.failed = Some(SessionError::Interrupted);
        Next::Work(card, intent, plan)
    }
}
