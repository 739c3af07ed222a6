//! Counts what is allocated. A program of its own, because counting costs time and instructions.

use allocation_counter::{AllocationInfo, measure};
use clap::Parser;
use keycard_benches::subject::{Setting, Subject};
use keycard_benches::visitor::pair;
use keycard_benches::work::Work;
use tokio::runtime::Builder;

/// Prints what one request allocates: how often, and how many bytes.
#[derive(Parser)]
struct Cli {
    #[arg(value_parser = Subject::named)]
    subject: Subject,
    #[arg(ignore_case = true)]
    work: Work,
    /// How many requests are counted.
    times: u64,
    /// Where a Redis server is, for those who need one.
    #[arg(long, default_value = "")]
    redis: String,
}

fn main() -> std::io::Result<()> {
    let cli = Cli::parse();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let setting = Setting::new(cli.work, cli.redis);
    let mut visitor = runtime.block_on(async {
        let app = cli.subject.open(setting).await;
        let mut visitor = cli.subject.visitor(&app, cli.work).await;
        visitor.work(100).await;
        visitor
    });
    // On this thread, where a connection's task runs too.
    let all = measure(|| runtime.block_on(visitor.work(cli.times)));
    let driver = match visitor.cookie() {
        // The driver itself copies the new cookie each time.
        Some(cookie) if visitor.follows() => measure(|| drop(pair(cookie))),
        _ => AllocationInfo::default(),
    };
    let per_request = |all: u64, driver: u64| all as f64 / cli.times as f64 - driver as f64;
    println!(
        "{} {}",
        per_request(all.count_total, driver.count_total),
        per_request(all.bytes_total, driver.bytes_total)
    );
    Ok(())
}
