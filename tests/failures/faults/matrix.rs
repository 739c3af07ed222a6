//! Every fault with every kind of request, and the page of the documentation with the results.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::cell::{Moment, Observed, Request, observe};
use super::fault::Fault;
use crate::alone;

/// How many servers run at the same time. The test mostly waits for a server that does not answer.
const SERVERS: usize = 8;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/faults.md");

/// The results.
type Cells = HashMap<(Fault, Moment), Vec<Observed>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_clients_get_in_trouble_is_what_the_documentation_says() {
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

/// Counts the panics of all tasks, including tasks that nothing waits for.
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
        for moment in [Moment::Before, Moment::During] {
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
            // The panic has printed the reason.
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
    assert_eq!(failures, 0, "rows failed");
    cells
}

fn page(cells: &Cells) -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n## The fault begins before the request\n\n");
    table(&mut page, cells, Moment::Before);
    page.push_str(
        "\n## The fault begins while the handler runs, after it has read the session\n\n",
    );
    table(&mut page, cells, Moment::During);
    page.push_str(NOT_NOTICED);
    page.push_str("\n## What each fault means for users who are logged in\n\n");
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

This page says what a client gets from an application with `SessionLayer` over `RedisStore`, both with their default
configuration, while something is wrong with Redis, the network, the records in Redis, or the application's clock. The test
`tests/failures/faults` writes the page. It makes each fault happen to a real `redis-server`, twice: before the request, and
while its handler runs. The test fails if it observes anything else than this page says.

The columns are what the handler does: nothing with its session, read it, write to a new one, change a value, `rotate_token`,
`logout`. All requests except \"new session\" send a token, that is, a valid session cookie.

| cell | what it means |
|---|---|
| `200` | The request succeeds as if nothing were wrong; no cookie is sent. |
| `200 new token` | The session goes on under a new token; the old one is dead. |
| `200 new session` | A new session was stored, and its token sent. It holds no data of an old session. |
| `200 token removed` | The session does not exist (any more), and the response removes the cookie. |
| `200 no session` | The handler sees no session. The browser keeps its token, which may be valid again later. |
| `409` | The session was ended or replaced meanwhile; the changes of the handler are dropped. |
| `503` | The store could not be reached, or did not answer. The response has no cookie, but `Retry-After: 1`. The browser keeps its token, which is valid again when the store is back. A handler that asked for its session did not run, or its changes are not confirmed. |

In every cell, for two users at once:

- no user ever sees the session of another, and no user who has a session sees an empty one because the store failed;
- no client waits for the store longer than its timeout of 500 ms (plus 50 ms for the rest of the work);
- within a second after the end of the fault, everything works again by itself;
- a rotation that was acknowledged has happened: the new token opens the session, the old one does not; a change that was
  acknowledged is there, once; a logout that was acknowledged has ended the session.
";

const NOT_NOTICED: &str = "
## What is not noticed

A record has no checksum. If a bit flips in Redis's memory, this is noticed where the record cannot be read any more or its
token no longer fits, which is nearly everywhere. It is not noticed in the user's id, in a value that stays valid JSON, and in
the times, none of which lets a session outlive its limits. Run Redis on a machine whose memory corrects errors.
";
