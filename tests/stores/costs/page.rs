//! The tables of figures in `docs/production.md`, which are written anew by
//! `KEYCARD_WRITE_DOCS=1 cargo test --all-features --test stores costs`.

use super::{memory, requests};
use crate::support::redis_server::RedisServer;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/production.md");

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_what_sessions_cost() {
    let requests = requests::table().await;
    let memory = memory::measure().await;
    if std::env::var_os("KEYCARD_WRITE_DOCS").is_some() {
        let page = std::fs::read_to_string(PAGE).unwrap();
        let page = page.replacen(block(&page, "requests"), &requests, 1);
        let page = page.replacen(block(&page, "memory"), &memory::table(&memory), 1);
        std::fs::write(PAGE, page).unwrap();
    }
    let page = std::fs::read_to_string(PAGE).unwrap();
    assert_eq!(block(&page, "requests"), requests);
    memory::assert_near(&memory, block(&page, "memory"));
}

#[test]
fn what_is_to_be_watched_is_there() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (_, monitoring) = page.split_once("\n## Monitoring\n").unwrap();
    let (events, fields) = monitoring.split_once("from `INFO`").unwrap();
    let known = include_str!("../../../docs/events.md");
    for name in first_column(events) {
        assert!(known.contains(&format!("`{name}`")), "{name}");
    }
    let server = RedisServer::with(&["--appendonly", "yes", "--min-replicas-to-write", "1"]);
    let info = server.cli(&["INFO"]);
    for name in first_column(fields) {
        assert!(info.contains(&format!("\n{name}:")), "{name}");
    }
}

/// What stands in backquotes in the first cells of a table, except where another version of Redis is named.
fn first_column(table: &str) -> Vec<&str> {
    let cells = table.lines().filter_map(|line| line.split('|').nth(1));
    let cells = cells.filter(|cell| cell.contains('`') && !cell.contains("Redis"));
    let names: Vec<_> = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    assert!(names.len() > 3, "{names:?}");
    names
}

/// What stands between a mark of this name and the next, which says where it ends.
fn block<'a>(page: &'a str, name: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("<!-- {name} -->\n\n")).unwrap();
    rest.split_once("\n<!-- end -->").unwrap().0
}
