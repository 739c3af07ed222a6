//! The tables of figures in `docs/production.md`, which are written anew by
//! `KEYCARD_WRITE_DOCS=1 cargo test --all-features --test commands`.

use super::{memory, requests};

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

/// What stands between a mark of this name and the next, which says where it ends.
fn block<'a>(page: &'a str, name: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("<!-- {name} -->\n\n")).unwrap();
    rest.split_once("\n<!-- end -->").unwrap().0
}
