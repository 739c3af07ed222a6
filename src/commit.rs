//! Carries out a plan against the store: conflicts, retries, unknown outcomes. Merging lives here, once, and in no store.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use crate::card::{Card, Held, Late};
use crate::changes::Changes;
use crate::config::SessionLimit;
use crate::desk::Teller;
use crate::draft::{Draft, new_draft, next_draft};
use crate::error::SessionError;
use crate::event::{Creation, Ending, Event, EventKind, Rotation, StoreCall};
use crate::intent::Intent;
use crate::patience::{Patience, gave_up};
use crate::plan::{Ended, Plan};
use crate::policy;
use crate::random::RandomError;
use crate::record::{Record, Revision};
use crate::stamp::Stamp;
use crate::store::{Created, Loaded, Replaced, StoreError, StoreErrorKind};
use crate::token::SessionId;

/// What a commit means for the cookie that the response is to carry, perhaps from a save before it.
#[derive(Debug)]
pub(crate) enum Cookie {
    Keep,
    Send(CookieChange),
    /// Somebody else wrote since: the card may be dead by now, and the browser may have a newer one.
    Withdraw,
}

/// What the browser is to do with its cookie.
#[derive(Debug)]
pub(crate) enum CookieChange {
    Set(HeaderValue),
    /// It opens nothing.
    Remove,
}

impl From<RandomError> for SessionError {
    fn from(_: RandomError) -> Self {
        Self::NoRandomness
    }
}

/// Carries out `plan` for what `intent` asks of `card`, within what the layer allows a user, and makes the card what it is
/// worth then.
///
/// What is seldom done is boxed: the future of every commit would have room for it.
pub(crate) async fn carry_out(
    desk: Teller<'_>,
    card: &mut Card,
    intent: &Intent,
    plan: Plan,
) -> Result<Cookie, SessionError> {
    let limited = desk.config.max_sessions_per_user.zip(intent.login.as_ref());
    match limited {
        None => commit(desk, card, intent, plan).await,
        Some((limit, login)) => {
            Box::pin(within_limit(desk, card, intent, plan, (limit, &login.user))).await
        }
    }
}

/// The same for a login of a user who may have so many sessions.
async fn within_limit(
    desk: Teller<'_>,
    card: &mut Card,
    intent: &Intent,
    plan: Plan,
    (limit, user): (SessionLimit, &Arc<str>),
) -> Result<Cookie, SessionError> {
    let own = card.held().map(|held| held.token.selector());
    policy::admit(desk, limit, user, own).await?;
    let cookie = commit(desk, card, intent, plan).await?;
    if let Some(held) = card.held() {
        let own = held.token.selector();
        policy::settle(desk, limit, user, own).await?;
    }
    Ok(cookie)
}

async fn commit(
    desk: Teller<'_>,
    card: &mut Card,
    intent: &Intent,
    plan: Plan,
) -> Result<Cookie, SessionError> {
    Ok(match (plan, &mut *card) {
        (Plan::Touch, Card::Valid(held)) => touch(desk, held).await,
        (Plan::Replace, Card::Valid(held)) => match replace(desk, held, intent).await? {
            Replacement::Made(cookie) => cookie,
            Replacement::TakenOver => {
                let (held, cookie) = Box::pin(taken_over(desk, held, intent)).await?;
                *card = Card::Valid(held);
                cookie
            }
            Replacement::MadeAndTakenOver => {
                *card = Card::Late(Late::Rotated(held.token.selector()));
                Cookie::Withdraw
            }
        },
        (Plan::Create, _) => {
            let (held, cookie) = create(desk, intent, &intent.changes).await?;
            *card = Card::Valid(held);
            cookie
        }
        (Plan::Delete | Plan::DeleteThenCreate, _) => {
            Box::pin(end(desk, card, intent, plan)).await?
        }
        (Plan::RemoveCookie, _) => Cookie::Send(CookieChange::Remove),
        (Plan::Refuse, _) => return Err(SessionError::Ambiguous),
        (Plan::Interrupt, _) => return Err(SessionError::Interrupted),
        (Plan::Unavailable, _) => return Err(StoreError::new(StoreErrorKind::Refused).into()),
        (Plan::Nothing | Plan::Discard | Plan::Touch | Plan::Replace, _) => Cookie::Keep,
    })
}

/// Ends a session, and begins another where the plan says so.
async fn end(
    desk: Teller<'_>,
    card: &mut Card,
    intent: &Intent,
    plan: Plan,
) -> Result<Cookie, SessionError> {
    let mut spared = false;
    if let Card::Valid(held) = card
        && intent.outdated
    {
        let now = desk.examine_latest(&held.token).await?;
        // It was this very session, in a request at the same time, that changed the credential.
        spared = !rests_on(&now, held.record.header().terms.stamp);
        *card = now;
    }
    match (plan, spared) {
        (Plan::Delete, true) => return Ok(Cookie::Keep),
        // A fresh session's card would take the place of the one that goes on.
        (_, true) if intent.login.is_none() => return Err(SessionError::Interrupted),
        (_, true) => {}
        (_, false) => delete(desk, card, intent).await?,
    }
    if plan == Plan::DeleteThenCreate {
        let (held, cookie) = create(desk, intent, &intent.changes).await?;
        *card = Card::Valid(held);
        return Ok(cookie);
    }
    *card = Card::Absent;
    Ok(Cookie::Send(CookieChange::Remove))
}

/// Whether a card opens a session that rests on this credential.
fn rests_on(card: &Card, stamp: Option<Stamp>) -> bool {
    let Card::Valid(held) = card else {
        return false;
    };
    match (held.record.header().terms.stamp, stamp) {
        (Some(one), Some(other)) => one.same_as(&other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// Slides the idle limit. A failure costs nothing but the slide.
async fn touch(desk: Teller<'_>, held: &mut Held) -> Cookie {
    let lifetime = desk.lifetime(&held.record, desk.clock.now());
    if lifetime.is_over() {
        // It ended while the request was under way. If it is the clock that is wrong, it goes on afterwards.
        return Cookie::Keep;
    }
    let ttl = lifetime.time_to_live();
    let key = desk.key(held.token.selector());
    let (expected, prolongs) = (held.record.revision(), held.record.prolonged_by(ttl));
    match desk.store().touch(&key, expected, ttl, prolongs).await {
        Ok(true) => {
            held.touch_due = lifetime.touch_is_always_due();
            if lifetime.cookie_slides() {
                return set_cookie(desk, held, lifetime.max_age());
            }
        }
        // Somebody wrote meanwhile, and so slid the limit: whose card is the newer one is not ours to say.
        Ok(false) => return Cookie::Withdraw,
        Err(error) => {
            let event = Event::store_failed(StoreCall::Touch, &error);
            desk.tell(event.session(key.id()).user(held.record.owner()));
        }
    }
    Cookie::Keep
}

fn set_cookie(desk: Teller<'_>, held: &Held, max_age: Option<Duration>) -> Cookie {
    Cookie::Send(CookieChange::Set(desk.cookie.set(&held.token, max_age)))
}

/// Deletes the session that a card opens, or has opened until a moment ago.
async fn delete(desk: Teller<'_>, card: &Card, intent: &Intent) -> Result<(), SessionError> {
    let (id, user) = match card {
        Card::Valid(held) => (held.token.selector(), held.record.owner()),
        // Whose it is by now is not this card's to know.
        Card::Late(Late::Rotated(id)) => (*id, None),
        _ => return Ok(()),
    };
    let key = desk.key(id);
    let mut patience = Patience::new(desk);
    while patience.lasts() {
        match patience
            .store()
            .delete(&key, user.map(|user| &**user))
            .await
        {
            Ok(()) => {
                let ending = match intent.ended {
                    _ if intent.outdated => Ending::Credential,
                    Ended::BySwitch => Ending::Switch,
                    Ended::No | Ended::Asked => Ending::Logout,
                };
                desk.tell(
                    Event::new(EventKind::Destroyed(ending))
                        .session(id)
                        .user(user),
                );
                return Ok(());
            }
            // To delete once more does no harm.
            Err(error) => patience.outcome_unknown(StoreCall::Delete, id, error)?,
        }
    }
    Err(gave_up())
}

/// Stores a new session under a fresh token.
async fn create(
    desk: Teller<'_>,
    intent: &Intent,
    changes: &Changes,
) -> Result<(Held, Cookie), SessionError> {
    let mut patience = Patience::new(desk);
    'token: while patience.lasts() {
        let (token, revision) = desk.new_token()?;
        let (key, proof) = (desk.key(token.selector()), desk.hash(&token));
        let draft = new_draft(desk, intent, changes, (&token, proof), revision)?;
        let mut may_be_ours = false;
        loop {
            match patience
                .store()
                .create(&key, &draft.record, draft.ttl)
                .await
            {
                Ok(Created::Created) => break,
                // By our own call of a moment ago, perhaps.
                Ok(Created::Exists) if may_be_ours => {}
                // By somebody else, even if everything looks like ours: processes may be copies of each other.
                Ok(Created::Exists) => continue 'token,
                Err(error) => {
                    patience.outcome_unknown(StoreCall::Create, key.id(), error)?;
                    may_be_ours = true;
                }
            }
            match Box::pin(patience.load(&key)).await? {
                Loaded::Record {
                    record: present, ..
                } if present.includes(draft.record.revision()) => break,
                Loaded::Absent if patience.lasts() => {}
                _ => continue 'token,
            }
        }
        let creation = match intent.login {
            Some(_) => Creation::Login,
            None => Creation::Write,
        };
        let event = Event::new(EventKind::Created(creation)).session(token.selector());
        desk.tell(event.user(draft.record.owner()));
        tell_capped(desk, intent, key.id(), &draft);
        let held = Held {
            token,
            proof,
            touch_due: draft.touch_due,
            record: draft.record,
        };
        let cookie = set_cookie(desk, &held, draft.max_age);
        return Ok((held, cookie));
    }
    Err(gave_up())
}

/// What became of a session that was to be written.
enum Replacement {
    /// It is in hand as it was written.
    Made(Cookie),
    /// It belongs to another request's token by now, or to nobody.
    TakenOver,
    /// The same, but not before it was written.
    MadeAndTakenOver,
}

/// Writes a session that goes on, unless another request rotated or ended it meanwhile.
async fn replace(
    desk: Teller<'_>,
    held: &mut Held,
    intent: &Intent,
) -> Result<Replacement, SessionError> {
    let key = desk.key(held.token.selector());
    // One new token for all attempts: whichever of them arrives, it is the one that the browser gets.
    let (mut rotated, mut drawn) = (None, None);
    if intent.rotates() {
        let (token, revision) = desk.rotated_token(key.id())?;
        let proof = desk.hash(&token);
        (rotated, drawn) = (Some((token, proof)), Some(revision));
    }
    let mut rebased = None;
    let mut unanswered: Vec<Revision> = Vec::new();
    let mut patience = Patience::new(desk);
    let crowd = desk.crowd(key.id());
    let mut turn = None;
    if crowd.is_gathered() {
        turn = Some(Box::pin(patience.turn(crowd)).await?);
    }
    while patience.lasts() {
        // Each attempt is a revision of its own.
        let revision = drawn.take().map_or_else(|| desk.new_revision(), Ok)?;
        let (token, proof) = rotated
            .as_ref()
            .map_or((&held.token, None), |(token, proof)| (token, Some(*proof)));
        let draft = next_draft(
            desk,
            intent,
            rebased.as_deref().unwrap_or(&intent.changes),
            &held.record,
            (token, proof),
            revision,
        )?;
        if draft.is_over {
            return Err(interrupted(desk, key.id(), held.record.owner()));
        }
        let present = match patience
            .store()
            .replace(&key, held.record.revision(), &draft.record, draft.ttl)
            .await
        {
            Ok(Replaced::Replaced) => {
                let moved = intent
                    .expiry
                    .is_some_and(|expiry| expiry != held.record.header().expiry);
                let send = rotated.is_some() || moved || draft.cookie_slides;
                tell_rotated(desk, intent, key.id(), &draft.record);
                tell_capped(desk, intent, key.id(), &draft);
                held.touch_due = draft.touch_due;
                held.go_on(draft.record, rotated);
                let cookie = if send {
                    set_cookie(desk, held, draft.max_age)
                } else {
                    Cookie::Keep
                };
                return Ok(Replacement::Made(cookie));
            }
            Ok(Replaced::Conflict(present)) => present,
            Err(error) => {
                patience.outcome_unknown(StoreCall::Replace, key.id(), error)?;
                unanswered.push(draft.record.revision());
                Box::pin(patience.load(&key)).await?
            }
        };
        let Loaded::Record {
            record: present,
            remaining,
        } = present
        else {
            return Ok(Replacement::TakenOver);
        };
        if unanswered
            .iter()
            .any(|revision| present.includes(*revision))
        {
            // It arrived after all. Only the cookie of a new token is sent: whether an old one may be, nobody confirmed.
            tell_rotated(desk, intent, key.id(), &present);
            let proof = rotated.as_ref().map_or(&held.proof, |(_, proof)| proof);
            if !present.header().verifier.same_as(proof) {
                // And then somebody took the session over: what they made of it is not this request's to see.
                return Ok(Replacement::MadeAndTakenOver);
            }
            let lifetime = desk.lifetime(&present, desk.clock.now());
            let send = rotated.is_some();
            held.touch_due = lifetime.touch_is_due(remaining);
            held.go_on(present, rotated);
            return Ok(Replacement::Made(match send {
                true => set_cookie(desk, held, lifetime.max_age()),
                false => Cookie::Keep,
            }));
        }
        if !present.header().verifier.same_as(&held.proof) {
            return Ok(Replacement::TakenOver);
        }
        if present.revision() != held.record.revision() {
            // Whether an unanswered write lies beneath the newer ones, nobody can tell: nothing is added twice.
            if !unanswered.is_empty() && !intent.changes.are_idempotent() {
                return Err(gave_up());
            }
            let event = Event::new(EventKind::Conflict).session(key.id());
            desk.tell(event.user(present.owner()));
            rebased = Some(Box::new(rebase(&intent.changes, &present)?));
            held.record = present;
            // Writers that met once would meet again, and many of them until their attempts are used up. So those of this
            // process take turns from here on; other processes are few.
            if turn.is_none() {
                turn = Some(Box::pin(patience.turn(crowd)).await?);
            }
        }
    }
    Err(gave_up())
}

/// A session is another request's by now. A login goes on without it: its user has just proved who they are.
async fn taken_over(
    desk: Teller<'_>,
    held: &Held,
    intent: &Intent,
) -> Result<(Held, Cookie), SessionError> {
    let (id, user) = (held.token.selector(), held.record.owner());
    if intent.login.is_none() {
        return Err(interrupted(desk, id, user));
    }
    desk.tell(Event::new(EventKind::Conflict).session(id).user(user));
    let changes = intent.changes.rebased(None);
    let changes = changes.map_err(|_| interrupted(desk, id, user))?;
    create(desk, intent, &changes).await
}

fn interrupted(desk: Teller<'_>, id: SessionId, user: Option<&Arc<str>>) -> SessionError {
    desk.tell(Event::new(EventKind::Interrupted).session(id).user(user));
    SessionError::Interrupted
}

/// The request's changes on a newer record; if they do not fit it, the other request has won.
fn rebase(changes: &Changes, present: &Record) -> Result<Changes, SessionError> {
    changes
        .rebased(Some(present.data()))
        .map_err(|_| SessionError::Interrupted)
}

fn tell_rotated(desk: Teller<'_>, intent: &Intent, id: SessionId, record: &Record) {
    let rotation = match intent {
        Intent { login: Some(_), .. } => Rotation::Login,
        Intent {
            reauthenticated: Some(_),
            ..
        } => Rotation::Reauthentication,
        Intent { rotate: true, .. } => Rotation::Cycle,
        _ => return,
    };
    let event = Event::new(EventKind::Rotated(rotation)).session(id);
    desk.tell(event.user(record.owner()));
}

fn tell_capped(desk: Teller<'_>, intent: &Intent, id: SessionId, draft: &Draft) {
    if intent.expiry.is_some() && draft.expiry_is_capped {
        let event = Event::new(EventKind::ExpiryCapped).session(id);
        desk.tell(event.user(draft.record.owner()));
    }
}
