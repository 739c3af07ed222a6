//! The result of a commit.

use std::time::Duration;

use crate::lifecycle::lookup::{Lookup, OpenSession};

/// The session after a commit, and the effect on the cookie.
pub(crate) struct Committed {
    pub(crate) lookup: Lookup,
    pub(crate) cookie: CookieUpdate,
}

/// What a commit does to the cookie of the response, which an earlier save may have set.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CookieUpdate {
    Keep,
    /// The browser gets the session's token. Without a duration the cookie ends with the browser.
    Set(Option<Duration>),
    /// The token opens nothing: the browser forgets the cookie.
    Remove,
    /// Another request wrote meanwhile. The token may open nothing any more, and the browser may have a newer one.
    Withdraw,
}

impl Committed {
    pub(super) fn open(open: OpenSession, cookie: CookieUpdate) -> Self {
        let lookup = Lookup::Open(open);
        Self { lookup, cookie }
    }
}
