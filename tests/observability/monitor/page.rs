//! `docs/monitoring.md` names each signal and each response.

use tower_keycard::monitor::{Response, Signal};

#[test]
fn the_page_says_of_each_signal_when_it_is_wrong() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/monitoring.md");
    let page = std::fs::read_to_string(path).unwrap();
    let rows: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    for signal in Signal::ALL {
        let row = rows
            .iter()
            .find(|row| row.starts_with(&format!("| `{signal}` ")));
        let cells = row.map(|row| {
            row.split('|')
                .filter(|cell| !cell.trim().is_empty())
                .count()
        });
        assert_eq!(cells, Some(4), "{signal}");
    }
    for response in Response::ALL {
        assert!(
            page.contains(&format!("`Response::{response:?}`")),
            "{response:?}"
        );
    }
}
