//! Counts what is allocated. A program of its own, because counting costs time and instructions.

use std::time::{Duration, Instant};

use allocation_counter::{AllocationInfo, measure};
use clap::Parser;
use keycard_benches::subject::{Setting, Subject};
use keycard_benches::visitor::{Visitor, pair};
use keycard_benches::work::Work;
use tokio::runtime::{Builder, Runtime};

#[derive(Parser)]
enum Cli {
    /// Prints what one request allocates: how often, and how many bytes.
    Request {
        #[arg(value_parser = Subject::named)]
        subject: Subject,
        #[arg(ignore_case = true)]
        work: Work,
        /// How many requests are counted.
        times: u64,
        /// Where a Redis server is, for those who need one.
        #[arg(default_value = "")]
        redis: String,
    },
    /// Prints the bytes that are kept for each of so many sessions.
    Stored {
        #[arg(value_parser = Subject::named)]
        subject: Subject,
        sessions: u64,
    },
    /// Prints which part of the memory of so many expired sessions is still held after as many others have come.
    Expired {
        #[arg(value_parser = Subject::named)]
        subject: Subject,
        sessions: u64,
    },
}

/// How long a session lives that is to expire: longer than it takes to make them all.
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
            let mut visitor = arrive(&runtime, &subject, Setting::new(Work::W4, ""));
            let bytes = kept(&runtime, &mut visitor, sessions);
            println!("{}", bytes / sessions as f64);
        }
        Cli::Expired { subject, sessions } => {
            let mut setting = Setting::new(Work::W4, "");
            setting.idle = SHORT;
            let mut visitor = arrive(&runtime, &subject, setting);
            let bytes = kept(&runtime, &mut visitor, sessions);
            let expired = Instant::now() + SHORT + Duration::from_secs(1);
            std::thread::sleep(expired - Instant::now());
            let more = kept(&runtime, &mut visitor, sessions);
            println!("{}", more / bytes);
        }
    }
    Ok(())
}

fn arrive(runtime: &Runtime, subject: &Subject, setting: Setting) -> Visitor {
    let work = setting.work;
    runtime.block_on(async {
        let app = subject.open(setting).await;
        let mut visitor = subject.visitor(&app, work).await;
        visitor.work(100).await;
        visitor
    })
}

/// The bytes that are held after so many requests and were not held before. Requests are served by this thread, and
/// nobody else's allocations are counted.
fn kept(runtime: &Runtime, visitor: &mut Visitor, requests: u64) -> f64 {
    measure(|| runtime.block_on(visitor.work(requests))).bytes_current as f64
}

fn request(runtime: &Runtime, subject: &Subject, setting: Setting, times: u64) {
    let mut visitor = arrive(runtime, subject, setting);
    // On this thread, where a connection's task runs too.
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
