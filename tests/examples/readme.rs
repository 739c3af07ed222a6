//! The README leads somewhere, and leaves out no feature.

use std::collections::BTreeSet;
use std::path::Path;

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The features in the first column of the table under the heading `Features`.
fn table(text: &str) -> BTreeSet<&str> {
    let (_, section) = text.split_once("# Features\n").unwrap();
    let lines = section
        .lines()
        .map(|line| line.trim_start_matches("//!").trim());
    lines
        .take_while(|line| !line.starts_with('#'))
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect()
}

#[test]
fn every_feature_is_in_the_tables_and_no_other() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let features = manifest["features"].as_table().unwrap().keys();
    let features: BTreeSet<_> = features
        .map(String::as_str)
        .filter(|name| *name != "default")
        .collect();
    for file in ["README.md", "src/lib.rs"] {
        assert_eq!(table(&read(file)), features, "{file}");
    }
}

#[test]
fn every_link_in_the_readme_and_the_pages_behind_it_leads_to_a_file() {
    let docs = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap();
    let names = docs.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pages = names.filter(|name| name.ends_with(".md"));
    let pages = pages.map(|name| format!("docs/{name}"));
    let mut links = 0;
    for page in pages.chain(["README.md".to_owned()]) {
        let text = read(&page);
        let targets = text.split("](").skip(1).filter_map(|rest| {
            let target = rest.split([')', '#']).next()?;
            (!target.is_empty() && !target.contains("://")).then_some(target)
        });
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(&page);
        for target in targets {
            let file = from.with_file_name("").join(target);
            assert!(
                file.exists(),
                "{page} links to {target}, which is not there"
            );
            links += 1;
        }
    }
    assert!(links > 10, "only {links} links were found");
}
