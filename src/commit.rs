//! Carries out a plan against the store: conflicts, retries, unknown outcomes. Merging lives here, once, and in no store.

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderValue;

use crate::card::{Card, Held, Late};
use crate::changes::Changes;
use crate::desk::Teller;
use crate::draft::{Draft, new_draft, next_draft};
use crate::error::SessionError;
use crate::event::{Creation, Ending, Event, EventKind, Rotation, StoreCall};
use crate::intent::Intent;
use crate::lifetime::Lifetime;
use crate::patience::{Patience, gave_up};
use crate::plan::{Ended, Plan};
use crate::policy;
use crate::random::RandomError;
use crate::record::{Record, Revision};
use crate::stamp::Stamp;
use crate::store::{Created, Loaded, Replaced, StoreError, StoreErrorKind};
use crate::token::SessionId;

/// What became of a session.
pub(crate) struct Committed {
    pub(crate) card: Card,
    pub(crate) cookie: Cookie,
}

impl Committed {
    pub(crate) fn unchanged(card: Card) -> Self {
        Self {
            card,
            cookie: Cookie::Keep,
        }
    }
}

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

/// Carries out `plan` for what `intent` asks of `card`, within what the layer allows a user.
///
/// What is seldom done is boxed: the future of every commit would have room for it.
pub(crate) async fn carry_out(
    desk: Teller<'_>,
    card: &Card,
    intent: &Intent,
    plan: Plan,
) -> Result<Committed, SessionError> {
    let limited = desk.config.max_sessions_per_user.zip(intent.login.as_ref());
    if let Some((limit, login)) = limited {
        let own = card.held().map(|held| held.token.selector());
        Box::pin(policy::admit(desk, limit, &login.user, own)).await?;
    }
    let committed = commit(desk, card, intent, plan).await?;
    if let Some((limit, login)) = limited
        && let Some(held) = committed.card.held()
    {
        let own = held.token.selector();
        Box::pin(policy::settle(desk, limit, &login.user, own)).await?;
    }
    Ok(committed)
}

async fn commit(
    desk: Teller<'_>,
    card: &Card,
    intent: &Intent,
    plan: Plan,
) -> Result<Committed, SessionError> {
    match (plan, card) {
        (Plan::Touch, Card::Valid(held)) => Ok(touch(desk, held).await),
        (Plan::Replace, Card::Valid(held)) => replace(desk, held, intent).await,
        (Plan::Create, _) => create(desk, intent, &intent.changes).await,
        (Plan::Delete | Plan::DeleteThenCreate, card) => {
            let (now, spared) = match card {
                Card::Valid(held) if intent.outdated => {
                    let now = Box::pin(desk.examine_latest(&held.token)).await?;
                    // It was this very session, in a request at the same time, that changed the credential.
                    let spared = !rests_on(&now, held.record.header().terms.stamp);
                    (Cow::Owned(now), spared)
                }
                _ => (Cow::Borrowed(card), false),
            };
            match (plan, spared) {
                (Plan::Delete, true) => return Ok(Committed::unchanged(now.into_owned())),
                // A fresh session's card would take the place of the one that goes on.
                (_, true) if intent.login.is_none() => return Err(SessionError::Interrupted),
                (_, true) => {}
                (_, false) => delete(desk, &now, intent).await?,
            }
            if plan == Plan::DeleteThenCreate {
                return create(desk, intent, &intent.changes).await;
            }
            Ok(Committed {
                card: Card::Absent,
                cookie: Cookie::Send(CookieChange::Remove),
            })
        }
        (Plan::RemoveCookie, card) => Ok(Committed {
            card: card.clone(),
            cookie: Cookie::Send(CookieChange::Remove),
        }),
        (Plan::Refuse, _) => Err(SessionError::Ambiguous),
        (Plan::Interrupt, _) => Err(SessionError::Interrupted),
        (Plan::Unavailable, _) => Err(StoreError::new(StoreErrorKind::Refused).into()),
        (Plan::Nothing | Plan::Discard | Plan::Touch | Plan::Replace, card) => {
            Ok(Committed::unchanged(card.clone()))
        }
    }
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
async fn touch(desk: Teller<'_>, held: &Held) -> Committed {
    let lifetime = desk.lifetime(&held.record, desk.clock.now());
    if lifetime.is_over() {
        // It ended while the request was under way. If it is the clock that is wrong, it goes on afterwards.
        return Committed::unchanged(Card::Valid(held.clone()));
    }
    let ttl = lifetime.time_to_live();
    let key = desk.key(held.token.selector());
    let (expected, prolongs) = (held.record.revision(), held.record.prolonged_by(ttl));
    let touched = desk.store.touch(&key, expected, ttl, prolongs).await;
    let mut cookie = Cookie::Keep;
    let mut held = held.clone();
    match touched {
        Ok(true) => {
            held.touch_due = lifetime.touch_is_always_due();
            if lifetime.cookie_slides() {
                cookie = set_cookie(desk, &held, &lifetime);
            }
        }
        // Somebody wrote meanwhile, and so slid the limit: whose card is the newer one is not ours to say.
        Ok(false) => cookie = Cookie::Withdraw,
        Err(error) => {
            let event = Event::store_failed(StoreCall::Touch, &error);
            desk.tell(event.session(key.id()).user(held.record.owner()));
        }
    }
    Committed {
        card: Card::Valid(held),
        cookie,
    }
}

fn set_cookie(desk: Teller<'_>, held: &Held, lifetime: &Lifetime<'_>) -> Cookie {
    Cookie::Send(CookieChange::Set(
        desk.cookie.set(&held.token, lifetime.max_age()),
    ))
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
) -> Result<Committed, SessionError> {
    let mut patience = Patience::new(desk);
    'token: while patience.lasts() {
        let (token, revision) = desk.new_token()?;
        let (key, proof) = (desk.key(token.selector()), desk.hash(&token));
        let Draft {
            record,
            ttl,
            lifetime,
        } = new_draft(desk, intent, changes, (&token, proof), revision)?;
        loop {
            match patience.store().create(&key, &record, ttl).await {
                Ok(Created::Created) => break,
                // An id that is taken: by somebody else, or by our own call of a moment ago.
                Ok(Created::Exists) => {}
                Err(error) => patience.outcome_unknown(StoreCall::Create, key.id(), error)?,
            }
            match patience.load(&key).await? {
                Loaded::Record {
                    record: present, ..
                } if present.includes(record.revision()) => break,
                Loaded::Absent if patience.lasts() => {}
                _ => continue 'token,
            }
        }
        let creation = match intent.login {
            Some(_) => Creation::Login,
            None => Creation::Write,
        };
        let event = Event::new(EventKind::Created(creation)).session(token.selector());
        desk.tell(event.user(record.owner()));
        tell_capped(desk, intent, &lifetime, key.id(), &record);
        let held = Held {
            token,
            proof,
            touch_due: lifetime.touch_is_always_due(),
            record,
        };
        let cookie = set_cookie(desk, &held, &lifetime);
        return Ok(Committed {
            card: Card::Valid(held),
            cookie,
        });
    }
    Err(gave_up())
}

/// Writes a session that goes on, unless another request rotated or ended it meanwhile.
async fn replace(
    desk: Teller<'_>,
    held: &Held,
    intent: &Intent,
) -> Result<Committed, SessionError> {
    let id = held.token.selector();
    let key = desk.key(id);
    // One new token for all attempts: whichever of them arrives, it is the one that the browser gets.
    let (token, new_proof, mut drawn) = if intent.rotates() {
        let (token, revision) = desk.rotated_token(id)?;
        let proof = desk.hash(&token);
        (token, Some(proof), Some(revision))
    } else {
        (held.token.clone(), None, None)
    };
    let mut base = held.record.clone();
    let mut changes = Cow::Borrowed(&intent.changes);
    let mut unanswered: Vec<Revision> = Vec::new();
    let mut patience = Patience::new(desk);
    let mut turn = None;
    while patience.lasts() {
        // Each attempt is a revision of its own.
        let revision = drawn.take().map_or_else(|| desk.new_revision(), Ok)?;
        let Draft {
            record,
            ttl,
            lifetime,
        } = next_draft(desk, intent, &changes, &base, (&token, new_proof), revision)?;
        if lifetime.is_over() {
            // The absolute limit passed while the request was under way.
            return interrupted(desk, id, base.owner());
        }
        let present = match patience
            .store()
            .replace(&key, base.revision(), &record, ttl)
            .await
        {
            Ok(Replaced::Replaced) => {
                let moved = intent
                    .expiry
                    .is_some_and(|expiry| expiry != base.header().expiry);
                let send = new_proof.is_some() || moved || lifetime.cookie_slides();
                tell_rotated(desk, intent, id, &record);
                tell_capped(desk, intent, &lifetime, id, &record);
                let proof = new_proof.unwrap_or(held.proof);
                let held = Held {
                    token,
                    proof,
                    record,
                    touch_due: lifetime.touch_is_always_due(),
                };
                let cookie = if send {
                    set_cookie(desk, &held, &lifetime)
                } else {
                    Cookie::Keep
                };
                return Ok(Committed {
                    card: Card::Valid(held),
                    cookie,
                });
            }
            Ok(Replaced::Conflict(present)) => present,
            Err(error) => {
                patience.outcome_unknown(StoreCall::Replace, id, error)?;
                unanswered.push(record.revision());
                patience.load(&key).await?
            }
        };
        let (present, remaining) = match present {
            Loaded::Record { record, remaining } => (record, remaining),
            Loaded::Absent | Loaded::Tombstone | Loaded::Unreadable(_) => {
                return Box::pin(taken_over(desk, intent, id, base.owner())).await;
            }
        };
        if unanswered
            .iter()
            .any(|revision| present.includes(*revision))
        {
            // It arrived after all. Only the cookie of a new token is sent: whether an old one may be, nobody confirmed.
            tell_rotated(desk, intent, id, &present);
            let proof = new_proof.unwrap_or(held.proof);
            if !present.header().verifier.same_as(&proof) {
                // And then somebody took the session over: what they made of it is not this request's to see.
                return Ok(Committed {
                    card: Card::Late(Late::Rotated(id)),
                    cookie: Cookie::Withdraw,
                });
            }
            let lifetime = desk.lifetime(&present, desk.clock.now());
            let held = Held {
                token,
                proof,
                touch_due: lifetime.touch_is_due(remaining),
                record: present.clone(),
            };
            let cookie = match new_proof {
                Some(_) => set_cookie(desk, &held, &lifetime),
                None => Cookie::Keep,
            };
            return Ok(Committed {
                card: Card::Valid(held),
                cookie,
            });
        }
        if !present.header().verifier.same_as(&held.proof) {
            return Box::pin(taken_over(desk, intent, id, base.owner())).await;
        }
        if present.revision() != base.revision() {
            // Whether an unanswered write lies beneath the newer ones, nobody can tell: nothing is added twice.
            if !unanswered.is_empty() && !changes.are_idempotent() {
                return Err(gave_up());
            }
            let event = Event::new(EventKind::Conflict).session(id);
            desk.tell(event.user(present.owner()));
            changes = Cow::Owned(rebased(&intent.changes, &present)?);
            base = present;
            // Writers that met once would meet again, and many of them until their attempts are used up. So those of this
            // process take turns from here on; other processes are few.
            if turn.is_none() {
                turn = Some(patience.turn(desk.turns(id)).await?);
            }
        }
    }
    Err(gave_up())
}

/// The session belongs to another request's token by now, or to nobody. A login goes on without it: its user has just
/// proved who they are.
async fn taken_over(
    desk: Teller<'_>,
    intent: &Intent,
    id: SessionId,
    user: Option<&Arc<str>>,
) -> Result<Committed, SessionError> {
    if intent.login.is_none() {
        return interrupted(desk, id, user);
    }
    desk.tell(Event::new(EventKind::Conflict).session(id).user(user));
    match intent.changes.rebased(None) {
        Ok(changes) => create(desk, intent, &changes).await,
        Err(_) => interrupted(desk, id, user),
    }
}

fn interrupted(
    desk: Teller<'_>,
    id: SessionId,
    user: Option<&Arc<str>>,
) -> Result<Committed, SessionError> {
    desk.tell(Event::new(EventKind::Interrupted).session(id).user(user));
    Err(SessionError::Interrupted)
}

/// The request's changes on a newer record; if they do not fit it, the other request has won.
fn rebased(changes: &Changes, present: &Record) -> Result<Changes, SessionError> {
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

fn tell_capped(
    desk: Teller<'_>,
    intent: &Intent,
    lifetime: &Lifetime<'_>,
    id: SessionId,
    record: &Record,
) {
    if intent.expiry.is_some() && lifetime.expiry_is_capped() {
        let event = Event::new(EventKind::ExpiryCapped).session(id);
        desk.tell(event.user(record.owner()));
    }
}
