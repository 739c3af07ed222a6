//! What the browser is left with, in whatever order the responses reach it.
//!
//! A network may deliver two responses in the other order, and no server can help it. What a server can do is this: in every
//! order in which no response overtakes another that was decided before it, the browser ends with a token that works, if it
//! was given one at all; and where it does not, one of the responses that would have changed its mind never arrived.

use crate::browser::{Browser, SetCookie};
use crate::invariants::Check;

pub(crate) fn check(check: &mut Check<'_>) {
    let answered = |number: &usize| check.trace.outcomes[*number].answered.is_some();
    let numbers: Vec<usize> = (0..check.trace.outcomes.len()).filter(answered).collect();
    let changes = |number: &&usize| check.trace.outcomes[**number].cookie.is_some();
    if numbers.iter().filter(changes).count() < 2 {
        return;
    }
    let mut orders = Vec::new();
    permute(check, &mut Vec::new(), &numbers, &mut orders);
    for order in orders {
        if ends_badly(check, &order) {
            check.fail(format!(
                "responses delivered as {order:?} leave a dead token in place of a live one"
            ));
        }
    }
}

/// All orders in which a request is sent after the responses that it followed.
fn permute(check: &Check<'_>, order: &mut Vec<usize>, all: &[usize], found: &mut Vec<Vec<usize>>) {
    if order.len() == all.len() {
        found.push(order.clone());
        return;
    }
    let outcomes = &check.trace.outcomes;
    for &next in all {
        let followed = |other: &usize| outcomes[*other].answered < Some(outcomes[next].sent_after);
        let mut others = all.iter().filter(|other| **other != next);
        let ready = others.all(|other| !followed(other) || order.contains(other));
        if !order.contains(&next) && ready {
            order.push(next);
            permute(check, order, all, found);
            order.pop();
        }
    }
}

fn ends_badly(check: &Check<'_>, order: &[usize]) -> bool {
    let trace = check.trace;
    let lives = |token: &str| trace.tokens[token].exists;
    let mut browser = Browser::default();
    browser.receive(trace.first_token.clone().map(SetCookie::Set).as_ref());
    let mut last = None;
    let mut live_before = false;
    for &number in order {
        let cookie = trace.outcomes[number].cookie.as_ref();
        if cookie.is_some() {
            live_before |= browser.token().is_some_and(lives);
            last = Some(number);
        }
        browser.receive(cookie);
    }
    let Some(last) = last else {
        return false;
    };
    // A token is forgotten after a logout.
    if !live_before || browser.token().is_none_or(lives) || !trace.outcomes[last].heard() {
        return false;
    }
    // A request that decided later than the last response in this order: overtaken, or never heard of.
    let decided = |number: &usize| check.confirmed.get(number).map(|at| at.moment);
    let ended = |number: &usize| check.killers.get(number).copied();
    let later = |number: &usize| decided(number).max(ended(number)) > decided(&last);
    let excused = (0..trace.outcomes.len()).filter(later).any(|number| {
        let place = order.iter().position(|at| *at == number);
        let overtaken = place < order.iter().position(|at| *at == last);
        overtaken || !trace.outcomes[number].heard()
    });
    !excused
}
