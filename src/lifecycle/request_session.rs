//! The request's session: what all handles of one request share, from the cookie to the response.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::timeout;

use super::candidates::Candidates;
use super::commit::{Committed, CookieUpdate, commit};
use super::context::ClientContext;
use super::decision::{Access, Decision, Outcome, Settled, StoreAction, decide};
use super::in_flight::{Counted, InFlight};
use super::lookup::Lookup;
use super::manager::SessionManager;
use super::monitoring::{look_up_monitored, respond};
use super::pending::Pending;
use crate::client::ClientFacts;
use crate::clock::Moment;
use crate::cookie::Presented;
use crate::error::SessionError;
use crate::event::{Ending, Event, EventKind};
use crate::record::{SessionId, Token};
use crate::store::{StoreError, StoreErrorKind};
use crate::sync::{self, DetachOnDrop, RawMutex};

/// The phase of a request relative to its response, which carries the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The handler runs, and the response has no head yet.
    Open,
    /// The handler is done, and its pending changes are being committed.
    Sealing,
    /// The head of the response is complete.
    Sealed,
    /// The head was sent, and the session was reloaded since. Changes that need no cookie can be made and saved.
    Reopened,
}

impl Phase {
    /// Whether the handler is done.
    fn is_late(self) -> bool {
        self != Self::Open
    }

    /// Whether the session cannot be changed.
    pub(crate) fn is_sealed(self) -> bool {
        matches!(self, Self::Sealing | Self::Sealed)
    }
}

/// The state of a save.
pub(crate) enum Saving {
    /// No save is running, and the last one did not fail.
    No,
    /// The pending changes are being stored.
    Running,
    /// The last save failed. The response reports it too: nothing is lost silently.
    Failed(SessionError),
}

/// What changes during a request. No code of the application runs while it is locked.
pub(crate) struct State {
    /// Whether the application accessed the session.
    accessed: bool,
    pub(crate) phase: Phase,
    pub(crate) lookup: Lookup,
    pub(crate) pending: Pending,
    pub(crate) saving: Saving,
    /// The number of commits that have begun.
    commits: u32,
    /// The change that was committed and that no response has carried to the browser yet.
    cookie: Option<CookieChange>,
    /// Whether a logout was carried out, even if something was written after it.
    logged_out: bool,
    /// Whether the handler failed, or its client is gone.
    failed: bool,
    /// Whether the response is true though its changes were lost.
    lost_by_products: bool,
    /// Whether the session that was looked up had a user at any time, whom the response may show.
    had_user: bool,
}

/// A change of the browser's cookie.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CookieChange {
    /// The browser gets the token of the open session. Without a `max_age` the cookie ends with the browser.
    Set { max_age: Option<Duration> },
    /// The browser forgets a cookie that opens nothing.
    Remove,
}

/// A request's session, loaded when the application first accesses it.
pub(crate) struct RequestSession {
    pub(crate) manager: Arc<SessionManager>,
    /// The session of the next layer outwards, if the request came through several.
    pub(crate) outer: Option<Arc<RequestSession>>,
    presented: Presented,
    withheld: bool,
    /// When the request arrived.
    pub(crate) arrived: Moment,
    /// What the application says about the client of the request.
    pub(crate) client: Option<Arc<ClientFacts>>,
    /// Whether the request counts as activity, which slides the idle limit.
    activity: bool,
    /// Locked while the session is loaded, so that all handles share one load.
    loading: RawMutex,
    /// Locked during every commit of this request: one at a time. It is never locked by a future of the application, which may
    /// not be polled any more: a save goes on by itself.
    exclusive: RawMutex,
    state: Mutex<State>,
}

/// What the response needs to know about the session.
#[derive(Debug)]
pub(crate) struct ResponseSummary {
    /// Whether the response depends on the session: the application accessed it, or the body still can.
    pub(crate) varies: bool,
    /// Whether the response shows a logged-in user, or its body still can.
    pub(crate) private: bool,
    /// The change of the cookie, with the token for [`CookieChange::Set`].
    pub(crate) cookie: Option<(CookieChange, Option<Token>)>,
    pub(crate) logged_out: bool,
}

/// How a request's session is finished.
pub(crate) enum Finish {
    /// The session was not accessed, and nothing can access it any more: the response stays as it is.
    Untouched,
    AtOnce(Result<(), SessionError>),
    Later(DetachOnDrop<Result<(), SessionError>>),
}

/// What is left to do after the decision.
enum Next {
    Done(Result<(), SessionError>),
    Commit(Work),
}

/// The input of a commit, taken out of the state, which is not locked during the store call.
struct Work {
    lookup: Lookup,
    pending: Pending,
    action: StoreAction,
}

/// How often a reload reads the session if saves overtake it.
const RELOADS: u32 = 8;

/// A load that other handles wait for.
struct Loading<'a>(&'a RawMutex);

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        self.0.unlock();
    }
}

/// Exclusive right to commit for a request. It also ends if the work panics, is given up, or never begins.
struct Exclusive<S: Deref<Target = RequestSession>> {
    session: S,
    /// Whether the session's pending changes are being stored.
    saves: bool,
}

impl<S: Deref<Target = RequestSession>> Exclusive<S> {
    /// Waits for the commit before this one, but not for ever.
    async fn lock(session: S) -> Result<Self, SessionError> {
        if !session.exclusive.try_lock() {
            let limit = session.manager.commit_timeout();
            let waited = Box::pin(timeout(limit, session.exclusive.lock())).await;
            waited.map_err(|_| SessionError::Saving)?;
        }
        Ok(Self::locked(session))
    }

    fn locked(session: S) -> Self {
        Self {
            session,
            saves: false,
        }
    }
}

impl Exclusive<&RequestSession> {
    /// The same lock, for work that does not borrow the session.
    fn into_owned(self, session: Arc<RequestSession>) -> Exclusive<Arc<RequestSession>> {
        std::mem::forget(self);
        Exclusive::locked(session)
    }
}

impl<S: Deref<Target = RequestSession>> Counted for Exclusive<S> {
    fn in_flight(&self) -> &InFlight {
        self.session.manager.in_flight()
    }

    fn abandoned(&self) {
        self.session.manager.abandoned();
    }
}

impl<S: Deref<Target = RequestSession>> Drop for Exclusive<S> {
    fn drop(&mut self) {
        if self.saves {
            let mut state = self.session.state();
            if matches!(state.saving, Saving::Running) {
                // The commit panicked, or was lost with its runtime.
                state.saving = Saving::Failed(SessionError::Interrupted);
            }
        }
        self.session.exclusive.unlock();
    }
}

impl RequestSession {
    pub(crate) fn new(
        manager: Arc<SessionManager>,
        presented: Presented,
        withheld: bool,
        client: Option<Arc<ClientFacts>>,
        activity: bool,
        outer: Option<Arc<RequestSession>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            arrived: manager.moment(),
            manager,
            outer,
            presented,
            withheld,
            client,
            activity,
            loading: RawMutex::default(),
            exclusive: RawMutex::default(),
            state: Mutex::new(State {
                accessed: false,
                phase: Phase::Open,
                lookup: Lookup::NotLoaded,
                pending: Pending::default(),
                saving: Saving::No,
                commits: 0,
                cookie: None,
                logged_out: false,
                failed: false,
                lost_by_products: false,
                had_user: false,
            }),
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        sync::lock(&self.state)
    }

    pub(crate) fn context(&self) -> ClientContext<'_> {
        ClientContext::new(&self.manager, self.client.as_ref())
    }

    /// The public id in the request's cookie. Nothing is loaded or verified.
    pub(crate) fn presented(&self) -> Option<SessionId> {
        match &self.presented {
            Presented::Token(token) => Some(token.selector()),
            Presented::Nothing { .. } | Presented::Several(_) | Presented::TooMany => None,
        }
    }

    /// Whether the client sent a token of this session.
    fn was_brought(&self, id: SessionId) -> bool {
        self.tokens().iter().any(|token| token.selector() == id)
    }

    fn tokens(&self) -> &[Token] {
        match &self.presented {
            Presented::Token(token) => std::slice::from_ref(token),
            Presented::Several(tokens) => tokens,
            Presented::Nothing { .. } | Presented::TooMany => &[],
        }
    }

    /// Loads the session, once for all handles.
    pub(crate) async fn load(self: &Arc<Self>) -> Result<(), StoreError> {
        let loading = {
            let mut state = self.state();
            state.accessed = true;
            if state.is_loaded() {
                return Ok(());
            }
            // A load stores its result before it unlocks: if the lock is free, no load is running.
            self.loading.try_lock().then(|| Loading(&self.loading))
        };
        let _loading = match loading {
            Some(loading) => Some(loading),
            None => {
                let loading = Box::pin(self.next_load()).await;
                if self.state().is_loaded() {
                    return Ok(());
                }
                loading
            }
        };
        if self.load_now().await?.is_late() {
            Box::pin(self.slide()).await;
        }
        Ok(())
    }

    /// Waits for the load that is running. It may not be polled any more: after the time of a store call, nothing is returned,
    /// and the next load does not wait for it.
    async fn next_load(&self) -> Option<Loading<'_>> {
        let limit = self.manager.config.store_timeout;
        let waited = timeout(limit, self.loading.lock()).await;
        waited.is_ok().then(|| Loading(&self.loading))
    }

    /// Reads the session again, drops what was not saved, and reopens a session in the phase [`Sealed`](Phase::Sealed). It
    /// counts as activity.
    ///
    /// It locks nothing while it reads. If a save came meanwhile, it reads again what that left.
    pub(crate) async fn reload(self: &Arc<Self>) -> Result<(), SessionError> {
        for _ in 0..RELOADS {
            if self.state().phase == Phase::Sealing {
                // The response is about to report these changes as stored.
                return Err(SessionError::Saving);
            }
            drop(Exclusive::lock(&**self).await?);
            let (token, commits) = {
                let state = self.state();
                let token = state.lookup.open().map(|open| open.token.clone());
                (token, state.commits)
            };
            let lookup = match token {
                Some(token) => Some(self.context().look_up_latest(&token).await?),
                None => None,
            };
            if let Some(phase) = self.reopen(lookup, commits)? {
                if phase.is_late() {
                    Box::pin(self.slide()).await;
                }
                return Ok(());
            }
        }
        Err(SessionError::Saving)
    }

    /// Takes over what was looked up again after this number of commits, and drops what was not saved. Returns the phase that
    /// begins, or nothing if another commit has begun meanwhile.
    fn reopen(&self, lookup: Option<Lookup>, commits: u32) -> Result<Option<Phase>, SessionError> {
        let mut state = self.state();
        if state.phase == Phase::Sealing {
            return Err(SessionError::Saving);
        }
        if state.commits != commits || self.exclusive.is_locked() {
            return Ok(None);
        }
        if let Some(mut lookup) = lookup {
            state.stays_unconfirmed(&mut lookup);
            if lookup.open().is_none() {
                // The token of an earlier save opens nothing any more.
                state.cookie = None;
            }
            self.count(&mut lookup);
            state.found(lookup);
        }
        if state.phase == Phase::Sealed {
            state.phase = Phase::Reopened;
        }
        if matches!(state.saving, Saving::Failed(_)) {
            state.saving = Saving::No;
        }
        // A logout stays pending. A switch of users is dropped together with its login.
        let ending = state.pending.ending;
        let kept = Pending {
            ending: ending.filter(|ending| *ending != Ending::Switch),
            ..Pending::default()
        };
        let dropped = std::mem::replace(&mut state.pending, kept);
        let phase = state.phase;
        drop(state);
        drop(dropped);
        Ok(Some(phase))
    }

    /// Loads the session, whatever others do. Returns the phase in which it was found.
    async fn load_now(&self) -> Result<Phase, StoreError> {
        let context = self.context();
        let mut lookup = match &self.presented {
            Presented::Token(token) => match &self.manager.detector {
                None => context.look_up(token).await?,
                // Boxed to keep the future of requests without a monitor small.
                Some(detector) => {
                    let (manager, client) = (&self.manager, self.client.as_ref());
                    Box::pin(look_up_monitored(manager, client, detector, token)).await?
                }
            },
            // Rare, so boxed.
            Presented::Several(tokens) => Box::pin(look_up_several(self, tokens)).await?,
            Presented::Nothing { malformed } => {
                if *malformed {
                    context.report(Event::new(EventKind::Malformed));
                }
                match self.withheld {
                    true => Lookup::Withheld,
                    false => Lookup::Absent,
                }
            }
            Presented::TooMany => Lookup::TooMany,
        };
        let event = match &lookup {
            Lookup::Open(open) => {
                let user = open.record.shared_user().cloned();
                Some((EventKind::Resumed, Some(open.id()), user))
            }
            Lookup::Conflicting(_) | Lookup::TooMany => Some((EventKind::Ambiguous, None, None)),
            _ => None,
        };
        let mut state = self.state();
        let phase = state.phase;
        if state.is_loaded() {
            // Another load did not wait for this one.
            return Ok(phase);
        }
        self.count(&mut lookup);
        state.found(lookup);
        drop(state);
        if let Some((kind, id, user)) = event {
            context.report(Event::new(kind).session(id).user(user.as_ref()));
        }
        Ok(phase)
    }

    /// Slides the idle limit, as [`Exclusive::slide`] does. It goes on by itself.
    async fn slide(self: &Arc<Self>) {
        let session = self.clone();
        let slide = self.manager.finish(async move {
            // Whoever keeps this one waiting writes the session, which slides it too.
            if let Ok(exclusive) = Exclusive::lock(&*session).await {
                exclusive.slide().await;
            }
        });
        slide.await;
    }

    /// Marks what was looked up if this request does not count as activity.
    fn count(&self, lookup: &mut Lookup) {
        if !self.activity {
            lookup.count_no_activity();
        }
    }

    /// Whether something else holds the session, after the handler: the body of the response, or a task. It may still load it.
    fn is_held(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1
    }

    /// Whether all that a commit that failed has lost are values that the handler wrote on the way.
    pub(crate) fn lost_by_products(&self) -> bool {
        self.state().lost_by_products
    }

    /// The summary for the response. Called once.
    pub(crate) fn response_summary(self: &Arc<Self>) -> ResponseSummary {
        let held = self.is_held();
        let mut state = self.state();
        state.phase = Phase::Sealed;
        let cookie = state.cookie.take();
        let varies = state.accessed || held;
        let may_have_user = match state.is_loaded() {
            true => state.had_user,
            false => held && !self.tokens().is_empty(),
        };
        ResponseSummary {
            varies,
            private: varies && may_have_user,
            cookie: cookie.map(|change| match change {
                CookieChange::Set { .. } => {
                    let open = state.lookup.open();
                    (change, open.map(|open| open.token.clone()))
                }
                CookieChange::Remove => (change, None),
            }),
            logged_out: state.logged_out,
        }
    }

    /// Commits the pending changes when the handler is done: at once if no store call is needed, otherwise in a future that
    /// must run to its end even if the request is dropped.
    ///
    /// The commit counts as in flight from this call on, not from its first poll.
    pub(crate) fn finish(self: &Arc<Self>, outcome: Outcome) -> Finish {
        let mut state = self.state();
        state.failed = outcome == Outcome::Failed;
        if !state.accessed && !self.slides_unasked() {
            state.phase = Phase::Sealed;
            return match self.is_held() {
                true => Finish::AtOnce(Ok(())),
                false => Finish::Untouched,
            };
        }
        state.phase = Phase::Sealing;
        self.commit_eagerly(state, outcome)
    }

    /// Finishes the session of a request whose client is gone. Only a logout is carried out.
    pub(crate) fn abandon(self: &Arc<Self>) {
        let mut state = self.state();
        (state.phase, state.failed) = (Phase::Sealed, true);
        let logs_out = state.pending.logs_out();
        if logs_out || !self.exclusive.is_locked() {
            // The commit is never polled, so it moves to the runtime when it is dropped.
            drop(self.commit_eagerly(state, Outcome::Failed));
        }
    }

    /// The eager form of [`commit`](Self::commit): it decides before it makes a future, and most requests then need none.
    fn commit_eagerly(self: &Arc<Self>, state: MutexGuard<'_, State>, outcome: Outcome) -> Finish {
        if self.must_load_first(&state, outcome) || !self.exclusive.try_lock() {
            drop(state);
            return Finish::Later(DetachOnDrop::new(self.clone().commit(outcome)));
        }
        // The guard unlocks even if a drop of the application's values panics here.
        let exclusive = Exclusive::locked(&**self);
        match self.next(state, outcome) {
            Next::Done(result) => Finish::AtOnce(result),
            Next::Commit(work) => {
                let mut counted = InFlight::enter(exclusive.into_owned(self.clone()));
                counted.get_mut().saves = true;
                Finish::Later(DetachOnDrop::new(async move {
                    let result = counted.get_mut().carry_out(&work).await;
                    counted.done();
                    result
                }))
            }
        }
    }

    /// Commits the pending changes once no other store call of this request is running. The future must run to its end even
    /// if the request is dropped.
    pub(crate) fn commit(
        self: Arc<Self>,
        outcome: Outcome,
    ) -> impl Future<Output = Result<(), SessionError>> + Send + 'static {
        let counted = InFlight::enter(self.manager.clone());
        async move {
            let result = match Exclusive::lock(&*self).await {
                Ok(mut exclusive) => exclusive.commit(outcome).await,
                Err(error) => {
                    let event = Event::new(EventKind::Abandoned).session(self.presented());
                    self.context().report(event);
                    Err(error)
                }
            };
            counted.done();
            result
        }
    }

    /// Whether the session counts as used even if the application does not access it.
    fn slides_unasked(&self) -> bool {
        self.manager.config.save_every_request && self.activity
    }

    fn must_load_first(&self, state: &State, outcome: Outcome) -> bool {
        self.slides_unasked()
            && outcome == Outcome::Answered
            && !self.tokens().is_empty()
            && !state.is_loaded()
    }

    /// Decides, and carries out a decision that needs no store call.
    fn next(&self, mut state: MutexGuard<'_, State>, outcome: Outcome) -> Next {
        let logs_out = state.pending.logs_out();
        if let (Saving::Failed(error), false, Outcome::Answered) =
            (&state.saving, logs_out, outcome)
        {
            let failed = Err(error.clone());
            return Self::settled(state, failed);
        }
        let access = state.pending.access(&state.lookup, state.accessed);
        let every = self.manager.config.save_every_request;
        let lookup = state.lookup.state();
        let (result, event) = match decide(lookup, state.pending.ending, access, outcome, every) {
            Decision::Call(action) => return Next::Commit(state.begin(action)),
            Decision::Settled(Settled::Nothing) => (Ok(()), None),
            Decision::Settled(Settled::RemoveCookie) => {
                state.logged_out |= logs_out;
                state.cookie = Some(CookieChange::Remove);
                (Ok(()), None)
            }
            Decision::Settled(Settled::Discard) => (Ok(()), Some(EventKind::Discarded)),
            Decision::Settled(Settled::Refuse) => {
                let drops = matches!(access, Access::Write | Access::Login);
                let event = drops.then_some(EventKind::Discarded);
                (Err(SessionError::Ambiguous), event)
            }
            Decision::Settled(Settled::Interrupt) => {
                let interrupted = Err(SessionError::Interrupted);
                (interrupted, Some(EventKind::Interrupted))
            }
            Decision::Settled(Settled::Unavailable) => (Err(unreadable()), None),
        };
        let next = Self::settled(state, result);
        if let Some(kind) = event {
            let event = Event::new(kind).session(self.presented());
            self.context().report(event);
        }
        next
    }

    /// Nothing is left to do. If the session cannot be changed any more, its pending changes are dropped: a closure in them
    /// may own this same session, which would otherwise never be freed.
    fn settled(mut state: MutexGuard<'_, State>, result: Result<(), SessionError>) -> Next {
        if let Err(error) = &result {
            // Only more than four tokens refuse a logout.
            let refuses_logout =
                matches!(error, SessionError::Ambiguous) && state.pending.logs_out();
            state.lost_by_products = state.pending.are_by_products() && !refuses_logout;
        }
        let dropped = match state.phase.is_sealed() {
            true => std::mem::take(&mut state.pending),
            false => Pending::default(),
        };
        drop(state);
        drop(dropped);
        Next::Done(result)
    }
}

/// The error for a session that this version cannot read, and so cannot end.
fn unreadable() -> SessionError {
    StoreError::new(StoreErrorKind::Refused).into()
}

impl State {
    /// The reason for which a value that is written now could not be stored, if there is one already: the decision table
    /// knows it.
    pub(crate) fn refusal(&self) -> Option<SessionError> {
        let access = match self.pending.login {
            Some(_) => Access::Login,
            None => Access::Write,
        };
        let (lookup, ending) = (self.lookup.state(), self.pending.ending);
        match decide(lookup, ending, access, Outcome::Answered, false) {
            Decision::Settled(Settled::Discard) => Some(SessionError::Withheld),
            Decision::Settled(Settled::Refuse) => Some(SessionError::Ambiguous),
            Decision::Settled(Settled::Interrupt) => Some(SessionError::Interrupted),
            Decision::Settled(Settled::Unavailable) => Some(unreadable()),
            Decision::Settled(Settled::Nothing | Settled::RemoveCookie) | Decision::Call(_) => None,
        }
    }

    fn is_loaded(&self) -> bool {
        !matches!(self.lookup, Lookup::NotLoaded)
    }

    /// Takes over what was looked up or committed.
    fn found(&mut self, lookup: Lookup) {
        self.had_user |= lookup.has_user();
        self.lookup = lookup;
    }

    /// This request's own token confirms nothing while the client has not received it. After the head it may have, and another
    /// request may have confirmed the session, so from then on a write must not shorten its life.
    fn stays_unconfirmed(&self, reloaded: &mut Lookup) {
        let unconfirmed = self.lookup.open().is_some_and(|open| open.unconfirmed);
        if let (true, Phase::Open, Lookup::Open(open)) = (unconfirmed, self.phase, reloaded) {
            open.unconfirmed = open.record.user().is_none();
            open.touch_due &= !open.unconfirmed;
        }
    }

    /// Begins a commit.
    fn begin(&mut self, action: StoreAction) -> Work {
        // After the handler the pending changes are not needed again. An open session can still be read while it is saved.
        let pending = match self.phase {
            Phase::Sealing | Phase::Sealed => std::mem::take(&mut self.pending),
            Phase::Open | Phase::Reopened => self.pending.clone(),
        };
        self.saving = Saving::Running;
        self.commits += 1;
        Work {
            lookup: self.lookup.clone(),
            pending,
            action,
        }
    }
}

impl<S: Deref<Target = RequestSession>> Exclusive<S> {
    /// Slides the idle limit if that is due, for a session that was loaded after the handler: no decision follows that would
    /// slide it, and no cookie can follow. After a failure nothing counts as activity. And a session is confirmed only for a
    /// client that has brought its token.
    async fn slide(&self) {
        let session = &*self.session;
        let lookup = {
            let state = session.state();
            let due = state.lookup.open().is_some_and(|open| {
                open.touch_due && (!open.confirms || session.was_brought(open.id()))
            });
            if !due || state.failed {
                return;
            }
            state.lookup.clone()
        };
        let nothing = Pending::default();
        let touched = commit(session.context(), &lookup, &nothing, StoreAction::Touch).await;
        if let Ok(touched) = touched {
            session.state().found(touched.lookup);
        }
    }

    async fn commit(&mut self, outcome: Outcome) -> Result<(), SessionError> {
        let session = &*self.session;
        let must_load = session.must_load_first(&session.state(), outcome);
        if must_load && session.load_now().await.is_err() {
            // The application did not access the session: the request is answered without it.
            return Ok(());
        }
        match session.next(session.state(), outcome) {
            Next::Done(result) => result,
            Next::Commit(work) => {
                self.saves = true;
                self.carry_out(&work).await
            }
        }
    }

    /// Commits, and makes the result visible to all handles of the session.
    async fn carry_out(&mut self, work: &Work) -> Result<(), SessionError> {
        let context = self.session.context();
        let committed = commit(context, &work.lookup, &work.pending, work.action).await;
        // Data that does not fit the newer record has lost the race, too.
        if let Err(SessionError::Interrupted | SessionError::TooLarge { .. }) = &committed {
            let open = work.lookup.open();
            let event = Event::new(EventKind::Interrupted)
                .session(open.map(|open| open.id()).or(self.session.presented()))
                .user(open.and_then(|open| open.record.shared_user()));
            context.report(event);
        }
        self.conclude(committed, &work.pending)
    }

    fn conclude(
        &mut self,
        committed: Result<Committed, SessionError>,
        pending: &Pending,
    ) -> Result<(), SessionError> {
        let mut state = self.session.state();
        self.saves = false;
        let Committed { lookup, cookie } = match committed {
            Ok(committed) => committed,
            Err(error) => {
                // The token of an earlier save opens nothing any more.
                if matches!(error, SessionError::Interrupted) {
                    state.cookie = None;
                }
                state.lost_by_products = pending.are_by_products();
                state.saving = Saving::Failed(error.clone());
                return Err(error);
            }
        };
        // If a logout came meanwhile, the pending changes are no longer those that were stored.
        let stored = std::mem::replace(&mut state.saving, Saving::No);
        let stored = matches!(stored, Saving::Running).then(|| std::mem::take(&mut state.pending));
        state.logged_out |= pending.logs_out();
        state.had_user |= lookup.has_user();
        let before = std::mem::replace(&mut state.lookup, lookup);
        match cookie {
            CookieUpdate::Set(max_age) => state.cookie = Some(CookieChange::Set { max_age }),
            CookieUpdate::Remove => state.cookie = Some(CookieChange::Remove),
            CookieUpdate::Withdraw => state.cookie = None,
            CookieUpdate::Keep => {}
        }
        // The pending changes may own closures of the application, which are dropped after unlocking.
        drop(state);
        drop((stored, before));
        Ok(())
    }
}

/// Looks up the tokens of a request that carries several, one after the other, and decides which session it has.
async fn look_up_several(session: &RequestSession, tokens: &[Token]) -> Result<Lookup, StoreError> {
    let (manager, client) = (&session.manager, session.client.as_ref());
    let mut candidates = Candidates::default();
    for token in tokens {
        candidates.add(token.selector(), session.context().look_up(token).await?);
    }
    if let Some(detector) = &manager.detector {
        for candidate in candidates.watched() {
            let lookup = std::mem::replace(&mut candidate.lookup, Lookup::NotLoaded);
            let about = (candidate.id, lookup);
            candidate.lookup = respond(manager, client, detector, about).await?;
        }
    }
    Ok(candidates.decide())
}
