//! Where the instructions of a request go, counted by callgrind: by crate, and for this crate by module.
//!
//! A line of source counts for the crate that it stands in, wherever the compiler inlined it. What stands in the standard
//! library counts for the function that it was inlined into. Needs line tables, with which `scripts/bench` builds.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;

use crate::figures::Figures;
use crate::subject::Subject;
use crate::work::Work;
use crate::{callgrind, conditions};

const TIMES: u64 = 1000;
/// What is less than this in every work is summed up.
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
    figures.tables.values_mut().for_each(sum_up);
    Ok(figures)
}

/// What callgrind wrote of the work alone, without what is done once.
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

/// Sums up a report: <https://valgrind.org/docs/manual/cl-format.html>.
fn by_part(report: &str) -> BTreeMap<String, f64> {
    let mut parts = BTreeMap::new();
    let (mut function, mut own, mut inlined) = ("", "", "");
    let mut lines = report.lines();
    while let Some(line) = lines.next() {
        match line.split_once('=') {
            Some(("fl", file)) => (own, inlined) = (file, file),
            Some(("fi" | "fe", file)) => inlined = file,
            Some(("fn", name)) => function = name,
            // The line after it counts what the callee did.
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

/// Whose an instruction is.
fn part(function: &str, own: &str, inlined: &str) -> String {
    let of_libc = [
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
        for (part, names) in of_libc {
            if names.iter().any(|name| function.contains(name)) {
                return part.to_owned();
            }
        }
    }
    let of_file = [inlined, own].into_iter().find_map(of_file);
    of_file.unwrap_or_else(|| {
        let name = function.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        let mut paths = name.filter_map(|path| path.split_once("::"));
        let named = paths.find(|(name, _)| !matches!(*name, "core" | "alloc" | "std" | ""));
        match named {
            Some(("tower_keycard", path)) => ours(path.split("::").next().unwrap_or_default()),
            Some((name, _)) => of_crate(&name.replace('_', "-")),
            None => REST.to_owned(),
        }
    })
}

fn of_file(file: &str) -> Option<String> {
    if let Some((_, path)) = file.split_once("/registry/src/") {
        let (name, _version) = path.split('/').nth(1)?.rsplit_once('-')?;
        return Some(of_crate(name));
    }
    if file.contains("benches/src/") {
        return Some(of_crate("keycard-benches"));
    }
    let (before, path) = file.rsplit_once("src/")?;
    let here =
        before.is_empty() || Some(before) == env!("CARGO_MANIFEST_DIR").strip_suffix("benches");
    here.then(|| ours(path.split(['/', '.']).next().unwrap_or_default()))
}

fn ours(module: &str) -> String {
    format!("tower-keycard: {module}")
}

fn of_crate(name: &str) -> String {
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

fn sum_up(table: &mut BTreeMap<String, BTreeMap<String, f64>>) {
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
fn=core::ptr::drop_in_place<tower_keycard::visit::Visit>
4 30
";

    #[test]
    fn each_instruction_counts_once_for_whoever_wrote_it() {
        let parts = by_part(REPORT);
        let parts: Vec<_> = parts
            .iter()
            .map(|(part, count)| (&**part, *count))
            .collect();
        let expected = [
            ("allocator", 900.0),
            ("http", 14.0),
            ("tower-keycard: visit", 30.0),
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn this_crate_is_told_by_its_modules() {
        let here = env!("CARGO_MANIFEST_DIR").replace("benches", "src/store/memory.rs");
        assert_eq!(part("x", &here, &here), "tower-keycard: store");
        assert_eq!(
            part("x", "src/visit.rs", "src/visit.rs"),
            "tower-keycard: visit"
        );
        assert_eq!(part("x", "benches/src/visitor.rs", ""), "the driver");
    }

    #[test]
    fn what_is_small_everywhere_is_summed_up() {
        let mut figures = Figures::default();
        for (part, count) in [("http", 100.0), ("a", 1.0), ("b", 2.0)] {
            figures.record("t", part, Work::W1, count);
        }
        let table = figures.tables.get_mut("t").unwrap();
        sum_up(table);
        assert_eq!(table[REST]["W1"], 3.0);
        assert_eq!(table.len(), 2);
    }
}
