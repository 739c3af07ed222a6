//! Writes an existing session, unless another request rotates or ends it meanwhile. Changes are merged here and in no store.

use super::committed::{Committed, CookieUpdate};
use super::create::create;
use super::prepared_write::PreparedWrite;
use super::retry::{Retry, gave_up};
use crate::clock::Timestamp;
use crate::error::SessionError;
use crate::event::{Event, EventKind, Rotation};
use crate::lifecycle::changes::Changes;
use crate::lifecycle::context::ClientContext;
use crate::lifecycle::lookup::{Lookup, OpenSession, Superseded};
use crate::lifecycle::pending::Pending;
use crate::record::{Record, Revision, SessionId, Token, VerifierHash};
use crate::store::{Loaded, Replaced, StoreCall};

/// Writes the session; `None` if another request has rotated or ended it.
pub(super) async fn replace(
    context: ClientContext<'_>,
    open: &OpenSession,
    pending: &Pending,
) -> Result<Option<Committed>, SessionError> {
    let key = context.key(open.id());
    // One new token for all attempts: whichever attempt arrives, the browser gets this token.
    let (mut rotated, mut drawn) = (None, None);
    if pending.rotates() {
        let (token, revision) = context.rotated_token(key.id())?;
        let verifier_hash = context.hash(&token);
        (rotated, drawn) = (Some((token, verifier_hash)), Some(revision));
    }
    let mut base = open.record.clone();
    let slides = open.slides || pending.sets_lifetime();
    let mut kept_until = open.kept_until;
    let mut rebased = None;
    let mut unanswered: Vec<Revision> = Vec::new();
    let mut retry = Retry::new(context);
    let mut turn = None;
    let writers = context.writers(key.id());
    if writers.exists() {
        turn = Some(Box::pin(retry.turn(writers)).await?);
    }
    while retry.next() {
        // Each attempt has its own revision.
        let revision = drawn.take().map_or_else(|| context.new_revision(), Ok)?;
        let (token, new_verifier) = rotated
            .as_ref()
            .map_or((&open.token, None), |(token, hash)| (token, Some(*hash)));
        let mut prepared = PreparedWrite::replace(
            context,
            pending,
            rebased.as_deref().unwrap_or(&pending.changes),
            (&base, open.unconfirmed),
            (token, new_verifier),
            revision,
            (!slides).then_some(kept_until),
        )?;
        if prepared.is_over {
            return Err(SessionError::Interrupted);
        }
        let expected = base.revision();
        let replaced = loop {
            let write = prepared.write(pending);
            match retry.store().replace(&key, expected, &write).await {
                Err(error) if prepared.is_tried_again(context, &error) => {}
                replaced => break replaced,
            }
        };
        let present = match replaced {
            Ok(Replaced::Replaced) => {
                let moved = pending
                    .expiry
                    .is_some_and(|expiry| expiry != base.header().expiry);
                let slid = slides && prepared.cookie_slides;
                let cookie = match rotated.is_some() || moved || slid {
                    true => CookieUpdate::Set(prepared.max_age),
                    false => CookieUpdate::Keep,
                };
                report_rotation(context, pending, key.id(), &prepared.record);
                prepared.report_capped_expiry(context, pending, key.id());
                let kept_until = prepared.kept_until();
                let flags = (prepared.touch_due, prepared.unconfirmed);
                let open = written(open, prepared.record, kept_until, flags, rotated);
                return Ok(Some(Committed::open(open, cookie)));
            }
            Ok(Replaced::Conflict(present)) => present,
            Err(error) => {
                retry.outcome_unknown(StoreCall::Replace, key.id(), error)?;
                unanswered.push(prepared.record.revision());
                Box::pin(retry.load(&key)).await?
            }
        };
        let Loaded::Record {
            record: present,
            remaining,
            ..
        } = present
        else {
            return Ok(None);
        };
        if unanswered
            .iter()
            .any(|revision| present.includes(*revision))
        {
            // The write arrived after all. The cookie is sent for a new token only: no answer confirmed that an old token
            // still opens the session.
            report_rotation(context, pending, key.id(), &present);
            let ours = rotated
                .as_ref()
                .map_or(&open.verifier_hash, |(_, verifier_hash)| verifier_hash);
            if !present.header().verifier.same_as(ours) {
                // Another request has rotated the session since. This request must not see what that one did.
                return Ok(Some(Committed {
                    lookup: Lookup::Superseded(Superseded::Rotated(key.id())),
                    cookie: CookieUpdate::Withdraw,
                }));
            }
            let lifetime = context.lifetime(&present, context.now());
            let cookie = match rotated {
                Some(_) => CookieUpdate::Set(lifetime.max_age()),
                None => CookieUpdate::Keep,
            };
            let unconfirmed = open.unconfirmed && present.user().is_none();
            let touch_due = !unconfirmed && lifetime.touch_is_due(remaining);
            let kept_until = context.now().plus(remaining);
            let flags = (touch_due, unconfirmed);
            let open = written(open, present, kept_until, flags, rotated);
            return Ok(Some(Committed::open(open, cookie)));
        }
        if !present.header().verifier.same_as(&open.verifier_hash) {
            return Ok(None);
        }
        if present.revision() != base.revision() {
            // It is unknown whether the newer revisions include an unanswered write. No update may be applied twice.
            if !unanswered.is_empty() && !pending.changes.are_idempotent() {
                return Err(gave_up());
            }
            let event = Event::new(EventKind::Conflict).session(key.id());
            context.report(event.user(present.shared_user()));
            rebased = Some(Box::new(rebase(&pending.changes, &present)?));
            base = present;
            kept_until = context.now().plus(remaining);
            // Writers that conflicted once would conflict again, and many of them would use up their attempts. From here on
            // those of this process write one after the other; there are few other processes.
            if turn.is_none() {
                let writers = context.writers(key.id());
                turn = Some(Box::pin(retry.turn(writers)).await?);
            }
        }
    }
    Err(gave_up())
}

/// The session after the write, under its new token if it was rotated.
fn written(
    open: &OpenSession,
    record: Record,
    kept_until: Timestamp,
    (touch_due, unconfirmed): (bool, bool),
    rotated: Option<(Token, VerifierHash)>,
) -> OpenSession {
    let (token, verifier_hash) =
        rotated.unwrap_or_else(|| (open.token.clone(), open.verifier_hash));
    OpenSession {
        token,
        verifier_hash,
        record,
        kept_until,
        touch_due: touch_due && open.slides,
        confirms: false,
        unconfirmed,
        slides: open.slides,
    }
}

/// A login continues even if another request has taken the session over: its user has just authenticated, and gets a session of
/// their own.
pub(super) async fn taken_over(
    context: ClientContext<'_>,
    open: &OpenSession,
    pending: &Pending,
) -> Result<Committed, SessionError> {
    if pending.login.is_none() {
        return Err(SessionError::Interrupted);
    }
    let event = Event::new(EventKind::Conflict).session(open.id());
    context.report(event.user(open.record.shared_user()));
    let changes = pending.changes.rebased(None);
    let changes = changes.map_err(|_| SessionError::Interrupted)?;
    create(context, pending, &changes).await
}

/// Replays the request's changes on a newer record. If that fails, this request is interrupted.
fn rebase(changes: &Changes, present: &Record) -> Result<Changes, SessionError> {
    changes
        .rebased(Some(present.data()))
        .map_err(|_| SessionError::Interrupted)
}

fn report_rotation(context: ClientContext<'_>, pending: &Pending, id: SessionId, record: &Record) {
    let rotation = match pending {
        Pending { login: Some(_), .. } => Rotation::Login,
        Pending {
            reauthenticated: Some(_),
            ..
        } => Rotation::Reauthentication,
        Pending { rotate: true, .. } => Rotation::Requested,
        _ => return,
    };
    let event = Event::new(EventKind::Rotated(rotation)).session(id);
    context.report(event.user(record.shared_user()));
}
