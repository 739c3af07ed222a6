//! One request's session: what all handles of the request share, from the cookie to the response.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::card::Card;
use crate::client::ClientFacts;
use crate::commit::{self, Cookie, CookieChange};
use crate::completion::Completion;
use crate::cookie::Presented;
use crate::desk::{Desk, InFlight, Teller};
use crate::error::SessionError;
use crate::event::{Event, EventKind};
use crate::intent::Intent;
use crate::plan::{self, Ended, Outcome, Plan};
use crate::store::StoreError;
use crate::token::SessionId;
use crate::turn::Turns;

/// Where a request is with regard to its response, which carries the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The handler runs; the response's head is still to come.
    Open,
    /// The handler is done, and what it asked for is being committed.
    Sealing,
    /// The head was made.
    Sealed,
    /// The head was sent, and the session reloaded since: what needs no cookie can be written and saved.
    Reopened,
}

/// What changes during a visit. No code of the application runs while it is locked.
pub(crate) struct State {
    /// Whether anybody asked for the session.
    asked: bool,
    /// Whether the card is what the store made of the request's cookie.
    loaded: bool,
    pub(crate) phase: Phase,
    pub(crate) card: Card,
    pub(crate) intent: Intent,
    /// Whether the intent is being stored. A flush meanwhile puts another intent in its place, and ends this.
    pub(crate) saving: bool,
    /// Why a save failed. The response then tells of it too: what was not stored is never lost silently.
    pub(crate) failed: Option<SessionError>,
    /// What was committed, and the browser does not know yet.
    cookie: Option<CookieChange>,
    /// Whether a logout was carried out, whatever was written after it.
    logged_out: bool,
}

/// A request's session, loaded when somebody first asks for it.
pub(crate) struct Visit {
    pub(crate) desk: Arc<Desk>,
    presented: Presented,
    /// Who sent the request, where the application says so.
    pub(crate) client: Option<Arc<ClientFacts>>,
    /// Whoever asks the store for something on this visit's behalf does so alone.
    turns: Turns,
    state: Mutex<State>,
}

/// What the response has to say of the session.
#[derive(Debug)]
pub(crate) struct Farewell {
    pub(crate) asked: bool,
    pub(crate) cookie: Option<CookieChange>,
    pub(crate) logged_out: bool,
}

/// How a request's session is finished.
pub(crate) enum Finish {
    /// Nobody asked for it: the response is as it is.
    Untouched,
    AtOnce(Result<(), SessionError>),
    Later(Completion<Result<(), SessionError>>),
}

/// What is left to do once the plan is made.
enum Next {
    /// Nothing, and perhaps something to tell, once no lock is held.
    Done(Result<(), SessionError>, Option<EventKind>),
    Work(Work),
}

/// What a commit works with: no lock is held while it asks the store.
struct Work {
    card: Card,
    intent: Intent,
    plan: Plan,
}

impl Work {
    fn carry_out(&mut self, visit: &Visit) -> impl Future<Output = Result<Cookie, SessionError>> {
        commit::carry_out(visit.teller(), &mut self.card, &self.intent, self.plan)
    }
}

/// A turn at the store, which ends also when the work panics, is given up, or is never begun.
struct Turn<V: Deref<Target = Visit>> {
    visit: V,
    /// Whether what the visit asked for is being stored.
    saves: bool,
}

impl<V: Deref<Target = Visit>> Turn<V> {
    async fn take(visit: V) -> Self {
        visit.turns.take().await;
        Self::taken(visit)
    }

    fn taken(visit: V) -> Self {
        let saves = false;
        Self { visit, saves }
    }
}

impl Turn<&Visit> {
    /// The same turn, as work has it that goes on by itself.
    fn carried_by(self, visit: Arc<Visit>) -> Turn<Arc<Visit>> {
        std::mem::forget(self);
        Turn::taken(visit)
    }
}

impl<V: Deref<Target = Visit>> AsRef<Desk> for Turn<V> {
    fn as_ref(&self) -> &Desk {
        &self.visit.desk
    }
}

impl<V: Deref<Target = Visit>> Drop for Turn<V> {
    fn drop(&mut self) {
        if self.saves {
            self.visit.state().saving = false;
        }
        self.visit.turns.give_back();
    }
}

impl Phase {
    /// Whether nothing can be written.
    pub(crate) fn is_sealed(self) -> bool {
        matches!(self, Self::Sealing | Self::Sealed)
    }
}

impl Visit {
    pub(crate) fn new(
        desk: Arc<Desk>,
        presented: Presented,
        withheld: bool,
        client: Option<Arc<ClientFacts>>,
    ) -> Self {
        let card = match presented {
            Presented::Conflicting => Card::Conflicting,
            _ if withheld => Card::Withheld,
            _ => Card::Absent,
        };
        Self {
            desk,
            presented,
            client,
            turns: Turns::default(),
            state: Mutex::new(State {
                asked: false,
                loaded: false,
                phase: Phase::Open,
                card,
                intent: Intent::default(),
                saving: false,
                failed: None,
                cookie: None,
                logged_out: false,
            }),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The desk, serving this request's client.
    pub(crate) fn teller(&self) -> Teller<'_> {
        self.desk.serving(self.client.as_ref())
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
        let turn = {
            let mut state = self.state();
            state.asked = true;
            if state.loaded {
                return Ok(());
            }
            // Whoever loads says so before giving the turn back: one that is free now is for who loads.
            self.turns.try_take().then(|| Turn::taken(self))
        };
        let turn = match turn {
            Some(turn) => turn,
            None => {
                let turn = Turn::take(self).await;
                if self.state().loaded {
                    return Ok(());
                }
                turn
            }
        };
        turn.load().await
    }

    /// Reads the session anew, drops what was not saved, and lets a sealed session be written again.
    pub(crate) async fn reload(&self) -> Result<(), SessionError> {
        if self.state().phase == Phase::Sealing {
            // What the response is about to promise is not to be dropped.
            return Err(SessionError::Saving);
        }
        let _turn = Turn::take(self).await;
        let token = self.state().card.held().map(|held| held.token.clone());
        let card = match token {
            Some(token) => Some(self.teller().examine_latest(&token).await?),
            None => None,
        };
        let mut state = self.state();
        if state.phase == Phase::Sealing {
            return Err(SessionError::Saving);
        }
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
        let ended = match state.intent.ended {
            // Whoever logged out stays logged out.
            Ended::Asked => Ended::Asked,
            Ended::No | Ended::BySwitch => Ended::No,
        };
        let kept = Intent {
            ended,
            outdated: state.intent.outdated && ended == Ended::Asked,
            ..Intent::default()
        };
        let dropped = std::mem::replace(&mut state.intent, kept);
        drop(state);
        drop(dropped);
        Ok(())
    }

    /// What the response has to say. Asked once.
    pub(crate) fn farewell(&self) -> Farewell {
        let mut state = self.state();
        state.phase = Phase::Sealed;
        Farewell {
            asked: state.asked,
            cookie: state.cookie.take(),
            logged_out: state.logged_out,
        }
    }

    /// Lets nothing more be written, since the handler is done, and commits what was asked for: at once where no store call is
    /// needed, otherwise by a future that is to be run to its end whatever becomes of the request.
    ///
    /// That counts as under way from this call on, not from when it is first polled.
    pub(crate) fn finish(self: &Arc<Self>, outcome: Outcome) -> Finish {
        let mut state = self.state();
        if !state.asked && !self.desk.config.save_every_request {
            state.phase = Phase::Sealed;
            return Finish::Untouched;
        }
        state.phase = Phase::Sealing;
        self.finish_sealed(state, outcome)
    }

    /// There is nobody to answer any more, only a logout to carry out.
    pub(crate) fn abandon(self: &Arc<Self>) {
        let mut state = self.state();
        state.phase = Phase::Sealed;
        if state.intent.ended == Ended::Asked || self.turns.are_free() {
            // What is left to do is never polled, so the runtime gets it as it is dropped.
            drop(self.finish_sealed(state, Outcome::Failed));
        }
    }

    fn finish_sealed(self: &Arc<Self>, state: MutexGuard<'_, State>, outcome: Outcome) -> Finish {
        if self.must_load_first(&state, outcome) || !self.turns.try_take() {
            drop(state);
            return Finish::Later(Completion::new(self.clone().commit(outcome)));
        }
        // Given back also if what is dropped now panics: it may be the application's.
        let turn = Turn::taken(&**self);
        match self.next(state, outcome) {
            Next::Done(result, _) => Finish::AtOnce(result),
            Next::Work(mut work) => {
                let mut counted = InFlight::enter(turn.carried_by(self.clone()));
                counted.holder().saves = true;
                Finish::Later(Completion::new(async move {
                    let committed = work.carry_out(&counted.holder().visit).await;
                    let result = counted.holder().conclude(&mut work, committed);
                    counted.done();
                    result
                }))
            }
        }
    }

    /// Commits what was asked for, when it is this commit's turn. To be run to its end whatever becomes of the request.
    pub(crate) fn commit(
        self: Arc<Self>,
        outcome: Outcome,
    ) -> impl Future<Output = Result<(), SessionError>> + Send + 'static {
        let counted = InFlight::enter(self.desk.clone());
        async move {
            let mut turn = Turn::take(&*self).await;
            let result = turn.commit(outcome).await;
            drop(turn);
            counted.done();
            result
        }
    }

    /// Under save-every-request a session counts as used though nobody asked for it.
    fn must_load_first(&self, state: &State, outcome: Outcome) -> bool {
        self.desk.config.save_every_request
            && outcome == Outcome::Answered
            && matches!(self.presented, Presented::Card(_))
            && !state.loaded
    }

    /// Makes the plan, and carries it out as far as no store call is needed.
    fn next(&self, mut state: MutexGuard<'_, State>, outcome: Outcome) -> Next {
        let next = self.decide(&mut state, outcome);
        // Nothing more comes of it; and a closure in it may hold this very session, which would never be freed.
        let dropped = match &next {
            Next::Done(..) if state.phase.is_sealed() => std::mem::take(&mut state.intent),
            _ => Intent::default(),
        };
        drop(state);
        drop(dropped);
        if let Next::Done(_, Some(kind)) = &next {
            self.teller()
                .tell(Event::new(*kind).session(self.presented()));
        }
        next
    }

    fn decide(&self, state: &mut State, outcome: Outcome) -> Next {
        let State {
            asked,
            card,
            intent,
            ..
        } = &*state;
        if let (Some(error), false, Outcome::Answered) =
            (&state.failed, intent.ended == Ended::Asked, outcome)
        {
            return Next::Done(Err(error.clone()), None);
        }
        let wish = intent.wish(card, *asked);
        let every = self.desk.config.save_every_request;
        let plan = plan::plan(card.state(), intent.ended, wish, outcome, every);
        match plan {
            Plan::Nothing => return Next::Done(Ok(()), None),
            Plan::Touch => {
                if !card.held().is_some_and(|held| held.touch_due) {
                    return Next::Done(Ok(()), None);
                }
            }
            Plan::RemoveCookie => {
                let logs_out = intent.ended == Ended::Asked;
                state.logged_out |= logs_out;
                state.cookie = Some(CookieChange::Remove);
                return Next::Done(Ok(()), None);
            }
            Plan::Discard => return Next::Done(Ok(()), Some(EventKind::Discarded)),
            Plan::Refuse => return Next::Done(Err(SessionError::Ambiguous), None),
            Plan::Interrupt => {
                return Next::Done(Err(SessionError::Interrupted), Some(EventKind::Interrupted));
            }
            Plan::Create
            | Plan::Replace
            | Plan::Delete
            | Plan::DeleteThenCreate
            | Plan::Unavailable => {}
        }
        // A sealed session is asked for nothing more; an open one is still to be read while it is saved.
        let intent = match state.phase {
            Phase::Sealing | Phase::Sealed => std::mem::take(&mut state.intent),
            Phase::Open | Phase::Reopened => state.intent.clone(),
        };
        let card = state.card.clone();
        state.saving = true;
        // Until the store says otherwise: a commit that panics, or is lost with its runtime, is not forgotten.
        state.failed = Some(SessionError::Interrupted);
        Next::Work(Work { card, intent, plan })
    }
}

impl<V: Deref<Target = Visit>> Turn<V> {
    async fn load(&self) -> Result<(), StoreError> {
        let visit = &*self.visit;
        let card = match &visit.presented {
            Presented::Card(token) => {
                let desk = visit.teller();
                let card = match &visit.desk.watch {
                    None => desk.examine(token).await?,
                    // Boxed, so that who has no monitor does not carry it along in every request.
                    Some(watch) => {
                        Box::pin(watch.admit(desk, token, visit.client.as_ref())).await?
                    }
                };
                if let Card::Valid(held) = &card {
                    let event = Event::new(EventKind::Resumed).session(token.selector());
                    desk.tell(event.user(held.record.owner()));
                }
                Some(card)
            }
            Presented::Nothing { malformed } => {
                if *malformed {
                    visit.teller().tell(Event::new(EventKind::Malformed));
                }
                None
            }
            Presented::Conflicting => {
                visit.teller().tell(Event::new(EventKind::Ambiguous));
                None
            }
        };
        let mut state = visit.state();
        if let Some(card) = card {
            state.card = card;
        }
        state.loaded = true;
        Ok(())
    }

    async fn commit(&mut self, outcome: Outcome) -> Result<(), SessionError> {
        let visit = &*self.visit;
        let must_load = visit.must_load_first(&visit.state(), outcome);
        if must_load && self.load().await.is_err() {
            // Nobody asked for the session: the request is answered without it.
            return Ok(());
        }
        match visit.next(visit.state(), outcome) {
            Next::Done(result, _) => result,
            Next::Work(mut work) => {
                self.saves = true;
                let committed = work.carry_out(visit).await;
                self.conclude(&mut work, committed)
            }
        }
    }

    /// Has all handles of the session see what became of it.
    fn conclude(
        &mut self,
        work: &mut Work,
        committed: Result<Cookie, SessionError>,
    ) -> Result<(), SessionError> {
        let mut state = self.visit.state();
        self.saves = false;
        let saving = std::mem::take(&mut state.saving);
        let cookie = match committed {
            Ok(cookie) => cookie,
            Err(error) => {
                // What an earlier save handed out is dead by now.
                if matches!(error, SessionError::Interrupted) {
                    state.cookie = None;
                }
                state.failed = Some(error.clone());
                return Err(error);
            }
        };
        state.logged_out |= work.intent.ended == Ended::Asked;
        std::mem::swap(&mut state.card, &mut work.card);
        match cookie {
            Cookie::Send(cookie) => state.cookie = Some(cookie),
            Cookie::Withdraw => state.cookie = None,
            Cookie::Keep => {}
        }
        state.failed = None;
        // An application's closures are in it: they are dropped once nothing is locked.
        let stored = saving.then(|| std::mem::take(&mut state.intent));
        drop(state);
        drop(stored);
        Ok(())
    }
}
