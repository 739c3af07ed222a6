//! The instructions of a request, counted by callgrind: by crate, and for this crate by module.
//!
//! A line of source counts for the crate that contains it, even if the compiler inlined it elsewhere. A line of the standard
//! library counts for the function that it was inlined into. Line tables are required; `scripts/bench` builds with them.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;

use crate::figures::Figures;
use crate::subject::Subject;
use crate::work::Work;
use crate::{callgrind, conditions};

const TIMES: u64 = 1000;
/// Parts with fewer instructions than this in every kind of work are combined.
const SMALL: f64 = 60.0;
const REST: &str = "all else";

pub fn measure(subjects: &[Subject], works: &[Work]) -> Result<Figures, Box<dyn Error>> {
    let mut figures = Figures {
        conditions: conditions::with(&["valgrind"]),
        ..Figures::default()
    };
    for subject in callgrind::countable(subjects) {
        for &work in works {
            let report = collected(subject, work)?;
            let table = format!("profile of {}", subject.name);
            for (part, count) in by_part(&report) {
                figures.record(&table, &part, work, count / TIMES as f64);
            }
        }
    }
    figures.tables.values_mut().for_each(combine_small);
    Ok(figures)
}

/// The report of callgrind about the work alone, without the setup.
fn collected(subject: &Subject, work: Work) -> Result<String, Box<dyn Error>> {
    let file = tempfile()?;
    let out = format!("--callgrind-out-file={}", file.display());
    let options = [
        "--toggle-collect=*Visitor*work*",
        "--compress-strings=no",
        "--compress-pos=no",
        &out,
    ];
    callgrind::count(subject, work, TIMES, &options)?;
    let report = fs::read(&file)?;
    fs::remove_file(&file)?;
    Ok(String::from_utf8_lossy(&report).into_owned())
}

fn tempfile() -> std::io::Result<std::path::PathBuf> {
    let name = format!("keycard-profile-{}", std::process::id());
    Ok(std::env::temp_dir().join(name))
}

/// Adds up the instructions of a report by part: <https://valgrind.org/docs/manual/cl-format.html>.
fn by_part(report: &str) -> BTreeMap<String, f64> {
    let mut parts = BTreeMap::new();
    let (mut function, mut own, mut inlined) = ("", "", "");
    let mut lines = report.lines();
    while let Some(line) = lines.next() {
        match line.split_once('=') {
            Some(("fl", file)) => (own, inlined) = (file, file),
            Some(("fi" | "fe", file)) => inlined = file,
            Some(("fn", name)) => function = name,
            // The next line counts the instructions of the callee.
            Some(("calls", _)) => _ = lines.next(),
            _ => {
                let mut numbers = line.split(' ').map(str::parse::<u64>);
                if let (Some(Ok(_)), Some(Ok(count))) = (numbers.next(), numbers.next()) {
                    *parts.entry(part(function, own, inlined)).or_default() += count as f64;
                }
            }
        }
    }
    parts
}

/// The part that an instruction belongs to.
fn part(function: &str, own: &str, inlined: &str) -> String {
    let libc_functions = [
        (
            "allocator",
            &["malloc", "free", "calloc", "realloc", "memalign", "__rustc"][..],
        ),
        (
            "copying and comparing",
            &["memmove", "memcpy", "memset", "memcmp", "bcmp"],
        ),
        ("clock", &["clock_gettime"]),
    ];
    if !function.contains("::") || function.starts_with("__rustc") {
        for (part, names) in libc_functions {
            if names.iter().any(|name| function.contains(name)) {
                return part.to_owned();
            }
        }
    }
    let by_file = [inlined, own].into_iter().find_map(part_of_file);
    by_file.unwrap_or_else(|| {
        let name = function.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        let mut paths = name.filter_map(|path| path.split_once("::"));
        let named = paths.find(|(name, _)| !matches!(*name, "core" | "alloc" | "std" | ""));
        match named {
            Some(("tower_keycard", path)) => {
                part_of_module(path.split("::").next().unwrap_or_default())
            }
            Some((name, _)) => part_of_crate(&name.replace('_', "-")),
            None => REST.to_owned(),
        }
    })
}

fn part_of_file(file: &str) -> Option<String> {
    if let Some((_, path)) = file.split_once("/registry/src/") {
        let (name, _version) = path.split('/').nth(1)?.rsplit_once('-')?;
        return Some(part_of_crate(name));
    }
    if file.contains("benches/src/") {
        return Some(part_of_crate("keycard-benches"));
    }
    let (before, path) = file.rsplit_once("src/")?;
    let here =
        before.is_empty() || Some(before) == env!("CARGO_MANIFEST_DIR").strip_suffix("benches");
    here.then(|| part_of_module(path.split(['/', '.']).next().unwrap_or_default()))
}

fn part_of_module(module: &str) -> String {
    format!("tower-keycard: {module}")
}

fn part_of_crate(name: &str) -> String {
    match name {
        "keycard-benches" => "the driver",
        "axum" | "axum-core" | "tower" | "tower-layer" | "tower-service" | "matchit"
        | "futures-util" | "futures-core" | "sync-wrapper" | "pin-project-lite" => "axum and tower",
        "http" | "bytes" | "http-body" | "http-body-util" => "http",
        "sha2" | "digest" | "block-buffer" | "cpufeatures" => "SHA-256 (sha2), in software",
        "rand" | "rand-core" | "chacha20" | "getrandom" => "random numbers (rand)",
        "serde" | "serde-core" | "serde-json" | "itoa" | "zmij" => "serde_json",
        "foldhash" | "hashbrown" => "hash tables",
        other => other,
    }
    .to_owned()
}

fn combine_small(table: &mut BTreeMap<String, BTreeMap<String, f64>>) {
    let mut rest: BTreeMap<String, f64> = table.remove(REST).unwrap_or_default();
    table.retain(|_, row| {
        let small = row.values().all(|count| *count < SMALL);
        if small {
            for (work, count) in row {
                *rest.entry(work.clone()).or_default() += *count;
            }
        }
        !small
    });
    table.insert(REST.to_owned(), rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "\
events: Ir

fl=/home/a/.cargo/registry/src/index-1/http-1.5.0/src/header/map.rs
fn=http::header::map::HeaderMap<T>::append
10 5
fi=/rustc/59/library/core/src/mem.rs
11 7
fe=/home/a/.cargo/registry/src/index-1/http-1.5.0/src/header/map.rs
cfn=malloc
calls=1 0
12 1000
13 2

fl=./malloc/malloc.c
fn=_int_malloc
1 900
fl=/rustc/59/library/core/src/ptr/mod.rs
fn=core::ptr::drop_in_place<tower_keycard::lifecycle::request_session::RequestSession>
4 30
";

    #[test]
    fn each_instruction_counts_once_for_the_crate_of_its_source() {
        let parts = by_part(REPORT);
        let parts: Vec<_> = parts
            .iter()
            .map(|(part, count)| (&**part, *count))
            .collect();
        let expected = [
            ("allocator", 900.0),
            ("http", 14.0),
            ("tower-keycard: lifecycle", 30.0),
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn this_crate_is_split_by_module() {
        let here = env!("CARGO_MANIFEST_DIR").replace("benches", "src/store/memory/mod.rs");
        assert_eq!(part("x", &here, &here), "tower-keycard: store");
        assert_eq!(
            part("x", "src/lifecycle/lookup.rs", "src/lifecycle/lookup.rs"),
            "tower-keycard: lifecycle"
        );
        assert_eq!(part("x", "benches/src/visitor.rs", ""), "the driver");
    }

    #[test]
    fn parts_that_are_small_in_every_work_are_combined() {
        let mut figures = Figures::default();
        for (part, count) in [("http", 100.0), ("a", 1.0), ("b", 2.0)] {
            figures.record("t", part, Work::W1, count);
        }
        let table = figures.tables.get_mut("t").unwrap();
        combine_small(table);
        assert_eq!(table[REST]["W1"], 3.0);
        assert_eq!(table.len(), 2);
    }
}
