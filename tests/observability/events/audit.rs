//! The audit log: a line for every event, and none for anything else.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;
use tower_keycard::ClientFacts;
use tower_keycard::event::{AuditLog, Creation, EventKind, SessionEvent, SessionObserver};

use super::witness::{look, site_with};

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_ascii());
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn names(path: &Path) -> Vec<String> {
    let name = |line: &Value| line["event"].as_str().unwrap().to_owned();
    lines(path).iter().map(name).collect()
}

fn login(user: &str) -> SessionEvent {
    let kind = EventKind::Created(Creation::Login);
    let mut event = SessionEvent::new(kind, SystemTime::now(), "shop");
    event.user = Some(user.into());
    event
}

#[tokio::test]
async fn every_event_is_a_line_and_no_line_holds_a_token() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("audit.jsonl");
    let log = AuditLog::open(&path).unwrap();
    let site = site_with(|layer| layer.observer(log));
    let device = site.logged_in("alice").await;
    let first = device.cookie().unwrap();
    device
        .request(async |session| session.reauthenticate())
        .await;
    let second = device.cookie().unwrap();
    look(&site.with_cookie(&first)).await;
    device.request(async |session| session.logout()).await;
    site.layer.drain().await;
    assert_eq!(names(&path), ["created", "rotated", "stale", "destroyed"]);
    let line = &lines(&path)[1];
    assert_eq!(line["reason"], "reauthentication");
    assert_eq!(line["time"], "2027-01-15T08:00:00.000Z");
    assert_eq!(
        (&line["user"], &line["client"]),
        (&"alice".into(), &"a browser".into())
    );
    let (_, token) = first.split_once('=').unwrap();
    assert_eq!(line["session"], token[..20]);
    let text = std::fs::read_to_string(&path).unwrap();
    for cookie in [first, second] {
        let (_, token) = cookie.split_once('=').unwrap();
        assert!(!text.contains(&token[20..]));
    }
}

#[tokio::test]
async fn requests_are_written_where_that_is_wanted() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("audit.jsonl");
    let log = AuditLog::open(&path).unwrap().with_every_request();
    let site = site_with(|layer| layer.observer(log));
    let device = site.logged_in("alice").await;
    look(&device).await;
    site.layer.drain().await;
    assert_eq!(names(&path), ["created", "resumed"]);
}

#[test]
fn the_file_is_its_owners_and_is_appended_to() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("audit.jsonl");
    AuditLog::open(&path).unwrap().observe(&login("alice"));
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    AuditLog::open(&path).unwrap().observe(&login("bob"));
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o640);
    assert_eq!(lines(&path).len(), 2);
    assert!(
        AuditLog::open(directory.path()).is_err(),
        "a directory is no log"
    );
}

#[test]
fn what_strangers_choose_begins_no_line_and_sends_no_command() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("audit.jsonl");
    let log = AuditLog::open(&path).unwrap();
    let user = "a\n{\"event\":\"created\"}\r\u{1b}[2J\u{9b}2J\u{7f}\u{2028}\u{202e}\u{85}\0é🦊\\\"";
    let mut event = login(user);
    event.client = Some(ClientFacts::new().with_description("Füchsin 🦊").into());
    log.observe(&event);
    let [line] = &lines(&path)[..] else {
        panic!("one line");
    };
    assert_eq!(
        (&line["user"], &line["client"]),
        (&user.into(), &"Füchsin 🦊".into())
    );
    let text = std::fs::read(&path).unwrap();
    let control = |byte: &&u8| byte.is_ascii_control() || !byte.is_ascii();
    assert_eq!(
        text.iter().filter(control).count(),
        1,
        "the end of the line"
    );
}

#[test]
fn a_file_that_was_renamed_or_removed_is_followed_by_a_new_one() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("audit.jsonl");
    let old = directory.path().join("audit.jsonl.1");
    let log = AuditLog::open(&path).unwrap();
    log.observe(&login("alice"));
    std::fs::rename(&path, &old).unwrap();
    log.observe(&login("bob"));
    assert_eq!((lines(&old).len(), lines(&path).len()), (1, 1));
    std::fs::remove_file(&path).unwrap();
    log.observe(&login("carol"));
    assert_eq!(lines(&path)[0]["user"], "carol");
    std::fs::rename(&path, &old).unwrap();
    log.reopen().unwrap();
    assert!(lines(&path).is_empty());
    assert_eq!(log.errors(), 0);
}

#[test]
fn what_cannot_be_written_is_counted_and_said_in_the_log_itself() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("audit.jsonl");
    symlink("/dev/full", &path).unwrap();
    let log = AuditLog::open(&path).unwrap();
    for user in ["alice", "bob", "carol"] {
        log.observe(&login(user));
    }
    assert_eq!(log.errors(), 3);
    // Space is freed.
    std::fs::remove_file(&path).unwrap();
    log.observe(&login("dave"));
    log.observe(&login("erin"));
    assert_eq!(names(&path), ["lost", "created", "created"]);
    assert_eq!(lines(&path)[0]["events"], 3);
    assert_eq!(log.errors(), 3);
}

#[test]
fn several_processes_may_write_to_one_file() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("audit.jsonl");
    std::thread::scope(|scope| {
        for user in ["alice", "bob"] {
            let log = AuditLog::open(&path).unwrap();
            scope.spawn(move || (0..500).for_each(|_| log.observe(&login(user))));
        }
    });
    let lines = lines(&path);
    let of = |user: &str| lines.iter().filter(|line| line["user"] == user).count();
    assert_eq!((of("alice"), of("bob")), (500, 500));
}

/// The variable by which a test says to its own program that it is the process to be killed.
const VICTIM: &str = "KEYCARD_KILLED_WHILE_IT_WRITES";

#[test]
fn what_a_process_left_that_was_killed_in_the_middle_of_a_line_damages_no_other_line() {
    const NAME: &str = "events::audit::what_a_process_left_that_was_killed_in_the_middle_of_a_line_damages_no_other_line";
    if let Some(path) = std::env::var_os(VICTIM) {
        let log = AuditLog::open(Path::new(&path)).unwrap();
        loop {
            log.observe(&login("victim"));
        }
    }
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("audit.jsonl");
    let beside = AuditLog::open(&path).unwrap();
    beside.observe(&login("alice"));
    for round in 1..=2 {
        // The system takes of a line what fits into the largest file that it allows, and kills the process that goes on.
        let limited = format!("ulimit -c 0; ulimit -f {}; exec \"$0\" \"$@\"", 10 * round);
        let killed = Command::new("sh")
            .args(["-c", &limited])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", NAME])
            .env(VICTIM, &path)
            .output()
            .unwrap();
        assert!(killed.status.signal().is_some(), "{killed:?}");
        assert!(!std::fs::read(&path).unwrap().ends_with(b"\n"));
        if round == 1 {
            beside.observe(&login("beside"));
        } else {
            AuditLog::open(&path).unwrap().observe(&login("after"));
            beside.observe(&login("beside"));
        }
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let users: Vec<Option<Value>> = text
        .lines()
        .map(|line| serde_json::from_str(line).ok())
        .map(|line: Option<Value>| line.map(|line| line["user"].clone()))
        .filter(|user| user.as_ref().is_none_or(|user| user != "victim"))
        .collect();
    let user = |name: &str| Some(Value::from(name));
    let expected = [
        user("alice"),
        None,
        user("beside"),
        None,
        user("after"),
        user("beside"),
    ];
    assert_eq!(users, expected, "{text}");
}

#[test]
fn a_torn_line_is_ended_before_the_first_event_and_an_empty_file_gets_no_empty_line() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("audit.jsonl");
    for (before, lines) in [("", 1), ("{}\n", 2), ("{\"event\":\"cre", 2), ("\n", 2)] {
        std::fs::write(&path, before).unwrap();
        AuditLog::open(&path).unwrap().observe(&login("alice"));
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), lines, "{text}");
        assert!(text.starts_with(before) && text.ends_with("}\n"), "{text}");
        let last = text.lines().last().unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(last).unwrap()["user"],
            "alice"
        );
    }
}

#[tokio::test]
async fn a_clock_that_is_thousands_of_years_off_costs_no_line() {
    for (clock, written) in [
        (Duration::ZERO, "1970-01-01T00:00:00.000Z"),
        (
            Duration::from_secs(253_402_300_799),
            "9999-12-31T23:59:59.000Z",
        ),
        (
            Duration::from_secs(253_402_300_800),
            "9999-12-31T23:59:59.999Z",
        ),
        (
            Duration::from_secs(400_000_000_000),
            "9999-12-31T23:59:59.999Z",
        ),
    ] {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("audit.jsonl");
        let log = AuditLog::open(&path).unwrap();
        let site = site_with(|layer| layer.observer(log));
        site.clock.set(UNIX_EPOCH + clock);
        site.logged_in("alice").await;
        site.layer.drain().await;
        assert_eq!(names(&path), ["created"], "{clock:?}");
        assert_eq!(lines(&path)[0]["time"], written);
    }
    let before = UNIX_EPOCH - Duration::from_secs(1);
    let event = SessionEvent::new(EventKind::Malformed, before, "shop");
    let line = serde_json::to_value(&event).unwrap();
    assert_eq!(line["time"], "1970-01-01T00:00:00.000Z");
}
