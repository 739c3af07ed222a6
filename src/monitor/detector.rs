//! The detector: evaluates what was observed about a token, and never acts.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use super::new_sessions::NewSessions;
use super::proxies::owner_of;
use super::recent::Recent;
use super::request_rate::RequestRate;
use super::settings::{Monitor, Rate};
use super::signal::{Response, Signal};
use super::unknown_tokens::UnknownTokens;
use crate::client::{ClientFacts, ClientFingerprint};
use crate::clock::Timestamp;
use crate::config::ConfigError;
use crate::record::SessionId;
use crate::sync;

/// A finding is not reported again for this long.
const REPORT_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Looks for the signals that a [`Monitor`] names.
pub(crate) struct Detector {
    monitor: Monitor,
    requests: Mutex<Recent<SessionId, RequestRate>>,
    clients: Mutex<Recent<IpAddr, UnknownTokens>>,
    begun: Mutex<Recent<IpAddr, NewSessions>>,
    reported: Mutex<Recent<Reported, bool>>,
    // Keyed: clients choose their tokens, and could otherwise choose tokens with the same hash.
    hasher: RandomState,
}

/// What a look-up found out about a token.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Observation {
    /// The token opened its session.
    Opened {
        /// Whether the token was issued to another client.
        fingerprint_changed: bool,
    },
    /// The token was rotated out long ago.
    Stale,
    /// The token opens nothing.
    Unknown,
}

/// The result of an inspection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Findings {
    /// The signals to report now, each with its response.
    pub(crate) reports: [Option<(Signal, Response)>; 2],
    /// The strongest response to all signals, reported or not.
    pub(crate) response: Option<Response>,
    /// Whether a rate was exceeded. Then the detector is to be [told](Detector::answered) once the response was carried out.
    pub(crate) rate_exceeded: bool,
}

/// A signal that was reported, with its session and its client.
type Reported = (SessionId, Signal, Option<ClientFingerprint>);

impl Detector {
    pub(crate) fn new(monitor: Monitor) -> Result<Self, ConfigError> {
        monitor.validate()?;
        let memory = monitor.memory;
        let within = |rate: Option<Rate>| rate.map_or(REPORT_INTERVAL, |rate| rate.within);
        let requests = within(monitor.request_rate.map(|(rate, _)| rate));
        let clients = within(monitor.unknown_tokens);
        let begun = within(monitor.new_sessions);
        Ok(Self {
            monitor,
            requests: Mutex::new(Recent::new(requests, memory)),
            clients: Mutex::new(Recent::new(clients, memory)),
            begun: Mutex::new(Recent::new(begun, memory)),
            reported: Mutex::new(Recent::new(REPORT_INTERVAL, memory)),
            hasher: RandomState::new(),
        })
    }

    /// Whether a changed fingerprint is a signal.
    pub(crate) fn compares_fingerprints(&self) -> bool {
        self.monitor.fingerprint_changed.is_some()
    }

    /// Evaluates what was observed about the token of session `id`, which `client` sent.
    pub(crate) fn inspect(
        &self,
        observation: Observation,
        id: SessionId,
        client: Option<&ClientFacts>,
        now: Timestamp,
    ) -> Findings {
        let fingerprint = client.and_then(ClientFacts::fingerprint).copied();
        let mut findings = Findings::default();
        match observation {
            Observation::Opened {
                fingerprint_changed,
            } => {
                let changed = self.monitor.fingerprint_changed;
                let changed = changed.filter(|_| fingerprint_changed);
                let changed = changed.map(|response| (Signal::FingerprintChanged, response));
                let (rate, rate_is_new) = self.request_rate_exceeded(id, now).unzip();
                let rate = rate.map(|response| (Signal::RequestRate, response));
                findings.response = strongest(changed.into_iter().chain(rate));
                findings.rate_exceeded = rate.is_some();
                findings.reports = [
                    changed
                        .filter(|_| self.is_new(id, Signal::FingerprintChanged, fingerprint, now)),
                    rate.filter(|_| rate_is_new == Some(true)),
                ];
            }
            Observation::Stale => {
                let stale = self.monitor.stale_token;
                let stale = stale.map(|response| (Signal::StaleToken, response));
                findings.response = strongest(stale.into_iter());
                findings.reports[0] =
                    stale.filter(|_| self.is_new(id, Signal::StaleToken, fingerprint, now));
            }
            Observation::Unknown => {
                if client.is_some_and(|client| self.unknown_tokens_exceeded(id, client, now)) {
                    findings.reports[0] = Some((Signal::UnknownTokens, Response::Report));
                }
            }
        }
        findings
    }

    /// Whether a finding was not reported lately: a user on a new network sends many requests.
    fn is_new(
        &self,
        id: SessionId,
        signal: Signal,
        fingerprint: Option<ClientFingerprint>,
        now: Timestamp,
    ) -> bool {
        let mut reported = sync::lock(&self.reported);
        !std::mem::replace(
            reported.get_or_default((id, signal, fingerprint), now),
            true,
        )
    }

    /// The response to a request beyond the limit, and whether that is to be reported.
    fn request_rate_exceeded(&self, id: SessionId, now: Timestamp) -> Option<(Response, bool)> {
        let (rate, response) = self.monitor.request_rate?;
        let mut requests = sync::lock(&self.requests);
        let exceeded = requests.get_or_default(id, now).exceed(rate, now)?;
        Some((response, exceeded.is_new))
    }

    /// Remembers that the response to an exceeded rate was carried out.
    pub(crate) fn answered(&self, id: SessionId, now: Timestamp) {
        let mut requests = sync::lock(&self.requests);
        requests.get_or_default(id, now).answered(now);
    }

    /// Counts a session that a client began without a login, and returns whether to report that these are too many.
    pub(crate) fn new_sessions_exceeded(&self, facts: &ClientFacts, now: Timestamp) -> bool {
        // As with unknown tokens, only an address tells one client from another.
        let (Some(rate), Some(address)) = (self.monitor.new_sessions, facts.address()) else {
            return false;
        };
        sync::lock(&self.begun)
            .get_or_default(owner_of(address), now)
            .exceed(rate, now)
    }

    fn unknown_tokens_exceeded(&self, id: SessionId, facts: &ClientFacts, now: Timestamp) -> bool {
        let Some(rate) = self.monitor.unknown_tokens else {
            return false;
        };
        // Many clients share a fingerprint, such as that of a browser. Only an address tells one from another.
        let Some(address) = facts.address() else {
            return false;
        };
        let token = self.hasher.hash_one(id);
        sync::lock(&self.clients)
            .get_or_default(owner_of(address), now)
            .exceed(token, rate, now)
    }
}

fn strongest(signals: impl Iterator<Item = (Signal, Response)>) -> Option<Response> {
    let strength = |response: &Response| match response {
        Response::Report => 0,
        Response::RequireReauthentication => 1,
        Response::Revoke => 2,
    };
    signals.map(|(_, response)| response).max_by_key(strength)
}
