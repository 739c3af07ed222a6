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

/// The targets of a page's links, and the labels that its text uses.
fn links(text: &str) -> (Vec<&str>, BTreeSet<&str>, BTreeSet<&str>) {
    let inline = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let defined = text
        .lines()
        .filter_map(|line| line.strip_prefix('[')?.split_once("]: "));
    let (labels, targets): (BTreeSet<_>, Vec<_>) = defined.unzip();
    let used = text
        .split("][")
        .skip(1)
        .filter_map(|rest| rest.split(']').next());
    (inline.chain(targets).collect(), labels, used.collect())
}

#[test]
fn every_link_in_the_readme_and_the_pages_behind_it_leads_to_a_file() {
    const DOCS_RS: &str = "https://docs.rs/tower-keycard/latest/tower_keycard/documentation/";
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = std::fs::read_dir(root.join("docs")).unwrap();
    let pages = pages.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pages: Vec<_> = pages.filter(|name| name.ends_with(".md")).collect();
    let library = read("src/lib.rs");
    let mut found = 0;
    let files = pages.iter().filter(|name| *name != "rustdoc-links.md");
    for file in files
        .map(|name| format!("docs/{name}"))
        .chain(["README.md".to_owned()])
    {
        let text = read(&file);
        let (targets, labels, used) = links(&text);
        for target in targets {
            let target = match target.strip_prefix(DOCS_RS) {
                // docs.rs has the page of each module, which includes the file.
                Some(page) => {
                    let module = page.trim_end_matches("/index.html");
                    assert!(
                        library.contains(&format!("pub mod {module} {{}}")),
                        "{module}"
                    );
                    format!("docs/{}.md", module.replace('_', "-"))
                }
                None if target.contains("://") || target.starts_with('#') => continue,
                None => {
                    let target = target.split('#').next().unwrap();
                    let path = Path::new(&file).with_file_name("").join(target);
                    path.to_str().unwrap().to_owned()
                }
            };
            assert!(
                root.join(&target).exists(),
                "{file} links to {target}, which is not there"
            );
            found += 1;
        }
        assert_eq!(labels, used, "the labels of {file}, defined and used");
    }
    assert!(found > 30, "only {found} links were found");
}

#[test]
fn every_page_of_the_documentation_is_one_of_rustdoc_too() {
    let library = read("src/lib.rs");
    let links = read("docs/rustdoc-links.md");
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(page) = name
            .strip_suffix(".md")
            .filter(|page| *page != "rustdoc-links")
        else {
            continue;
        };
        let module = page.replace('-', "_");
        assert!(library.contains(&format!("\"../docs/{name}\"")), "{name}");
        let link = format!("[{page}]: crate::documentation::{module}\n");
        assert!(links.contains(&link), "{link}");
    }
}
