//! Every fault with every kind of request, and the page of documentation that says what comes of it.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::cell::{Moment, Observed, Request, observe};
use super::fault::Fault;
use crate::alone;

/// How many servers run at the same time. Most of the time is spent waiting for one that does not answer.
const SERVERS: usize = 8;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/faults.md");

/// What came of it.
type Cells = HashMap<(Fault, Moment), Vec<Observed>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_visitors_get_in_trouble_is_what_the_documentation_says() {
    let _alone = alone().await;
    let panics = count_panics();
    let page = page(&observe_all().await);
    assert_eq!(panics.load(Ordering::SeqCst), 0, "no task panicked");
    if std::env::var_os("KEYCARD_WRITE_DOCS").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    let documented = std::fs::read_to_string(PAGE).unwrap_or_default();
    let differences: Vec<_> = page
        .lines()
        .filter(|line| !documented.lines().any(|other| other == *line))
        .collect();
    assert!(
        page == documented,
        "docs/faults.md does not say what was observed (KEYCARD_WRITE_DOCS=1 writes it anew):\n{}",
        differences.join("\n")
    );
}

/// Counts the panics of all tasks, also of those that nobody waits for.
fn count_panics() -> Arc<AtomicU32> {
    let panics = Arc::new(AtomicU32::new(0));
    let (counted, print) = (panics.clone(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        counted.fetch_add(1, Ordering::SeqCst);
        print(panic);
    }));
    panics
}

async fn observe_all() -> Cells {
    let places = Arc::new(Semaphore::new(SERVERS));
    let mut rows = JoinSet::new();
    for fault in Fault::ALL {
        for moment in [Moment::Before, Moment::Amidst] {
            let places = places.clone();
            rows.spawn(async move {
                let _place = places.acquire_owned().await.unwrap();
                let mut stage = fault.stage().await;
                let mut cells = Vec::new();
                for request in Request::ALL {
                    cells.push(observe(&mut stage, fault, request, moment).await);
                }
                ((fault, moment), cells)
            });
        }
    }
    let mut cells = Cells::new();
    let mut failures = 0;
    while let Some(row) = rows.join_next().await {
        match row {
            Ok((row, observed)) => drop(cells.insert(row, observed)),
            // What it was has been printed.
            Err(_) => failures += 1,
        }
    }
    let all = || cells.values().flatten();
    println!(
        "{} cells: the slowest answer after {:?}, the slowest recovery after {:?}",
        all().count(),
        all().map(|seen| seen.taken).max(),
        all().map(|seen| seen.recovery).max(),
    );
    assert_eq!(failures, 0, "rows with something that must not be");
    cells
}

fn page(cells: &Cells) -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n## The fault is there when the request comes\n\n");
    table(&mut page, cells, Moment::Before);
    page.push_str("\n## The fault begins while the handler runs, which has read the session\n\n");
    table(&mut page, cells, Moment::Amidst);
    page.push_str(NOT_NOTICED);
    page.push_str("\n## What each means for those who are logged in\n\n");
    for fault in Fault::ALL {
        let (name, meaning) = fault.text();
        writeln!(page, "- **{name}**: {meaning}").unwrap();
    }
    page
}

fn table(page: &mut String, cells: &Cells, moment: Moment) {
    let names = Request::ALL.map(Request::name);
    writeln!(page, "| fault | {} |", names.join(" | ")).unwrap();
    writeln!(page, "|---|{}", "---|".repeat(names.len())).unwrap();
    for fault in Fault::ALL {
        write!(page, "| {} |", fault.text().0).unwrap();
        for seen in &cells[&(fault, moment)] {
            write!(page, " {} |", seen.cell).unwrap();
        }
        page.push('\n');
    }
}

const INTRODUCTION: &str = "\
# When the store is in trouble

What a visitor gets from an application with `SessionLayer` over `RedisStore`, as both are configured by default, while
something is wrong with Redis, the network, what Redis keeps, or the application's clock. This page is written by the test
`tests/failures/faults`, which makes each of these faults happen to a real `redis-server`, twice: before the request, and
while its handler runs. It fails when what it sees is not what stands here.

The columns are what the handler does: nothing with its session, read it, write to a new one, change a value, `cycle_id`,
`logout`. All but \"new session\" come with a card, that is, a valid session cookie.

| cell | what it means |
|---|---|
| `200` | The request is answered as if nothing were wrong; no cookie is sent. |
| `200 new card` | The session goes on under a new card; the old one is dead. |
| `200 new session` | A new session was stored and its card sent. Where there was an old one, none of its data is in it. |
| `200 card removed` | There is no such session (any more), and the browser is told to forget the card. |
| `200 no session` | The handler sees no session; the browser keeps its card, which may be good again. |
| `409` | The session was ended or replaced meanwhile: what the handler changed is dropped. |
| `503` | The store could not be asked, or did not answer. No cookie is sent, `Retry-After: 1` is. The browser's card stays, and is good again when the store is; a handler that asked for its session did not run, or its changes are not confirmed. |

In every cell, for two users at once:

- nobody ever sees another's session, and nobody who has one sees an empty one because the store failed;
- no visitor waits for the store longer than its time-out of 500 ms (and 50 ms, for the rest of the work);
- within a second of the fault's end everything works again, by itself;
- a rotation that was answered is one: the new card opens the session, the old one does not; a change that was answered is
  there, once; a logout that was answered has ended the session.
";

const NOT_NOTICED: &str = "
## What is not noticed

A record carries no checksum. A bit that flips in Redis's memory is noticed where the record cannot be read any more or its
card does not fit, which is nearly everywhere. It is not noticed in the user's id, in a value that stays valid JSON, and in
the times, of which none lets a session outlive its limits: keep Redis on a machine whose memory corrects errors.
";
