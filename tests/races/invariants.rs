//! What holds in every schedule, checked on what happened: first call by call, then request by request.

use std::collections::{BTreeMap, BTreeSet};

use tower_keycard::store::RecordKey;

use crate::browser::SetCookie;
use crate::driver::{Outcome, Trace};
use crate::facts::Facts;
use crate::script::{Fault, LOG, Operation, Script};
use crate::stage::{Call, Effect, Found};

/// Everything that is wrong with a trace.
pub(crate) fn violations(trace: &Trace) -> Vec<String> {
    let mut check = Check::new(trace);
    for (moment, call) in trace.calls.iter().enumerate() {
        check.call(moment, call);
    }
    check.ends();
    for (number, outcome) in trace.outcomes.iter().enumerate() {
        check.outcome(number, outcome);
    }
    check.tokens();
    check.violations
}

/// What a request's last answered call left of the session that the call was about.
#[derive(Clone)]
pub(crate) struct Confirmed {
    pub(crate) moment: usize,
    verifier: Option<[u8; 32]>,
}

pub(crate) struct Check<'a> {
    pub(crate) trace: &'a Trace,
    pub(crate) violations: Vec<String>,
    /// What each handed-out token's verifier hashes to.
    verifiers: BTreeMap<&'a str, [u8; 32]>,
    present: BTreeMap<RecordKey, Facts>,
    deleted: BTreeSet<RecordKey>,
    /// Verifiers that were rotated out, and by whom.
    retired: BTreeMap<[u8; 32], usize>,
    /// The last record that each request wrote, and under which key.
    written: BTreeMap<usize, (RecordKey, Facts)>,
    /// Every entry that was ever stored by a request.
    stored: BTreeSet<(usize, String)>,
    pub(crate) confirmed: BTreeMap<usize, Confirmed>,
    /// Requests that made a token worthless, and when.
    pub(crate) killers: BTreeMap<usize, usize>,
}

impl<'a> Check<'a> {
    fn new(trace: &'a Trace) -> Self {
        let mut check = Self {
            trace,
            violations: Vec::new(),
            verifiers: BTreeMap::new(),
            present: BTreeMap::new(),
            deleted: BTreeSet::new(),
            retired: BTreeMap::new(),
            written: BTreeMap::new(),
            stored: BTreeSet::new(),
            confirmed: BTreeMap::new(),
            killers: BTreeMap::new(),
        };
        for (key, found) in &trace.before {
            if let (Found::Record(record), Some(token)) = (found, &trace.first_token) {
                let facts = Facts::of(record);
                check.verifiers.insert(token, facts.verifier);
                check.present.insert(key.clone(), facts);
            }
        }
        for (number, outcome) in trace.outcomes.iter().enumerate() {
            if let Some(SetCookie::Set(token)) = &outcome.cookie {
                check.find_verifier(number, token);
            }
        }
        check
    }

    pub(crate) fn fail(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }

    fn script(&self, number: usize) -> &'a Script {
        &self.trace.scene.requests[number]
    }

    /// A token is that of the last record which its request wrote; a refreshed one is the token that the request carried.
    fn find_verifier(&mut self, number: usize, token: &'a str) {
        let mut written = self.trace.calls.iter().rev().filter_map(|call| {
            let of_token = call.request == number && call.key.id().as_str() == &token[..20];
            match &call.effect {
                Effect::Created(record) | Effect::Replaced(record) if of_token => {
                    Some(Facts::of(record).verifier)
                }
                _ => None,
            }
        });
        let outcome = &self.trace.outcomes[number];
        let refreshed = outcome.carried.as_deref() == Some(token);
        match written.next() {
            // A 503 hands out the token of an earlier save, and does not know of a rotation since.
            _ if refreshed && !outcome.heard() => {}
            Some(last) if outcome.heard() || written.all(|earlier| earlier == last) => {
                self.verifiers.insert(token, last);
            }
            Some(_) => {}
            None if refreshed => {}
            None => self.fail(format!("request {number} handed out a token of nothing")),
        }
    }

    fn call(&mut self, moment: usize, call: &Call) {
        let key = &call.key;
        match &call.effect {
            Effect::NotSent => return,
            Effect::Loaded(Found::Record(_)) | Effect::Conflicted(Found::Record(_)) => {
                if self.deleted.contains(key) {
                    self.fail(format!("{key} was found again after it was deleted"));
                }
            }
            Effect::Loaded(_) | Effect::Conflicted(_) | Effect::Existed => {}
            Effect::Touched => {}
            Effect::Created(record) => {
                let facts = Facts::of(record);
                let expired = !self.trace.time.is_empty();
                if self.present.contains_key(key) && !expired || self.deleted.contains(key) {
                    self.fail(format!("{key} was created over what was there"));
                }
                self.wrote(call, facts);
            }
            Effect::Replaced(record) => self.replaced(moment, call, Facts::of(record)),
            Effect::Deleted => {
                let ends = |operation: &Operation| {
                    matches!(operation, Operation::Logout | Operation::Login(_))
                };
                if !self.script(call.request).does(ends) {
                    self.fail(format!("request {} deleted a session", call.request));
                }
                self.present.remove(key);
                self.deleted.insert(key.clone());
                self.killers.insert(call.request, moment);
            }
        }
        // What the caller learned; of a lost reply it learned nothing.
        if call.fault == Fault::None {
            let verifier = self.present.get(key).map(|facts| facts.verifier);
            self.confirmed
                .insert(call.request, Confirmed { moment, verifier });
        }
    }

    fn replaced(&mut self, moment: usize, call: &Call, new: Facts) {
        let (number, key) = (call.request, &call.key);
        if self.deleted.contains(key) {
            self.fail(format!("request {number} resurrected {key}"));
        }
        let Some(old) = self.present.get(key).cloned() else {
            self.fail(format!("request {number} replaced nothing"));
            return;
        };
        if old.revision == new.revision {
            return;
        }
        let carried = self.trace.outcomes[number].carried.as_deref();
        let opened = match self.written.get(&number) {
            Some((at, facts)) if at == key => Some(facts.verifier),
            _ => carried.and_then(|token| self.verifiers.get(token).copied()),
        };
        if opened != Some(old.verifier) {
            self.fail(format!(
                "request {number} wrote to a session that its token does not open"
            ));
        }
        let script = self.script(number);
        let logs_in = script.does(|operation| matches!(operation, Operation::Login(_)));
        if new.verifier != old.verifier {
            self.killers.insert(number, moment);
            if let Some(winner) = self.retired.insert(old.verifier, number) {
                self.fail(format!("{winner} and {number} both won one rotation"));
            }
            if self.retired.contains_key(&new.verifier) {
                self.fail(format!(
                    "request {number} brought an old token back to life"
                ));
            }
        }
        if new.deadline != old.deadline && !logs_in {
            self.fail(format!(
                "request {number} moved the deadline without a login"
            ));
        }
        if new.user != old.user && (old.user.is_some() || !logs_in) {
            self.fail(format!("request {number} gave a session to another user"));
        }
        if !script.does(|operation| *operation == Operation::Clear) {
            self.kept(number, &old, &new);
        }
        self.wrote(call, new);
    }

    /// What others wrote stays, unless this very request wrote there.
    fn kept(&mut self, number: usize, old: &Facts, new: &Facts) {
        for (key, before) in &old.data {
            let removes =
                |operation: &Operation| matches!(operation, Operation::Remove(at) if at == key);
            let inserts =
                |operation: &Operation| matches!(operation, Operation::Insert(at) if at == key);
            let script = self.script(number);
            if script.does(removes) || script.does(inserts) {
                continue;
            }
            let after = new.data.get(key).map_or(&[][..], Vec::as_slice);
            let lost = if key == LOG {
                !after.starts_with(before)
            } else {
                after != before
            };
            if lost {
                self.fail(format!(
                    "request {number} lost another's {key}: {before:?} → {after:?}"
                ));
            }
        }
    }

    fn wrote(&mut self, call: &Call, facts: Facts) {
        if let Some(entry) = facts.foreign() {
            self.fail(format!("{entry} stands in a session of {:?}", facts.user));
        }
        let log = facts.data.get(LOG).into_iter().flatten();
        let mut seen = BTreeSet::new();
        if let Some(twice) = log.clone().find(|entry| !seen.insert(*entry)) {
            self.fail(format!("{twice} was added twice"));
        }
        for entry in facts.data.values().flatten() {
            self.stored.insert((call.request, entry.clone()));
        }
        self.written
            .insert(call.request, (call.key.clone(), facts.clone()));
        self.present.insert(call.key.clone(), facts);
    }

    /// What the store has in the end is what its calls made of it, or has expired.
    fn ends(&mut self) {
        for (key, found) in &self.trace.after {
            match found {
                Found::Record(record) => {
                    if self.deleted.contains(key) {
                        self.fail(format!("{key} is there although it was deleted"));
                    } else if self.present.get(key) != Some(&Facts::of(record)) {
                        self.fail(format!("{key} is not what was written last"));
                    }
                }
                Found::Nothing | Found::Tombstone => {
                    if self.present.contains_key(key) && self.trace.time.is_empty() {
                        self.fail(format!("{key} is lost"));
                    }
                }
            }
        }
    }

    fn outcome(&mut self, number: usize, outcome: &Outcome) {
        for sight in &outcome.sights {
            if let Some(entry) = sight.foreign() {
                self.fail(format!("request {number} saw {entry} as {:?}", sight.user));
            }
        }
        let script = self.script(number);
        let undisturbed = script.faults.iter().all(|fault| *fault == Fault::None);
        self.logout(number, outcome, undisturbed);
        let Some(status) = outcome.status else {
            return;
        };
        let fails = script.does(|operation| *operation == Operation::Fail);
        let saves = script.saves();
        let stored = self.trace.after.values().any(|found| match found {
            Found::Record(record) => Facts::of(record).has_entry_of(number),
            Found::Nothing | Found::Tombstone => false,
        });
        match status {
            // A save that failed ended the handler before it could.
            200 if !fails || saves => self.acknowledged(number, outcome),
            500 if fails => {
                if stored && !saves {
                    self.fail(format!("request {number} failed and stored something"));
                }
            }
            409 => {
                if stored && !saves {
                    self.fail(format!(
                        "request {number} was interrupted and stored something"
                    ));
                }
                // What was saved before was the login; what came after it is a write like any other.
                if script.login().is_some() && !saves {
                    self.fail(format!("the login of request {number} was interrupted"));
                }
            }
            503 if !undisturbed => {}
            other => self.fail(format!("request {number} was answered {other}")),
        }
        let logs_out = script.does(|operation| *operation == Operation::Logout);
        if outcome.cookie == Some(SetCookie::Remove) && !logs_out {
            self.fail(format!(
                "request {number} removed a cookie, and nobody asked it to log out"
            ));
        }
        if status == 409 && outcome.cookie.is_some() {
            self.fail(format!(
                "request {number} was interrupted and sent a cookie"
            ));
        }
        // A handler may answer 503 of its own, after a logout.
        let ended = self.killers.contains_key(&number);
        if status == 503 && outcome.cookie.is_some() && !ended && !saves {
            self.fail(format!("request {number} failed and sent a cookie"));
        }
        if script
            .operations
            .iter()
            .all(|operation| *operation == Operation::Read)
            && undisturbed
            && status != 200
        {
            self.fail(format!("a reader was answered {status}"));
        }
        if let (Some(SetCookie::Set(token)), true) = (&outcome.cookie, outcome.heard()) {
            let confirmed = self.confirmed.get(&number).and_then(|last| last.verifier);
            if confirmed.is_none() || confirmed.as_ref() != self.verifiers.get(token.as_str()) {
                self.fail(format!(
                    "request {number} handed out a token that was dead by then"
                ));
            }
        }
        // The response says what happened to the token, unless there was none.
        let reported = status >= 500 || outcome.cookie.is_some() || saves || !undisturbed;
        if self.killers.contains_key(&number) && !reported {
            self.fail(format!(
                "request {number} ended a token and did not report it"
            ));
        }
    }

    /// What a response acknowledged is stored.
    fn acknowledged(&mut self, number: usize, outcome: &Outcome) {
        let Some(sight) = outcome.sights.last() else {
            return;
        };
        let own = format!("/r{number}o");
        let stored = |entry: &String| self.stored.contains(&(number, entry.clone()));
        let seen = sight.data.iter().flat_map(|(_, entries)| entries);
        if let Some(lost) = seen
            .filter(|entry| entry.contains(&own))
            .find(|entry| !stored(entry))
        {
            self.fail(format!("{lost} was acknowledged and is not stored"));
        }
        let script = self.script(number);
        let saves = script.saves();
        let Some(user) = script.login() else {
            return;
        };
        if sight.user.as_deref() != Some(user) {
            return;
        }
        let bound = self.written.get(&number);
        if bound.and_then(|(_, facts)| facts.user.as_deref()) != Some(user) {
            self.fail(format!(
                "request {number} logged {user} in, and bound nothing to them"
            ));
        }
        match &outcome.cookie {
            // It was saved, and ended by another request's logout, or by time, before the response.
            None if saves || !self.trace.time.is_empty() => {}
            Some(SetCookie::Set(token)) => {
                let shown = &self.trace.tokens[token];
                if shown.exists && shown.user.as_deref() != Some(user) {
                    self.fail(format!("the token of {user}'s login is {:?}'s", shown.user));
                }
            }
            other => self.fail(format!("{user}'s login was answered with {other:?}")),
        }
    }

    /// A logout wins, with whatever token of the last minute, also when the client is gone.
    fn logout(&mut self, number: usize, outcome: &Outcome, undisturbed: bool) {
        if !outcome.logged_out || !undisturbed || !self.trace.time.is_empty() {
            return;
        }
        let Some(token) = outcome.carried.as_deref() else {
            return;
        };
        let script = self.script(number);
        let logs_in = script.does(|operation| matches!(operation, Operation::Login(_)));
        if logs_in && script.saves() {
            // What it logged out of may be the fresh session of a login that it saved.
            return;
        }
        if self.verifiers.contains_key(token) {
            let ended = |key: &RecordKey| key.id().as_str() == &token[..20];
            if !self.deleted.iter().any(ended) {
                self.fail(format!(
                    "the logout of request {number} was not carried out"
                ));
            }
        }
    }

    /// In the end a token opens a session if and only if it is the session's last, and shows nobody else's data.
    fn tokens(&mut self) {
        for (token, sight) in &self.trace.tokens {
            if let Some(entry) = sight.foreign() {
                self.fail(format!("a token of {:?} shows {entry}", sight.user));
            }
            if !self.verifiers.contains_key(token.as_str()) {
                continue;
            }
            let mut present = self.present.iter();
            let there = present.find(|(key, _)| key.id().as_str() == &token[..20]);
            let opens = there.map(|(_, facts)| facts.verifier)
                == self.verifiers.get(token.as_str()).copied();
            let opens = opens && there.is_some();
            if sight.exists && !opens {
                self.fail("an old token opens a session");
            }
            if !sight.exists && opens && self.trace.time.is_empty() {
                self.fail("the last token of a session does not open it");
            }
        }
        crate::orders::check(self);
    }
}
