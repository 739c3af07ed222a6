//! What this crate may cost: its figures as they were last written down, which it may exceed by 3 %.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use crate::figures::Table;

const ABOUT: &str = "\
# What a request costs, as it was measured. Written by
#
#   scripts/bench check --write
#
# and held by the same command without `--write`, which fails where a figure is exceeded by more than 3 %.
# The compiler is the one that .ci/run names: another one counts other instructions.
";

/// How much more than its budget a figure may be. Counts are whole numbers, mostly; ids are random, and so are the places
/// that they get in a table.
const TOLERANCE: f64 = 1.03;

pub type Budgets = BTreeMap<String, Table>;

pub fn write(measured: &Budgets) -> Result<(), Box<dyn Error>> {
    let rounded = |figure: &f64| (figure * 100.0).round() / 100.0;
    let mut budgets = measured.clone();
    for row in budgets.values_mut().flat_map(Table::values_mut) {
        row.values_mut()
            .for_each(|figure| *figure = rounded(figure));
    }
    Ok(fs::write(
        path(),
        format!("{ABOUT}\n{}", toml::to_string(&budgets)?),
    )?)
}

/// What is above its budget, or has none, or is budgeted and was not measured.
pub fn exceeded(measured: &Budgets) -> Result<Vec<String>, Box<dyn Error>> {
    let budgets: Budgets = toml::from_str(&fs::read_to_string(path())?)?;
    Ok([above(measured, &budgets), unmeasured(measured, &budgets)].concat())
}

fn above(measured: &Budgets, budgets: &Budgets) -> Vec<String> {
    let mut exceeded = Vec::new();
    for (name, table) in measured {
        for (subject, row) in table {
            for (column, figure) in row {
                let budget = budgets
                    .get(name)
                    .and_then(|table| table.get(subject)?.get(column));
                match budget {
                    Some(budget) if *figure <= budget * TOLERANCE => {}
                    Some(budget) => exceeded.push(format!(
                        "{subject} {column}: {figure:.1} {name}, of {budget:.1} at most",
                    )),
                    None => exceeded.push(format!("{subject} {column}: {name} without a budget")),
                }
            }
        }
    }
    exceeded
}

fn unmeasured(measured: &Budgets, budgets: &Budgets) -> Vec<String> {
    let mut unmeasured = Vec::new();
    for (name, table) in budgets {
        for (subject, row) in table {
            let known = measured.get(name).and_then(|table| table.get(subject));
            for column in row.keys() {
                if known.is_none_or(|row| !row.contains_key(column)) {
                    unmeasured.push(format!("{subject} {column}: {name} was not measured"));
                }
            }
        }
    }
    unmeasured
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("budgets.toml")
}

#[cfg(test)]
mod tests {
    use super::{Budgets, above, unmeasured};
    use std::collections::BTreeMap;

    fn of(figure: f64) -> Budgets {
        let row = BTreeMap::from([("W0".to_owned(), figure)]);
        let table = BTreeMap::from([("keycard-memory".to_owned(), row)]);
        BTreeMap::from([("instructions".to_owned(), table)])
    }

    #[test]
    fn three_percent_more_are_within_a_budget_and_four_are_not() {
        assert_eq!(above(&of(1029.0), &of(1000.0)), [""; 0]);
        assert_eq!(
            above(&of(1040.0), &of(1000.0)),
            ["keycard-memory W0: 1040.0 instructions, of 1000.0 at most"]
        );
    }

    #[test]
    fn one_more_of_what_should_not_be_there_is_too_many() {
        assert_eq!(above(&of(1.0), &of(0.0)).len(), 1);
    }

    #[test]
    fn what_has_no_budget_or_was_not_measured_is_told() {
        assert_eq!(above(&of(1.0), &Budgets::new()).len(), 1);
        assert_eq!(unmeasured(&Budgets::new(), &of(1.0)).len(), 1);
        assert_eq!(unmeasured(&of(2.0), &of(1.0)).len(), 0);
    }
}
