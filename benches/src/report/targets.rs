//! The targets of this crate, what it has reached, and what the best of its peers has reached.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use super::Results;
use crate::figures::{Figures, rounded};
use crate::subject::{Place, Subject};

type Targets = BTreeMap<String, BTreeMap<String, f64>>;

fn targets() -> Result<Targets, Box<dyn Error>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("targets.toml");
    Ok(toml::from_str(&fs::read_to_string(path)?)?)
}

/// A Markdown table with a row for each figure.
pub(super) fn table(results: &Results) -> Result<String, Box<dyn Error>> {
    let targets = targets()?;
    let mut text = "| | | target | reached | best peer |\n|---|---|--:|--:|--:|\n".to_owned();
    let above_bare = above_bare(&results.instructions);
    let rows: [(&str, &Figures, &str, Place, usize); 8] = [
        (
            "instructions, above bare",
            &above_bare,
            "instructions",
            Place::Memory,
            0,
        ),
        (
            "allocations, above bare",
            &results.allocations,
            "allocations",
            Place::Memory,
            0,
        ),
        (
            "memory, time ÷ bare",
            &results.time,
            "ratio",
            Place::Memory,
            2,
        ),
        (
            "Redis, requests/s ÷ by hand",
            &results.throughput,
            "of the floor",
            Place::Redis,
            2,
        ),
        (
            "Redis, round trips",
            &results.commands,
            "round trips",
            Place::Redis,
            2,
        ),
        (
            "bytes of a session in Redis",
            &results.commands,
            "stored in Redis",
            Place::Redis,
            0,
        ),
        (
            "bytes of a session in memory",
            &results.stored,
            "stored in memory",
            Place::Memory,
            0,
        ),
        (
            "expired and kept in memory",
            &results.stored,
            "expired and kept",
            Place::Memory,
            2,
        ),
    ];
    for (title, figures, name, place, decimals) in rows {
        let ours = if place == Place::Redis {
            "keycard-redis"
        } else {
            "keycard-memory"
        };
        let Some(row) = figures.tables.get(name).and_then(|table| table.get(ours)) else {
            continue;
        };
        let target = targets.get(name);
        let bare = target
            .and_then(|target| target.get("bare"))
            .copied()
            .unwrap_or(0.0);
        for (column, reached) in row {
            let target = target.and_then(|target| target.get(column));
            let missed = target.is_some_and(|target| match name {
                "of the floor" => *reached < *target,
                _ => *reached > target - bare,
            });
            let target = target.map_or("–".to_owned(), |target| {
                format!("{:.decimals$}", target - bare)
            });
            let best = best_peer(figures, name, column, place);
            let best = best.map_or("–".to_owned(), |(peer, figure)| {
                format!("{} ({peer})", rounded(figure, decimals))
            });
            let mark = if missed { "**" } else { "" };
            let reached = format!("{mark}{}{mark}", rounded(*reached, decimals));
            text += &format!("| {title} | {column} | {target} | {reached} | {best} |\n");
        }
    }
    Ok(text)
}

/// Each subject's instructions, less those of the same framework without sessions.
fn above_bare(figures: &Figures) -> Figures {
    let mut above = Figures::default();
    for subject in Subject::ALL {
        let row = figures
            .tables
            .get("instructions")
            .and_then(|table| table.get(subject.name));
        for (column, count) in row.into_iter().flatten() {
            if let Some(bare) = figures.get("instructions", subject.bare, column) {
                above.record("instructions", subject.name, column, count - bare);
            }
        }
    }
    above
}

/// The best peer and its figure: the highest throughput, or the lowest of anything else.
fn best_peer(
    figures: &Figures,
    table: &str,
    column: &str,
    place: Place,
) -> Option<(&'static str, f64)> {
    let peers = Subject::ALL.iter().filter(|subject| {
        subject.place == place && !subject.is_ours() && !subject.name.ends_with("by-hand")
    });
    let peers = peers.filter_map(|peer| Some((peer.name, figures.get(table, peer.name, column)?)));
    let by_figure = |one: &(&str, f64), other: &(&str, f64)| one.1.total_cmp(&other.1);
    if table == "of the floor" {
        return peers.max_by(by_figure);
    }
    peers.min_by(by_figure)
}
