//! Counts allocations. It is a separate program, because counting costs time and instructions.

use std::time::{Duration, Instant};

use allocation_counter::{AllocationInfo, measure};
use clap::Parser;
use keycard_benches::subject::{Setting, Subject};
use keycard_benches::visitor::{Visitor, pair};
use keycard_benches::work::Work;
use tokio::runtime::{Builder, Runtime};

#[derive(Parser)]
enum Cli {
    /// Prints the allocations and the allocated bytes of one request.
    Request {
        #[arg(value_parser = Subject::named)]
        subject: Subject,
        #[arg(ignore_case = true)]
        work: Work,
        /// The number of requests that are counted.
        times: u64,
        /// The URL of a Redis server, for the subjects that need one.
        #[arg(default_value = "")]
        redis: String,
    },
    /// Prints the bytes of each session, with this many sessions.
    Stored {
        #[arg(value_parser = Subject::named)]
        subject: Subject,
        sessions: u64,
    },
    /// Prints the memory of new sessions as a fraction of the memory of as many sessions that have expired before.
    Expired {
        #[arg(value_parser = Subject::named)]
        subject: Subject,
        sessions: u64,
    },
}

/// The lifetime of sessions that expire: longer than it takes to create them all.
const SHORT: Duration = Duration::from_secs(4);

fn main() -> std::io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    match Cli::parse() {
        Cli::Request {
            subject,
            work,
            times,
            redis,
        } => request(&runtime, &subject, Setting::new(work, redis), times),
        Cli::Stored { subject, sessions } => {
            let mut visitor = start(&runtime, &subject, Setting::new(Work::W4, ""));
            let bytes = retained(&runtime, &mut visitor, sessions);
            println!("{}", bytes / sessions as f64);
        }
        Cli::Expired { subject, sessions } => {
            let mut setting = Setting::new(Work::W4, "");
            setting.idle = SHORT;
            let mut visitor = start(&runtime, &subject, setting);
            let bytes = retained(&runtime, &mut visitor, sessions);
            let expired = Instant::now() + SHORT + Duration::from_secs(1);
            std::thread::sleep(expired - Instant::now());
            let more = retained(&runtime, &mut visitor, sessions);
            println!("{}", more / bytes);
        }
    }
    Ok(())
}

fn start(runtime: &Runtime, subject: &Subject, setting: Setting) -> Visitor {
    let work = setting.work;
    runtime.block_on(async {
        let app = subject.open(setting).await;
        let mut visitor = subject.visitor(&app, work).await;
        visitor.work(100).await;
        visitor
    })
}

/// The bytes that are allocated after this many requests and were not before. This thread serves the requests, and only its
/// allocations are counted.
fn retained(runtime: &Runtime, visitor: &mut Visitor, requests: u64) -> f64 {
    measure(|| runtime.block_on(visitor.work(requests))).bytes_current as f64
}

fn request(runtime: &Runtime, subject: &Subject, setting: Setting, times: u64) {
    let mut visitor = start(runtime, subject, setting);
    // Counts this thread, which also runs the task of a connection.
    let all = measure(|| runtime.block_on(visitor.work(times)));
    let driver = match visitor.cookie() {
        // The driver itself copies the new cookie each time.
        Some(cookie) if visitor.follows() => measure(|| drop(pair(cookie))),
        _ => AllocationInfo::default(),
    };
    let per_request = |all: u64, driver: u64| all as f64 / times as f64 - driver as f64;
    println!(
        "{} {}",
        per_request(all.count_total, driver.count_total),
        per_request(all.bytes_total, driver.bytes_total)
    );
}
