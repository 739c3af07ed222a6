//! Identifies the client of a request.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use http::request::Parts;

use crate::client::{ClientFacts, ClientFingerprint};
use crate::event::{Hook, Reporter};
use crate::monitor::Browser;

/// The application's function that describes the client of a request.
#[derive(Clone)]
pub(crate) struct Identify(Arc<dyn Fn(&Parts) -> ClientFacts + Send + Sync>);

impl Identify {
    pub(crate) fn new(identify: impl Fn(&Parts) -> ClientFacts + Send + Sync + 'static) -> Self {
        Self(Arc::new(identify))
    }

    /// Identifies clients for a monitor by the `User-Agent` alone, if the application does not identify them. Only the
    /// application knows whether an address is that of a client or of a proxy.
    pub(crate) fn by_browser() -> Self {
        Self::new(|request| {
            let browser = Browser::of(&request.headers).to_string();
            let fingerprint = ClientFingerprint::new([&browser]);
            ClientFacts::new()
                .with_description(browser)
                .with_fingerprint(fingerprint)
        })
    }

    /// The client's facts, as the application describes them. If its function panics, there are none: the request is not at
    /// fault.
    pub(crate) fn facts(&self, request: &Parts, reporter: &Reporter) -> Option<Arc<ClientFacts>> {
        let facts = catch_unwind(AssertUnwindSafe(|| Arc::new((self.0)(request)))).ok();
        if facts.is_none() {
            reporter.report_panic(Hook::Client);
        }
        facts
    }
}
