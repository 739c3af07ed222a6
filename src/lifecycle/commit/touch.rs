//! Slides the idle limit.

use super::committed::{Committed, CookieUpdate};
use super::index_change::extended_entry;
use crate::event::Event;
use crate::lifecycle::context::ClientContext;
use crate::lifecycle::lookup::OpenSession;
use crate::store::StoreCall;

/// Slides the idle limit of a session. If the store fails, only the slide is lost.
pub(super) async fn touch(context: ClientContext<'_>, open: &OpenSession) -> Committed {
    let (mut kept_until, mut touch_due) = (open.kept_until, open.touch_due);
    let mut confirms = open.confirms;
    let now = context.now();
    let lifetime = context.lifetime(&open.record, now);
    let mut cookie = CookieUpdate::Keep;
    // A session may end while its request runs. It is not touched: if the clock was wrong, the session continues later.
    if !lifetime.is_over() {
        let ttl = lifetime.time_to_live();
        let key = context.key(open.id());
        let (expected, extends) = (open.record.revision(), extended_entry(&open.record, ttl));
        match context.store().touch(&key, expected, ttl, extends).await {
            Ok(true) => {
                kept_until = now.plus(ttl);
                confirms = false;
                touch_due = lifetime.touch_is_always_due();
                if lifetime.cookie_slides() {
                    cookie = CookieUpdate::Set(lifetime.max_age());
                }
            }
            // Another request wrote meanwhile, which slid the limit. Only that request knows the newer token.
            Ok(false) => cookie = CookieUpdate::Withdraw,
            Err(error) => {
                let event = Event::store_failed(StoreCall::Touch, &error).session(key.id());
                context.report(event.user(open.record.shared_user()));
            }
        }
    }
    let open = OpenSession {
        kept_until,
        touch_due,
        confirms,
        ..open.clone()
    };
    Committed::open(open, cookie)
}
