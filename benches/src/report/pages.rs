//! The pages' words.

use std::collections::BTreeMap;
use std::error::Error;

use super::{Results, reached};
use crate::figures::{Figures, ordered};
use crate::load;
use crate::work::Work;

pub(super) fn benchmarks(results: &Results) -> Result<String, Box<dyn Error>> {
    let mut works = String::new();
    for work in Work::ALL {
        works += &format!("| {work} | {} |\n", work.description());
    }
    let reached = reached::table(results)?;
    let versions = super::versions()?;
    let words = words(&results.commands, "commands");
    let table = |figures: &Figures, name: &str, decimals| figures.markdown(name, decimals);
    Ok(format!(
        "\
# What sessions cost

This crate beside its peers, beside what one would write by hand, and beside axum without sessions. This page is written by
one command, which measures everything:

```sh
scripts/bench all            # or one part: scripts/bench --help
```

![Time per request in memory, and requests per second with Redis](benchmarks.svg)

## What is done

| | |
|---|---|
{works}
A session holds a `user_id` of 42, a name of 20 characters and a token of 32. Every request goes through the whole
application, in the process that measures (over TCP where it says so); every handler checks what it read.

`axum` and `actix-web` are without sessions, `extension-layer` is a layer that only hands its handlers a value, `map-by-hand` and
`redis-by-hand` are what one would write without a library. The others: {versions}.

Settings are everybody's defaults, except that the cookie is the same (`__Host-id; HttpOnly; SameSite=Lax; Secure; Path=/`
with a `Max-Age`), that a session lives a day without being used, and where a default would make the work another one:

- This crate slides a session at most once a minute: W6, which is over before that, slides nothing and costs what W2 does. W7 is
  the work in which everybody slides.
- tower-sessions slides an expiry only when it saves: W6 and W7 are `with_always_save(true)`. Its stores for moka and Redis
  are for its version 0.14, its memory store is measured with 0.15.
- ruts reads and writes each value by a store call of its own and expires each on its own: three values are three calls. Its
  moka store is not limited to 10,000 sessions and has a `time_to_idle`, without which it frees nothing. Its Redis store needs
  Redis 7.4; where there is no row, the server was older.
- axum_session makes a session for each request without a cookie. With Redis it is told to keep no copy in the process
  (`with_memory_lifetime(0)`), for which one process would not see another's sessions; with its default it would ask Redis
  less often. Its pool takes as many connections as there are requests.
- actix-session is compared with actix-web, by whose own request and response types it is called; its cookie is signed.
- By hand means: without a library, in the handler. Nothing is checked but the expiry, the last writer wins, and a rotation
  leaves the session under its key. With Redis, W2 is `GET`; W3 and W5 are `GET` and `SET`; W4 is `SET NX`; W6 and W7 are `GETEX`.

Counts of instructions are callgrind's, of one request with axum and the driver. They depend on the compiler and on the
processor that valgrind pretends to be, which has no SHA instructions; what the kernel does is not in them. Times are medians
of blocks in which everybody takes turns, and ratios are of what was measured in the same round.

## What was to be reached

The targets stand in `benches/targets.toml`. Requests per second are to be no fewer, everything else is to be no more; in bold
is what was missed.

{reached}
What stands in the way:

- Before anything is looked up, the token is hashed with SHA-256; a rotation hashes two. In software, as callgrind counts it,
  that is a third of what a read costs above bare axum ([below](#where-this-crates-instructions-go)). In time it is much
  less, on processors with SHA instructions; and without it the reads' and writes' targets would be missed as well.
- A map by hand has no requests that cross, and none that fail: it changes a session where it lies. Here a request works on a
  copy, which is stored by compare-and-swap once the handler has answered: a commit allocates the next record, and what it
  needs to go on alone if the client is gone meanwhile. No single part of that stands out in the profile.
- A layer, an extractor and a future of its own cost something whoever writes them: see `extension-layer`, which only hands
  its handlers a value.
- With Redis, writes are slower than some peers'. A write (W3, W5) and a touch (W7) compare and swap, so that nobody's write is
  lost, and a session that was ended stays so. In one round trip over a shared connection that takes a script, which costs
  the server several times as much as a `SET` ([below](#with-redis-the-servers-processor-time)). That is not all of it: ruts
  runs scripts too. In W4 the server does what it does by hand, and the difference is this crate's own work in the client.
  `SET … IFEQ` of Valkey 8.1 and Redis 8.4 should be cheaper than the script; it is neither used nor measured yet.
- `GETEX` (by hand, W6 and W7) slides a session before anybody knows whether the card is right, and whether the handler
  succeeds. Here it slides afterwards: a round trip more in W7.

## Instructions per request, in memory

{}
{}
## Where this crate's instructions go

By the crate, and for this crate by the module, in which the source stands: what was inlined counts where it was written.

{}
The same of a layer that only hands its handlers an extension:

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
## With Redis: requests per second, as a part of what is reached by hand

64 tasks, one thread, one connection (axum_session: a pool). Medians of the ratios of nine short rounds, which are not the
quotients of the medians below: differences of a few hundredths mean little.

{}
## With Redis: requests per second

{}
{}
## With Redis: the server's processor time

Microseconds per request, its network included:

{}
## With Redis: bytes to and from the server

{}
{}
## With Redis: commands

What is sent for one request; a script is one command, `MULTI` and `EXEC` are two.

{words}
## With Redis: round trips

{}
## Over TCP: requests per second

`axum::serve` on one thread, and `wrk -t1 -c64` beside it, which takes a part of the machine for itself. All connections
bring the same session.

{}
{}
## Bytes of a session

In Redis, `MEMORY USAGE` of everything that belongs to it:

{}
In memory, of 1,000,000 sessions:

{}
Which part of the memory of 100,000 sessions is taken again by 100,000 others that come when those have expired: none
where an expired session's place is freed, 1 where it is not. They come a second after the first ones expired: a store that
frees by a timer may free later.

{}
{}
## With more threads

Requests per second, as a multiple of one thread's. Reads of one store (W2), each thread of a session of its own:

{}
Writes (W3):

{}
## With more sessions

Nanoseconds of a read, with so many sessions stored in memory (ten million by this crate alone, for the sake of time):

{}
Nanoseconds of a creation:

{}
Requests per second that read, with so many stored in Redis:

{}
{}
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
# What a million active users ask of Redis

Computed from what was measured of each request: its commands and round trips, the server's processor time and network
traffic for it, and the bytes of a session ([the figures](benchmarks.md)). Written by `scripts/bench report`.

A million users are active, and each makes a request every 30 seconds: 33,333 requests per second. Of a hundred requests, 90
read the session while its idle limit slides (W6), 8 change it (W3), one creates one (W4), one logs in (W5). This crate
slides a session at most once a minute, here with every other read; the others do it with every read, if at all.

| | commands/s | round trips/s | server cores | network Mbit/s | memory GB | $ per month |
|---|--:|--:|--:|--:|--:|--:|
{rows}
The cores are of the machine below, on the loopback, and without what replicas and an append-only file would add. The costs
are those of [ElastiCache Serverless for Valkey](https://aws.amazon.com/elasticache/pricing/) in us-east-1: ${} for a
million processing units and ${} for a gigabyte and an hour. A unit is a simple command; of what takes longer than a plain
`GET` does here, the time counts: so a crate that sends fewer commands may cost more, as this one does where it writes or
slides by a script. With requests more often than every 30 seconds it slides a smaller part of them. Memory is of the sessions
alone, without the lists of each user's sessions and the tables of Redis ([sizing](production.md#sizing)), and a login is
counted as a rotation, though a user's list takes another round trip. By hand, there is no revision, no hash of the token,
and no limit but the idle one.

{}",
        load::MILLION_UNITS,
        load::GIGABYTE_HOUR,
        conditions(&results.throughput)
    )
}

fn conditions(figures: &Figures) -> String {
    let list: Vec<_> = figures.conditions.values().map(String::as_str).collect();
    if list.is_empty() {
        return "Not measured yet.\n".to_owned();
    }
    format!("Measured on: {}.\n", list.join(" · "))
}

/// A table of words.
fn words(figures: &Figures, name: &str) -> String {
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
