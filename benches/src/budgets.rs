//! The budgets of this crate: its figures as last written, which it may exceed by 3 %.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use crate::figures::Table;

const ABOUT: &str = "\
# The measured cost of a request. Written by
#
#   scripts/bench check --write
#
# and checked by the same command without `--write`, which fails if a figure is exceeded by more than 3 %.
# Use the compiler that .ci/run names: with another one the counts of instructions differ.
";

/// The factor by which a figure may exceed its budget. Counts are mostly the same in each run; ids are random, and so are their
/// positions in a hash table.
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

/// The figures that are above their budget, have no budget, or have a budget and were not measured.
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
    fn a_figure_may_exceed_its_budget_by_three_percent_and_not_by_four() {
        assert_eq!(above(&of(1029.0), &of(1000.0)), [""; 0]);
        assert_eq!(
            above(&of(1040.0), &of(1000.0)),
            ["keycard-memory W0: 1040.0 instructions, of 1000.0 at most"]
        );
    }

    #[test]
    fn a_budget_of_zero_allows_nothing() {
        assert_eq!(above(&of(1.0), &of(0.0)).len(), 1);
    }

    #[test]
    fn a_figure_without_a_budget_and_a_budget_without_a_figure_are_reported() {
        assert_eq!(above(&of(1.0), &Budgets::new()).len(), 1);
        assert_eq!(unmeasured(&Budgets::new(), &of(1.0)).len(), 1);
        assert_eq!(unmeasured(&of(2.0), &of(1.0)).len(), 0);
    }
}
