//! The figures of a measurement, stored as JSON with one file per part, so that a part can be measured again on its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::subject::Subject;

/// One figure for each subject and each column.
pub type Table = BTreeMap<String, BTreeMap<String, f64>>;

/// The figures of one part.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// The conditions of the measurement: the versions of the programs, the machine.
    pub conditions: BTreeMap<String, String>,
    /// The tables, by what they measure.
    pub tables: BTreeMap<String, Table>,
    /// The tables that contain words instead of figures.
    #[serde(default)]
    pub words: BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>,
}

impl Figures {
    /// Loads the figures of an earlier run; there are none if there was no run.
    pub fn load(part: &str) -> io::Result<Self> {
        match fs::read(path(part)) {
            Ok(json) => Ok(serde_json::from_slice(&json)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Stores the figures over those of earlier runs. A subject that was not measured this time keeps its old figures.
    pub fn save(&self, part: &str) -> io::Result<()> {
        let mut all = Self::load(part)?;
        all.conditions.extend(self.conditions.clone());
        for (name, table) in &self.tables {
            all.tables
                .entry(name.clone())
                .or_default()
                .extend(table.clone());
        }
        for (name, table) in &self.words {
            all.words
                .entry(name.clone())
                .or_default()
                .extend(table.clone());
        }
        let path = path(part);
        fs::create_dir_all(path.parent().expect("a directory"))?;
        fs::write(path, serde_json::to_string_pretty(&all)? + "\n")
    }

    pub fn record(&mut self, table: &str, subject: &str, column: impl ToString, figure: f64) {
        let table = self.tables.entry(table.to_owned()).or_default();
        let row = table.entry(subject.to_owned()).or_default();
        row.insert(column.to_string(), figure);
    }

    pub fn record_words(&mut self, table: &str, subject: &str, column: impl ToString, words: &str) {
        let table = self.words.entry(table.to_owned()).or_default();
        let row = table.entry(subject.to_owned()).or_default();
        row.insert(column.to_string(), words.to_owned());
    }

    pub fn get(&self, table: &str, subject: &str, column: impl ToString) -> Option<f64> {
        let row = self.tables.get(table)?.get(subject)?;
        row.get(&column.to_string()).copied()
    }

    /// A table in Markdown, with the subjects in their order.
    pub fn markdown(&self, table: &str, decimals: usize) -> String {
        let Some(table) = self.tables.get(table) else {
            return String::new();
        };
        let columns = columns(table);
        let mut text = format!("| | {} |\n", columns.join(" | "));
        text += &format!("|---|{}\n", "--:|".repeat(columns.len()));
        for (subject, row) in ordered(table) {
            text += &format!("| {subject} |");
            for column in &columns {
                match row.get(column) {
                    Some(figure) => text += &format!(" {} |", rounded(*figure, decimals)),
                    None => text += " – |",
                }
            }
            text += "\n";
        }
        text
    }
}

/// A figure with this many decimals. A figure that rounds to zero has no sign.
pub fn rounded(figure: f64, decimals: usize) -> String {
    let text = format!("{figure:.decimals$}");
    let digits = text.trim_start_matches('-');
    if digits.contains(|digit| ('1'..='9').contains(&digit)) {
        return text;
    }
    digits.to_owned()
}

/// The rows in the order of the subjects; other rows follow.
pub fn ordered(table: &Table) -> Vec<(&String, &BTreeMap<String, f64>)> {
    let place = |name: &str| Subject::ALL.iter().position(|subject| subject.name == name);
    let mut rows: Vec<_> = table.iter().collect();
    rows.sort_by_key(|(name, _)| place(name).unwrap_or(usize::MAX));
    rows
}

fn columns(table: &Table) -> Vec<String> {
    let mut columns: Vec<String> = table.values().flat_map(BTreeMap::keys).cloned().collect();
    // Numbers by their value, all else in alphabetical order.
    columns.sort_by_key(|column| (column.parse::<u64>().unwrap_or(0), column.clone()));
    columns.dedup();
    columns
}

fn path(part: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("results");
    directory.join(part).with_extension("json")
}

#[cfg(test)]
mod tests {
    use super::{Figures, rounded};

    #[test]
    fn a_figure_that_rounds_to_zero_has_no_sign() {
        assert_eq!(rounded(-0.001, 2), "0.00");
        assert_eq!(rounded(-0.01, 2), "-0.01");
        assert_eq!(rounded(-0.4, 0), "0");
        assert_eq!(rounded(12.345, 1), "12.3");
    }

    #[test]
    fn a_table_has_the_subjects_in_their_order_and_a_dash_for_a_missing_figure() {
        let mut figures = Figures::default();
        figures.record("time", "keycard-memory", "10000", 1.25);
        figures.record("time", "axum", "1000", 2.0);
        assert_eq!(
            figures.markdown("time", 1),
            "| | 1000 | 10000 |\n|---|--:|--:|\n| axum | 2.0 | – |\n| keycard-memory | – | 1.2 |\n"
        );
    }
}
