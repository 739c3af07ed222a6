//! The command line: measures each part of the comparison, or all of it, and writes the pages.

use std::error::Error;

use clap::{Args, Parser, Subcommand, ValueEnum as _};
use keycard_benches::figures::Figures;
use keycard_benches::subject::Subject;
use keycard_benches::work::Work;
use keycard_benches::{
    allocations, budgets, commands, instructions, profile, report, scaling, stored, tcp,
    throughput, time,
};

/// Measures what sessions cost, compared with other crates and with hand-written code. Each part stores its figures in
/// benches/results, and keeps the old figures of the subjects that it leaves out.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Instructions per request, counted by callgrind.
    Instructions(Selection),
    /// Instructions by crate and module, for this crate and for a layer that does nothing.
    Profile(Selection),
    /// Allocations and allocated bytes per request, above those without sessions.
    Allocations(Selection),
    /// Nanoseconds per request, and as a multiple of those without sessions.
    Time(Selection),
    /// Commands and round trips per request, and the bytes of a session, on a Redis server.
    Commands(Selection),
    /// Requests per second over one connection to a Redis server, as a fraction of the hand-written code.
    Throughput(Selection),
    /// Requests per second over TCP; W2 and W4 by default. All connections send the cookie of the same session.
    Tcp(Selection),
    /// Bytes of a session in memory, and whether the memory of an expired session is freed.
    Stored {
        #[command(flatten)]
        selection: Selection,
        #[arg(long, default_value_t = stored::SESSIONS)]
        sessions: u64,
    },
    /// Throughput with more threads, and latency with more sessions.
    Scaling {
        #[command(flatten)]
        selection: Selection,
        #[arg(long, default_value_t = 2)]
        threads: usize,
        /// The largest number of sessions that this crate stores in memory, as a power of ten.
        #[arg(long, default_value_t = 7)]
        ours: u32,
        /// The largest number of sessions that the other subjects store in memory, as a power of ten.
        #[arg(long, default_value_t = 6)]
        others: u32,
        /// The largest number of sessions in Redis, as a power of ten.
        #[arg(long, default_value_t = 6)]
        redis: u32,
    },
    /// Writes docs/benchmarks.md, docs/redis-load.md and the plot, from the figures of all parts.
    Report,
    /// Measures everything, and writes the report.
    All,
    /// Checks that this crate stays within its budgets, for the figures that are the same on every machine.
    Check {
        /// Writes the budgets instead, after a change that makes the crate cheaper or is worth its cost.
        #[arg(long)]
        write: bool,
    },
    /// Does the work this many times, in a process that callgrind counts.
    #[command(hide = true)]
    Work {
        #[arg(value_parser = Subject::named)]
        subject: Subject,
        #[arg(ignore_case = true)]
        work: Work,
        times: u64,
    },
    /// Serves over TCP, in a process that `tcp` measures.
    #[command(hide = true)]
    Serve {
        #[arg(value_parser = Subject::named)]
        subject: Subject,
        #[arg(ignore_case = true)]
        work: Work,
        redis: String,
    },
}

#[derive(Args, Default)]
struct Selection {
    /// Only these subjects; all by default.
    #[arg(long, value_parser = Subject::named)]
    subject: Vec<Subject>,
    /// Only these kinds of work; all by default.
    #[arg(long, ignore_case = true)]
    work: Vec<Work>,
}

impl Selection {
    fn subjects(&self) -> &[Subject] {
        self.subjects_or(Subject::ALL)
    }

    fn subjects_or<'a>(&'a self, others: &'a [Subject]) -> &'a [Subject] {
        if self.subject.is_empty() {
            return others;
        }
        &self.subject
    }

    fn works(&self) -> &[Work] {
        self.works_or(Work::value_variants())
    }

    fn works_or<'a>(&'a self, others: &'a [Work]) -> &'a [Work] {
        if self.work.is_empty() {
            return others;
        }
        &self.work
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    run(Cli::parse().part).await
}

async fn run(part: Part) -> Result<(), Box<dyn Error>> {
    match part {
        Part::Instructions(selection) => {
            let figures = instructions::measure(selection.subjects(), selection.works())?;
            print_and_save("instructions", &figures)
        }
        Part::Profile(selection) => {
            let ours = [
                Subject::named("extension-layer")?,
                Subject::named("keycard-memory")?,
            ];
            let subjects = selection.subjects_or(&ours);
            print_and_save("profile", &profile::measure(subjects, selection.works())?)
        }
        Part::Allocations(selection) => {
            let figures = allocations::measure(selection.subjects(), selection.works())?;
            print_and_save("allocations", &figures)
        }
        Part::Time(selection) => {
            let figures = time::measure(selection.subjects(), selection.works()).await;
            print_and_save("time", &figures)
        }
        Part::Commands(selection) => {
            let figures = commands::measure(selection.subjects(), selection.works()).await?;
            print_and_save("commands", &figures)
        }
        Part::Throughput(selection) => {
            let figures = throughput::measure(selection.subjects(), selection.works()).await?;
            print_and_save("throughput", &figures)
        }
        Part::Tcp(selection) => {
            let works = selection.works_or(&[Work::W2, Work::W4]);
            print_and_save("tcp", &tcp::measure(selection.subjects(), works)?)
        }
        Part::Stored {
            selection,
            sessions,
        } => print_and_save("stored", &stored::measure(selection.subjects(), sessions)?),
        Part::Scaling {
            selection,
            threads,
            ours,
            others,
            redis,
        } => {
            let limits = scaling::Limits {
                threads,
                ours,
                others,
                redis,
            };
            let figures = scaling::measure(selection.subjects(), &limits).await?;
            print_and_save("scaling", &figures)
        }
        Part::Report => report::write(),
        Part::All => all().await,
        Part::Check { write } => check(write).await,
        Part::Work {
            subject,
            work,
            times,
        } => {
            instructions::work(&subject, work, times).await;
            Ok(())
        }
        Part::Serve {
            subject,
            work,
            redis,
        } => tcp::serve(&subject, work, redis).await,
    }
}

fn print_and_save(part: &str, figures: &Figures) -> Result<(), Box<dyn Error>> {
    for table in figures.tables.keys() {
        println!("{table}\n\n{}", figures.markdown(table, 2));
    }
    Ok(figures.save(part)?)
}

/// Runs each part in a process of its own, so that it starts with an unused heap.
async fn all() -> Result<(), Box<dyn Error>> {
    let parts = [
        "instructions",
        "profile",
        "allocations",
        "commands",
        "stored",
        "time",
        "throughput",
        "tcp",
        "scaling",
        "report",
    ];
    for part in parts {
        eprintln!("=== {part}");
        let program = std::env::current_exe()?;
        if !std::process::Command::new(program)
            .arg(part)
            .status()?
            .success()
        {
            return Err(format!("{part} failed").into());
        }
    }
    Ok(())
}

async fn check(write: bool) -> Result<(), Box<dyn Error>> {
    let ours = Subject::ALL.iter().filter(|subject| subject.is_ours());
    let ours: Vec<_> = ours.copied().collect();
    let works = Work::value_variants();
    let mut measured = instructions::measure(&ours, works)?.tables;
    measured.extend(allocations::measure(&ours, works)?.tables);
    measured.extend(commands::measure(&ours, works).await?.tables);
    let mut memory = Figures::default();
    let bytes = stored::bytes(&Subject::named("keycard-memory")?, 100_000)?;
    memory.record("stored in memory", "keycard-memory", "bytes", bytes);
    measured.extend(memory.tables);
    if write {
        return budgets::write(&measured);
    }
    let exceeded = budgets::exceeded(&measured)?;
    if exceeded.is_empty() {
        println!("within all budgets");
        return Ok(());
    }
    Err(format!("above budget:\n{}", exceeded.join("\n")).into())
}
