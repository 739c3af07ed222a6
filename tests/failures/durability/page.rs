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
    ("under way when Redis was killed", |tally| tally.amidst),
    ("not acknowledged", |tally| tally.unanswered),
    ("**lost: sessions**", |tally| tally.sessions),
    ("**lost: changes**", |tally| tally.changes),
    ("**undone: logins and rotations**", |tally| tally.rotations),
    ("**undone: logouts**", |tally| tally.logouts),
    ("missing in the list of their user", |tally| tally.unlisted),
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
fn the_page_tells_of_200_kills_with_each_setting_and_of_nothing_lost_with_always() {
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

What becomes of sessions when `redis-server` is killed with `SIGKILL` while 32 visitors begin sessions, change them, rotate
their cards, log in, log in as somebody else and log out, as fast as they are answered; and then starts again from its
append-only file. Every answer is remembered. After each restart each session has to be at the state that was acknowledged
last, or at that of the one request that was under way; each card that was replaced or logged out has to open nothing; each
session of a user has to be in the user's list.

This page is written by `KEYCARD_WRITE_DOCS=1 KEYCARD_KILLS=200 cargo test --all-features --test failures durability`. The
same test runs with every change, with ten kills, and fails if with `always` anything is lost.

";

const MEANING: &str = "
With `appendfsync always` Redis answers when what it was asked to change is on the disk, and nothing that was acknowledged
is lost.

With `everysec` it answers when it has handed it to the system, most of the time: what the system has survives a crash of
Redis, though not one of the machine. While the disk is slow, Redis keeps it to itself for up to two seconds. So a crash of
Redis loses little, and one of the machine up to two seconds; the latter is not measured here. What is lost is the end of the
file, so that a session goes back to a state that it had. That may be one from before a logout: its card opens it again. And
a login that was under way may have lost the entry in its user's list, which is written first, and not its session, which was
written after the restart: it is in the list from the next login on it.

A request that was under way is answered with 503, and may have been carried out or not; or, if Redis is back within half a
second, as if nothing had happened.
";
