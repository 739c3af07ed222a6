//! What `docs/security.md` promises, row for row: `r04_…` is a test of R4, `threat_…` one of the threats.

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod app;
mod cookies;
mod failures;
mod flood;
mod forged_cookies;
mod fuzz_corpus;
mod handles;
mod leaks;
mod lifetimes;
mod sharing;
mod table;
mod threats;
mod tokens;
