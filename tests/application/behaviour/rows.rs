//! Checks that every row of `docs/semantics.md` has a test, and that every test is listed in its row.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const ROWS: std::ops::RangeInclusive<u32> = 1..=47;

type Rows = BTreeMap<u32, BTreeSet<String>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The number of the row in a test's name, such as 7 in `s07_an_unknown_token_is_never_adopted`.
fn row_of(test: &str) -> Option<u32> {
    let number = test.strip_prefix('s')?.get(..2)?;
    number.parse().ok()
}

/// The tests of each row in the documentation: those of row 7 follow `- **S7** …`, as `module::test`.
fn documented() -> Rows {
    let text = std::fs::read_to_string(root().join("docs/semantics.md")).unwrap();
    let mut rows = Rows::new();
    let mut row = 0;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("- **S") {
            let (number, _) = rest.split_once("** ").unwrap();
            assert_eq!(
                number.parse(),
                Ok(row + 1),
                "rows are numbered without a gap"
            );
            row += 1;
            rows.insert(row, BTreeSet::new());
        } else if let Some(test) = line.strip_prefix("  - `") {
            let test = test.strip_suffix('`').unwrap().to_owned();
            assert!(rows.entry(row).or_default().insert(test), "twice: {line}");
        }
    }
    rows
}

/// The tests that exist, from the sources of their modules. A function that no test runs is dead code, which the lints
/// refuse.
fn existing() -> Rows {
    let mut rows = Rows::new();
    for file in std::fs::read_dir(root().join("tests/application/behaviour")).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let module = file.file_stem().unwrap().to_str().unwrap();
        let source = std::fs::read_to_string(&file).unwrap();
        for line in source.lines() {
            let Some((name, _)) = line
                .strip_prefix("async fn ")
                .and_then(|rest| rest.split_once('('))
            else {
                continue;
            };
            if let Some(row) = row_of(name) {
                let tests = rows.entry(row).or_default();
                tests.insert(format!("{module}::{name}"));
            }
        }
    }
    rows
}

#[test]
fn every_row_has_its_tests_and_every_test_its_row() {
    let (documented, existing) = (documented(), existing());
    assert!(documented.keys().copied().eq(ROWS), "rows are missing");
    for (row, tests) in &documented {
        assert!(!tests.is_empty(), "no test proves S{row}");
        for test in tests {
            let name = test.split("::").last().unwrap();
            assert_eq!(row_of(name), Some(*row), "{test} is listed in S{row}");
        }
    }
    assert_eq!(documented, existing);
}
