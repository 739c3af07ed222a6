//! The page of documentation that says what came of it.

use super::tally::Tally;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/durability.md");

/// A figure of the table, and what it is called there.
type Row = (&'static str, fn(&Tally) -> u64);

const ROWS: [Row; 13] = [
    ("kills and restarts", |tally| tally.kills.into()),
    ("acknowledged: new sessions", |tally| tally.begun),
    ("acknowledged: changes", |tally| tally.changed),
    ("acknowledged: rotations", |tally| tally.rotated),
    ("acknowledged: logins", |tally| tally.logged_in),
    ("acknowledged: logouts", |tally| tally.logged_out),
    ("in progress when Redis was killed", |tally| tally.amidst),
    ("not acknowledged", |tally| tally.unanswered),
    ("**lost: sessions**", |tally| tally.sessions),
    ("**lost: changes**", |tally| tally.changes),
    ("**undone: logins and rotations**", |tally| tally.rotations),
    ("**undone: logouts**", |tally| tally.logouts),
    ("missing in the user index", |tally| tally.unlisted),
];

pub(crate) fn write(always: &Tally, everysec: &Tally) {
    std::fs::write(PAGE, page(always, everysec)).unwrap();
}

fn page(always: &Tally, everysec: &Tally) -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("| | `always` | `everysec` |\n|---|---:|---:|\n");
    for (name, of) in ROWS {
        page.push_str(&format!("| {name} | {} | {} |\n", of(always), of(everysec)));
    }
    page.push_str(MEANING);
    page
}

#[test]
fn the_page_reports_200_kills_with_each_setting_and_nothing_lost_with_always() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    assert!(page.starts_with(INTRODUCTION) && page.ends_with(MEANING));
    let always = |name: &str| -> u64 {
        let row = page.lines().find(|line| line.contains(name)).unwrap();
        row.split('|').nth(2).unwrap().trim().parse().unwrap()
    };
    assert!(page.contains("| kills and restarts | 200 | 200 |\n"));
    for (name, _) in &ROWS[8..] {
        assert_eq!(always(name), 0, "{name}");
    }
}

const INTRODUCTION: &str = "\
# What survives a crash of Redis

This test kills `redis-server` with `SIGKILL` under load, and starts it again from its append-only file. Meanwhile 32 clients
create sessions, change them, rotate their tokens, log in, log in as another user and log out, as fast as they get answers.
The test remembers every answer. After each restart, each session must be in the state that was acknowledged last, or in the
state after the one request that was in progress. Each token that was replaced or logged out must open nothing. Each session of
a user must be in the user index.

This page is written by `KEYCARD_WRITE_DOCS=1 KEYCARD_KILLS=200 cargo test --all-features --test failures durability`. The same
test is a part of every test run, with ten kills, and fails if anything is lost with `always`.

";

const MEANING: &str = "
With `appendfsync always` Redis acknowledges a change when it is on the disk, and no acknowledged change is lost.

With `everysec` Redis mostly acknowledges a change when it has handed the change to the operating system. Such a change survives
a crash of Redis, but not a crash of the machine. While the disk is slow, Redis keeps changes in its own memory for up to two
seconds. So a crash of Redis loses little. A crash of the machine loses up to two seconds, which is not measured here. What is
lost is the end of the file, so a session goes back to an earlier state. That state can be from before a logout: then the token
opens the session again. A login that was in progress writes the user index first. The index entry may be lost and the session
kept, if the session was written after the restart. The entry is back after the next login of the user on that session.

A request that was in progress gets 503, and its change may have been made or not. If Redis is back within half a second, the
request succeeds as if nothing had happened.
";
