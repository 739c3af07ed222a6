//! Stores a new session under a new token.

use super::committed::{Committed, CookieUpdate};
use super::prepared_write::PreparedWrite;
use super::retry::{Retry, gave_up};
use crate::error::SessionError;
use crate::event::{Creation, Event, EventKind};
use crate::lifecycle::changes::Changes;
use crate::lifecycle::context::ClientContext;
use crate::lifecycle::lookup::OpenSession;
use crate::lifecycle::pending::Pending;
use crate::store::{Created, Loaded, StoreCall};

pub(super) async fn create(
    context: ClientContext<'_>,
    pending: &Pending,
    changes: &Changes,
) -> Result<Committed, SessionError> {
    let mut retry = Retry::new(context);
    'token: while retry.next() {
        let (token, revision) = context.new_token()?;
        let (key, verifier_hash) = (context.key(token.selector()), context.hash(&token));
        let opens_with = (&token, verifier_hash);
        let mut prepared = PreparedWrite::create(context, pending, changes, opens_with, revision)?;
        let mut may_be_ours = false;
        loop {
            match retry.store().create(&key, &prepared.write(pending)).await {
                Ok(Created::Created) => break,
                // An earlier call of this loop may have created it.
                Ok(Created::Exists) if may_be_ours => {}
                // Another process created it, even if it looks like ours: processes may be copies of each other.
                Ok(Created::Exists) => continue 'token,
                Err(error) if prepared.is_tried_again(context, &error) => continue,
                Err(error) => {
                    retry.outcome_unknown(StoreCall::Create, key.id(), error)?;
                    may_be_ours = true;
                }
            }
            match Box::pin(retry.load(&key)).await? {
                Loaded::Record { record, .. } if record.includes(prepared.record.revision()) => {
                    break;
                }
                Loaded::Absent if retry.next() => {}
                _ => continue 'token,
            }
        }
        let creation = match pending.login {
            Some(_) => Creation::Login,
            None => Creation::Write,
        };
        let event = Event::new(EventKind::Created(creation)).session(key.id());
        context.report(event.user(prepared.record.shared_user()));
        prepared.report_capped_expiry(context, pending, key.id());
        if let Some(sessions) = context.evictions_to_report() {
            context.report(Event::new(EventKind::Evicted { sessions }));
        }
        if prepared.unconfirmed {
            context.report_if_many_begin();
        }
        let cookie = CookieUpdate::Set(prepared.max_age);
        let open = OpenSession {
            token,
            verifier_hash,
            kept_until: prepared.kept_until(),
            touch_due: prepared.touch_due,
            confirms: false,
            unconfirmed: prepared.unconfirmed,
            slides: true,
            record: prepared.record,
        };
        return Ok(Committed::open(open, cookie));
    }
    Err(gave_up())
}
