//! `docs/events.md` names every event.

use std::collections::BTreeSet;

use tower_keycard::event::{EventKind, Rotation, StoreCall};
use tower_keycard::store::StoreErrorKind;

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/events.md");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_page_names_every_event_and_no_other() {
    let page = page();
    let cell = |cell: &str| cell.trim().trim_matches('`').to_owned();
    let named: BTreeSet<_> = page
        .lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let mut cells = line.split('|').skip(1);
            (cell(cells.next().unwrap()), cell(cells.next().unwrap()))
        })
        .collect();
    let there: BTreeSet<_> = EventKind::all()
        .iter()
        .map(|kind| {
            (
                kind.name().to_owned(),
                kind.reason().unwrap_or("").to_owned(),
            )
        })
        .collect();
    assert_eq!(named, there);
}

#[test]
fn the_page_names_every_call() {
    let page = page();
    for call in StoreCall::ALL {
        assert!(page.contains(&format!("`{call}`")), "{call}");
    }
}

#[test]
fn an_event_is_one_line_of_json_whatever_strangers_put_into_it() {
    use std::time::{Duration, SystemTime};
    use tower_keycard::ClientFacts;
    use tower_keycard::event::SessionEvent;

    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_123);
    let mut event = SessionEvent::new(EventKind::Rotated(Rotation::Login), time, "shop");
    assert_eq!(
        serde_json::to_string(&event).unwrap(),
        r#"{"time":"2027-01-15T08:00:00.123Z","event":"rotated","reason":"login","namespace":"shop"}"#
    );
    event.kind = EventKind::Lost { events: 3 };
    event.session = Some("AAAAAAAAAAAAAAAAAAAA".parse().unwrap());
    event.user = Some("\",\n\"event\":\"created".into());
    let client = ClientFacts::new()
        .with_address(std::net::IpAddr::from([192, 0, 2, 7]))
        .with_description("Fire\"fox");
    event.client = Some(client.into());
    assert_eq!(
        serde_json::to_string(&event).unwrap(),
        r#"{"time":"2027-01-15T08:00:00.123Z","event":"lost","events":3,"namespace":"shop","session":"AAAAAAAAAAAAAAAAAAAA","user":"\",\n\"event\":\"created","address":"192.0.2.7","client":"Fire\"fox"}"#
    );
    event.kind = EventKind::Evicted { sessions: 5 };
    let line = serde_json::to_string(&event).unwrap();
    assert!(
        line.contains(r#""event":"evicted","sessions":5,"#),
        "{line}"
    );
    event.kind = EventKind::StoreFailed {
        call: StoreCall::Load,
        kind: StoreErrorKind::Full,
    };
    let line = serde_json::to_string(&event).unwrap();
    assert!(
        line.contains(r#""event":"store_failed","reason":"full","call":"load","#),
        "{line}"
    );
}
