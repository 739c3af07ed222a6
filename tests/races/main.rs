//! Requests that run at the same time, in every order.
mod browser;
mod driver;
mod facts;
mod invariants;
mod orders;
mod regressions;
mod schedule;
mod schedules;
mod script;
mod stage;
