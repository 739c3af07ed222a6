//! The text of the pages.

use std::collections::BTreeMap;
use std::error::Error;

use super::{Results, targets};
use crate::figures::{Figures, ordered};
use crate::work::{CSRF, NAME, USER_ID, Work};
use crate::{load, stored, tcp, throughput};

pub(super) fn benchmarks(results: &Results) -> Result<String, Box<dyn Error>> {
    let mut works = String::new();
    for work in Work::ALL {
        works += &format!("| {work} | {} |\n", work.description());
    }
    let reached = targets::table(results)?;
    let versions = super::versions()?;
    let commands = table_of_words(&results.commands, "commands");
    let table = |figures: &Figures, name: &str, decimals| figures.markdown(name, decimals);
    Ok(format!(
        "\
# What sessions cost

This page compares the crate with its peers, with hand-written code, and with axum without sessions. One command measures
everything and writes this page:

```sh
scripts/bench all            # or one part: scripts/bench --help
```

[The plot][plot] shows the time per request in memory, and the requests per second with Redis.

## What is measured

| | |
|---|---|
{works}
A session holds a `user_id` of {user_id}, a name of {name} characters and a token of {csrf}. Each request goes through the whole
application, in the measuring process (over TCP where the page says so). Each handler checks what it read.

`axum` and `actix-web` have no sessions. `extension-layer` is a layer that only gives its handlers a value. `map-by-hand` and
`redis-by-hand` are hand-written code without a session library.

The peers: {versions}.

All subjects have their default settings, except for three things: they share one cookie (`__Host-id; HttpOnly; SameSite=Lax;
Secure; Path=/` with a `Max-Age`), a session lives for a day without use, and a default is changed if it would change the work:

- This crate slides a session at most once a minute. W6 is measured within a minute, so it slides nothing and costs the same as
  W2. In W7 every subject slides.
- tower-sessions slides an expiry only when it saves: W6 and W7 are `with_always_save(true)`. Its stores for moka and Redis
  need the older of the two versions; its memory store is measured with the newer one.
- ruts reads, writes and expires each value with a store call of its own: three values are three calls. Its moka store has a
  `time_to_idle`, without which it frees nothing, and not its default limit of 10,000 sessions. Its Redis store needs
  `HEXPIRE` of Redis 7.4; if its row is missing, the server was older.
- axum_session creates a session for each request without a cookie. With Redis it keeps no copy in the process
  (`with_memory_lifetime(0)`), because one process would not see the sessions of another. With its default it would ask Redis
  less often. Its pool opens as many connections as there are requests.
- actix-session is compared with actix-web, and called with the request and response types of actix-web. Its cookie is signed.
- The hand-written map checks only the expiry. The hand-written code over Redis checks nothing, the last writer wins, and a
  rotation keeps the key of the session: W2 is `GET`; W3 and W5 are `GET` and `SET`; W4 is `SET NX`; W6 and W7 are `GETEX`.

callgrind counts the instructions of one request, including axum and the driver. The counts depend on the compiler and on the
processor that valgrind emulates, which has no SHA instructions. They do not include the kernel. Times are medians of blocks in
which the subjects alternate, and ratios compare figures of the same round.

## Targets

The targets are in `benches/targets.toml`. For requests per second a target is a minimum, otherwise a maximum. Missed targets
are bold.

{reached}
The reasons for the misses:

- Before a look-up the token is hashed with SHA-256; a rotation hashes two tokens. In software, as callgrind counts it, this is
  the largest part of a read ([below](#where-this-crates-instructions-go)). On processors with SHA instructions it takes much
  less time. Without it the targets of reads and writes would be missed as well.
- The hand-written map has no concurrent requests to merge and no requests that fail: it changes a session in place. This crate
  changes a copy, and stores it by compare-and-swap after the handler has answered. A commit allocates the next record, and the
  state that it needs to finish if the client disconnects. No single part of that stands out in the profile.
- A layer, an extractor and a future have a cost in any implementation: see `extension-layer`, which only gives its handlers a
  value.
- With Redis, writes are slower than those of some peers. A write (W3, W5) and a touch (W7) compare and swap, so that no write
  is lost and no ended session returns. Over a shared connection, one round trip for that requires a script, which costs the
  server more than a `SET` ([below](#with-redis-the-servers-processor-time)). That is not the only reason, because ruts runs
  scripts too. In W4 the server does the same work as for the hand-written code; the difference is this crate's work in the
  client. `SET … IFEQ` of Valkey 8.1 and Redis 8.4 should be cheaper than the script; it is not used or measured yet.
- `GETEX` (by hand, W6 and W7) slides a session before the token is checked, and before the handler succeeds. This crate slides
  it afterwards, which takes another round trip in W7.

## Instructions per request, in memory

{}
{}
## Where this crate's instructions go

By crate, and for this crate by module. An inlined instruction counts for the module that contains its source.

{}
The same for a layer that only gives its handlers an extension:

{}
{}
## Allocations per request, above bare

{}
## Allocated bytes per request, above bare

{}
{}
## Time per request, as a multiple of bare

{}
## Nanoseconds per request

{}
{}
## With Redis: requests per second, as a fraction of the hand-written code

{tasks} tasks, one thread, one connection (axum_session: a pool). The figures are medians of the ratios of {rounds} short rounds.
They are not the quotients of the medians below, and differences of a few hundredths mean little.

{}
## With Redis: requests per second

{}
{}
## With Redis: the server's processor time

Microseconds per request, including the server's network:

{}
## With Redis: bytes to and from the server

{}
{}
## With Redis: commands

The commands of one request. A script is one command, `MULTI` and `EXEC` are two.

{commands}
## With Redis: round trips

{}
## Over TCP: requests per second

`axum::serve` on one thread, and `wrk -t1 -c{connections}` beside it, which uses a part of the machine itself. All connections
send the cookie of the same session.

{}
{}
## Bytes of a session

In Redis, the `MEMORY USAGE` of all keys of a session:

{}
In memory, with {sessions} sessions:

{}
After {expiring} sessions have expired, as many new ones are created. The table shows how much memory they take, as a fraction
of what the expired ones took: 0 if the memory of an expired session is reused, 1 if it is not. The new sessions come a second
after the first ones expired: a store that frees by a timer may free later.

{}
{}
## With more threads

Requests per second, as a multiple of one thread's. Reads from one store (W2), with a session for each thread:

{}
Writes (W3):

{}
## With more sessions

Nanoseconds of a read, by the number of sessions stored in memory (only this crate is measured with the largest number, to save
time):

{}
Nanoseconds of a creation:

{}
Reads per second, by the number of sessions stored in Redis:

{}
{}

[plot]: benchmarks.svg
",
        table(&results.instructions, "instructions", 0),
        conditions(&results.instructions),
        table(&results.profile, "profile of keycard-memory", 0),
        table(&results.profile, "profile of extension-layer", 0),
        conditions(&results.profile),
        table(&results.allocations, "allocations", 0),
        table(&results.allocations, "bytes", 0),
        conditions(&results.allocations),
        table(&results.time, "ratio", 2),
        table(&results.time, "nanoseconds", 0),
        conditions(&results.time),
        table(&results.throughput, "of the floor", 2),
        table(&results.throughput, "requests per second", 0),
        conditions(&results.throughput),
        table(&results.throughput, "server microseconds", 2),
        table(&results.throughput, "network bytes", 0),
        conditions(&results.throughput),
        table(&results.commands, "round trips", 2),
        table(&results.tcp, "over TCP", 0),
        conditions(&results.tcp),
        table(&results.commands, "stored in Redis", 0),
        table(&results.stored, "stored in memory", 0),
        table(&results.stored, "expired and kept", 2),
        conditions(&results.stored),
        table(&results.scaling, "threads W2", 2),
        table(&results.scaling, "threads W3", 2),
        table(&results.scaling, "stored, read", 0),
        table(&results.scaling, "stored, create", 0),
        table(&results.scaling, "stored, requests per second", 0),
        conditions(&results.scaling),
        user_id = USER_ID,
        name = NAME.len(),
        csrf = CSRF.len(),
        tasks = throughput::TASKS,
        rounds = throughput::BLOCKS,
        connections = tcp::CONNECTIONS,
        sessions = thousands(stored::SESSIONS),
        expiring = thousands(stored::EXPIRING),
    ))
}

pub(super) fn redis_load(results: &Results) -> String {
    let mut rows = String::new();
    for load in load::all(&results.commands, &results.throughput) {
        rows += &format!(
            "| {} | {:.0} | {:.0} | {:.2} | {:.0} | {:.2} | {:.0} |\n",
            load.subject,
            load.commands,
            load.round_trips,
            load.cores,
            load.megabits,
            load.gigabytes,
            load.dollars
        );
    }
    format!(
        "\
# The load of a million active users on Redis

Computed from the measurements of each request: its commands and round trips, the server's processor time and network traffic,
and the bytes of a session ([the measurements][benchmarks]). Written by `scripts/bench report`.

A million users are active. Each makes a request every {seconds_between} seconds, which is {requests} requests per second: {reads} % read the
session and slide its idle limit (W6), {writes} % change the session (W3), {creations} % create one (W4), and {logins} % log in (W5). This crate
slides a session at most every {refresh} seconds, here with one read in {reads_per_slide}. The others slide it with every read, if at all.

| | commands/s | round trips/s | server cores | network Mbit/s | memory GB | $ per month |
|---|--:|--:|--:|--:|--:|--:|
{rows}
The cores are those of the machine below, over the loopback interface, and without the cost of replicas and an append-only file.
The price is that of [ElastiCache Serverless for Valkey](https://aws.amazon.com/elasticache/pricing/) in us-east-1: ${units} per
million processing units, and ${gigabyte_hour} per gigabyte and hour. A unit is a simple command. A command that takes longer than a
plain `GET` is charged by its time. So a crate that sends fewer commands may cost more, as this one does if it writes or slides
with a script. If a user makes requests more often, this crate slides with a smaller part of them.

Memory is that of the sessions alone, without the user index and the tables of Redis ([sizing][production-sizing]). A login
is counted as a rotation, although the user index takes another round trip. The hand-written code has no revision, no hash of
the token, and no limit but the idle one.

{}
[benchmarks]: benchmarks.md
[production-sizing]: production.md#sizing
",
        conditions(&results.throughput),
        seconds_between = load::SECONDS_BETWEEN,
        requests = thousands(load::REQUESTS as u64),
        reads = percent(Work::W6),
        writes = percent(Work::W3),
        creations = percent(Work::W4),
        logins = percent(Work::W5),
        refresh = load::REFRESH,
        reads_per_slide = (load::REFRESH / load::SECONDS_BETWEEN).max(1.0),
        units = load::MILLION_UNITS,
        gigabyte_hour = load::GIGABYTE_HOUR,
    )
}

/// The part of the requests that do this work.
fn percent(work: Work) -> f64 {
    let mut parts = load::MIX.iter().filter(|(mixed, _)| *mixed == work);
    parts.next().map_or(0.0, |(_, part)| (100.0 * part).round())
}

/// A number with commas between the thousands.
fn thousands(number: u64) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", thousands(number / 1000), number % 1000),
    }
}

fn conditions(figures: &Figures) -> String {
    // rustdoc would take a bracket for a link.
    let versions = figures.conditions.values();
    let list: Vec<_> = versions
        .map(|version| version.trim().replace('[', "\\[").replace(']', "\\]"))
        .collect();
    if list.is_empty() {
        return "Not measured yet.\n".to_owned();
    }
    format!("Measured on: {}.\n", list.join(" · "))
}

/// A table of words instead of figures.
fn table_of_words(figures: &Figures, name: &str) -> String {
    let Some(table) = figures.words.get(name) else {
        return String::new();
    };
    let works = Work::ALL.map(|work| work.to_string());
    let mut text = format!(
        "| | {} |\n|---|{}\n",
        works.join(" | "),
        "---|".repeat(works.len())
    );
    let numbers = figures.tables.get(name);
    let order: Vec<_> = numbers.map(ordered).unwrap_or_default();
    for (subject, _) in order {
        let row = table.get(subject).unwrap_or(const { &BTreeMap::new() });
        let cells: Vec<_> = works
            .iter()
            .map(|work| {
                row.get(work)
                    .filter(|words| !words.is_empty())
                    .map_or("–", String::as_str)
            })
            .collect();
        text += &format!("| {subject} | {} |\n", cells.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::fs;
    use std::path::Path;

    use super::{benchmarks, redis_load, thousands};
    use crate::report::Results;

    /// The lines of a page that do not depend on a measurement.
    fn text(page: &str) -> Vec<&str> {
        let measured = ["|", "Measured on: ", "Not measured yet.", "The peers: "];
        page.lines()
            .filter(|line| {
                !line.is_empty() && !measured.iter().any(|start| line.starts_with(start))
            })
            .collect()
    }

    #[test]
    fn the_text_of_the_pages_is_what_this_program_writes() -> Result<(), Box<dyn Error>> {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let results = Results::default();
        for (file, written) in [
            ("benchmarks.md", benchmarks(&results)?),
            ("redis-load.md", redis_load(&results)),
        ] {
            let page = fs::read_to_string(docs.join(file))?;
            assert_eq!(text(&page), text(&written), "{file}");
        }
        Ok(())
    }

    #[test]
    fn a_number_has_commas_between_its_thousands() {
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(33_333), "33,333");
        assert_eq!(thousands(1_000_007), "1,000,007");
    }
}
