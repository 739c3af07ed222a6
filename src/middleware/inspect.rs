//! Asks the application's functions about a request: who sent it, and whether it counts as activity.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use http::Request;
use http::request::Parts;

use crate::client::{ClientFacts, ClientFingerprint};
use crate::event::{Hook, Reporter};
use crate::monitor::Browser;

/// A function of the application that looks at the head of a request.
type Question<T> = Arc<dyn Fn(&Parts) -> T + Send + Sync>;

/// The functions of the application that look at each request, before its handler.
#[derive(Clone, Default)]
pub(super) struct Inspect {
    client: Option<Question<ClientFacts>>,
    activity: Option<Question<bool>>,
}

/// What the functions say about a request.
pub(super) struct Inspected {
    pub(super) client: Option<Arc<ClientFacts>>,
    pub(super) activity: bool,
}

impl Default for Inspected {
    fn default() -> Self {
        Self {
            client: None,
            activity: true,
        }
    }
}

impl Inspect {
    pub(super) fn set_client(
        &mut self,
        client: impl Fn(&Parts) -> ClientFacts + Send + Sync + 'static,
    ) {
        self.client = Some(Arc::new(client));
    }

    pub(super) fn set_activity(
        &mut self,
        activity: impl Fn(&Parts) -> bool + Send + Sync + 'static,
    ) {
        self.activity = Some(Arc::new(activity));
    }

    /// Identifies clients for a monitor by the `User-Agent` alone, if the application does not identify them. Only the
    /// application knows whether an address is that of a client or of a proxy.
    pub(super) fn identify_by_browser(&mut self) {
        if self.client.is_some() {
            return;
        }
        self.set_client(|request| {
            let browser = Browser::of(&request.headers).to_string();
            let fingerprint = ClientFingerprint::new([&browser]);
            ClientFacts::new()
                .with_description(browser)
                .with_fingerprint(fingerprint)
        });
    }

    /// Whether there is nothing to ask.
    pub(super) fn is_empty(&self) -> bool {
        self.client.is_none() && self.activity.is_none()
    }

    /// Asks the functions. One that panics says nothing: then the client is unknown, or the request counts as activity, as it
    /// does without such a function. The request is not at fault.
    pub(super) fn ask<B>(
        &self,
        request: Request<B>,
        reporter: &Reporter,
    ) -> (Request<B>, Inspected) {
        let (head, body) = request.into_parts();
        let client = self.client.as_ref();
        let activity = self.activity.as_ref();
        let inspected = Inspected {
            client: client
                .and_then(|client| answer(reporter, Hook::Client, || Arc::new(client(&head)))),
            activity: activity
                .and_then(|activity| answer(reporter, Hook::Activity, || activity(&head)))
                .unwrap_or(true),
        };
        (Request::from_parts(head, body), inspected)
    }
}

fn answer<T>(reporter: &Reporter, hook: Hook, ask: impl FnOnce() -> T) -> Option<T> {
    let answer = catch_unwind(AssertUnwindSafe(ask)).ok();
    if answer.is_none() {
        reporter.report_panic(hook);
    }
    answer
}

impl fmt::Debug for Inspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspect").finish_non_exhaustive()
    }
}
