//! Checks that `docs/security.md` has a row for every requirement and threat, and that the tests in the rows exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const THREATS: [&str; 16] = [
    "Network",
    "XSS",
    "Sibling subdomain",
    "CSRF",
    "Login CSRF",
    "Open redirect",
    "Store dump",
    "Store write access",
    "Random-token flood",
    "Anonymous-session flood",
    "Fixation",
    "Stolen token",
    "Log leakage",
    "Timing",
    "Fail-over that rolls back",
    "Restart that rolls back",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/security.md")).unwrap()
}

/// The cells of every row, without table heads.
fn rows(page: &str) -> Vec<Vec<String>> {
    page.split("\n## What reading costs")
        .next()
        .unwrap()
        .lines()
        .filter(|line| {
            line.starts_with("| ") && !line.starts_with("| row ") && !line.starts_with("| threat ")
        })
        .map(|line| {
            let cells = line.trim_matches('|').split(" | ");
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

/// The text in backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Finds all test functions below a directory: their files and names.
fn tests_below(directory: &Path, found: &mut BTreeSet<(String, String)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_below(&path, found);
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let file = path.strip_prefix(root()).unwrap().display().to_string();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
            } else if is_test && (line.starts_with("fn ") || line.starts_with("async fn ")) {
                let name = line.split("fn ").nth(1).unwrap().split('(').next().unwrap();
                found.insert((file.clone(), name.to_owned()));
                is_test = false;
            }
        }
    }
}

fn tests() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    tests_below(&root().join("tests"), &mut found);
    tests_below(&root().join("src"), &mut found);
    found
}

/// The mistakes in a page of rows.
fn mistakes(page: &str, tests: &BTreeSet<(String, String)>) -> Vec<String> {
    let mut mistakes = Vec::new();
    let rows = rows(page);
    let named = |name: &str| rows.iter().filter(|row| row[0] == name).count();
    for number in 1..=26 {
        if named(&format!("R{number}")) != 1 {
            mistakes.push(format!("R{number} is not there exactly once"));
        }
    }
    for threat in THREATS {
        if named(threat) != 1 {
            mistakes.push(format!("{threat} is not there exactly once"));
        }
    }
    let mut claimed = BTreeSet::new();
    for row in &rows {
        let Some(tests_cell) = row.get(3) else {
            mistakes.push(format!("{} has no fourth cell", row[0]));
            continue;
        };
        let (mut file, mut named) = (String::new(), 0);
        for word in quoted(tests_cell) {
            if word.ends_with(".rs") {
                word.clone_into(&mut file);
                if !root().join(word).is_file() {
                    mistakes.push(format!("{}: there is no file {word}", row[0]));
                }
            } else if tests.contains(&(file.clone(), word.to_owned())) {
                named += 1;
                claimed.insert(word.to_owned());
            } else {
                mistakes.push(format!("{}: there is no test {word} in {file}", row[0]));
            }
        }
        if named == 0 && !row[2].contains("not yet") && !row[2].contains("outside") {
            mistakes.push(format!("{} names no test", row[0]));
        }
    }
    for (_, name) in tests {
        let numbered = name.len() > 4
            && name.starts_with('r')
            && name[1..3].bytes().all(|byte| byte.is_ascii_digit());
        if (numbered || name.starts_with("threat_")) && !claimed.contains(name) {
            mistakes.push(format!("{name} is in no row"));
        }
    }
    mistakes
}

#[test]
fn every_row_names_tests_that_exist() {
    assert_eq!(mistakes(&page(), &tests()), Vec::<String>::new());
}

#[test]
fn a_missing_row_and_a_missing_test_are_found() {
    let (page, tests) = (page(), tests());
    let without = |line: &str| {
        let lines = page.lines().filter(|other| !other.starts_with(line));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    assert!(
        mistakes(&without("| R4 |"), &tests).contains(&"R4 is not there exactly once".to_owned())
    );
    assert!(!mistakes(&without("| Fixation |"), &tests).is_empty());
    let renamed = page.replace(
        "`r04_a_terminated_session_stays_terminated`",
        "`r04_no_such_test`",
    );
    let found = mistakes(&renamed, &tests);
    assert!(
        found
            .iter()
            .any(|mistake| mistake.contains("no test r04_no_such_test"))
    );
    assert!(found.contains(&"r04_a_terminated_session_stays_terminated is in no row".to_owned()));
    let moved = page.replace("`tests/security/tokens.rs`", "`tests/security/nowhere.rs`");
    assert!(
        mistakes(&moved, &tests)
            .iter()
            .any(|mistake| mistake.contains("no file"))
    );
}
